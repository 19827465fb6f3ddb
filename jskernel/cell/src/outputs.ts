/**
 * What a cell puts out, for people. Outputs are collected and shown once a frame, so that a flood of them does not
 * freeze the page, and there is a limit to what is shown, so that it does not fill the memory.
 */

import type { Output } from "@laneway/kernel";
import { colored } from "./ansi.js";
import { frame } from "./frames.js";
import { render } from "./mime.js";
import type { RenderContext } from "./mime.js";
import { make } from "./shell.js";
import { StreamBlock } from "./stream.js";
import { renderError } from "./traceback.js";

/**
 * Milliseconds of a frame that showing outputs may take, those of all cells; the browser's layout of them takes about as
 * long again.
 */
const BUDGET = 8;

/** Characters that are written in one go: their layout is to fit into a frame. */
const PART = 16_000;

/** Characters of text, of everything else, and blocks that one cell shows. */
const TEXT = 200_000;
const DATA = 50_000_000;
const BLOCKS = 2000;

/** What can be updated, wherever it is shown: the places of each display_id of a kernel. */
export class Displays {
  #places = new Map<string, Set<Place>>();

  add(id: string, place: Place): void {
    const places = this.#places.get(id) ?? new Set();
    places.add(place);
    this.#places.set(id, places);
  }

  update(id: string, output: Display): void {
    for (const place of this.#places.get(id) ?? []) {
      if (place.gone) this.#places.get(id)!.delete(place);
      else place.render(output);
    }
  }

  clear(): void {
    this.#places.clear();
  }
}

type Display = Extract<Output, { type: "display_data" | "update_display_data" | "execute_result" }>;

export interface OutputContext extends RenderContext {
  displays: Displays;
  /** Take the focus of what goes. */
  focus(): void;
}

interface Place {
  readonly gone: boolean;
  render(output: Display): void;
}

export class OutputArea {
  #context: OutputContext;
  /** What is to be shown, and what is to be done then, in order. */
  #waiting: (Output | (() => void))[] = [];
  /** Of a text that is being shown, what is not yet. */
  #rest: Output | undefined;
  #clearing = false;
  /** Is what is shown that of the run before? */
  #old = false;
  /** The block that a stream is being written to. */
  #stream: StreamBlock | undefined;
  #text = TEXT;
  #data = DATA;
  #full = false;
  /** Were there more outputs than can be shown? */
  #lost = false;
  /** Counts the clears: what was shown before the last one is gone. */
  #generation = 0;

  constructor(
    readonly element: HTMLElement,
    context: OutputContext,
  ) {
    this.#context = context;
  }

  /** Remove all; with `wait` when the next output comes, or `settled` is called. */
  clear({ wait = false } = {}): void {
    this.#forget();
    this.#clearing = this.#old = wait;
    if (!wait) this.#empty();
  }

