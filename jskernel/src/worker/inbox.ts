/** How messages arrive at the worker. */

import { decode, MailboxReader, RecordKind, runsCode } from "../common/index.js";
import type { Envelope, FileNote } from "../common/index.js";
import { PageFile } from "./page-file.js";

export interface InboxEvents {
  message(envelope: Envelope): void;
  stop(): void;
  /** There is room in the mailbox again, and the page waits for it. */
  room(): void;
  /** So many messages that can be fetched were taken. */
  taken(count: number): void;
  /** The page is to fetch this file, or none any more. */
  fetch(id: number, url?: string): void;
}

/** Where messages arrive, in part while code computes or blocks. */
export interface Inbox {
  /** Whether there is nothing to hand over now. Asked often while code computes. */
  readonly empty: boolean;
  /** Begin to hand over: the kernel runs. */
  open(): void;
  /** A message has come by `postMessage`; `number` is that of one that can be fetched. */
  posted(envelope: Envelope, number?: number): void;
  /** The doorbell has rung. */
  bell(): void;
  /** Hand over what has arrived, one after the other: what takes one is not handed the next meanwhile. */
  drain(): void;
  /** Block until something arrives, for `timeout` milliseconds at most. */
  wait(timeout: number): void;
  /**
   * Have the page fetch a file, in place of one that it fetches; it is there bit by bit when `drain` was called. Without
   * `url` none is wanted any more. Missing where files do not come this way.
   */
  fetch?(url?: string): PageFile | undefined;
}

/** What arrives by the mailbox and beside it, in the order in which it was sent. */
export class MailboxInbox implements Inbox {
  #mailbox: MailboxReader;
  #events: InboxEvents;
  /** Messages that came by `postMessage` and whose place was not read yet. */
  #posted: Envelope[] = [];
  /** From a place whose message has not come on: that place (undefined), and what must not overtake it. */
  #held: (Envelope | undefined)[] = [];
  #file: PageFile | undefined;
  #files = 0;
  #isOpen = false;
  #isDraining = false;

  constructor(mailbox: SharedArrayBuffer, events: InboxEvents) {
    this.#mailbox = new MailboxReader(mailbox);
    this.#events = events;
  }

  open(): void {
    this.#isOpen = true;
    this.bell();
  }

  get empty(): boolean {
    return !this.#isOpen || this.#isDraining || this.#mailbox.empty;
  }

  posted(envelope: Envelope): void {
    this.#posted.push(envelope);
    this.drain();
  }

  bell(): void {
    if (!this.#isOpen) return;
    this.#mailbox.answerBell();
    this.drain();
  }

  drain(): void {
    if (!this.#isOpen || this.#isDraining) return;
    this.#isDraining = true;
    try {
      for (let record = this.#mailbox.take(); record; record = this.#mailbox.take()) {
        if (record.kind === RecordKind.Stop) this.#events.stop();
        else if (record.kind === RecordKind.Posted) this.#held.push(undefined);
        else if (record.kind === RecordKind.FileNote) this.#file?.note(decodeNote(record.bytes));
        else if (record.kind === RecordKind.FilePart) this.#file?.part(record.bytes);
        else this.#sort({ message: record.bytes, buffers: [] });
        this.#release();
      }
      this.#release();
    } finally {
      this.#isDraining = false;
    }
    if (this.#mailbox.roomAwaited()) this.#events.room();
  }

  wait(timeout: number): void {
    this.#mailbox.wait(timeout);
  }

  fetch(url?: string): PageFile | undefined {
    this.#file = url === undefined ? undefined : new PageFile(++this.#files);
    this.#events.fetch(this.#files, url);
    return this.#file;
  }

  #sort(envelope: Envelope): void {
    if (this.#held.length > 0 && keepsOrder(envelope)) this.#held.push(envelope);
    else this.#events.message(envelope);
  }

  #release(): void {
    while (this.#held.length > 0) {
      const envelope = this.#held[0] ?? this.#posted.shift();
      if (!envelope) return;
      this.#held.shift();
      this.#events.message(envelope);
    }
  }
}

function decodeNote(bytes: Uint8Array): FileNote {
  return JSON.parse(new TextDecoder().decode(bytes)) as FileNote;
}

/** Whether this message is to arrive in the order in which it was sent. */
function keepsOrder(envelope: Envelope): boolean {
  try {
    return runsCode(decode(envelope));
  } catch {
    return false; // Python says what is wrong with it
  }
}
