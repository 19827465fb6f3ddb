/**
 * The mailbox: how messages reach a worker that computes, and so takes no `postMessage`. A ring of bytes in shared
 * memory; the page writes, the worker reads. Here is the ring and nothing else.
 *
 * The shared buffer holds Int32 words: WRITTEN and READ, the positions in bytes up to which the page has written and
 * the worker has read (they only grow, modulo 2^32); BELL, 1 while a doorbell is on its way, so that there is one for
 * many records; FULL, 1 while the page waits for room. Then, from RING on, the ring, whose size is a power of two. A
 * record is a 32-bit word, its kind (4 bits) and its length (28 bits), then its bytes, padded to whole words.
 */

import type { Bytes } from "./message.js";

const WRITTEN = 0;
const READ = 1;
const BELL = 2;
const FULL = 3;
const RING = 64;

/** What a record is: */
export enum RecordKind {
  /** a message: the bytes are its envelope; */
  Message,
  /** the place of a message that comes by `postMessage`, in the order of these places; */
  Posted,
  /** the request to end; */
  Stop,
  /** how a file fares that the worker has asked for: JSON, a `FileNote`; */
  FileNote,
  /** a part of that file. */
  FilePart,
}

export interface MailRecord {
  kind: RecordKind;
  bytes: Bytes;
}

/**
 * Whether a page can share memory with its workers. `crossOriginIsolated` alone does not say it: WebKitGTK as it is
 * shipped isolates pages and has no `SharedArrayBuffer`; and Node shares memory, and knows of no isolation.
 */
export function sharesMemory(): boolean {
  return typeof SharedArrayBuffer === "function" && globalThis.crossOriginIsolated !== false;
}

/** Memory for a mailbox; `size` is that of the ring in bytes, a power of two. */
export function createMailbox(size = 1 << 20): SharedArrayBuffer {
  return new SharedArrayBuffer(RING + size);
}

class Ring {
  protected readonly words: Int32Array;
  protected readonly bytes: Uint8Array;

  constructor(mailbox: SharedArrayBuffer) {
    this.words = new Int32Array(mailbox);
    this.bytes = new Uint8Array(mailbox, RING);
  }

  /** The index of the byte at `position`. */
  protected at(position: number): number {
    return position & (this.bytes.length - 1);
  }
}

/** The page's end. */
export class MailboxWriter extends Ring {
  /** The longest record that is taken: a quarter of the ring, so that one seldom waits for another to be read. */
  get limit(): number {
    return this.bytes.length / 4;
  }

  /** Append a record; false where there is no room now. */
  put({ kind, bytes }: MailRecord): boolean {
    const start = this.words[WRITTEN]!;
    const size = paddedSize(bytes.length);
    if (((start - Atomics.load(this.words, READ)) | 0) + size > this.bytes.length) return false;
    this.words[(RING + this.at(start)) / 4] = (kind << 28) | bytes.length;
    const first = this.at(start + 4);
    const split = Math.min(bytes.length, this.bytes.length - first);
    this.bytes.set(bytes.subarray(0, split), first);
    this.bytes.set(bytes.subarray(split), 0);
    Atomics.store(this.words, WRITTEN, (start + size) | 0);
    Atomics.notify(this.words, WRITTEN);
    return true;
  }

  /** Whether a doorbell must be sent: the one that was is no longer on its way. */
  ring(): boolean {
    return Atomics.exchange(this.words, BELL, 1) === 0;
  }

  /** Have the worker say when it has made room. Try once more after this call: it may have done so just before. */
  awaitRoom(): void {
    Atomics.store(this.words, FULL, 1);
  }
}

/** The worker's end. */
export class MailboxReader extends Ring {
  get empty(): boolean {
    return this.words[READ] === Atomics.load(this.words, WRITTEN);
  }

  /** The next record, which is no longer in the mailbox then. */
  take(): MailRecord | undefined {
    if (this.empty) return undefined;
    const start = this.words[READ]!;
    const word = this.words[(RING + this.at(start)) / 4]!;
    const bytes = new Uint8Array(word & 0xfffffff);
    const first = this.at(start + 4);
    const split = Math.min(bytes.length, this.bytes.length - first);
    bytes.set(this.bytes.subarray(first, first + split), 0);
    bytes.set(this.bytes.subarray(0, bytes.length - split), split);
    Atomics.store(this.words, READ, (start + paddedSize(bytes.length)) | 0);
    return { kind: word >>> 28, bytes };
  }

  /** The doorbell has arrived. To be called before the records are taken, so that later ones ring anew. */
  answerBell(): void {
    Atomics.store(this.words, BELL, 0);
  }

  /** Whether the page waits for room; says so once. */
  roomAwaited(): boolean {
    return Atomics.exchange(this.words, FULL, 0) === 1;
  }

  /** Block the worker until a record is there, for `timeout` milliseconds at most. */
  wait(timeout: number): void {
    Atomics.wait(this.words, WRITTEN, this.words[READ]!, timeout);
  }
}

function paddedSize(length: number): number {
  return (4 + length + 3) & ~3;
}
