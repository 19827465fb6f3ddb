/** Comms as a client sees them (messaging spec, "Custom Messages"). */

import type { Client } from "./client.js";
import { ClosedError, MessagesLostError } from "./errors.js";
import type { Execution } from "./execution.js";
import { callHook } from "./hooks.js";
import type { Message } from "./message.js";
import type { MessageOptions } from "./protocol.js";
import { MessageQueue } from "./queue.js";

type Data = Record<string, unknown>;

/** What a comm message has besides its data. */
export interface CommMessageOptions extends Pick<MessageOptions, "metadata" | "buffers"> {
  /** The `msgId` of the execution to which belongs what the kernel puts out for this message; by default `Comm.owner`. */
  owner?: string | undefined;
}

export interface CommOptions extends CommMessageOptions {
  /** By default a new one. */
  commId?: string | undefined;
}

/** Takes a comm message; its data is `message.content.data`. What it throws is said on the console. */
export type MessageHook = (message: Message) => unknown;

/** How much of a comm waits to be read before the oldest is dropped. */
const BOUNDS = { maxsize: 100_000, maxBytes: 256 * 2 ** 20 };

/**
 * One comm. Iterate it for the messages of the kernel's end, in order, or give `onMsg` a hook; ends when it is closed.
 *
 * Where neither is done, 100,000 messages wait, 256 MiB at most. Of more the oldest are dropped, and whoever reads then,
 * or gives a hook, is told before anything else: MessagesLostError is thrown once, and says how many. The comm stays
 * open, and read again it goes on with what is there.
 */
export class Comm implements AsyncIterableIterator<Message> {
  /**
   * The `msgId` of the execution to which belongs what the kernel puts out for messages of this comm; that of the cell
   * which has opened it, where the kernel has. Another may be set, as that of the cell which shows a widget.
   */
  owner: string | undefined;

  #comms: Comms;
  #closed = false;
  #hook: MessageHook | undefined;
  #messages: MessageQueue;
  /** How many messages, of those that were dropped, have been told. */
  #lost = 0;

  /** @internal */
  constructor(
    comms: Comms,
    readonly commId: string,
    readonly targetName: string,
    owner?: string,
  ) {
    this.#comms = comms;
    this.owner = owner;
    this.#messages = new MessageQueue(`the comm ${commId}`, BOUNDS);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Send a comm_msg, at once. An ArrayBuffer among `buffers` is handed over and may be empty afterwards; of a view a
   * copy is sent. Throws ClosedError where the comm is closed.
   */
  send(data: Data, options: CommMessageOptions = {}): Message {
    if (this.#closed) throw new ClosedError(`The comm ${this.commId} is closed.`);
    return this.#post("comm_msg", { data }, options);
  }

  /** Close both ends. Harmless if repeated. */
  close(data: Data = {}, options: CommMessageOptions = {}): void {
    if (this.#closed) return;
    this.#post("comm_close", { data }, options);
    this.ended();
  }

  /**
   * Call `hook` with each message from now on, and with those that nobody has read yet. Undefined: from now on they
   * wait.
   */
  onMsg(hook: MessageHook | undefined): void {
    const loss = hook && this.#loss();
    if (loss) throw loss;
    this.#hook = hook;
    if (hook) for (const message of this.#messages.take()) callHook(hook, message);
  }

  /** The next message that no hook has taken; `done` when the comm is closed. */
  next(): Promise<IteratorResult<Message, undefined>> {
    const loss = this.#loss();
    return loss ? Promise.reject(loss) : this.#messages.next();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  // ---- fed by Comms

  /** @internal Tell the kernel. */
  opened(data: Data, options: CommMessageOptions): void {
    this.#post("comm_open", { target_name: this.targetName, data }, options);
  }

  /** @internal A comm_msg has come. */
  received(message: Message): void {
    if (this.#hook) callHook(this.#hook, message);
    else this.#messages.push(message);
  }

  /** @internal It is closed, at either end or with the client. */
  ended(): void {
    this.#closed = true;
    this.#comms.forget(this);
    this.#messages.end();
  }

  /** What nobody has been told yet. */
  #loss(): MessagesLostError | undefined {
    const count = this.#messages.dropped - this.#lost;
    if (count === 0) return undefined;
    this.#lost += count;
    return new MessagesLostError(
      `${count} messages of the comm ${this.commId} are lost: they were not read in time. ` +
        "Read it sooner, or give its onMsg a hook; those that follow are there.",
      count,
    );
  }

  #post(type: string, content: Data, { metadata, buffers, owner = this.owner }: CommMessageOptions): Message {
    const options = { metadata, buffers, owner };
    return this.#comms.client.post(type, { comm_id: this.commId, ...content }, options);
  }
}

/** The comms of a client: `open` one, or `registerTarget` to be asked when the kernel opens one. */
export class Comms {
  /** @internal */
  readonly client: Client;

  #comms = new Map<string, Comm>();
  #targets = new Map<string, (comm: Comm, message: Message) => unknown>();
  #count = 0;

  /** @internal */
  constructor(client: Client) {
    this.client = client;
  }

  /**
   * Open a comm to what the kernel has registered as `targetName`, at once. Where there is no such target, the kernel
   * closes it. Buffers as in `Comm.send`; `owner` is that of the comm.
   */
  open(targetName: string, data: Data = {}, { commId = this.#newId(), ...options }: CommOptions = {}): Comm {
    const comm = new Comm(this, commId, targetName, options.owner);
    comm.opened(data, options);
    this.#comms.set(commId, comm);
    return comm;
  }

  /** The open comm of this id. */
  get(commId: string): Comm | undefined {
    return this.#comms.get(commId);
  }

  /**
   * Call `opened(comm, message)` when the kernel opens a comm to this target. One that a request of this client has
   * opened to a target which nobody has registered is closed again (messaging spec, "Opening a Comm").
   */
  registerTarget(targetName: string, opened: (comm: Comm, message: Message) => unknown): void {
    this.#targets.set(targetName, opened);
  }

  // ---- fed by the client

  /** @internal A comm message has come; `owner` is the execution that has caused it. */
  receive(message: Message, owner?: Execution): void {
    const { comm_id: commId, target_name: targetName } = message.content;
    if (typeof commId !== "string") return;
    const comm = this.#comms.get(commId);
    switch (message.header.msg_type) {
      case "comm_open": {
        const opened = this.#targets.get(String(targetName));
        const fresh = new Comm(this, commId, String(targetName), owner?.msgId);
        if (opened) {
          this.#comms.set(commId, fresh);
          callHook(opened, fresh, message);
        } else if (message.parent_header.session === this.client.session) {
          fresh.close(); // of others' cells the target may be known to them
        }
        break;
      }
      case "comm_msg":
        comm?.received(message);
        break;
      case "comm_close":
        comm?.ended();
        break;
    }
  }

  /** @internal `comm` is closed. */
  forget(comm: Comm): void {
    this.#comms.delete(comm.commId);
  }

  /** @internal The connection has ended. */
  end(): void {
    for (const comm of [...this.#comms.values()]) comm.ended();
  }

  #newId(): string {
    return `${this.client.session}_comm_${++this.#count}`;
  }
}
