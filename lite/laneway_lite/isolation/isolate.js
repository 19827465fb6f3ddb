/**
 * Makes the page cross-origin isolated where the server does not send the headers for it: registers a service worker
 * that adds them, and loads the page once more, through it. A page that is isolated already is left alone. So is one
 * that cannot be helped (no service workers, no HTTPS, in a frame of a page that is not isolated): it is loaded no
 * third time, and the kernel says what is missing.
 *
 * In the head of the page, before anything else; `data-worker` is the address of the service worker:
 *
 *     <script src="isolate.js" data-worker="service-worker.js"></script>
 */

"use strict";

{
  const register = async (url) => {
    const registration = await navigator.serviceWorker.register(url);
    // an older one may be active at that address: JupyterLite's own, for example
    if (!registration.installing) await registration.update();
    const { installing, waiting, active } = registration;
    await activated(installing ?? waiting ?? active);
  };

  /** Wait until a service worker answers the requests of pages that are loaded from now on. */
  const activated = (worker) =>
    new Promise((resolve, reject) => {
      const check = () => {
        if (worker.state === "activated") resolve();
        else if (worker.state === "redundant") reject(new Error("The service worker was replaced."));
      };
      worker.addEventListener("statechange", check);
      check();
    });

  if (!crossOriginIsolated && "serviceWorker" in Navigator.prototype) {
    const [{ type }] = performance.getEntriesByType("navigation");
    const again = type !== "reload";
    // The rest of the page becomes text that is not shown: nothing of it is to begin before it is loaded again
    // (JupyterLite would remove the service worker). window.stop() would keep service workers from registering.
    if (again) document.write("<plaintext hidden>");
    register(document.currentScript.dataset.worker)
      .catch((error) => console.warn(`Laneway: the page cannot be made cross-origin isolated. ${error}`))
      .finally(() => again && location.reload());
  }
}
