/**
 * The debugger of the cells with the attribute `debug`: loaded when one of them is edited or run.
 *
 *     before a cell runs   the debugger of its kernel is attached; its breakpoints are set at the path of its code
 *     `stopped`            the line, the frames, the variables and the buttons are shown in the cell of the innermost frame
 *                          that is of a cell, else in the one that was run last
 *     a run ends           the panel goes
 */

import type { DebugEvents, Debugger, DebugProtocol } from "@laneway/kernel";
import { DebugError, KernelError } from "@laneway/kernel";
import type { Editor } from "./editor.js";
import type { Kernel } from "./kernel.js";
import debugSheet from "./debugging.css";
import { make, sheet } from "./shell.js";
import type { Shell } from "./shell.js";

const SHEET = sheet(debugSheet);

/** How many members of a container are shown at a time. */
const PAGE = 100;

const STEPS = {
  continue: "Continue",
  next: "Step over",
  stepIn: "Step into",
  stepOut: "Step out",
} as const;

type Step = keyof typeof STEPS;
type Stop = DebugEvents["stopped"];
type Frame = DebugProtocol.StackFrame;

/** The debugger of one kernel, and the cells that it knows. */
class Session {
  readonly debug: Debugger;
  #kernel: Kernel;
  #panels = new Map<string, DebugPanel>();
  #all = new Set<DebugPanel>();
  #last: DebugPanel | undefined;
  #attaching: Promise<unknown> | undefined;
  /** Counts what was shown: what is asked for an earlier stop is of no use. */
  #count = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.debug = kernel.client.debugger;
    for (const name of ["stopped", "continued", "terminated"] as const) {
      this.debug.on(name, () => this.#show());
    }
  }

  add(panel: DebugPanel): void {
    this.#all.add(panel);
  }

  /** Begin, unless it has, and have the cell's code a path, which is returned. */
  async arm(panel: DebugPanel, code: string): Promise<string> {
    if (!this.debug.attached) {
      this.#attaching ??= this.debug.attach().finally(() => (this.#attaching = undefined));
      await this.#attaching;
    }
    const path = await this.debug.dumpCell(code);
    this.#panels.set(path, panel);
    this.#last = panel;
    return path;
  }

  /** Whose code this is. */
  panelOf(source: Frame["source"]): DebugPanel | undefined {
    return this.#panels.get(source?.path ?? "");
  }

  /** A cell has ended. */
  ended(): void {
    if (this.debug.stopped.size === 0) this.#leave();
  }

