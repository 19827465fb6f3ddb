/** The worker of this package, for pages that add nothing to it. Apart, so that others need not bundle it. */

export function createWorker(): Worker {
  return new Worker(new URL("../worker/main.js", import.meta.url), { type: "module" });
}
