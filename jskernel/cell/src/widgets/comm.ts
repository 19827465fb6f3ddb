/** A comm of our client, as the widget libraries want one. */

import type { ICallbacks, IClassicComm } from "@jupyter-widgets/base";
import type { Comm, Message } from "@laneway/kernel";
import type { Kernel } from "../kernel.js";
import type { OutputArea } from "../outputs.js";

type Data = Record<string, unknown>;

/** With whose outputs what comes of a message is shown. */
export type WidgetCallbacks = ICallbacks & { area?: OutputArea | undefined };

export class WidgetComm implements IClassicComm {
  #comm: Comm;
  #kernel: Kernel;
  #closed: ((message: unknown) => void)[] = [];

  constructor(comm: Comm, kernel: Kernel) {
    this.#comm = comm;
    this.#kernel = kernel;
  }

  get comm_id(): string {
    return this.#comm.commId;
  }

  get target_name(): string {
    return this.#comm.targetName;
  }

  /** It is open as soon as it exists. */
  open(): string {
    return "";
  }

  send(
    data: unknown,
    callbacks?: WidgetCallbacks,
    metadata?: unknown,
    buffers: (ArrayBuffer | ArrayBufferView)[] = [],
  ): string {
    // views, so that the widget's own stay with it
    const views = buffers.map((buffer) => (buffer instanceof ArrayBuffer ? new Uint8Array(buffer) : buffer));
    const options = { metadata: metadata as Data | undefined, buffers: views };
    const { msg_id: id } = this.#comm.send(data as Data, options).header;
    this.#kernel.ownComm(id, callbacks?.area, (idle) => callbacks?.iopub?.status?.(idle as never));
    return id;
  }

  close(data?: unknown): string {
    this.#comm.close((data ?? {}) as Data);
    return "";
  }

  on_msg(callback: (message: unknown) => void): void {
    this.#comm.onMsg((message) => callback(withViews(message)));
    const { generation } = this.#kernel;
    // Nothing but the end is left to wait for. Where the kernel itself has ended the widget stays, and says so.
    void this.#comm.next().then(({ done }) => {
      if (done && generation === this.#kernel.generation) this.#ended();
    });
  }

  on_close(callback: (message: unknown) => void): void {
    this.#closed.push(callback);
  }

  #ended(): void {
    for (const callback of this.#closed.splice(0)) callback({});
  }
}

/** The widgets want views of the buffers. */
export function withViews(message: Message): Omit<Message, "buffers"> & { buffers: DataView[] } {
  return { ...message, buffers: message.buffers.map((buffer) => new DataView(buffer)) };
}
