/** Execution: one cell that runs somewhere, as its caller sees it. */

import type { Client } from "./client.js";
import { KernelError } from "./errors.js";
import type { Phase } from "./errors.js";
import { within } from "./limits.js";
import type { Limits } from "./limits.js";
import type { Message } from "./message.js";
import { joined, sizeOf, toOutput } from "./output.js";
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

/** Bytes of output (roughly) that an execution keeps; what comes after that is counted in `dropped`. */
export const MAX_OUTPUT = 64 * 2 ** 20;

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

  /** All that was written to it. */
  get stdout(): string {
    return this.#stream("stdout");
  }

  /** All that was written to it. */
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
 * Await it for the result, any number of times; iterate it, any number of times, for the outputs from the first on, as
 * they come. It may fail with nobody waiting.
 */
export class Execution implements PromiseLike<ExecResult>, AsyncIterable<Output> {
  /** What has come so far. */
  readonly outputs: Output[] = [];
  /** How many outputs were not kept, see MAX_OUTPUT. */
  dropped = 0;

  /** Settles when the kernel has begun with it, or it has ended. */
  readonly started: Promise<void>;
  /** @internal The request, as it is filed. */
  readonly pending: Pending;

  #client: Client;
  #stdin: StdinHook | undefined;
  #state: ExecutionState = "queued";
  #began = performance.now();
  /** Ends the question that is open. */
  #asking: AbortController | undefined;
  /** What it fails with when it has ended, and its state then. */
  #failure: { error: unknown; state: ExecutionState } | undefined;
  #size = 0;
  #readers: (() => void)[] = [];
  #cleanups: (() => void)[] = [];
  #settled = false;
  #start!: () => void;
  #settle!: { resolve: (result: ExecResult) => void; reject: (error: unknown) => void };
  #promise: Promise<ExecResult>;

  /** @internal */
  constructor(client: Client, pending: Pending, stdin: StdinHook | undefined) {
    this.#client = client;
    this.pending = pending;
    this.#stdin = stdin;
    this.started = new Promise((resolve) => (this.#start = resolve));
    this.#promise = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.#promise.catch(() => undefined);
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

  then<Result = ExecResult, Failure = never>(
    fulfilled?: ((result: ExecResult) => Result | PromiseLike<Result>) | null,
    rejected?: ((error: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure> {
    return this.#promise.then(fulfilled, rejected);
  }

  /** The outputs from the first on; ends, or throws, with the execution. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Output, void, undefined> {
    let position = 0;
    for (;;) {
      const fresh = this.outputs.slice(position);
      position += fresh.length;
      yield* fresh;
      if (position < this.outputs.length) continue;
      if (this.#settled) {
        await this.#promise;
        return;
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
      .then(() => this.#promise)
      .catch(() => this.#promise.catch(() => undefined));
    await within(ended, limits, () => this.#client.timedOut(this));
  }

  /** @internal What is being waited for. */
  get phase(): Phase {
    if (this.#asking) return "awaiting stdin";
    if (this.pending.reply) return "awaiting idle";
    return this.pending.busy ? "running" : "queued";
  }

  /** @internal How many outputs have come. */
  get received(): number {
    return this.outputs.length + this.dropped;
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
    this.#size += sizeOf(output);
    if (this.#size > MAX_OUTPUT) this.dropped++;
    else this.outputs.push(output);
    this.#wake();
    return true;
  }

  /** @internal Its code asks for a line. */
  ask(question: Message): void {
    this.#asking?.abort();
    this.#asking = new AbortController();
    void this.#answer(question, this.#asking);
  }

  /** @internal It fails with `error` when it has ended. */
  abandon(error: unknown, state: ExecutionState): void {
    this.#failure = { error, state };
    this.#endQuestion();
  }

  /** @internal Reply and idle have come, or the time for the idle is over. */
  finish(): void {
    if (this.#failure) {
      this.fail(this.#failure.error, this.#failure.state);
      return;
    }
    if (this.#state !== "cancelled") this.#state = "done";
    const { reply, idle } = this.pending;
    const result = new ExecResult(joined(this.outputs), reply?.content ?? {}, idle, this.dropped);
    this.#end(() => this.#settle.resolve(result));
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
      this.#asking = undefined;
      this.#failure = { error, state: "failed" };
      await this.#client.interrupt(this.msgId).catch(() => undefined);
    }
  }
}
