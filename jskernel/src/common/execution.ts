/** Execution: one cell that runs somewhere, as its caller sees it. */

import type { Client } from "./client.js";
import { KernelError, KernelTimeoutError } from "./errors.js";
import type { Phase } from "./errors.js";
import { checkTimeout, within } from "./limits.js";
import type { Limits } from "./limits.js";
import type { Message } from "./message.js";
import { joined, Outputs, toOutput } from "./output.js";
import type { MimeBundle, Output } from "./output.js";
import type { Pending } from "./protocol.js";

/**
 * Returns the line that a cell asks for, or a promise of it. `signal` is aborted when nobody wants it any more: the cell
 * has ended. What the hook throws ends the cell, and is what its execution fails with.
 */
export type StdinHook = (
  prompt: string,
  question: { password: boolean; signal: AbortSignal },
) => string | PromiseLike<string>;

export type ExecutionState = "queued" | "running" | "done" | "failed" | "cancelled" | "abandoned";

/** What has come of a cell. An error of its code is a result too. */
export class ExecResult {
  constructor(
    /** In order; neighbouring pieces of one stream are joined. */
    readonly outputs: readonly Output[],
    /** The content of the execute_reply. */
    readonly reply: Message["content"],
    /** False where the kernel never said that it was idle again: outputs may be missing. */
    readonly complete: boolean,
    /** Outputs that were not kept, see MAX_OUTPUT. */
    readonly dropped: number,
  ) {}

  /** `aborted` is a cell that never ran, because one before it has failed or it was taken back. */
  get status(): "ok" | "error" | "aborted" {
    const { status } = this.reply;
    return status === "ok" || status === "aborted" ? status : "error";
  }

  /** The number of the cell. */
  get executionCount(): number | undefined {
    const count = this.reply.execution_count;
    return typeof count === "number" ? count : undefined;
  }

  /** What the user expressions gave, as in the messaging spec. */
  get userExpressions(): Record<string, unknown> {
    return (this.reply.user_expressions ?? {}) as Record<string, unknown>;
  }

  /** What the cell has failed with, where `status` is `error`; the lines of the traceback have ANSI colours. */
  get error(): { ename: string; evalue: string; traceback: string[] } | undefined {
    if (this.status !== "error") return undefined;
    const { ename, evalue, traceback } = this.reply;
    return {
      ename: typeof ename === "string" ? ename : "Error",
      evalue: typeof evalue === "string" ? evalue : "",
      traceback: Array.isArray(traceback) ? traceback.map(String) : [],
    };
  }

  /** All that was written to it, but for what was cleared (`clear_output`) or dropped. */
  get stdout(): string {
    return this.#stream("stdout");
  }

  /** The same of the other stream. */
  get stderr(): string {
    return this.#stream("stderr");
  }

  /** The value of the last expression. */
  get result(): MimeBundle | undefined {
    const results = this.outputs.filter((output) => output.type === "execute_result");
    return results.at(-1)?.content.data;
  }

  #stream(name: string): string {
    const texts = this.outputs.map(({ type, content }) =>
      type === "stream" && content.name === name ? content.text : "",
    );
    return texts.join("");
  }
}

/**
 * Await `done` for the result; iterate it, any number of times, for the outputs from the first on, as they come. It may
 * fail with nobody waiting.
 *
 * What the cell causes after its end (a task that it has started prints, a widget of it answers) is its output still, as
 * long as somebody has the execution, or until `release`: in `outputs`, and for those who `follow` it.
 */
export class Execution implements AsyncIterable<Output> {
  /** The result; rejects where the execution fails. */
  readonly done: Promise<ExecResult>;
  /** Settles when the kernel has begun with it, or it has ended. */
  readonly started: Promise<void>;
  /** @internal The request, as it is filed. */
  readonly pending: Pending;

  #client: Client;
  #stdin: StdinHook | undefined;
  #state: ExecutionState = "queued";
  #began = performance.now();
  #outputs = new Outputs();
  /** Ends the question that is open. */
  #asking: AbortController | undefined;
  /** Its state when it has ended, where it was interrupted for its caller. */
  #givenUp: ExecutionState | undefined;
  #followers = 0;
  #released = false;
  #readers: (() => void)[] = [];
  #cleanups: (() => void)[] = [];
  #settled = false;
  #start!: () => void;
  #settle!: { resolve: (result: ExecResult) => void; reject: (error: unknown) => void };

