/** A cell that is used: its runs, its outputs, and its editor, which comes when the reader wants to edit. */

import type { ClientState, ExecResult, Execution, MimeBundle } from "@laneway/kernel";
import type { DebugPanel } from "./debugging.js";
import type { Editor } from "./editor.js";
import type { LanewayCell } from "./element.js";
import { frame } from "./frames.js";
import { kernelOf } from "./kernel.js";
import type { Kernel } from "./kernel.js";
import { takeLook } from "./look.js";
import { OutputArea } from "./outputs.js";
import type { Shell } from "./shell.js";

/** Milliseconds after which a cell that was stopped is said not to obey. */
const PATIENCE = 3000;

export interface Parts {
  shell: Shell;
  /** The author's code and where outputs are, in the page. */
  source: HTMLPreElement;
  outputs: HTMLElement;
  code: string;
}

type Payload =
  { source: "page"; data: MimeBundle } | { source: "set_next_input"; text: string; replace: boolean };

export class AwakeCell {
  readonly kernel: Kernel;
  /** When it began to wait, see `waits`. */
  since = 0;

  #host: LanewayCell;
  #parts: Parts;
  #code: string;
  #editor: Promise<Editor> | undefined;
  #open: Editor | undefined;
  #area: OutputArea;
  /** The author's own output. */
  #built: Node[];
  /** Their code, with the highlighter's colours. */
  #author: Node[];
  #debug: DebugPanel | undefined;
  /** Until the debugger knows its breakpoints. */
  #arming: { armed: Promise<boolean>; stop(): void } | undefined;
  #run: Execution | undefined;
  #ended: Promise<void> = Promise.resolve();
  #lastId: string | undefined;
  /** The kernel in which it was run last, see `Kernel.generation`. */
  #ranIn = -1;

