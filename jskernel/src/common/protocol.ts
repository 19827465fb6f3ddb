/**
 * ClientProtocol: the client's side of the protocol.
 *
 * A request is filed before it is sent; whatever comes back finds its owner by `parent_header.msg_id`, never by the
 * order of arrival. Pure: no clock, no event loop; time is told (`now`, in milliseconds from any moment), and
 * `nextDeadline` says when `tick` wants to be called. Source: Jupyter messaging spec 5.5.
 *
 * What ends a request that is filed:
 *
 * | what happens                                | event     |                                                         |
 * | ------------------------------------------- | --------- | ------------------------------------------------------- |
 * | reply, of a cell also idle, in either order | `done`    |                                                         |
 * | reply, and no idle for IDLE_GRACE           | `done`    | `pending.idle` is false; outputs begin the grace anew   |
 * | its time is over                            | `failed`  | KernelTimeoutError                                      |
 * | its time is over, and it is to be interrupted | `overdue` | then as if it were abandoned                          |
 * | `abandon`                                   | `failed`  | once it has ended, or after INTERRUPT_GRACE             |
 * | `forget`                                    | none      |                                                         |
 */

import { KernelTimeoutError } from "./errors.js";
import type { Phase } from "./errors.js";
import { checkTimeout } from "./limits.js";
import { isObject } from "./message.js";
import type { Channel, Header, Message } from "./message.js";

/** Milliseconds that a cell which was interrupted for its caller has to end, before it is abandoned. */
const INTERRUPT_GRACE = 2000;

/** Milliseconds after a reply, or an output that comes later, that a missing idle is waited for. */
const IDLE_GRACE = 2000;

/** Milliseconds after a reply up to which outputs of others, too, say that the idle may still come. */
const IDLE_LIMIT = 30_000;

/** What a message may have besides its type and content. */
export interface MessageOptions {
  /** Where it travels; by default on shell. */
  channel?: Channel | undefined;
  /** Its id; by default a new one. */
  msgId?: string | undefined;
  /** The subshell that it is for (JEP 91); by default the main one. */
  subshell?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
  /** Binary buffers: an ArrayBuffer is handed over (and may be empty afterwards), of a view a copy is sent. */
  buffers?: readonly (ArrayBuffer | ArrayBufferView)[] | undefined;
  /**
   * The id of the execution that owns what this causes: the message's own id begins with it, so that no table of them
   * is needed.
   */
  owner?: string | undefined;
}

/** How long a request may take. */
export interface TimeLimit {
  /** Milliseconds from now; undefined and Infinity are no limit. */
  timeoutMs?: number | undefined;
  /** Is it to be interrupted then? */
  interrupt?: boolean | undefined;
}

/**
 * A request that is on its way. An execute_request is done when its reply and its idle have come, in either order;
 * others with the reply.
 */
export class Pending {
  busy = false;
  idle = false;
  reply: Message | undefined;
  /** A question of its code is open. */
  asking = false;
  /** @internal When the reply came. */
  replied = -Infinity;
  /** @internal When its time is over. */
  expires = Infinity;
  /** @internal When its end is not waited for any more. */
  grace = Infinity;
  /** @internal What it fails with when it has ended. */
  failure: { error: unknown } | undefined;

  constructor(
    readonly request: Message,
    /** @internal When it was filed. */
    readonly began: number,
    /** @internal Whether it is to be interrupted when its time is over. */
    readonly interrupt: boolean,
  ) {}

  /** What is being waited for. */
  get phase(): Phase {
    if (this.asking) return "awaiting stdin";
    if (this.reply) return "awaiting idle";
    return this.busy ? "running" : "queued";
  }

  /** @internal */
  get deadline(): number {
    return Math.min(this.expires, this.grace);
  }

  /** The request's msg_id. */
  get id(): string {
    return this.request.header.msg_id;
  }

  /** Has all come that will come? */
  get done(): boolean {
    return this.reply !== undefined && (this.idle || this.request.header.msg_type !== "execute_request");
  }
}

