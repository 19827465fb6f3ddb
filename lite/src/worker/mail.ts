/** The worker's end of the mail of a kernel, see `common/mail.ts`. */

import { decode } from "@laneway/kernel";
import type { Envelope } from "@laneway/kernel";
import type { Inbox, InboxEvents } from "@laneway/kernel/worker";
import { ENDPOINT, isMail } from "../common/mail.js";
import type { MailAnswer, MailOptions, MailRequest } from "../common/mail.js";

/** Milliseconds that code has computed before it is interrupted to look for messages: a request takes some 10. */
const INTERVAL = 200;

/** The longest wait in one request: browsers end a service worker that takes minutes to answer. */
const PATIENCE = 15_000;

export class FetchingInbox implements Inbox {
  #options: MailOptions;
  #events: InboxEvents;
  #arrived: Envelope[] = [];
  /** How many messages came by `postMessage`, and how many were taken either way. */
  #posted = 0;
  #taken = 0;
  /** The numbers of those that were fetched, and have not come by `postMessage` yet. */
  #fetched = new Set<number>();
  #lookedAt = performance.now();
  #isOpen = false;
  #isDraining = false;

  /** Throws where no service worker answers. */
  constructor(options: MailOptions, events: InboxEvents) {
    this.#options = options;
    this.#events = events;
    this.#fetch(0);
  }

  open(): void {
    this.#isOpen = true;
    this.drain();
  }

  /** Whether nothing has arrived; while code computes, messages are fetched now and then to see. */
  get empty(): boolean {
    if (!this.#isOpen || this.#isDraining) return true;
    if (this.#arrived.length === 0 && performance.now() > this.#lookedAt + INTERVAL) {
      try {
        this.#fetch(0);
      } catch {
        this.#lookedAt = Infinity; // nothing may be thrown into code that computes
      }
    }
    return this.#arrived.length === 0;
  }

  posted(envelope: Envelope): void {
    if (isMail(decode(envelope))) {
      const number = this.#posted++;
      if (this.#fetched.delete(number)) return;
      this.#taken = Math.max(this.#taken, number + 1);
    }
    this.#arrived.push(envelope);
    this.drain();
  }

  bell(): void {
    // there is no doorbell here
  }

  drain(): void {
    if (!this.#isOpen || this.#isDraining) return;
    this.#isDraining = true;
    this.#lookedAt = performance.now();
    try {
      for (let envelope = this.#arrived.shift(); envelope; envelope = this.#arrived.shift()) {
        this.#events.message(envelope);
      }
    } finally {
      this.#isDraining = false;
    }
  }

  wait(timeout: number): void {
    if (this.#arrived.length === 0) this.#fetch(Math.min(timeout, PATIENCE));
  }

  #fetch(timeout: number): void {
    const { baseUrl, browsingContextId, kernel } = this.#options;
    const data: MailRequest = { kernel, taken: this.#taken, timeout };
    const request = new XMLHttpRequest();
    request.open("POST", `${baseUrl}api/stdin/${ENDPOINT}`, false);
    request.send(JSON.stringify({ browsingContextId, data }));
    if (request.status !== 200) throw new Error("JupyterLite's service worker does not answer.");
    const { first, messages } = JSON.parse(request.responseText) as MailAnswer;
    for (const [index, message] of messages.entries()) {
      this.#fetched.add(first + index);
      this.#arrived.push({ message: new TextEncoder().encode(message), buffers: [] });
    }
    this.#taken = Math.max(this.#taken, first + messages.length);
    this.#lookedAt = performance.now();
  }
}