  constructor(host: LanewayCell, parts: Parts) {
    this.#host = host;
    this.#parts = parts;
    const { outputs, code } = parts;
    this.kernel = kernelOf(host);
    this.kernel.add(this);
    this.#author = [...parts.source.childNodes].map((node) => node.cloneNode(true));
    this.#built = [...outputs.childNodes].map((node) => node.cloneNode(true));
    this.#code = code;
    this.#area = new OutputArea(outputs, {
      displays: this.kernel.displays,
      sandbox: host.hasAttribute("sandbox"),
      focus: () => this.focus(),
      widget: (modelId, place) => this.#showWidget(modelId, place),
    });
    this.#edited();
  }

  get code(): string {
    return this.#open?.code ?? this.#code;
  }

  set code(code: string) {
    this.#code = code;
    if (this.#open) {
      this.#open.code = code;
    } else {
      // without the highlighter's colours, which belong to other code
      this.#parts.source.textContent = code;
      this.#edited();
    }
  }

  /** Does it wait for the kernel to come up? */
  get waits(): boolean {
    return this.#run?.state === "queued" || this.#arming !== undefined;
  }

  /** Resolves when it can be edited. */
  async edit(): Promise<Editor> {
    this.#editor ??= this.#makeEditor();
    this.#editor.catch(() => (this.#editor = undefined)); // the network may come back
    return await this.#editor;
  }

  /** Have the focus where the reader goes on. */
  focus(): void {
    if (this.#open) this.#open.focus();
    else this.#parts.shell.focus();
  }

  // ---- runs

  /** Run it, behind what it depends on and has not run in this kernel yet; resolves when it has ended. */
  async run(): Promise<void> {
    const before = [...this.#setup(), ...(this.#host.hasAttribute("alone") ? [] : this.#above())];
    if (before.length > 0) this.#parts.shell.state("loading");
    const awake = await Promise.all(before.map((cell) => cell.wake()));
    await AwakeCell.#beginAll([...awake.filter((cell) => !this.#isReady(cell.#host)), this]);
    await this.#ended;
  }

  /** Run the cells above it once more, without it. */
  async runAbove(): Promise<void> {
    const awake = await Promise.all([...this.#setup(), ...this.#above(true)].map((cell) => cell.wake()));
    await AwakeCell.#beginAll(awake);
    await Promise.all(awake.map((cell) => cell.#ended));
  }

  async stop(): Promise<void> {
    this.#arming?.stop();
    const run = this.#run;
    if (!run) return;
    this.#parts.shell.state("stopping");
    try {
      await run.cancel({ timeoutMs: PATIENCE });
    } catch {
      if (run !== this.#run) return;
      const said = ["Python does not stop, because it computes without a pause; wait, or restart it."];
      this.#area.say([...said, ...this.kernel.missing].join("\n"));
    }
  }

  async restart(): Promise<void> {
    try {
      await this.kernel.restart();
      this.#parts.shell.state("stopped", "Python was restarted.");
    } catch {
      // the kernel's state says it
    }
  }

  async reset(): Promise<void> {
    await this.stop();
    if (this.#open) {
      this.#open.code = this.#parts.code;
      this.#open.showBreakpoints(this.#authorsBreakpoints.map((line) => ({ line })));
    } else this.#parts.source.replaceChildren(...this.#author.map((node) => node.cloneNode(true)));
    this.#code = this.#parts.code;
    this.#area.clear();
    this.#parts.outputs.replaceChildren(...this.#built.map((node) => node.cloneNode(true)));
    this.#parts.shell.state("done", "As it was");
    this.#edited();
    this.focus();
  }

  // ---- the debugger

  async toggleBreakpoint(): Promise<void> {
    const editor = await this.edit();
    editor.toggleBreakpoint();
  }

  /** What runs has stopped there, or goes on. */
  paused(said: string | undefined): void {
    const { state } = this.#host.dataset;
    if (state === "running" || state === "paused") {
      this.#parts.shell.state(said === undefined ? "running" : "paused", said);
    }
  }

  // ---- told by the kernel

  progress(text?: string, part?: number): void {
    this.#parts.shell.progress(text, part);
  }

  kernelChanged(state: ClientState): void {
    const { shell } = this.#parts;
    shell.show({ restart: this.#ranIn >= 0 || state === "dead" });
    if (!this.#run || this.#run.state === "queued") return;
    if (state === "unresponsive") shell.state("running", "Does not answer: it computes, or is paused");
    else if (state === "busy" && this.#host.dataset.state === "running") shell.state("running");
  }

  /** The kernel is gone. */
  bury(): void {
    this.progress();
    this.#area.bury();
  }

  // ---- within

  async #makeEditor(): Promise<Editor> {
    const debugs = this.#host.hasAttribute("debug");
    const [{ createEditor }, debugging] = await Promise.all([
      import("./editor.js"),
      debugs ? import("./debugging.js") : undefined,
    ]);
    // to run that script takes half a frame, and so does what follows
    await frame();
    const { shell, source } = this.#parts;
    const code = this.code;
    takeLook(this.#host, source, shell.place);
    this.#open = createEditor({
      parent: shell.place,
      root: shell.root,
      code,
      label: `Code: ${shell.label}`,
      readOnly: this.#host.hasAttribute("readonly"),
      firstLine: this.#firstLine,
      kernel: this.kernel,
      run: () => void this.run().catch((error: unknown) => console.error("Laneway:", error)),
      changed: () => this.#edited(),
      breakpoints: debugs ? this.#authorsBreakpoints : undefined,
      breakpointsChanged: (said) => {
        const { code, breakpoints = [] } = this.#open ?? {};
        if (code !== undefined) void this.#debug?.changed(code, breakpoints, said);
      },
    });
    if (debugging) this.#debug = new debugging.DebugPanel(this.kernel, shell, () => this.edit());
    shell.place.hidden = false;
    shell.source.hidden = true;
    shell.show({ edit: false, breakpoint: debugs });
    return this.#open;
  }

  /** As the page's highlighter has numbered it, if it has. */
  get #firstLine(): number | undefined {
    const written = this.#host.querySelector('[slot="source"] .linenos')?.textContent;
    return written ? Number.parseInt(written, 10) : undefined;
  }

  /** The lines in which the author has set breakpoints. */
  get #authorsBreakpoints(): number[] {
    return (this.#host.getAttribute("debug")?.match(/\d+/g) ?? []).map(Number);
  }

  /** All at once, and so in the order of the page; where one is debugged, when the debugger knows of it. */
  static async #beginAll(cells: AwakeCell[]): Promise<void> {
    cells[0]?.kernel.start();
    const debugged = cells.filter((cell) => cell.#host.hasAttribute("debug") && !cell.#run);
    if (debugged.length > 0) {
      const armed = await Promise.all(debugged.map((cell) => cell.#arm()));
      if (armed.includes(false)) return;
    }
    for (const cell of cells) cell.#begin();
  }

  /** Tell the debugger of it; false where the reader has stopped it meanwhile. */
  async #arm(): Promise<boolean> {
    if (this.#arming) return await this.#arming.armed;
    const { shell } = this.#parts;
    shell.state("loading");
    this.since = performance.now();
    const tell = async () => {
      const editor = await this.edit();
      await this.#debug?.arm(editor.code, editor.breakpoints);
    };
    let stop = () => {};
    const armed = new Promise<boolean>((resolve) => {
      stop = () => resolve(false);
      // where its scripts cannot be loaded, it runs without stops
      tell().then(
        () => resolve(true),
        () => resolve(true),
      );
    });
    this.#arming = { armed, stop };
    const goesOn = await armed;
    this.#arming = undefined;
    if (!goesOn) shell.state("stopped");
    return goesOn;
  }

  #begin(): void {
    if (this.#run) return;
    const { shell } = this.#parts;
    this.#ranIn = this.kernel.generation;
    this.since = performance.now();
    if (this.#lastId !== undefined) this.kernel.disown(this.#lastId);
    let run: Execution;
    try {
      this.kernel.enter(this.#host.getAttribute("chain") ?? "");
      run = this.kernel.client.execute(this.code, {
        stdin: (prompt, { password, signal }) => this.#ask(prompt, password, signal),
        mode: this.#host.getAttribute("mode") === "task" ? "task" : undefined,
        stopOnError: !["raises", "allow-errors"].some((name) => this.#host.hasAttribute(name)),
        metadata: { cellId: this.#host.id || shell.label },
      });
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#run = run;
    this.#lastId = run.msgId;
    this.kernel.own(run.msgId, this.#area);
    shell.state("waiting");
    void run.started.then(() => {
      if (run !== this.#run || run.state !== "running") return;
      this.progress();
      this.#area.clear({ wait: true });
      shell.state("running");
    });
    this.#ended = this.#follow(run);
  }

  async #follow(run: Execution): Promise<void> {
    try {
      const result = await run.done;
      this.#showPayload(result);
      await this.#area.settled();
      this.#finish(run, result);
    } catch (error) {
      this.#fail(error);
    }
    this.#run = undefined;
    this.kernel.debugging?.ended();
    this.progress();
    this.#edited();
  }

  /**
   * What a reply has besides outputs (deprecated by the messaging spec, and what `len?` and `%load` send all the same): a
   * page of help is shown, as in JupyterLab; code that is to take the place of the cell's own does.
   */
  #showPayload({ reply }: ExecResult): void {
    for (const payload of (reply.payload ?? []) as Payload[]) {
      if (payload.source === "page") {
        const content = { data: payload.data, metadata: {} };
        this.#area.add({ type: "display_data", content, metadata: {}, buffers: [] });
      } else if (payload.source === "set_next_input" && payload.replace) {
        this.code = payload.text;
      }
    }
  }

  #finish(run: Execution, { status, executionCount, dropped }: ExecResult): void {
    const { shell } = this.#parts;
    if (status === "aborted") this.#ranIn = -1; // it has not run
    if (dropped) this.#area.say(`${dropped} outputs were too many and are lost.`);
    if (run.state === "cancelled") {
      shell.state("stopped");
    } else if (status === "ok" || (status === "error" && this.#host.hasAttribute("raises"))) {
      shell.state("done", executionCount === undefined ? undefined : `Done [${executionCount}]`);
    } else if (status === "aborted") {
      shell.state("failed", "Not run, because a cell before it has failed");
    } else {
      shell.state("failed");
      this.#host.hidden = false; // its error is to be seen
    }
  }

  #fail(error: unknown): void {
    this.#area.say(error instanceof Error ? error.message : String(error));
    this.#parts.shell.state("failed");
  }

  async #ask(prompt: string, password: boolean, signal: AbortSignal): Promise<string> {
    const { shell } = this.#parts;
    shell.state("asking");
    const answer = await this.#area.ask(prompt, password, signal, () => this.focus());
    shell.state("running");
    return answer;
  }

  async #showWidget(modelId: string, place: HTMLElement): Promise<void> {
    const widgets = await this.kernel.widgets();
    await widgets.show(modelId, place, {
      area: this.#area,
      sandbox: this.#host.hasAttribute("sandbox"),
    });
  }

  #edited(): void {
    const { shell, code } = this.#parts;
    const edited = this.code !== code;
    // in the place of an editor, of which a part may be shown
    shell.print(this.#open ? this.code : "");
    const changed = edited || this.#ranIn >= 0;
    shell.show({ reset: changed, above: !this.#host.hasAttribute("alone") && this.#above(true).length > 0 });
  }

  /** The set-up cells of its group that have not run in this kernel. */
  #setup(): LanewayCell[] {
    return this.#group("laneway-cell[setup]:not([chain])").filter(
      (cell) => cell !== this.#host && !this.#isReady(cell),
    );
  }

  /**
   * Those of the cells above that it needs and that have not run in this kernel; with `all` those that have, too. Behind
   * those of no chain come those of its own.
   */
  #above(all = false): LanewayCell[] {
    const above = this.#group("laneway-cell:is(:not([setup]), [chain]):not([alone])").filter(
      (cell) =>
        (cell.compareDocumentPosition(this.#host) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0 &&
        (all || !this.#isReady(cell)),
    );
    const chain = this.#host.getAttribute("chain");
    const own = chain === null ? [] : above.filter((cell) => cell.getAttribute("chain") === chain);
    return [...above.filter((cell) => !cell.hasAttribute("chain")), ...own];
  }

  #group(selector: string): LanewayCell[] {
    const cells = document.querySelectorAll<LanewayCell>(selector);
    return [...cells].filter((cell) => cell.group === this.#host.group && cell.isConnected);
  }

  /** Has it run as far as others need it? */
  #isReady(cell: LanewayCell): boolean {
    return cell.woken !== undefined && cell.woken.#ranIn === this.kernel.generation;
  }
}