export type ProtocolEvent =
  /** The kernel has begun with a request. */
  | { type: "busy"; pending: Pending }
  /**
   * An iopub message, other than the busy and idle of our own requests; `pending` is the request that caused it, where
   * it is ours and not done.
   */
  | { type: "published"; pending: Pending | undefined; message: Message }
  /** The code of `pending` asks for a line; `ClientProtocol.answer` makes the answer. */
  | { type: "inputRequested"; pending: Pending; message: Message }
  /** The reply has come; an idle may be missing still. */
  | { type: "replied"; pending: Pending; message: Message }
  /** Nothing more will come for `pending`; it is not filed any more. */
  | { type: "done"; pending: Pending }
  /** Nobody waits for `pending` any more, which is not filed any more. */
  | { type: "failed"; pending: Pending; error: unknown }
  /** The time of `pending` is over: the kernel is to be told to interrupt it. */
  | { type: "overdue"; pending: Pending };

/** Files requests and finds the owner of what comes back. */
export class ClientProtocol {
  /** The session id in the headers of all that this side sends. */
  readonly session = newSession();
  /** How many replies and questions belonged to nobody (any more), or had no content. */
  unclaimed = 0;
  /** Can the kernel interrupt one cell, and no other? */
  aims = false;

  #pending = new Map<string, Pending>();
  /** Not later than the first deadline. */
  #deadline = Infinity;
  /** When something was last published. */
  #heard = -Infinity;
  #count = 0;