  /** @internal */
  constructor(client: Client, pending: Pending, stdin: StdinHook | undefined) {
    this.#client = client;
    this.pending = pending;
    this.#stdin = stdin;
    this.started = new Promise((resolve) => (this.#start = resolve));
    this.done = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.done.catch(() => undefined);
  }

  /** The id of the execute_request. */
  get msgId(): string {
    return this.pending.id;
  }

  get state(): ExecutionState {
    return this.#state;
  }

  /** Milliseconds since it was sent. */
  get elapsedMs(): number {
    return performance.now() - this.#began;
  }

  /** What has come so far, and is kept: of more than MAX_OUTPUT bytes the newest, without what was cleared. */
  get outputs(): readonly Output[] {
    return this.#outputs.kept;
  }

  /** How many outputs were not kept, see MAX_OUTPUT. */
  get dropped(): number {
    return this.#outputs.dropped;
  }

  /** The outputs from the first on; ends, or throws, with the execution. */
  [Symbol.asyncIterator](): AsyncGenerator<Output, void, undefined> {
    return this.#read(false);
  }

  /** The outputs from the first on, and those that come late; ends with `release`, or with the kernel. */
  async *follow(): AsyncGenerator<Output, void, undefined> {
    if (this.#followers++ === 0) this.#client.follow(this, true);
    try {
      yield* this.#read(true);
    } finally {
      if (--this.#followers === 0) this.#client.follow(this, false);
    }
  }

  /** What comes late is not wanted any more. Harmless if repeated. */
  release(): void {
    this.#released = true;
    this.#client.release(this);
    this.#wake();
  }

  async *#read(late: boolean): AsyncGenerator<Output, void, undefined> {
    let position = 0;
    for (;;) {
      while (position < this.#outputs.count) {
        const output = this.#outputs.at(position++);
        if (output) yield output;
      }
      if (this.#settled) {
        await this.done;
        if (!late || this.#released) return;
        if (position < this.#outputs.count) continue;
      }
      await new Promise<void>((resolve) => this.#readers.push(resolve));
    }
  }

  /**
   * Take it back: queued it never runs, running it is interrupted, and no other cell is touched. Resolves when it has
   * ended.
   *
   * Throws KernelError where it is queued and the kernel, not being Laneway, could only interrupt another cell;
   * KernelTimeoutError where the kernel does not get to it in time, as one that computes in a page that is not
   * cross-origin isolated.
   */
  async cancel(limits: Limits = {}): Promise<void> {
    limits.signal?.throwIfAborted();
    checkTimeout(limits.timeoutMs);
    if (this.#settled) return;
    if (this.#client.withdraw(this)) {
      this.#state = "cancelled";
      this.#end(() => this.#settle.resolve(new ExecResult([], { status: "aborted" }, true, 0)));
      return;
    }
    if (this.#state === "queued" && !this.#client.aims) {
      throw new KernelError("This kernel cannot take back a cell that is queued; wait until it runs.");
    }
    this.#state = "cancelled";
    const ended = this.#client
      .interrupt(this.msgId)
      .then(() => this.done)
      .catch(() => this.done.catch(() => undefined));
    await within(ended, limits, () => this.#client.timedOut(this));
  }

  /** @internal What is being waited for. */
  get phase(): Phase {
    return this.pending.phase;
  }

  /** @internal Call `cleanup` when it ends. */
  onEnd(cleanup: () => void): void {
    this.#cleanups.push(cleanup);
  }

  // ---- fed by the client

  /** @internal The kernel has begun with it. */
  begin(): void {
    if (this.#state === "queued") this.#state = "running";
    this.#start();
  }

  /** @internal An output has come. False where it is none. */
  add(message: Message): boolean {
    const output = toOutput(message);
    if (!output) return false;
    this.#outputs.add(output);
    this.#wake();
    return true;
  }

  /** @internal Its code asks for a line. */
  ask(question: Message): void {
    this.#asking?.abort();
    this.#asking = new AbortController();
    void this.#answer(question, this.#asking);
  }

  /** @internal It was interrupted for its caller, and fails when it has ended: then this is its state. */
  giveUp(state: ExecutionState): void {
    this.#givenUp = state;
    this.#endQuestion();
  }

  /** @internal Reply and idle have come, or the time for the idle is over. */
  finish(): void {
    if (this.#state !== "cancelled") this.#state = "done";
    const { reply, idle } = this.pending;
    const result = new ExecResult(joined(this.outputs), reply?.content ?? {}, idle, this.dropped);
    this.#end(() => this.#settle.resolve(result));
  }

  /** @internal Its time is over, or what was given up has ended. */
  expire(error: unknown): void {
    const told = error instanceof KernelTimeoutError ? error.withOutputs(this.outputs) : error;
    this.fail(told, this.#givenUp ?? "abandoned");
  }

  /** @internal Nothing more will come. */
  fail(error: unknown, state: ExecutionState = "failed"): void {
    this.#state = state;
    this.#end(() => this.#settle.reject(error));
  }

  #end(settle: () => void): void {
    this.#settled = true;
    this.#start();
    this.#endQuestion();
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    settle();
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#readers.splice(0)) resolve();
  }

  #endQuestion(): void {
    this.#asking?.abort();
    this.#asking = undefined;
  }

  async #answer(question: Message, asking: AbortController): Promise<void> {
    const { prompt = "", password = false } = question.content as { prompt?: string; password?: boolean };
    try {
      if (!this.#stdin) throw new KernelError("The cell asks for input; give execute() a stdin hook.");
      const value: unknown = await this.#stdin(prompt, { password, signal: asking.signal });
      if (asking.signal.aborted) return;
      if (typeof value !== "string") throw new KernelError("A stdin hook must return a string.");
      this.#asking = undefined;
      this.#client.answer(question, value);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#client.takeBack(this, error, "failed");
    }
  }
}
