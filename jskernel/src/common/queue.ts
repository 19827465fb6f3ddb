/** Messages that wait for a reader who may be slow. */

import type { Message } from "./message.js";
import { MAX_OUTPUT, sizeOf } from "./output.js";

/** How much may wait. */
interface Bounds {
  /** How many messages, besides vital ones. */
  maxsize: number;
  /** How many bytes of them, roughly. */
  maxBytes: number;
  /** Which are never dropped, and count for nothing. */
  vital: (message: Message) => boolean;
}

interface Reader {
  resolve: (result: IteratorResult<Message, undefined>) => void;
  reject: (error: unknown) => void;
}

/**
 * Iterate it, or call `next`; leaving a loop does not end it. Several readers share what comes. Of more than its bounds
 * the oldest messages are dropped, and counted, but not the newest.
 */
export class MessageQueue implements AsyncIterableIterator<Message> {
  #name: string;
  #bounds: Bounds;
  /** With its size, where it may be dropped. */
  #waiting: { message: Message; size: number | undefined }[] = [];
  /** Of those that may be dropped. */
  #count = 0;
  #bytes = 0;
  #dropped = 0;
  #readers: Reader[] = [];
  #ended = false;
  #failure: { error: unknown } | undefined;

  /** `name` says on the console what is not read in time. */
  constructor(
    name: string,
    { maxsize = Infinity, maxBytes = MAX_OUTPUT, vital = () => false }: Partial<Bounds>,
  ) {
    this.#name = name;
    this.#bounds = { maxsize, maxBytes, vital };
  }

  /** How many messages wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** How many messages were not read in time. */
  get dropped(): number {
    return this.#dropped;
  }

  push(message: Message): void {
    const reader = this.#readers.shift();
    if (reader) {
      reader.resolve({ done: false, value: message });
      return;
    }
    const { maxsize, maxBytes, vital } = this.#bounds;
    const size = vital(message) ? undefined : sizeOf(message);
    this.#waiting.push({ message, size });
    if (size === undefined) return;
    this.#count++;
    this.#bytes += size;
    if (this.#count > maxsize || this.#bytes > maxBytes) this.#makeRoom();
  }

  /** Nothing more comes; what is there can still be read, and then `failure.error` is thrown once, where it is given. */
  end(failure?: { error: unknown }): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    for (const reader of this.#readers.splice(0)) this.#end(reader);
  }

  /** All that waits, at once. */
  take(): Message[] {
    this.#count = this.#bytes = 0;
    return this.#waiting.splice(0).map(({ message }) => message);
  }

  /** The next message; `done` when it has ended. */
  next(): Promise<IteratorResult<Message, undefined>> {
    const first = this.#waiting.shift();
    if (first) {
      this.#uncount(first.size);
      return Promise.resolve({ done: false, value: first.message });
    }
    return new Promise((resolve, reject) => {
      if (this.#ended) this.#end({ resolve, reject });
      else this.#readers.push({ resolve, reject });
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end({ resolve, reject }: Reader): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) reject(failure.error);
    else resolve({ done: true, value: undefined });
  }

  /** A tenth more than is needed now, so that this is not done for every message. */
  #makeRoom(): void {
    if (this.#dropped === 0) {
      console.warn(`Laneway: ${this.#name} is not read in time; the oldest is dropped, and counted.`);
    }
    const { maxsize, maxBytes } = this.#bounds;
    const count = this.#count > maxsize ? maxsize - Math.floor(maxsize / 10) : this.#count;
    const bytes = this.#bytes > maxBytes ? 0.9 * maxBytes : this.#bytes;
    const newest = this.#waiting.length - 1;
    this.#waiting = this.#waiting.filter(({ size }, at) => {
      const fits = this.#count <= count && this.#bytes <= bytes;
      if (size === undefined || fits || at === newest) return true;
      this.#uncount(size);
      this.#dropped++;
      return false;
    });
  }

  #uncount(size: number | undefined): void {
    if (size === undefined) return;
    this.#count--;
    this.#bytes -= size;
  }
}
