/**
 * A file that the page fetches for code that cannot await it, and which comes through the mailbox. Python waits for it,
 * looks at these fields meanwhile, and so can be interrupted.
 */

import type { FileNote } from "../common/index.js";

export class PageFile {
  readonly id: number;
  /** The status of the server's answer; 0 where there is none, or it broke off. */
  status = 0;
  /** Bytes: how many have come, and how many there are, 0 where the server does not say. */
  received = 0;
  total = 0;
  ended = false;

  #parts: Uint8Array<ArrayBuffer>[] = [];
  #begun = false;

  constructor(id: number) {
    this.id = id;
  }

  /** There is news of a file: of this one, or still of one before it. */
  note({ id, status, total, ended }: FileNote): void {
    if (id !== this.id) return;
    this.#begun = true;
    this.status = status;
    this.total = total;
    this.ended = ended;
  }

  part(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.#begun) return; // of the file before
    this.#parts.push(bytes);
    this.received += bytes.length;
  }

  /** What has come. */
  content(): Uint8Array<ArrayBuffer> {
    const content = new Uint8Array(this.received);
    let at = 0;
    for (const part of this.#parts) {
      content.set(part, at);
      at += part.length;
    }
    return content;
  }
}
