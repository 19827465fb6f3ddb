/** A copy of a client's messages. */

import type { Message } from "./message.js";
import { MessageQueue } from "./queue.js";

/** A bounded copy of a client's messages, see `Client.subscribe`. Iterate it; it ends with the client, or with `close`. */
export class Subscription implements AsyncIterableIterator<Message> {
  #wanted: (message: Message) => boolean;
  #closed: () => void;
  #messages: MessageQueue;

  /** @internal */
  constructor(wanted: (message: Message) => boolean, maxsize: number, closed: () => void) {
    this.#wanted = wanted;
    this.#closed = closed;
    this.#messages = new MessageQueue("a subscription", { maxsize, vital: isVital });
  }

  /** How many messages wait. */
  get size(): number {
    return this.#messages.size;
  }

  /** How many messages were not read in time; they are lost to this subscription only. */
  get dropped(): number {
    return this.#messages.dropped;
  }

  /** End it; what it holds can still be read. */
  close(): void {
    this.#end();
  }

  /** The next message; `done` when it is closed. */
  next(): Promise<IteratorResult<Message, undefined>> {
    return this.#messages.next();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @internal Take `message` if it is wanted. Never throws: where `wanted` does, that is for who reads. */
  offer(message: Message): void {
    try {
      if (!this.#wanted(message)) return;
    } catch (error) {
      this.#end({ error });
      return;
    }
    this.#messages.push(message);
  }

  #end(failure?: { error: unknown }): void {
    this.#closed();
    this.#messages.end(failure);
  }
}

/** Who misses a reply, a question, a status or an error cannot know how things stand. */
function isVital({ channel, header }: Message): boolean {
  return channel !== "iopub" || header.msg_type === "status" || header.msg_type === "error";
}
