/**
 * `<laneway-cell>`: an example that the reader of a page can edit and run.
 *
 *     <laneway-cell label="Greeting">
 *       <pre>print("Hello")</pre>
 *       <div>what it has put out, when the page was built</div>
 *     </laneway-cell>
 *
 * Without JavaScript it is what stands there. The first `pre` is the code; what follows after the child that holds it is
 * the built output. Asleep it costs a page next to nothing; it wakes when the reader edits or runs it (`awake.ts`).
 */

import type { AwakeCell } from "./awake.js";
import { make, Shell } from "./shell.js";
import type { Action, CellState } from "./shell.js";
import { followScheme } from "./scheme.js";
import { turn } from "./frames.js";

const LOST = "This cell's scripts could not be loaded; reload the page.";

export class LanewayCell extends HTMLElement {
  #shell: Shell | undefined;
  #source: HTMLPreElement | undefined;
  #outputs: HTMLElement | undefined;
  #code = "";
  #awake: Promise<AwakeCell> | undefined;
  #woken: AwakeCell | undefined;

  connectedCallback(): void {
    if (this.#shell) {
      followScheme(this); // it has been moved
      return;
    }
    if (this.#pre) {
      void turn().then(() => this.build());
      return;
    }
    // its content is still to come
    const observer = new MutationObserver(() => {
      if (!this.#pre) return;
      observer.disconnect();
      this.build();
    });
    observer.observe(this, { childList: true, subtree: true });
  }

  // ---- what a page can ask of it

  /** The code, as the reader has changed it. */
  get code(): string {
    this.build();
    return this.#woken?.code ?? this.#code;
  }

  set code(code: string) {
    this.build();
    if (this.#woken) {
      this.#woken.code = code;
    } else if (this.#source) {
      this.#source.textContent = code;
      this.#code = trimmed(code);
    }
  }

  /** What it has put out; it is in the page. */
  get outputs(): HTMLElement | undefined {
    this.build();
    return this.#outputs;
  }

  /** The name of its group: cells of one group have one kernel, and see each other's names. */
  get group(): string {
    return this.getAttribute("kernel") ?? "";
  }

  /** Resolves when it can be edited; `focus` puts the cursor there. */
  async edit({ focus = true } = {}): Promise<void> {
    const awake = await this.wake();
    try {
      const editor = await awake.edit();
      if (focus) editor.focus();
    } catch (error) {
      this.#shell?.state("failed", LOST);
      throw error;
    }
  }

  /** Run it, behind those that it depends on; resolves when it has ended, however. */
  async run(): Promise<void> {
    this.build();
    if (this.#woken === undefined) this.#shell?.state("loading");
    const awake = await this.wake();
    await awake.run();
  }

  /** Stop it, if it runs or waits. */
  async stop(): Promise<void> {
    await this.#woken?.stop();
  }

  /** Put the author's code and output back. */
  async reset(): Promise<void> {
    await this.#woken?.reset();
  }

  // ---- within

  /** The author's code. A highlighter may have put the numbers of its lines beside it, in a `pre` of their own. */
  get #pre(): HTMLPreElement | null {
    return this.querySelector<HTMLPreElement>("pre:not(.linenodiv > pre)");
  }

  /** @internal What it has become, once it was used. */
  get woken(): AwakeCell | undefined {
    return this.#woken;
  }

  /** @internal Load what a cell takes that is used, once. Rejects with a sentence. */
  wake(): Promise<AwakeCell> {
    this.#awake ??= this.#wake();
    return this.#awake;
  }

  async #wake(): Promise<AwakeCell> {
    this.build();
    const [shell, source, outputs] = [this.#shell, this.#source, this.#outputs];
    if (!shell || !source || !outputs) throw new Error("A <laneway-cell> has no code: put it into a <pre>.");
    try {
      const { AwakeCell } = await import("./awake.js");
      await turn();
      this.#woken ??= new AwakeCell(this, { shell, source, outputs, code: this.#code });
      return this.#woken;
    } catch (error) {
      this.#awake = undefined; // the network may come back
      shell.state("failed", LOST);
      throw error;
    }
  }

  /** @internal Become a cell, once there is code. */
  build(): void {
    const source = this.#pre;
    if (this.#shell || !source) return;
    const number = [...document.querySelectorAll("laneway-cell:not([setup], [hidden])")].indexOf(this) + 1;
    const label = this.getAttribute("label") ?? (number > 0 ? `Cell ${number}` : "Set-up");
    const shell = new Shell(this, label, (action) => void this.#act(action).catch(report));
    let child: Element = source;
    while (child.parentElement !== this) child = child.parentElement!;
    child.slot = "source";
    // a page whose outputs have their look without JavaScript has the place for them, too
    const [place, ...more] = [...this.children].slice([...this.children].indexOf(child) + 1);
    const ready = place instanceof HTMLElement && place.matches(".laneway-outputs") && more.length === 0;
    this.#outputs = ready ? place : make("div", { className: "laneway-outputs" });
    this.#outputs.slot = "outputs";
    this.#outputs.role = "log";
    this.#outputs.ariaLabel = `Output: ${label}`;
    if (!ready) while (child.nextSibling) this.#outputs.append(child.nextSibling);
    if (!this.#outputs.textContent?.trim() && !this.#outputs.firstElementChild) {
      this.#outputs.replaceChildren();
    }
    this.append(this.#outputs);
    this.#source = source;
    this.#code = trimmed(written(source));
    this.#shell = shell;
    void this.#typeset().catch(report);
    if (this.hasAttribute("setup")) this.hidden = true;
    if (this.hasAttribute("readonly")) shell.show({ edit: false });
    if (this.hasAttribute("hide-code")) shell.show({ edit: false, copy: false });
    shell.source.hidden = this.hasAttribute("hide-code");
    if (this.hasAttribute("code-below")) shell.showCodeBelow();
    followScheme(this);
    shell.source.addEventListener("click", () => {
      // a reader who selects text reads
      if (this.hasAttribute("readonly") || !getSelection()?.isCollapsed) return;
      this.edit().catch(report);
    });
    // long lines can be read by keyboard, too, and Enter edits
    if (!source.hasAttribute("tabindex")) source.tabIndex = 0;
    source.addEventListener("keydown", ({ key }) => {
      if (key === "Enter" && !this.hasAttribute("readonly")) this.edit().catch(report);
    });
    // what is likely to be wanted next
    for (const type of ["pointerenter", "focusin"]) {
      this.addEventListener(type, () => void import("./awake.js").catch(() => undefined), { once: true });
    }
    if (this.hasAttribute("autorun")) this.run().catch(report);
  }

  /** Formulas that the page was built with are text in it. */
  async #typeset(): Promise<void> {
    const formulas = this.#outputs?.querySelectorAll<HTMLElement>(".laneway-latex, .laneway-markdown") ?? [];
    const written = [...formulas].filter(({ textContent }) => /\$|\\[([]|\\begin\{/.test(textContent));
    if (written.length === 0) return;
    const { typeset } = await import("./latex.js");
    for (const formula of written) await typeset(formula);
  }

  async #copy(): Promise<void> {
    let said = "Copied";
    try {
      await navigator.clipboard.writeText(this.code);
    } catch {
      said = "The browser does not allow it here"; // without HTTPS, or in a frame
    }
    this.#shell?.state(this.dataset.state as CellState, said);
  }

  async #act(action: Action): Promise<void> {
    switch (action) {
      case "run":
        return await this.run();
      case "stop":
        return await this.stop();
      case "edit":
        return await this.edit();
      case "breakpoint":
        return await (await this.wake()).toggleBreakpoint();
      case "copy":
        return await this.#copy();
      case "reset":
        return await this.reset();
      case "above":
        return await (await this.wake()).runAbove();
      case "restart":
        return await (await this.wake()).restart();
    }
  }
}

/** The text of code, without the numbers that a highlighter has put before its lines. */
function written(source: HTMLElement): string {
  const copy = source.cloneNode(true) as HTMLElement;
  for (const number of copy.querySelectorAll(".linenos")) number.remove();
  return copy.textContent ?? "";
}

/** Without the line breaks that HTML wants around it. */
function trimmed(code: string): string {
  return code.replace(/^\s*\n/, "").trimEnd();
}

function report(error: unknown): void {
  console.error("Laneway:", error);
}
