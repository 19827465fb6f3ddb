/**
 * Safepoints: how Python is interrupted while it computes, so that the kernel can answer. The interpreter looks at the
 * interrupt buffer every few dozen loop iterations, and calls the Python handler of the signal number that it finds.
 *
 * Whether there is a buffer is computed when it looks: the signal stays for as long as there is something to do, and
 * none is lost. (A number that the page stores there can be: CPython reads it and zeroes it in two steps. An array whose
 * element 0 is computed would do as well, and make a look five times as dear.) What must not be forgotten whatever Python throws is kept here, and undone in `finally`.
 */

import type { Inbox } from "./inbox.js";
import type { PageFile } from "./page-file.js";
import type { PyCallable, Pyodide } from "./pyodide.js";

const SIGUSR1 = 10;

/** Where Pyodide keeps the interrupt buffer. */
const BUFFER = "Py_EmscriptenSignalBuffer";

/** How much of the stack, in bytes, code may have used where a handler is still called: the rest is for the handler. */
const DEEP = 30_000;

/**
 * Milliseconds from one look at the buffer to the next, about. CPython counts: a look for so many calls and turns of
 * loops, 50 unless we set the counter. Too many looks make a fast loop slow, and too few make slow code hard to reach.
 */
const PACE = 0.1;

/** The most turns from one look to the next: they may have been fast ones, with slow ones to come. */
const MOST = 200;

/** What CPython's counter is when it looks because it has counted. */
const COUNTED = 50;

/** It also looks for other reasons: twice whenever an int becomes text. Of such looks one in so many is taken. */
const OTHERS = 128;

/** After so many looks a handler that was called and has not come is given up: the code's recursion was too deep. */
const PATIENCE = 1000;

export class Safepoints {
  #pyodide: Pyodide;
  #inbox: Inbox;
  #stackBase: number;
  /** When Python has something to do of its own, in terms of `performance.now()`. */
  #due = Infinity;
  /** The handler was called, and has not ended yet. */
  #claimed = false;
  #looks = 0;
  #serving = false;
  #others = 0;
  #lastLook = 0;
  /** How many calls and turns of loops there are from one look to the next. */
  #interval = 50;

  constructor(pyodide: Pyodide, inbox: Inbox) {
    this.#pyodide = pyodide;
    this.#inbox = inbox;
    this.#stackBase = this.#stack();
  }

  /** Where the stack has got to; it grows downwards. */
  #stack(): number {
    return this.#pyodide._module?.stackSave?.() ?? 0;
  }

  /** Begin to interrupt; Python must have a handler of SIGUSR1. */
  enable(): void {
    const buffer = new Uint8Array(1);
    this.#pyodide.setInterruptBuffer(buffer);
    if (!this.#pyodide._module) return;
    Object.defineProperty(this.#pyodide._module, BUFFER, {
      configurable: true,
      // CPython asks for the buffer, and if there is one twice more, to read the signal and to zero it
      get: () => {
        if (buffer[0] === 0) buffer[0] = this.#look();
        return buffer[0] === 0 ? undefined : buffer;
      },
      set: () => undefined,
    });
  }

  disable(): void {
    if (this.#pyodide._module) delete (this.#pyodide._module as Record<string, unknown>)[BUFFER];
    this.#pyodide.setInterruptBuffer(undefined);
  }

  /** Call the handler in `delay` milliseconds if code computes then; Infinity takes that back. */
  expect(delay: number): void {
    this.#due = delay === Infinity ? delay : performance.now() + delay;
  }

  /** To be called by the handler: call `action`, unless that is what was interrupted. Never throws. */
  serve(action: PyCallable): void {
    if (this.#serving) return;
    this.#serving = true;
    try {
      action();
    } catch (error) {
      // none of it is the interrupted code's doing
      console.error("Laneway: an error at a safepoint:", error);
    } finally {
      this.#serving = false;
      this.#claimed = false;
    }
  }

  /** Hand over the messages that have arrived. */
  drain(): void {
    this.#inbox.drain();
  }

  /** Block the worker until a message arrives or Python is due, for `timeout` milliseconds at most. */
  wait(timeout: number): void {
    const rest = Math.min(timeout, this.#due - performance.now());
    if (rest > 0) this.#inbox.wait(rest);
  }

  /** See `Inbox.fetch`; undefined where files do not come that way. */
  fetch(url?: string): PageFile | undefined {
    return this.#inbox.fetch?.(url);
  }

  /** What the interpreter finds when it looks at the buffer. */
  #look(): number {
    const { __Py_emscripten_signal_clock: clock, HEAP32: memory } = this.#pyodide._module ?? {};
    const counted = !clock || !memory || memory[clock / 4] === COUNTED;
    if (!counted && ++this.#others % OTHERS !== 0) return 0;
    const now = performance.now();
    if (counted) this.#setPace(now);
    if (this.#serving || (this.#inbox.empty && now < this.#due)) return 0;
    if (this.#claimed && ++this.#looks < PATIENCE) return 0;
    if (this.#stackBase - this.#stack() > DEEP) return 0;
    this.#claimed = true;
    this.#looks = 0;
    return SIGUSR1;
  }

  #setPace(now: number): void {
    const module = this.#pyodide._module;
    if (!module?.__Py_emscripten_signal_clock || !module.HEAP32) return;
    const factor = Math.min(PACE / (now - this.#lastLook), 2);
    this.#interval = Math.max(1, Math.min(Math.round(this.#interval * factor), MOST));
    this.#lastLook = now;
    module.HEAP32[module.__Py_emscripten_signal_clock / 4] = this.#interval;
  }
}
