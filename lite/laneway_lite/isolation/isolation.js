/**
 * For a service worker: adds the headers of cross-origin isolation (COOP and COEP) to all documents and workers that
 * it answers with, whoever in it does so. To be imported before anything else. Headers of the server stay.
 */

"use strict";

{
  const EMBEDDING = ["document", "iframe", "frame", "embed", "object", "worker", "sharedworker"];
  const HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    // lets images and scripts of other hosts in, which come without cookies then; other browsers know the stricter one
    "Cross-Origin-Embedder-Policy": navigator.userAgent.includes("Chrome/")
      ? "credentialless"
      : "require-corp",
  };
  const { respondWith } = FetchEvent.prototype;

  FetchEvent.prototype.respondWith = function (answer) {
    const embedding = EMBEDDING.includes(this.request.destination);
    respondWith.call(this, embedding ? Promise.resolve(answer).then(isolated) : answer);
  };

  addEventListener("fetch", (event) => {
    const { mode, url } = event.request;
    // the browser leaves cookies away here only if it fetches this itself
    if (mode === "no-cors" && new URL(url).origin !== location.origin) event.stopImmediatePropagation();
  });

  function isolated(response) {
    if (response.status === 0) return response; // an error, or a redirect that the browser follows
    const { body, status, statusText } = response;
    const headers = new Headers(response.headers);
    for (const [name, value] of Object.entries(HEADERS)) if (!headers.has(name)) headers.set(name, value);
    return new Response(body, { status, statusText, headers });
  }
}