  /** Resolves when all is shown. What a `clear_output(wait=True)` was to remove stays, as in a notebook. */
  settled(): Promise<void> {
    return new Promise((resolve) =>
      this.#later(() => {
        if (this.#old) this.#empty();
        if (this.#lost) this.#cut();
        // when it is laid out: to measure costs nothing then
        void frame().then(() => this.#letReach());
        resolve();
      }),
    );
  }

  /** Show an output of the client, with the next frame. */
  add(output: Output): void {
    const last = this.#waiting.at(-1);
    const stream = typeof last === "object" && last.type === "stream" ? last : undefined;
    if (output.type === "stream" && stream?.content.name === output.content.name) {
      // what is beyond the limit need not be kept
      if (stream.content.text.length <= TEXT) stream.content.text += output.content.text;
      return;
    }
    if (output.type === "clear_output" && !output.content.wait) this.#forget();
    else if (this.#waiting.length > BLOCKS && output.type !== "error") this.#lost = true;
    if (!this.#lost)
      this.#later(output.type === "stream" ? { ...output, content: { ...output.content } } : output);
  }

  /** Say something that the cell has not. */
  say(text: string): void {
    this.#later(() => {
      if (this.#clearing) this.#empty();
      this.#append(make("p", { className: "laneway-said", textContent: text }));
    });
  }

  /**
   * Ask a question inline; resolves with the answer. The form goes when `signal` is aborted. `back` takes the focus
   * when the question is answered.
   */
  ask(prompt: string, password: boolean, signal: AbortSignal, back: () => void): Promise<string> {
    const form = make("form", { className: "laneway-question" });
    const label = colored(make("label"), prompt || "Input: ");
    const input = make("input", { type: password ? "password" : "text", autocomplete: "off" });
    label.append(input);
    form.append(label, make("button", { textContent: "Answer" }));
    this.#later(() => {
      if (signal.aborted) return;
      if (this.#clearing) this.#empty();
      const cell = this.element.closest("laneway-cell");
      const { activeElement } = document;
      this.#append(form);
      // who is elsewhere in the page stays there
      if (activeElement === document.body || cell?.contains(activeElement)) input.focus();
    });
    return new Promise((resolve) => {
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        const focused = form.contains(document.activeElement);
        form.remove();
        this.#write("stdout", `${prompt}${password ? "········" : input.value}\n`);
        if (focused) back();
        resolve(input.value);
      });
      signal.addEventListener("abort", () => {
        const focused = form.contains(document.activeElement);
        form.remove();
        if (focused) back();
      });
    });
  }

  /** The kernel is another: widgets that are shown lead nowhere. */
  bury(): void {
    for (const widget of this.element.querySelectorAll<HTMLElement>("[data-widget]:not(.laneway-dead)")) {
      widget.classList.add("laneway-dead");
      widget.inert = true;
      const said = "The kernel of this widget has ended; run the cell again.";
      widget.before(make("p", { className: "laneway-said", textContent: said }));
    }
  }

  /** What scrolls can be reached by keyboard. */
  #letReach(): void {
    const blocks = [this.element, ...this.element.querySelectorAll<HTMLElement>("pre, .laneway-display")];
    const scrolling = blocks.filter(
      (block) => block.scrollWidth > block.clientWidth || block.scrollHeight > block.clientHeight,
    );
    // all are measured before the first one changes: there is one layout
    for (const block of scrolling) if (!block.hasAttribute("tabindex")) block.tabIndex = 0;
  }

  #later(what: Output | (() => void)): void {
    this.#waiting.push(what);
    OutputArea.#busy.add(this);
    OutputArea.#schedule();
  }

  /** Those in which something waits, in the order in which they have their turns. */
  static #busy = new Set<OutputArea>();
  static #scheduled = false;

  static #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // a page that is hidden has no frames
    if (document.hidden) setTimeout(() => this.#showAll(), 100);
    else requestAnimationFrame(() => this.#showAll());
  }

  /** Show what waits, as much as goes into a frame. */
  static #showAll(): void {
    this.#scheduled = false;
    const end = performance.now() + BUDGET;
    for (const area of [...this.#busy]) {
      if (performance.now() >= end) break;
      this.#busy.delete(area);
      area.#work(end);
      if (area.#waiting.length > 0) this.#busy.add(area); // behind the others
    }
    if (this.#busy.size > 0) this.#schedule();
  }

  /** Show what waits here, until then. */
  #work(end: number): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let done = 0;
    while (done < waiting.length && !this.#rest && performance.now() < end) {
      const next = waiting[done++]!;
      try {
        if (typeof next === "function") next();
        else this.#show(next);
      } catch (error) {
        // those behind it are shown nevertheless
        console.error("Laneway: an output could not be shown.", error);
      }
    }
    const came = this.#waiting;
    this.#waiting = [...(this.#rest ? [this.#rest] : []), ...waiting.slice(done), ...came];
    this.#rest = undefined;
  }

  /** What waits need not be shown any more; what is to be done, is. */
  #forget(): void {
    this.#waiting = this.#waiting.filter((what) => typeof what === "function");
    this.#lost = false;
  }

  #empty(): void {
    const focused = this.element.contains(document.activeElement);
    this.#generation++;
    release(this.element);
    this.element.replaceChildren();
    // focus is not to be lost with what had it
    if (focused) this.#context.focus();
    this.#stream = undefined;
    this.#text = TEXT;
    this.#data = DATA;
    this.#full = this.#clearing = this.#old = false;
  }

  #show(output: Output): void {
    if (output.type === "clear_output") {
      if (output.content.wait) this.#clearing = true;
      else this.#empty();
      return;
    }
    if (output.type === "update_display_data") {
      // it may be shown in another cell
      const id = output.content.transient?.display_id;
      if (id !== undefined) this.#context.displays.update(id, output);
      return;
    }
    if (this.#clearing) this.#empty();
    if (output.type === "stream") this.#write(output.content.name, output.content.text);
    else if (output.type === "error") this.#append(renderError(output.content));
    else this.#display(output);
  }

  #display(output: Display): void {
    if (this.#full) return;
    this.#data -= weigh(output.content.data);
    if (this.#data <= 0 || this.element.childElementCount >= BLOCKS) {
      this.#cut();
      return;
    }
    let shown = render(output.content.data, output.content.metadata ?? {}, this.#context);
    this.#append(shown);
    const id = output.type === "display_data" ? output.content.transient?.display_id : undefined;
    if (id === undefined) return;
    const [generation, current] = [this.#generation, () => this.#generation];
    const context = this.#context;
    context.displays.add(id, {
      get gone() {
        return generation !== current();
      },
      render({ content }) {
        const fresh = render(content.data, content.metadata ?? {}, context);
        release(shown);
        shown.replaceWith(fresh);
        shown = fresh;
      },
    });
  }

  #append(block: HTMLElement): void {
    this.#stream = undefined;
    this.element.append(block);
  }

  /** Show a text; what is too much for now is shown with the next frames. */
  #write(name: "stdout" | "stderr", text: string): void {
    if (this.#full) return;
    if (text.length > PART) {
      this.#rest = {
        type: "stream",
        content: { name, text: text.slice(PART, TEXT) },
        metadata: {},
        buffers: [],
      };
      text = text.slice(0, PART);
    }
    if (this.#stream?.name !== name) {
      const stream = new StreamBlock(name);
      this.#append(stream.element);
      this.#stream = stream;
    }
    const cut = text.slice(0, this.#text);
    this.#text -= cut.length;
    this.#stream.write(cut);
    if (this.#text <= 0) this.#cut();
  }

  #cut(): void {
    this.#full = true;
    this.#append(
      make("p", { className: "laneway-said", textContent: "There is more output, which is not shown." }),
    );
  }
}

/** What is about to go says so to whoever has made it: widgets are disposed of. */
function release(element: HTMLElement): void {
  if (element.dataset.widget) element.dispatchEvent(new Event("laneway-gone"));
  for (const widget of element.querySelectorAll("[data-widget]"))
    widget.dispatchEvent(new Event("laneway-gone"));
}

function weigh(data: Record<string, unknown>): number {
  let size = 0;
  for (const value of Object.values(data)) {
    size += typeof value === "string" ? value.length : JSON.stringify(value ?? null).length;
  }
  return size;
}