  /** What is filed, in order of the requests. */
  get pending(): Pending[] {
    return [...this.#pending.values()];
  }

  /** How many requests are filed. */
  get size(): number {
    return this.#pending.size;
  }

  /**
   * File a request; `.request` of what is returned is the message to send. Throws RangeError where its id is that of a
   * request which is still pending, or its time limit is none.
   */
  request(
    msgType: string,
    content: Message["content"],
    options: MessageOptions = {},
    now = 0,
    { timeoutMs = Infinity, interrupt = false }: TimeLimit = {},
  ): Pending {
    checkTimeout(timeoutMs);
    const request = this.message(msgType, content, options);
    const id = request.header.msg_id;
    if (this.#pending.has(id)) {
      throw new RangeError(
        `A request with the id ${JSON.stringify(id)} is still pending; give each its own.`,
      );
    }
    const pending = new Pending(request, now, interrupt);
    this.#pending.set(id, pending);
    pending.expires = now + timeoutMs;
    this.#note(pending);
    return pending;
  }

  /** A message that expects nothing back (comm messages). */
  message(msgType: string, content: Message["content"], options: MessageOptions = {}): Message {
    const { channel = "shell", msgId, owner, subshell, metadata = {}, buffers = [] } = options;
    const owned = owner === undefined ? undefined : `${owner}.${++this.#count}`;
    return {
      channel,
      header: this.#header(msgType, msgId ?? owned, subshell),
      parent_header: {},
      metadata,
      content,
      buffers: buffers.map(whole),
    };
  }

  /** The input_reply to the input_request `question`. */
  answer(question: Message, value: string): Message {
    const asking = this.#pending.get(question.parent_header.msg_id ?? "");
    if (asking) asking.asking = false;
    return {
      channel: "stdin",
      header: this.#header("input_reply"),
      parent_header: question.header,
      metadata: {},
      content: { value },
      buffers: [],
    };
  }

  /** Take a message of the kernel. */
  receive(message: Message, now = 0): ProtocolEvent[] {
    if (!isObject(message.content)) {
      this.unclaimed++;
      return [];
    }
    const pending = this.#pending.get(message.parent_header.msg_id ?? "");
    if (message.channel === "iopub") {
      this.#heard = now;
      return this.#published(pending, message, now);
    }
    if (pending && message.channel === "stdin") {
      if (message.header.msg_type !== "input_request") return [];
      pending.asking = true;
      return [{ type: "inputRequested", pending, message }];
    }
    if (pending?.reply !== undefined || message.channel !== pending?.request.channel) {
      this.unclaimed++;
      return [];
    }
    pending.reply = message;
    pending.replied = now;
    pending.asking = false;
    this.#awaitIdle(pending, now);
    return [{ type: "replied", pending, message }, ...this.#done(pending)];
  }

  /** When `tick` wants to be called, at the latest; undefined where nothing is waited for with a limit. */
  nextDeadline(): number | undefined {
    return this.#deadline === Infinity ? undefined : this.#deadline;
  }

  /** Say what time it is. */
  tick(now: number): ProtocolEvent[] {
    if (now < this.#deadline) return [];
    this.#deadline = Infinity;
    const events = this.pending.flatMap((pending) =>
      pending.deadline <= now ? this.#due(pending, now) : [],
    );
    for (const pending of this.#pending.values()) this.#note(pending);
    return events;
  }

  /** `pending` was interrupted, and fails with `error` when it has ended, or after a grace. */
  abandon(pending: Pending, error: unknown, now: number): void {
    pending.failure = { error };
    pending.asking = false;
    pending.expires = Infinity;
    pending.grace = now + INTERRUPT_GRACE;
    this.#note(pending);
  }

  /** Nobody waits for `pending` any more; what still comes for it belongs to nobody. */
  forget(pending: Pending): void {
    if (this.#pending.get(pending.id) === pending) this.#pending.delete(pending.id);
    if (this.#pending.size === 0) this.#deadline = Infinity;
  }

  #note({ deadline }: Pending): void {
    this.#deadline = Math.min(this.#deadline, deadline);
  }

  #due(pending: Pending, now: number): ProtocolEvent[] {
    if (pending.grace <= now) {
      // behind a slow server thousands of replies overtake what was published before them
      const comes = Math.min(this.#heard + IDLE_GRACE, pending.replied + IDLE_LIMIT);
      if (!pending.failure && comes > now) {
        pending.grace = comes;
        return [];
      }
      this.forget(pending);
      return [this.#end(pending)];
    }
    const error = new KernelTimeoutError(pending.request.header.msg_type, pending.phase, now - pending.began);
    // where it is not aimed, an interrupt would hit another cell
    if (pending.interrupt && (this.aims || pending.busy)) {
      this.abandon(pending, error, now);
      return [{ type: "overdue", pending }];
    }
    this.forget(pending);
    return [{ type: "failed", pending, error }];
  }

  #end(pending: Pending): ProtocolEvent {
    return pending.failure ? { type: "failed", pending, ...pending.failure } : { type: "done", pending };
  }

  /** The reply may have overtaken outputs; as long as these come, the idle may too. */
  #awaitIdle(pending: Pending, now: number): void {
    if (pending.failure || pending.done) return;
    pending.grace = now + IDLE_GRACE;
    this.#note(pending);
  }

  #header(msg_type: string, msgId?: string, subshell?: string): Header {
    return {
      msg_id: msgId ?? `${this.session}_${++this.#count}`,
      msg_type,
      session: this.session,
      username: "laneway",
      date: new Date().toISOString(),
      version: "5.5",
      ...(subshell === undefined ? {} : { subshell_id: subshell }),
    };
  }

  #published(pending: Pending | undefined, message: Message, now: number): ProtocolEvent[] {
    if (!pending || message.header.msg_type !== "status") {
      if (pending?.reply) this.#awaitIdle(pending, now);
      return [{ type: "published", pending, message }];
    }
    switch (message.content.execution_state) {
      case "busy":
        pending.busy = true;
        return [{ type: "busy", pending }];
      case "idle":
        pending.idle = true;
        return this.#done(pending);
      default:
        return [{ type: "published", pending, message }];
    }
  }

  #done(pending: Pending): ProtocolEvent[] {
    if (!pending.done) return [];
    this.forget(pending);
    return [this.#end(pending)];
  }
}

/** Unique, also where `crypto.randomUUID` is missing, as in a page that was not loaded over HTTPS. */
function newSession(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A buffer that holds nothing else, so that it can be transferred. */
function whole(buffer: ArrayBuffer | ArrayBufferView): ArrayBuffer {
  if (buffer instanceof ArrayBuffer) return buffer;
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength).slice().buffer;
}
