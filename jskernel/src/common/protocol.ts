/**
 * ClientProtocol: the client's side of the protocol.
 *
 * A request is filed before it is sent; whatever comes back finds its owner by `parent_header.msg_id`, never by the
 * order of arrival. Pure: no clock, no event loop. Source: Jupyter messaging spec 5.5.
 */

import { isObject } from "./message.js";
import type { Channel, Header, Message } from "./message.js";

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
}

/**
 * A request that is on its way. An execute_request is done when its reply and its idle have come, in either order;
 * others with the reply.
 */
export class Pending {
  busy = false;
  idle = false;
  reply: Message | undefined;

  constructor(readonly request: Message) {}

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
  | { type: "done"; pending: Pending };

/** Files requests and finds the owner of what comes back. */
export class ClientProtocol {
  /** The session id in the headers of all that this side sends. */
  readonly session = newSession();
  /** How many replies and questions belonged to nobody (any more), or had no content. */
  unclaimed = 0;

  #pending = new Map<string, Pending>();
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
   * request which is still pending.
   */
  request(msgType: string, content: Message["content"], options: MessageOptions = {}): Pending {
    const request = this.message(msgType, content, options);
    const id = request.header.msg_id;
    if (this.#pending.has(id)) {
      throw new RangeError(
        `A request with the id ${JSON.stringify(id)} is still pending; give each its own.`,
      );
    }
    const pending = new Pending(request);
    this.#pending.set(id, pending);
    return pending;
  }

  /** A message that expects nothing back (comm messages). */
  message(msgType: string, content: Message["content"], options: MessageOptions = {}): Message {
    const { channel = "shell", msgId, subshell, metadata = {}, buffers = [] } = options;
    return {
      channel,
      header: this.#header(msgType, msgId, subshell),
      parent_header: {},
      metadata,
      content,
      buffers: buffers.map(whole),
    };
  }

  /** The input_reply to the input_request `question`. */
  answer(question: Message, value: string): Message {
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
  receive(message: Message): ProtocolEvent[] {
    if (!isObject(message.content)) {
      this.unclaimed++;
      return [];
    }
    const pending = this.#pending.get(message.parent_header.msg_id ?? "");
    if (message.channel === "iopub") return this.#published(pending, message);
    if (pending && message.channel === "stdin") {
      return message.header.msg_type === "input_request"
        ? [{ type: "inputRequested", pending, message }]
        : [];
    }
    if (pending?.reply !== undefined || message.channel !== pending?.request.channel) {
      this.unclaimed++;
      return [];
    }
    pending.reply = message;
    return [{ type: "replied", pending, message }, ...this.#done(pending)];
  }

  /** Nobody waits for `pending` any more; what still comes for it belongs to nobody. */
  forget(pending: Pending): void {
    if (this.#pending.get(pending.id) === pending) this.#pending.delete(pending.id);
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

  #published(pending: Pending | undefined, message: Message): ProtocolEvent[] {
    if (!pending || message.header.msg_type !== "status") return [{ type: "published", pending, message }];
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
    return [{ type: "done", pending }];
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
