/** The worker's end of the mail of its kernel, see `common/mail.ts`. */

import { MAIL } from "../common/index.js";
import type { Envelope, MailAddress, MailAnswer, MailRequest } from "../common/index.js";
import type { Inbox, InboxEvents } from "./inbox.js";

/** Milliseconds that code has computed before it is interrupted to look for messages: a request takes some 10. */
const INTERVAL = 200;

/**
 * Milliseconds to rest after a request that has failed. The service worker may have been ended. Or our worker was: then all
 * its requests fail at once, but the browser lets code that runs go on for two more seconds.
 */
const PAUSE = 50;

/** The longest wait in one request: browsers end a service worker that takes minutes to answer. */
const PATIENCE = 15_000;

export class FetchingInbox implements Inbox {
  #address: MailAddress;
  #events: InboxEvents;
  #arrived: Envelope[] = [];
  /** How many messages were taken, by `postMessage` or by a request, and of how many the page knows it. */
  #taken = 0;
  #told = 0;
  /** The numbers of those that were fetched, and have not come by `postMessage` yet. */
  #fetched = new Set<number>();
  #lookedAt = performance.now();
  #isOpen = false;
  #isDraining = false;

  /** Throws where our service worker does not answer. */
  constructor(address: MailAddress, events: InboxEvents) {
    this.#address = address;
    this.#events = events;
    if (send("GET", address.url) !== MAIL) throw new Error("No service worker of Laneway answers.");
  }

  open(): void {
    this.#isOpen = true;
    this.drain();
  }

  /** Whether nothing has arrived; while code computes, messages are fetched now and then to see. */
  get empty(): boolean {
    if (!this.#isOpen || this.#isDraining) return true;
    if (this.#arrived.length === 0 && performance.now() > this.#lookedAt + INTERVAL) this.#fetch(0);
    return this.#arrived.length === 0;
  }

  posted(envelope: Envelope, number?: number): void {
    if (number !== undefined) {
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
    if (this.#taken > this.#told) this.#events.taken((this.#told = this.#taken));
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

  /** Nothing is thrown into code that computes: what a request did not bring, the next one does. */
  #fetch(timeout: number): void {
    const { url, kernel } = this.#address;
    const request: MailRequest = { kernel, taken: this.#taken, timeout };
    try {
      const { first, messages } = JSON.parse(send("POST", url, JSON.stringify(request))) as MailAnswer;
      for (const [index, message] of messages.entries()) {
        if (first + index < this.#taken) continue;
        this.#fetched.add(first + index);
        this.#arrived.push({ message: new TextEncoder().encode(message), buffers: [] });
      }
      this.#taken = Math.max(this.#taken, first + messages.length);
    } catch (error) {
      console.debug("Laneway: messages could not be fetched.", error);
      if (timeout > 0) pause(PAUSE);
    }
    this.#lookedAt = performance.now();
  }
}

/** Blocks, where memory of this kind can be had: without isolation, too, if it is shared with no one. */
function pause(milliseconds: number): void {
  try {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    Atomics.wait(new Int32Array(memory.buffer), 0, 0, milliseconds);
  } catch {
    // the next request is sent at once
  }
}

function send(method: string, url: string, body?: string): string {
  const request = new XMLHttpRequest();
  request.open(method, url, false);
  request.send(body ?? null);
  if (request.status !== 200) throw new Error(`The answer has status ${request.status}.`);
  return request.responseText;
}
