/** Whether a service worker controls this page, and so can pass messages on to kernels that compute. */

import type { PageNote } from "../common/index.js";

declare global {
  /** Set by `register.ts`: settles when the service worker is there, or cannot be. */
  var lanewayServiceWorker: Promise<unknown> | undefined;
}

/** Milliseconds for a service worker that is there to take the page over. */
const PATIENCE = 5000;

/** The service worker that controls this page, if there is one. */
export function controllerOfPage(): ServiceWorker | undefined {
  return serviceWorkers()?.controller ?? undefined;
}

/**
 * The service worker of this page, once it is active; undefined where none is registered. (`container.ready` may never
 * come: Chromium forgets it where one is removed and registered anew at once, as JupyterLite does.)
 */
export async function activeServiceWorker(): Promise<ServiceWorker | undefined> {
  const registration = await serviceWorkers()?.getRegistration();
  const worker = registration?.active ?? registration?.waiting ?? registration?.installing;
  if (!worker) return undefined;
  try {
    await activated(worker);
    return worker;
  } catch {
    return await activeServiceWorker(); // another has taken its place
  }
}

/** Wait until a service worker answers the requests of pages that are loaded from now on. */
export function activated(worker: ServiceWorker): Promise<void> {
  return new Promise((resolve, reject) => {
    const check = () => {
      if (worker.state === "activated") resolve();
      else if (worker.state === "redundant") reject(new Error("The service worker was replaced."));
    };
    worker.addEventListener("statechange", check);
    check();
  });
}

/** Wait until the page's service worker controls it, if it has one. */
export async function controlled(): Promise<void> {
  await globalThis.lanewayServiceWorker;
  const container = serviceWorkers();
  if (!container || container.controller) return;
  const registration = await container.getRegistration();
  if (!registration?.active) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, PATIENCE);
    container.addEventListener(
      "controllerchange",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
    // it does so by itself when it is new; not in a page that was loaded without it (Shift and Reload)
    registration.active?.postMessage({ type: "laneway-claim" } satisfies PageNote);
  });
}

function serviceWorkers(): ServiceWorkerContainer | undefined {
  // there are none without HTTPS, nor in Node; a page in a sandbox may not ask
  try {
    return (globalThis.navigator as { serviceWorker?: ServiceWorkerContainer } | undefined)?.serviceWorker;
  } catch {
    return undefined;
  }
}
