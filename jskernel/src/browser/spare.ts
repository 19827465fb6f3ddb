/** Workers whose kernels wait for a user: one for each way in which kernels are started, where that is wanted. */

import { WorkerTransport } from "./worker-transport.js";
import type { WorkerStart } from "./worker-transport.js";

const spares = new Map<string, WorkerTransport>();

/** A kernel that has just been started, or has waited. With `spare`, the next one is started when this one is ready. */
export function takeWorker(start: WorkerStart, spare: boolean): WorkerTransport {
  const key = JSON.stringify(start);
  const waiting = spares.get(key);
  spares.delete(key);
  const fit = waiting?.status === "starting" || waiting?.status === "ready";
  const transport = fit ? waiting : new WorkerTransport(start);
  if (spare) {
    // not beside one that starts, which would take longer
    transport.ready.then(
      () => setTimeout(() => startSpare(start), 1000),
      () => undefined,
    );
  }
  return transport;
}

/** Start a kernel that waits for who takes it; not where one waits already. */
export function startSpare(start: WorkerStart): void {
  const key = JSON.stringify(start);
  if (!spares.has(key)) spares.set(key, new WorkerTransport(start));
}
