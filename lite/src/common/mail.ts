/**
 * How messages reach a worker that computes or blocks where it shares no memory with the page: it fetches them itself,
 * by synchronous requests to JupyterLite's service worker, which asks the page. They come by `postMessage` all the
 * same, when the worker takes that; so page and worker count them, and none is taken twice.
 *
 * Only those are fetched which may be answered while a cell runs (`isMail`); the others keep their order.
 */

import { runsCode } from "@laneway/kernel";
import type { Message } from "@laneway/kernel";

/** The last part of the address `api/stdin/...`, for which JupyterLite's service worker asks the page. */
export const ENDPOINT = "laneway";

/** How the worker reaches the page through JupyterLite's service worker. */
export interface ServiceWorkerOptions {
  baseUrl: string;
  browsingContextId: string;
}

/** What the worker needs to fetch messages. */
export interface MailOptions extends ServiceWorkerOptions {
  /** The name of the kernel in its requests. */
  kernel: string;
}

export interface MailRequest {
  kernel: string;
  /** How many messages the worker has taken: it is given those after these. */
  taken: number;
  /** For how many milliseconds to wait if there is none. */
  timeout: number;
}

export interface MailAnswer {
  /** The number of the first of them. */
  first: number;
  /** Messages as JSON, in order. */
  messages: string[];
}

/** Whether a message is one that the worker fetches. */
export function isMail(message: Message): boolean {
  return message.buffers.length === 0 && !runsCode(message);
}
