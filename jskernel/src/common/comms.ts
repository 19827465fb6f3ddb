/** Comms as a client sees them (messaging spec, "Custom Messages"). */

import type { Client } from "./client.js";
import { ClosedError } from "./errors.js";
import { callHook } from "./hooks.js";
import type { Message } from "./message.js";
import type { MessageOptions } from "./protocol.js";
import { MessageQueue } from "./queue.js";

type Data = Record<string, unknown>;
type Buffers = MessageOptions["buffers"];

/** Takes a comm message; its data is `message.content.data`. What it throws is said on the console. */
export type MessageHook = (message: Message) => unknown;

/**
 * One comm. Iterate it for the messages of the kernel's end, in order, or give `onMsg` a hook; ends when it is closed.
 */
export class Comm implements AsyncIterableIterator<Message, undefined> {
  #comms: Comms;
  #closed = false;
  #hook: MessageHook | undefined;
  #messages = new MessageQueue();

  /** @internal */
  constructor(
    comms: Comms,
    readonly commId: string,
    readonly targetName: string,
  ) {
    this.#comms = comms;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Send a comm_msg, at once. An ArrayBuffer among `buffers` is handed over and may be empty afterwards; of a view a
   * copy is sent. Throws ClosedError where the comm is closed.
   */
  send(data: Data, buffers?: Buffers): Message {
    if (this.#closed) throw new ClosedError(`The comm ${this.commId} is closed.`);
    return this.#comms.client.post("comm_msg", { comm_id: this.commId, data }, { buffers });
  }

  /** Close both ends. Harmless if repeated. */
  close(data: Data = {}): void {
    if (this.#closed) return;
    this.#comms.client.post("comm_close", { comm_id: this.commId, data });
    this.ended();
  }

  /** Call `hook` with each message from now on, and with those that nobody has read yet. */
  onMsg(hook: MessageHook | undefined): void {
    this.#hook = hook;
    if (hook) for (const message of this.#messages.take()) callHook(hook, message);
  }

  /** The next message that no hook has taken; `done` when the comm is closed. */
  next(): Promise<IteratorResult<Message, undefined>> {
    return this.#messages.next();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  // ---- fed by Comms

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
   * closes it. Buffers as in `Comm.send`.
   */
  open(targetName: string, data: Data = {}, buffers?: Buffers, commId = this.#newId()): Comm {
    const comm = new Comm(this, commId, targetName);
    this.client.post("comm_open", { comm_id: commId, target_name: targetName, data }, { buffers });
    this.#comms.set(commId, comm);
    return comm;
  }

  /** The open comm of this id. */
  get(commId: string): Comm | undefined {
    return this.#comms.get(commId);
  }

  /** Call `opened(comm, message)` when the kernel opens a comm to this target. */
  registerTarget(targetName: string, opened: (comm: Comm, message: Message) => unknown): void {
    this.#targets.set(targetName, opened);
  }

  // ---- fed by the client

  /** @internal A comm message has come. */
  receive(message: Message): void {
    const { comm_id: commId, target_name: targetName } = message.content;
    if (typeof commId !== "string") return;
    const comm = this.#comms.get(commId);
    switch (message.header.msg_type) {
      case "comm_open": {
        const opened = this.#targets.get(String(targetName));
        if (!opened) return;
        const fresh = new Comm(this, commId, String(targetName));
        this.#comms.set(commId, fresh);
        callHook(opened, fresh, message);
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
