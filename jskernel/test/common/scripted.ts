/**
 * A kernel's end that does what a test says, in the order that the test says: a real client, no kernel. What it sends
 * arrives at once.
 */

import { Client } from "@laneway/kernel";
import type {
  Channel,
  ClientTransport,
  Header,
  KernelError,
  Message,
  TransportEvents,
} from "@laneway/kernel";

/** Keeps what the client sends in `received`, and sends what it is told to. */
export class ScriptedKernel implements ClientTransport {
  readonly received: Message[] = [];
  /** How often each was called. */
  readonly calls = { start: 0, restart: 0, close: 0 };
  /** Where it is false, starts and restarts wait. */
  answering = true;
  overtakes = false;
  /** Of kernel_info_reply. */
  info: Record<string, unknown> = { status: "ok", laneway: {} };

  #events: TransportEvents | undefined;
  #count = 0;

  start(events: TransportEvents): Promise<void> {
    this.calls.start++;
    this.#events = events;
    events.progress({ phase: "kernel", text: "Starting" });
    return Promise.resolve();
  }

  send(message: Message): void {
    JSON.stringify(message.content);
    if (this.answering && message.header.msg_type === "kernel_info_request") this.reply(message, this.info);
    else this.received.push(message);
  }

  restart(): Promise<void> {
    this.calls.restart++;
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.calls.close++;
    return Promise.resolve();
  }

  /** The first message of this type that has not been asked for; it was sent before. */
  next(msgType: string): Message {
    const position = this.received.findIndex((message) => message.header.msg_type === msgType);
    const [message] = position < 0 ? [] : this.received.splice(position, 1);
    if (!message) throw new Error(`The client has sent no ${msgType}.`);
    return message;
  }

  /** Send any message. */
  say(channel: Channel, msg_type: string, content: unknown, parent?: Message): void {
    const header: Header = {
      msg_id: `k${this.#count++}`,
      msg_type,
      session: "kernel",
      username: "",
      date: "2026-01-01T00:00:00Z",
      version: "5.5",
    };
    this.#events?.message({
      channel,
      header,
      parent_header: parent?.header ?? {},
      metadata: {},
      content: content as Message["content"],
      buffers: [],
    });
  }

  /** Send the reply to `request`. */
  reply(request: Message, content: Record<string, unknown> = { status: "ok" }): void {
    const type = request.header.msg_type.replace("_request", "_reply");
    this.say(request.channel, type, content, request);
  }

  /** Send on iopub. */
  publish(parent: Message | undefined, msgType: string, content: unknown): void {
    this.say("iopub", msgType, content, parent);
  }

  status(parent: Message | undefined, state: string): void {
    this.publish(parent, "status", { execution_state: state });
  }

  /** Send a piece of stdout. */
  stream(parent: Message | undefined, text: string): void {
    this.publish(parent, "stream", { name: "stdout", text });
  }

  /** Send reply and idle. */
  finish(request: Message, content?: Record<string, unknown>): void {
    this.reply(request, content);
    this.status(request, "idle");
  }

  lose(error: KernelError): void {
    this.#events?.lost(error);
  }
}

/** A client of a scripted kernel, started. */
export async function scripted(): Promise<{ kc: Client; kernel: ScriptedKernel }> {
  const kernel = new ScriptedKernel();
  return { kc: await new Client(kernel).start(), kernel };
}