  /** The kernel is gone. */
  forget(): void {
    this.#count++;
    this.#panels.clear();
    for (const panel of this.#all) panel.forget();
  }

  #leave(except?: DebugPanel): void {
    this.#count++;
    for (const panel of this.#all) if (panel !== except) panel.leave();
  }

  async #show(): Promise<void> {
    const count = ++this.#count;
    const [threadId, stop] = [...this.debug.stopped].at(-1) ?? [];
    if (threadId === undefined || !stop) {
      for (const panel of this.#all) panel.goesOn();
      this.#kernel.paused(undefined);
      return;
    }
    try {
      const frames = await this.debug.stackTrace({ threadId });
      if (count !== this.#count) return;
      const frame = frames.find(({ source }) => this.panelOf(source));
      const panel = this.panelOf(frame?.source) ?? this.#last;
      this.#leave(panel);
      this.#kernel.paused(panel?.stopped(threadId, stop, frames));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error; // it has gone on meanwhile
    }
  }
}

const sessions = new WeakMap<Kernel, Session>();

function sessionOf(kernel: Kernel): Session {
  const session = sessions.get(kernel) ?? new Session(kernel);
  sessions.set(kernel, session);
  kernel.debugging = session;
  return session;
}

/** What a cell shows of the debugger. */
export class DebugPanel {
  #session: Session;
  #shell: Shell;
  #edit: () => Promise<Editor>;
  #root = make("div", { className: "debugger", role: "group", hidden: true });
  #where = make("p", { className: "where" });
  #frames = make("select");
  #scopes = make("div", { className: "scopes" });
  #note = make("p", { className: "note", role: "status" });
  #buttons: HTMLButtonElement[] = [];
  #threadId = 0;
  /** What ran last, and what the debugger calls it. */
  #armed: { code: string; path: string } | undefined;
  /** Branches that the reader has opened, by their names from the scope on; they are so at the next stop. */
  #open = new Set<string>(["/Locals"]);
  #count = 0;

  constructor(kernel: Kernel, shell: Shell, edit: () => Promise<Editor>) {
    this.#session = sessionOf(kernel);
    this.#session.add(this);
    this.#shell = shell;
    this.#edit = edit;
    shell.root.adoptedStyleSheets.push(SHEET);
    this.#root.ariaLabel = `Debugger: ${shell.label}`;
    this.#frames.ariaLabel = `Called from: ${shell.label}`;
    const steps = make("div", { className: "steps" });
    for (const step of Object.keys(STEPS) as Step[]) {
      const button = make("button", { type: "button", textContent: STEPS[step] });
      button.ariaLabel = `${STEPS[step]}: ${shell.label}`;
      button.addEventListener("click", () => void this.#go(step));
      this.#buttons.push(button);
      steps.append(button);
    }
    steps.append(this.#frames);
    this.#root.append(this.#where, steps, this.#scopes);
    shell.place.after(this.#root, this.#note);
  }

  /** Tell the reader. */
  say(text: string): void {
    this.#note.textContent = text;
  }

  /** Have the kernel stop at these lines, when this code runs. */
  async arm(code: string, lines: number[]): Promise<void> {
    this.say("");
    try {
      const path = await this.#session.arm(this, code);
      if (this.#armed && this.#armed.path !== path) {
        await this.#session.debug.setBreakpoints(this.#armed.path, []);
      }
      this.#armed = { code, path };
      this.say(await this.#setBreakpoints(path, lines));
    } catch (error) {
      if (error instanceof DebugError) this.say(`The cell runs without stops. ${error.message}`);
      // else the run says what is wrong with the kernel
    }
  }

  /** The reader has changed breakpoints. Where the code is another than what ran, the kernel hears of it at the next run. */
  async changed(code: string, lines: number[], said: string): Promise<void> {
    this.say(said);
    if (this.#armed?.code !== code || !this.#session.debug.attached) return;
    try {
      this.say((await this.#setBreakpoints(this.#armed.path, lines)) || said);
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    }
  }

  /** Returns why it will not stop at some, in words. */
  async #setBreakpoints(path: string, lines: number[]): Promise<string> {
    const found = await this.#session.debug.setBreakpoints(path, lines);
    const known = found.map(({ line, verified }, index) => ({
      line: line ?? lines[index]!,
      refused: !verified,
    }));
    const editor = await this.#edit();
    // the reader may have gone on meanwhile
    const same = editor.code === this.#armed?.code && String(editor.breakpoints) === String(lines);
    if (same) editor.showBreakpoints(known);
    const refused = found.filter(({ verified }) => !verified);
    return refused.map(({ line, message }) => `Line ${line}: ${message ?? "no breakpoint"}`).join("\n");
  }

  /** Show where it has stopped, and soon its variables; returns that in words, for any cell. */
  stopped(threadId: number, stop: Stop, frames: Frame[]): string {
    this.#threadId = threadId;
    const options = frames.map((frame) => make("option", { textContent: this.#place(frame) }));
    this.#frames.replaceChildren(...options);
    const own = Math.max(
      0,
      frames.findIndex(({ source }) => this.#session.panelOf(source)),
    );
    this.#frames.onchange = () => void this.#showFrame(frames[this.#frames.selectedIndex]);
    const [top] = frames;
    const why = stop.reason === "exception" ? `: ${stop.text ?? "an exception"}` : "";
    this.#where.textContent = `Paused ${top ? this.#place(top) : ""}${why}`;
    this.#root.hidden = false;
    this.#setBusy(false);
    // where a library has stopped, the line of the cell that has called it can be seen
    void this.#showFrame(top, frames[own]);
    return `Paused ${top ? this.#place(top, true) : ""}${why}`;
  }

  /** It goes on, and may stop again. */
  goesOn(): void {
    this.#count++;
    this.#setBusy(true);
    void this.#edit().then((editor) => editor.showStop(undefined));
  }

  /** The kernel is gone, and with it what it knew. */
  forget(): void {
    this.#armed = undefined;
    this.leave();
  }

  /** It has ended, or has stopped elsewhere. */
  leave(): void {
    this.#count++;
    if (this.#root.hidden) return;
    if (this.#root.contains(this.#shell.root.activeElement)) this.#shell.focus();
    this.#root.hidden = true;
    void this.#edit().then((editor) => editor.showStop(undefined));
  }

  /** Those that cannot be pressed keep the focus. */
  #setBusy(busy: boolean): void {
    for (const button of this.#buttons) button.ariaDisabled = String(busy);
    this.#scopes.inert = busy;
    this.#frames.disabled = busy;
    if (busy) this.#where.textContent = "Running";
  }

  async #go(step: Step): Promise<void> {
    if (this.#buttons[0]?.ariaDisabled === "true") return;
    this.#setBusy(true);
    try {
      await this.#session.debug[step]({ threadId: this.#threadId });
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    }
  }

  /** For readers of this cell, or of `any`. */
  #place({ name, line, source }: Frame, any = false): string {
    const inside = name === "<module>" ? "" : `, in ${name}`;
    const panel = this.#session.panelOf(source);
    if (panel === this && !any) return `at line ${line}${inside}`;
    return `at line ${line} of ${panel ? panel.#shell.label : (source?.name ?? "other code")}${inside}`;
  }

  /** Its variables, and its line, or that of `shown`. */
  async #showFrame(frame: Frame | undefined, shown = frame): Promise<void> {
    if (!frame || !shown) return;
    const count = ++this.#count;
    const editor = await this.#edit();
    editor.showStop(this.#session.panelOf(shown.source) === this ? shown.line : undefined);
    try {
      const scopes = await this.#session.debug.scopes(frame.id);
      if (count !== this.#count) return;
      const branches = scopes.map(({ name, variablesReference }) =>
        this.#branch("", { name, value: "", variablesReference }),
      );
      await Promise.all(branches.map(({ filled }) => filled));
      if (count === this.#count) this.#scopes.replaceChildren(...branches.map(({ element }) => element));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error; // it has gone on meanwhile
    }
  }

  /** A variable, and, once it is opened, what is in it. */
  #branch(above: string, variable: DebugProtocol.Variable): { element: HTMLElement; filled: Promise<void> } {
    const { name, value, type, variablesReference } = variable;
    const title = type ?? "";
    const label = [make("span", { className: "name", textContent: name })];
    if (above !== "") label.push(make("span", { textContent: `: ${value}`, title }));
    if (variablesReference === 0) {
      const element = make("div");
      element.append(...label);
      return { element, filled: Promise.resolve() };
    }
    const path = `${above}/${name}`;
    const element = make("details", { open: this.#open.has(path) });
    const summary = make("summary");
    summary.append(...label);
    element.append(summary);
    let filled: Promise<void> | undefined;
    const fill = () => (filled ??= this.#fill(path, element, variable));
    element.addEventListener("toggle", () => {
      if (element.open) this.#open.add(path);
      else this.#open.delete(path);
      if (element.open) void fill();
    });
    return { element, filled: element.open ? fill() : Promise.resolve() };
  }

  async #fill(
    path: string,
    element: HTMLElement,
    variable: DebugProtocol.Variable,
    start = 0,
  ): Promise<void> {
    const { indexedVariables: size = 0, variablesReference } = variable;
    const page = size > PAGE ? ({ start, count: PAGE, filter: "indexed" } as const) : {};
    try {
      const members = await this.#session.debug.variables(variablesReference, page);
      const branches = members.map((member) => this.#branch(path, member));
      await Promise.all(branches.map(({ filled }) => filled));
      element.append(...branches.map(({ element }) => element));
      if (members.length === 0 && start === 0) {
        element.append(make("div", { className: "none", textContent: "nothing" }));
      }
      const next = start + PAGE;
      if (size <= next) return;
      const more = make("button", { type: "button", textContent: `${size - next} more` });
      more.ariaLabel = `${size - next} more of ${variable.name}`;
      more.addEventListener("click", () => {
        void this.#fill(path, element, variable, next).then(() => more.remove());
      });
      element.append(more);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      element.append(make("div", { className: "none", textContent: error.message }));
    }
  }
}
