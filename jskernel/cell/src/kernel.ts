/**
 * The kernel of a group of cells: one client, the cells in the order of the page, and whose an output is.
 *
 *     iopub message -> parent is a request of a cell ........ that cell's outputs
 *                   -> ... captured by an Output widget ..... that widget's outputs
 *                   -> parent is a message of a widget ...... outputs of the cell that shows the widget
 *
 * All of it is decided in one place and in the order in which the kernel has sent it, also what comes after a cell has
 * ended, as from a task that goes on.
 */

import type { AwakeCell } from "./awake.js";
import { Displays } from "./outputs.js";
import type { OutputArea } from "./outputs.js";
import { kernelURL, makerOf } from "./settings.js";
import type { Widgets } from "./widgets/manager.js";
import { launch } from "@laneway/kernel/browser";
import { missing, toOutput } from "@laneway/kernel";
import type { Client, ClientState, Message, Progress } from "@laneway/kernel";

const kernels = new Map<string, Kernel>();

/** The kernel of a cell, which is started when one of its cells runs. */
export function kernelOf(cell: HTMLElement & { group: string }): Kernel {
  const make = makerOf(cell.group);
  const url = make ? "" : kernelURL(cell);
  const key = JSON.stringify([cell.group, url]);
  const kernel = kernels.get(key) ?? new Kernel(make ? make() : launch({ kernelURL: url }));
  kernels.set(key, kernel);
  return kernel;
}

/** How many messages of widgets are remembered, for what comes of them. */
const REMEMBERED = 1000;

export class Kernel {
  readonly client: Client;
  readonly displays = new Displays();
  /** Counts the kernels that came one after the other: what ran in an earlier one has not run in this one. */
  generation = 0;
  /** Of the cells that can be debugged (`debugging.ts`), once there is one: told of what happens to the kernel. */
  debugging: { ended(): void; forget(): void } | undefined;

  /** The chain whose names the kernel has at hand, "" for that of no chain; undefined where it is not known. */
  #chain: string | undefined = "";
  #cells = new Set<AwakeCell>();
  #owners = new Map<string, OutputArea>();
  /** The comms of Output widgets, and by the request whose outputs one wants, which one does: the last. */
  #outputs = new Set<string>();
  #captures = new Map<string, string[]>();
  /** Called when a message of ours was dealt with. */
  #idles = new Map<string, (message: Message) => void>();
  #widgets: Promise<Widgets> | undefined;

