/**
 * A kernel as JupyterLite sees it: passes messages to the worker and back, and decides which client gets which.
 * What order things happen in is decided in Python; nothing is awaited here.
 *
 * JupyterLite takes `header.session` of a reply for the client to send it to, and drops a message whose client is
 * gone; messages on iopub go to all clients, but need a client that is there all the same.
 */

import type { KernelMessage } from "@jupyterlab/services";
import type { IKernel } from "@jupyterlite/services";
import { KernelDiedError, missing } from "@laneway/kernel";
import type { Channel, Header, Message } from "@laneway/kernel";
import type { TransportHandlers, WorkerTransport } from "@laneway/kernel/browser";
import { Signal } from "@lumino/signaling";
import type { LiteClaim } from "./common/drive.js";
import type { DriveServer } from "./drive-server.js";
import type { StartNotice } from "./start-notice.js";

export class LanewayKernel implements IKernel {
  readonly id: string;
  readonly name: string;
  readonly location: string;
  /** Kept already: the worker takes messages from the beginning. JupyterLite would hold them back otherwise. */
  readonly ready = Promise.resolve();
  readonly disposed = new Signal<this, void>(this);

  #transport: WorkerTransport;
  #notice: StartNotice;
  #deliver: IKernel.SendMessage;
  #isDisposed = false;
  /** The clients that have spoken; the last to do so is last. */
  #sessions = new Set<string>();
  /** Requests without a reply, by msg_id. */
  #pending = new Map<string, KernelMessage.IMessage>();
  #composed = 0;
  /** Why there is no kernel any more: a sentence, then lines with details. */
  #failure = "";

  /** `drive` is for a worker that shares memory with the page. */
  constructor(
    options: IKernel.IOptions,
    transport: WorkerTransport,
    claim: LiteClaim,
    notice: StartNotice,
    drive?: DriveServer,
  ) {
    this.id = options.id;
    this.name = options.name;
    this.location = options.location;
    this.#deliver = options.sendMessage;
    this.#notice = notice;
    this.#transport = transport;
    const handlers: TransportHandlers = {
      onMessage: (message) => this.#receive(message),
      onProgress: (progress) => notice.show(progress),
      onStatus: (status, error) => {
        if (status === "ready") notice.close();
        else if (!this.#isDisposed) this.#end(error);
      },
      onOther: (data) => drive?.receive(data),
    };
    transport.claim(handlers, claim);
  }

  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /** Pass a message on; returns at once, since JupyterLite lets nothing else through until it does. */
  handleMessage(message: KernelMessage.IMessage): Promise<void> {
    const { header, channel } = message;
    this.#sessions.delete(header.session);
    this.#sessions.add(header.session);
    if (header.msg_type.endsWith("_request")) this.#pending.set(header.msg_id, message);
    this.#post({
      channel,
      header,
      parent_header: message.parent_header,
      metadata: message.metadata,
      content: message.content as Record<string, unknown>,
      buffers: (message.buffers ?? []).map(copy),
    });
    return Promise.resolve();
  }

  /** Interrupt what runs. JupyterLite's own interrupt never tells the kernel. */
  interrupt(): void {
    this.#post({ ...this.#compose("control", "interrupt_request", {}, {}), buffers: [] });
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#notice.close();
    this.#transport.terminate();
    this.disposed.emit();
    Signal.clearData(this);
  }

  #post(message: Message): void {
    try {
      this.#transport.send(message);
    } catch (error) {
      if (!(error instanceof KernelDiedError)) throw error;
      this.#answerPending();
    }
  }

  #receive(message: Message): void {
    if (message.header.msg_type === "kernel_info_reply") this.#notice.missing(missing(message.content));
    if (message.channel === "shell" || message.channel === "control") {
      // the reply to an interrupt of ours is nobody else's
      if (!this.#pending.delete(message.parent_header.msg_id ?? "")) return;
    }
    this.#send(message);
  }

  #send(message: Message): void {
    const asking = message.parent_header.session ?? "";
    if (message.channel !== "iopub") {
      this.#sendAs(message, asking);
      return;
    }
    for (const session of [asking, ...[...this.#sessions].reverse()]) {
      if (session !== "" && this.#sendAs(message, session)) return;
      this.#sessions.delete(session);
    }
  }

  /** Send as an answer to one client; false if that client is gone. */
  #sendAs(message: Message, session: string): boolean {
    let taken = false;
    this.#deliver({
      ...message,
      header: { ...message.header, session },
      // JupyterLite does not say whether it has found the client: it reads the content only then
      get content() {
        taken = true;
        return message.content;
      },
    } as unknown as KernelMessage.IMessage);
    return taken;
  }

  /**
   * The kernel does not run any more, but for JupyterLite it stays: all that is asked is answered with an error, and a
   * restart makes a new one. (JupyterLab refuses to restart a kernel whose status is "dead".)
   */
  #end(error = "The kernel has ended; restart it."): void {
    this.#failure = error;
    const [sentence = ""] = error.split("\n");
    console.error(`Laneway: ${error}`);
    this.#notice.fail(sentence);
    this.#answerPending();
  }

  #answerPending(): void {
    const [evalue = ""] = this.#failure.split("\n");
    const content = { status: "error", ename: "KernelDied", evalue, traceback: this.#failure.split("\n") };
    for (const { channel, header } of this.#pending.values()) {
      const parent = header as unknown as Header;
      const execute = header.msg_type === "execute_request";
      if (execute) this.#send(this.#compose("iopub", "error", content, parent));
      const type = header.msg_type.replace(/_request$/, "_reply");
      const reply = execute ? { ...content, execution_count: null } : content;
      this.#send(this.#compose(channel, type, reply, parent));
      this.#send(this.#compose("iopub", "status", { execution_state: "idle" }, parent));
    }
    this.#pending.clear();
  }

  #compose(
    channel: Channel,
    msg_type: string,
    content: Record<string, unknown>,
    parent_header: Message["parent_header"],
  ): Message {
    const header: Header = {
      // not a UUID: `crypto` makes them over HTTPS only
      msg_id: `${this.id}-${++this.#composed}`,
      msg_type,
      session: [...this.#sessions].at(-1) ?? "",
      username: "",
      date: new Date().toISOString(),
      version: "5.5",
    };
    return { channel, header, parent_header, metadata: {}, content, buffers: [] };
  }
}

/** The bytes in a buffer of their own: what is sent is transferred, and the sender may still need its own. */
function copy(buffer: ArrayBuffer | ArrayBufferView): ArrayBuffer {
  const view = ArrayBuffer.isView(buffer)
    ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    : new Uint8Array(buffer);
  return view.slice().buffer;
}
