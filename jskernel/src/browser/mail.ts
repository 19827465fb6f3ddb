/** The page's end of the mail of one kernel, see `common/mail.ts`. */

import { decode, isMail, MAIL } from "../common/index.js";
import type { Envelope, MailAddress, MailAnswer, MailNote } from "../common/index.js";

export class MailServer {
  readonly address: MailAddress;

  #channel = new BroadcastChannel(MAIL);
  /** Messages that the worker may not have taken yet, and the number of the first of them. */
  #messages: string[] = [];
  #first = 0;
  /** The request that waits for a message. */
  #waiting: string | undefined;

  /** `scope` is an address in reach of the service worker. */
  constructor(scope: string) {
    // names no other page has; a service worker is there, and so HTTPS and `randomUUID`
    this.address = { url: new URL(MAIL, scope).href, kernel: crypto.randomUUID() };
    this.#channel.addEventListener("message", ({ data }) => this.#receive(data as MailNote));
  }

  /** A message is being sent to the worker; returns its number, if the worker may fetch it. */
  put(envelope: Envelope): number | undefined {
    if (!isMail(decode(envelope))) return undefined;
    this.#messages.push(new TextDecoder().decode(envelope.message));
    if (this.#waiting !== undefined) this.#answer(this.#waiting);
    return this.#first + this.#messages.length - 1;
  }

  /** The worker has taken so many messages since it began. */
  taken(count: number): void {
    this.#first += this.#messages.splice(0, Math.max(0, count - this.#first)).length;
  }

  close(): void {
    this.#channel.close();
  }

  #receive(note: MailNote): void {
    if (!("request" in note) || note.request.kernel !== this.address.kernel) return;
    const { taken, timeout } = note.request;
    this.taken(taken);
    // A worker asks one thing at a time. When the time is up the service worker says so: the timers of a page that is
    // not looked at are slow.
    if (this.#messages.length > 0 || timeout === 0) this.#answer(note.id);
    else this.#waiting = note.id;
  }

  #answer(id: string): void {
    this.#waiting = undefined;
    const answer: MailAnswer = { first: this.#first, messages: this.#messages };
    this.#channel.postMessage({ id, answer } satisfies MailNote);
  }
}
