/**
 * The service worker of a site with kernels: isolates its pages, keeps it for when it is offline, and brings messages
 * to kernels that compute. A classic script, in one file; its scope is the folder in which it lies, and must have the
 * pages and the kernel in it.
 *
 * Its address says what it leaves out: `service-worker.js?isolation=off&offline=off`. Where the address is not ours to
 * choose, a script that imports this one says it before, as `lanewayOptions = "isolation=off"`; other scripts may follow
 * (JupyterLite's own), and get what is left.
 */

import { embeds, isolated } from "./isolation.js";
import { answerMail, isMailRequest } from "./mail.js";
import { answerFromCache, keep } from "./offline.js";
import type { PageNote } from "../common/service-worker.js";

declare const self: ServiceWorkerGlobalScope & { lanewayOptions?: string };

const options = new URLSearchParams(self.lanewayOptions ?? location.search);
const isolates = options.get("isolation") !== "off";
const keeps = options.get("offline") !== "off";

self.addEventListener("install", () => void self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const answer = answerTo(event);
  if (answer) event.respondWith(answer);
  // the browser leaves cookies away here only if it fetches this itself
  if (answer || (isolates && isEmbeddedFromElsewhere(event.request))) event.stopImmediatePropagation();
});

self.addEventListener("message", (event) => {
  const note = event.data as PageNote;
  if (note.type === "laneway-claim") event.waitUntil(self.clients.claim());
  else if (note.type === "laneway-fetched" && keeps) event.waitUntil(keep(note.urls));
});

function answerTo(event: FetchEvent): Promise<Response> | undefined {
  const { request } = event;
  if (isMailRequest(request)) return answerMail(request);
  const answer = keeps ? answerFromCache(event) : undefined;
  if (!isolates || !embeds(request)) return answer;
  return (answer ?? fetch(request)).then(isolated);
}

function isEmbeddedFromElsewhere({ mode, url }: Request): boolean {
  return mode === "no-cors" && new URL(url).origin !== location.origin;
}
