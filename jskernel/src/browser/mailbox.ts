/** The page's use of the mailbox: what goes into it, what beside it, and what waits for room. */

import { MailboxWriter, RecordKind } from "../common/index.js";
import type { Envelope, FileNote, MailRecord, ToWorker } from "../common/index.js";

/**
 * Sends messages so that they arrive while the worker computes. Those with binary buffers, and very long ones, go by
 * `postMessage` and take only their place in the mailbox, so that the order is kept: none of them is of a kind that is
 * answered while a cell computes.
 */
export class Outbox {
  #mailbox: MailboxWriter;
  #post: (message: ToWorker, transfer?: Transferable[]) => void;
  #waiting: MailRecord[] = [];

  constructor(mailbox: SharedArrayBuffer, post: (message: ToWorker, transfer?: Transferable[]) => void) {
    this.#mailbox = new MailboxWriter(mailbox);
    this.#post = post;
  }

  send(envelope: Envelope): void {
    const { message, buffers } = envelope;
    if (buffers.length === 0 && message.length <= this.#mailbox.limit) {
      this.#put({ kind: RecordKind.Message, bytes: message });
    } else {
      // first, for it throws where it cannot be sent: a place without its message would hold up all that follows
      this.#post({ type: "message", ...envelope }, [message.buffer, ...buffers]);
      this.#put({ kind: RecordKind.Posted, bytes: new Uint8Array(0) });
    }
  }

  stop(): void {
    this.#put({ kind: RecordKind.Stop, bytes: new Uint8Array(0) });
  }

  note(note: FileNote): void {
    this.#put({ kind: RecordKind.FileNote, bytes: new TextEncoder().encode(JSON.stringify(note)) });
  }

  part(bytes: Uint8Array<ArrayBuffer>): void {
    for (let at = 0; at < bytes.length; at += this.#mailbox.limit) {
      this.#put({ kind: RecordKind.FilePart, bytes: bytes.subarray(at, at + this.#mailbox.limit) });
    }
  }

  /** Write what waits: to be called when the worker says that there is room. */
  flush(): void {
    this.#fill();
    if (this.#waiting.length > 0) {
      this.#mailbox.awaitRoom();
      this.#fill();
    }
    if (this.#mailbox.ring()) this.#post({ type: "mail" });
  }

  #put(record: MailRecord): void {
    this.#waiting.push(record);
    this.flush();
  }

  #fill(): void {
    let written = 0;
    for (const record of this.#waiting) {
      if (!this.#mailbox.put(record)) break;
      written++;
    }
    this.#waiting.splice(0, written);
  }
}
