/** Tells the page what this worker has loaded without the service worker, which is to keep it for when it is offline. */

import { FETCHED } from "../common/index.js";

/** For as long as the worker lives; to be called when the start is over, which it must not hold up. */
export function reportFetches(): void {
  const channel = new BroadcastChannel(FETCHED);
  channel.postMessage([location.href]);
  new PerformanceObserver((list) => {
    const loads = list.getEntries() as PerformanceResourceTiming[];
    const urls = loads.filter(({ workerStart }) => workerStart === 0).map(({ name }) => name);
    if (urls.length > 0) channel.postMessage(urls);
  }).observe({ type: "resource", buffered: true });
}
