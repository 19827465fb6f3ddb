/** Messages that wait to be read, one after the other. */

import type { Message } from "./message.js";

/** Iterate it, or call `next`; leaving a loop does not end it. Several readers share what comes. */
export class MessageQueue implements AsyncIterableIterator<Message, undefined> {
  #messages: Message[] = [];
  #readers: ((result: IteratorResult<Message, undefined>) => void)[] = [];
  #ended = false;

  /** How many messages wait. */
  get size(): number {
    return this.#messages.length;
  }

  push(message: Message): void {
    const reader = this.#readers.shift();
    if (reader) reader({ done: false, value: message });
    else this.#messages.push(message);
  }

  /** Nothing more comes; what is there can still be read. */
  end(): void {
    this.#ended = true;
    for (const reader of this.#readers.splice(0)) reader({ done: true, value: undefined });
  }

  /** All that waits, at once. */
  take(): Message[] {
    return this.#messages.splice(0);
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    const value = this.#messages.shift();
    if (value) return Promise.resolve({ done: false, value });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
