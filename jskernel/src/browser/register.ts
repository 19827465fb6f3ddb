/**
 * Registers the service worker of a page, `data-worker`: in the head of the page, before anything else.
 *
 *     <script src="register.js" data-worker="service-worker.js"></script>
 *
 * Where the server does not make the page cross-origin isolated, the service worker does, and the page is loaded once
 * more, through it. Not so where that is off (`service-worker.js?isolation=off`), or does not help (no service workers,
 * no HTTPS, in a frame of a page that is not isolated): the page is loaded no third time, and the kernel says what is
 * missing.
 *
 * It also tells the service worker what was loaded before that was there, so that it can keep it; not so with
 * `offline=off`. Where the address is not ours to choose `data-options` says what is off.
 */

import { sharesMemory } from "../common/mailbox.js";
import { FETCHED } from "../common/service-worker.js";
import type { PageNote } from "../common/service-worker.js";
import { activated, activeServiceWorker } from "./service-worker.js";

const { dataset } = document.currentScript as HTMLScriptElement;
const worker = new URL(dataset.worker!, document.baseURI);
const options = new URLSearchParams(dataset.options ?? worker.search);

async function register(): Promise<void> {
  const registration = await navigator.serviceWorker.register(worker);
  // an older one may be active at that address: JupyterLite's own, for example
  if (!registration.installing) await registration.update().catch(() => undefined);
  const { installing, waiting, active } = registration;
  await activated((installing ?? waiting ?? active)!);
}

/** Tell the service worker, when it is there, what the page and its workers load without it. */
function reportFetches(page: PerformanceNavigationTiming, registered: Promise<unknown>): void {
  const report = async (urls: string[]) => {
    await registered;
    (await activeServiceWorker())?.postMessage({ type: "laneway-fetched", urls } satisfies PageNote);
  };
  const reportLoads = (loads: PerformanceResourceTiming[]) => {
    const urls = loads.filter(({ workerStart }) => workerStart === 0).map(({ name }) => name);
    if (urls.length > 0) void report(urls);
  };
  // as it is kept: whatever its query
  if (page.workerStart === 0) void report([location.origin + location.pathname]);
  new PerformanceObserver((list) => reportLoads(list.getEntries() as PerformanceResourceTiming[])).observe({
    type: "resource",
    buffered: true,
  });
  new BroadcastChannel(FETCHED).addEventListener("message", ({ data }) => void report(data as string[]));
}

// in a sandbox they are there, and refused
if ("serviceWorker" in Navigator.prototype && origin !== "null") {
  const [page] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const failed = (error: unknown) =>
    console.warn(`Laneway: the service worker cannot be used. ${String(error)}`);
  let registered: Promise<unknown>;
  if (sharesMemory()) {
    // kernels do without it: the page comes first
    const loaded = new Promise((resolve) => addEventListener("load", resolve));
    registered = loaded.then(register).catch(failed);
  } else {
    // an isolated page, too, may share no memory: WebKitGTK's as it is shipped
    const again = !crossOriginIsolated && options.get("isolation") !== "off" && page!.type !== "reload";
    // The rest of the page becomes text that is not shown: nothing of it is to begin before it is loaded again
    // (JupyterLite would remove the service worker). window.stop() would keep service workers from registering.
    if (again) document.write("<plaintext hidden>");
    registered = register().catch(failed);
    globalThis.lanewayServiceWorker = registered.finally(() => again && location.reload());
  }
  if (options.get("offline") !== "off") reportFetches(page!, registered);
}
