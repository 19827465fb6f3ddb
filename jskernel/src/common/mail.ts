/**
 * Mail: how messages reach a worker that computes or blocks where it shares no memory with the page. The worker fetches
 * them by synchronous requests to our service worker, which asks the page. They come by `postMessage` all the same,
 * when the worker takes that; so they have numbers, and none is taken twice. What the page has sent it keeps until the
 * worker has said that it took it: the browser may end the service worker at any time.
 *
 * Only those are fetched which may be answered while a cell runs (`isMail`); the others keep their order.
 */

import { runsCode } from "./message.js";
import type { Message } from "./message.js";

/**
 * The last part of the address of the requests. To a GET the service worker answers with this very text: so the worker
 * knows that it is there.
 */
export const MAIL = "laneway-mail";

/** Where a worker fetches the messages of its kernel. */
export interface MailAddress {
  url: string;
  kernel: string;
}

/** What the worker asks, by POST. */
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

/** On the BroadcastChannel `MAIL`: the service worker asks all pages, the one that has the kernel answers. */
export type MailNote = { id: string; request: MailRequest } | { id: string; answer: MailAnswer };

/** Whether a message is one that the worker fetches. */
export function isMail(message: Message): boolean {
  return message.buffers.length === 0 && !runsCode(message);
}