  constructor(client: Client) {
    this.client = client;
    client.on("state", (state) => this.#changed(state));
    client.on("progress", (progress) => this.#progress(progress));
    client.comms.registerTarget("jupyter.widget", (comm, message) => {
      const { generation } = this;
      void this.widgets().then((widgets) => {
        if (generation === this.generation) widgets.open(comm, message);
      });
    });
    void this.#listen();
  }

  /** Start the kernel, unless it is there. */
  start(): void {
    this.client.start().catch(() => undefined); // where it fails, so does what was asked of it
  }

  async restart(): Promise<void> {
    if (this.client.info === undefined && this.client.state !== "dead") this.start();
    else await this.client.restart();
  }

  add(cell: AwakeCell): void {
    this.#cells.add(cell);
  }

  /** The debugger has stopped what runs, and says where; `undefined`: it goes on. */
  paused(said: string | undefined): void {
    for (const cell of this.#cells) cell.paused(said);
  }

  /** In sentences, what does not work in this page. */
  get missing(): string[] {
    return missing({ ...(this.client.info ?? {}) });
  }

  /**
   * What is run next is a cell of this chain: chains do not disturb each other's names (`py/laneway/interpreter/chains.py`).
   * Another kernel than ours has no means for that, and goes on without.
   */
  enter(chain: string): void {
    if (chain === this.#chain) return;
    this.#chain = chain;
    const code = `get_ipython().chains.enter(${JSON.stringify(chain)})`;
    const { generation } = this;
    this.client.execute(code, { silent: true, stopOnError: false }).done.then(
      ({ status }) => {
        if (status === "aborted" && generation === this.generation) this.#chain = undefined;
      },
      () => undefined, // the cell's own request fails, too
    );
  }

  // ---- whose an output is

  /** What comes of the request is shown there. */
  own(msgId: string, area: OutputArea): void {
    this.#owners.set(msgId, area);
  }

  disown(msgId: string): void {
    this.#owners.delete(msgId);
  }

  /** What comes of a widget's message is shown there, if it is shown at all; `idle` is called when it was dealt with. */
  ownComm(msgId: string, area: OutputArea | undefined, idle: (message: Message) => void): void {
    this.#idles.set(msgId, idle);
    if (area) this.#owners.set(msgId, area);
    if (this.#idles.size <= REMEMBERED) return;
    const [oldest] = this.#idles.keys();
    this.#idles.delete(oldest!);
    this.#owners.delete(oldest!);
  }

  /** The widgets of this kernel. */
  widgets(): Promise<Widgets> {
    this.#widgets ??= import("./widgets/manager.js").then(({ Widgets }) => new Widgets(this));
    this.#widgets.catch(() => (this.#widgets = undefined));
    return this.#widgets;
  }

  async #listen(): Promise<void> {
    for await (const message of this.client.subscribe(({ channel }) => channel === "iopub")) {
      try {
        this.#route(message);
      } catch (error) {
        console.error("Laneway: an output could not be shown.", error);
      }
    }
  }

  #route(message: Message): void {
    const { msg_type: type } = message.header;
    const parent = message.parent_header.msg_id ?? "";
    if (type === "status") {
      if (message.content.execution_state === "idle") this.#idles.get(parent)?.(message);
      return;
    }
    if (type.startsWith("comm_")) {
      this.#noteCapture(message);
      return;
    }
    const output = toOutput(message);
    if (!output) return;
    const capturing = this.#captures.get(parent)?.at(-1);
    if (capturing !== undefined && output.type !== "update_display_data") {
      void this.widgets().then((widgets) => widgets.capture(capturing, output));
    } else {
      this.#owners.get(parent)?.add(output);
    }
  }

  /** An Output widget says by its `msg_id` of which request it wants what is put out. */
  #noteCapture({ header, content }: Message): void {
    const id = content.comm_id as string;
    const data = content.data as { state?: Record<string, unknown> } | undefined;
    if (header.msg_type === "comm_open" && data?.state?._model_name === "OutputModel") this.#outputs.add(id);
    const wanted = header.msg_type === "comm_close" ? "" : data?.state?.msg_id;
    if (!this.#outputs.has(id) || typeof wanted !== "string") return;
    for (const [request, comms] of this.#captures) {
      const left = comms.filter((comm) => comm !== id);
      if (left.length > 0) this.#captures.set(request, left);
      else this.#captures.delete(request);
    }
    if (wanted) this.#captures.set(wanted, [...(this.#captures.get(wanted) ?? []), id]);
  }

  // ---- its life

  #changed(state: ClientState): void {
    if (state === "restarting" || state === "dead") this.#forget();
    if (state !== "starting" && state !== "restarting") this.#first()?.progress();
    for (const cell of this.#cells) cell.kernelChanged(state);
  }

  #progress({ text, loaded, total }: Progress): void {
    const megabytes = (bytes = 0) => (bytes / 1e6).toFixed(1);
    const counted = total === undefined ? text : `${text} (${megabytes(loaded)} of ${megabytes(total)} MB)`;
    this.#first()?.progress(counted, total === undefined ? undefined : (loaded ?? 0) / total);
  }

  /** The cell that has waited longest says how far the start is. */
  #first(): AwakeCell | undefined {
    const waiting = [...this.#cells].filter((cell) => cell.waits);
    return waiting.sort((one, other) => one.since - other.since)[0];
  }

  /** What the kernel knew is gone. */
  #forget(): void {
    this.generation++;
    this.#chain = "";
    this.#owners.clear();
    this.#captures.clear();
    this.#outputs.clear();
    this.#idles.clear();
    this.displays.clear();
    this.debugging?.forget();
    void this.#widgets?.then((widgets) => widgets.disconnect());
    this.#widgets = undefined;
    for (const cell of this.#cells) cell.bury();
  }
}
