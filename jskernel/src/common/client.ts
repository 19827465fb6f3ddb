/**
 * Client: many requests outstanding, every reply and every output to its owner; the same class on every transport.
 *
 * `protocol.ts` decides whose a message is; this gives it to its owner. No call touches a connection, and no user code
 * is awaited by who reads.
 */

import { Comms } from "./comms.js";
import { Debugger } from "./debugger.js";
import type { Progress } from "./envelope.js";
import {
  ClientClosedError,
  ClosedError,
  KernelDiedError,
  KernelError,
  KernelRestartedError,
  KernelTimeoutError,
} from "./errors.js";
import { Execution } from "./execution.js";
import type { ExecutionState, StdinHook } from "./execution.js";
import { callHook } from "./hooks.js";
import { checkTimeout, MAX_DELAY, within } from "./limits.js";
import type { Limits } from "./limits.js";
import { isObject } from "./message.js";
import type { Message } from "./message.js";
import { isOutputType } from "./output.js";
import type { Output } from "./output.js";
import { ClientProtocol } from "./protocol.js";
import type { MessageOptions, Pending, ProtocolEvent, TimeLimit } from "./protocol.js";
import type { CommInfo, Completeness, Completions, History, Inspection, Job, KernelInfo } from "./replies.js";
import { Subscription } from "./subscription.js";
import type { ClientTransport } from "./transport.js";

/**
 * `unresponsive`: nothing has come for three seconds, though more than a cell was asked for (a kernel that computes where
 * it cannot answer meanwhile, say); it may come back. `dead`: `start` connects again, `restart` makes a fresh kernel.
 */
export type ClientState = "starting" | "idle" | "busy" | "unresponsive" | "restarting" | "dead" | "closed";

/** What `Client.on` tells of. */
export interface ClientEvents {
  /** The state has changed; where it is `dead` or `closed`, `Client.failure` says why. */
  state: ClientState;
  /** How far a start is. */
  progress: Progress;
}

export interface ExecuteOptions extends Limits, Omit<MessageOptions, "buffers" | "owner"> {
  /** Answers what the cell asks; without it `input()` raises in the cell. */
  stdin?: StdinHook | undefined;
  /** What becomes of the cell itself when its time is over: it goes on, or is interrupted. */
  onTimeout?: "abandon" | "interrupt" | undefined;
  /** Show no result, count no number, keep no history. */
  silent?: boolean | undefined;
  /** By default true. */
  storeHistory?: boolean | undefined;
  /** Expressions by name, to be evaluated after the cell. */
  userExpressions?: Record<string, string> | undefined;
  /** Does an error abort the cells queued behind it? By default true. */
  stopOnError?: boolean | undefined;
  /** `task` runs the cell beside the others, on the kernel's event loop, `thread` on a thread of its own. */
  mode?: "queue" | "task" | "thread" | undefined;
  /** Names the thread, whose cells run one after the other. */
  thread?: string | undefined;
  /** Milliseconds from the cell's start on, after which the kernel ends it: its result is an error, CellTimeoutError. */
  deadlineMs?: number | undefined;
}

/** Limits of a call, and where it goes. */
export interface RequestOptions extends Limits, Omit<MessageOptions, "msgId"> {}

export interface HistoryOptions extends Limits {
  raw?: boolean;
  output?: boolean;
  /** For `range`: of which session, from which line, up to (without) which. */
  session?: number;
  start?: number;
  stop?: number;
  /** For `tail` and `search`: how many. */
  n?: number;
  /** For `search`: a glob, and whether entries that are equal come once. */
  pattern?: string;
  unique?: boolean;
}

/** Milliseconds without any message, after which a kernel that was asked something is called unresponsive. */
const UNRESPONSIVE = 3000;

/** What a pending call fails with, given the outputs that it has had. */
type Failure = (outputs: readonly Output[]) => KernelError;

/** A connection to one kernel: `start` it, and `close` it. */
export class Client {
  /** Open comms here, and register targets. */
  readonly comms: Comms = new Comms(this);
  /** Breakpoints, and what has stopped there. */
  readonly debugger: Debugger = new Debugger(this);

  #transport: ClientTransport;
  #protocol = new ClientProtocol();
  #info: KernelInfo | undefined;
  #stage: "new" | "starting" | "up" | "restarting" | "dead" | "closed" = "new";
  /** Why calls cannot be made. */
  #failure: KernelError | undefined = new ClosedError("The client is not started; call start() first.");
  /** Settles when the kernel has come up, if it is to. */
  #coming: Promise<void> | undefined;
  #state: ClientState = "starting";
  #executions = new Map<string, Execution>();
  /** Those that have ended: what comes late is theirs, as long as somebody has them. */
  #ended = new Map<string, WeakRef<Execution>>();
  #gone = new FinalizationRegistry<string>((id) => {
    if (this.#ended.get(id)?.deref() === undefined) this.#ended.delete(id);
  });
  /** Those that somebody follows. */
  #followed = new Set<Execution>();
  /** The protocol's next deadline, its timer, and the time up to which it was told. */
  #deadline = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** How many watch the jobs. */
  #watching = 0;
  #told = 0;
  #requests = new Map<string, { resolve: (reply: Message) => void; reject: (error: unknown) => void }>();
  #subscriptions = new Set<Subscription>();
  /** What was sent before the kernel came up, and goes to it then. */
  #outbox: Message[] | undefined;
  #attempts = 0;
  /** The cells, of any client, that run. */
  #busy = new Set<string>();
  #silent = false;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #listeners: { [Name in keyof ClientEvents]: Set<(value: ClientEvents[Name]) => unknown> } = {
    state: new Set(),
    progress: new Set(),
  };

  constructor(transport: ClientTransport) {
    this.#transport = transport;
  }

  // ---- its life

  /**
   * Connect and wait until the kernel answers; calls may be made from now on, and wait with it. Harmless if repeated.
   * After a death it starts a fresh kernel where the old one has gone with its worker, and else connects to it again.
   *
   * Rejects with KernelError where there is no kernel to be had, KernelTimeoutError after `timeoutMs`.
   */
  async start(limits: Limits = {}): Promise<this> {
    limits.signal?.throwIfAborted();
    checkTimeout(limits.timeoutMs);
    if (this.#stage === "closed") this.#check();
    this.#coming ??= this.#bringUp("starting", limits, () =>
      this.#transport.start({
        message: (message) => this.#deliver(message),
        progress: (progress) => this.#emit("progress", progress),
        lost: (error) => this.#lost(error),
      }),
    );
    await this.#coming;
    return this;
  }

  /**
   * Put a fresh kernel in the place of this one, dead or alive, and go on with it. Calls that are pending reject with
   * KernelRestartedError; those made from now on are for the new one.
   */
  async restart(limits: Limits = {}): Promise<void> {
    limits.signal?.throwIfAborted();
    checkTimeout(limits.timeoutMs);
    if (this.#stage === "new" || this.#stage === "closed") this.#check();
    if (this.#stage !== "restarting") {
      this.#fail((outputs) => new KernelRestartedError("The kernel was restarted.", outputs));
      this.#coming = this.#bringUp("restarting", limits, () => this.#transport.restart());
    }
    await this.#coming;
  }

  /**
   * Disconnect. A kernel that was started with this client ends; another goes on. Calls that are pending reject with
   * ClientClosedError.
   */
  async close(): Promise<void> {
    this.#end("closed", () => new ClientClosedError("The client was closed."));
    await this.#transport.close();
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Why calls cannot be made, where the state is `dead` or `closed`, or the client was never started. */
  get failure(): KernelError | undefined {
    return this.#failure;
  }

  /** What the kernel has said of itself. */
  get info(): KernelInfo | undefined {
    return this.#info;
  }

  /** The session id in the headers of all that this client sends. */
  get session(): string {
    return this.#protocol.session;
  }

  /** Can the kernel interrupt one cell, and no other? Laneway's can. */
  get aims(): boolean {
    return this.#protocol.aims;
  }

  /** How many requests are under way. */
  get pending(): number {
    return this.#protocol.size;
  }

  /** How many messages of the kernel were dropped, because they belonged to nobody or were not what they should be. */
  get unclaimed(): number {
    return this.#protocol.unclaimed;
  }

  /** Call `listener` whenever this happens; returns how to end it. */
  on<Name extends keyof ClientEvents>(
    name: Name,
    listener: (value: ClientEvents[Name]) => unknown,
  ): () => void {
    const listeners = this.#listeners[name];
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  // ---- cells

  /**
   * Send a cell, at once; await its `done` for its result, or iterate it for its outputs.
   *
   * After `timeoutMs` the execution fails with KernelTimeoutError; what becomes of the cell then is for `onTimeout` to
   * say. An abort of `signal` takes the cell back, as `Execution.cancel` does, and the execution fails with the signal's
   * reason.
   *
   * Throws RangeError where `msgId` is pending already or `timeoutMs` is no time, TypeError where something has no JSON form, and what ended the
   * client where it has ended.
   */
  execute(code: string, options: ExecuteOptions = {}): Execution {
    const { stdin, signal, timeoutMs, channel, subshell, msgId } = options;
    signal?.throwIfAborted();
    const content = {
      code,
      silent: options.silent ?? false,
      store_history: options.storeHistory ?? true,
      user_expressions: options.userExpressions ?? {},
      allow_stdin: stdin !== undefined,
      stop_on_error: options.stopOnError ?? true,
    };
    const sent = { channel, subshell, msgId, metadata: withMode(options) };
    const limit = { timeoutMs, interrupt: options.onTimeout === "interrupt" };
    const pending = this.#file("execute_request", content, sent, limit);
    const execution = new Execution(this, pending, stdin);
    this.#executions.set(pending.id, execution);
    try {
      this.#send(pending.request);
    } catch (error) {
      this.#forget(execution);
      throw error;
    }
    if (signal) {
      const abort = () => this.takeBack(execution, signal.reason, "cancelled");
      signal.addEventListener("abort", abort);
      execution.onEnd(() => signal.removeEventListener("abort", abort));
    }
    return execution;
  }

  /** Interrupt what runs; with `msgId` only that cell, also one that is queued. */
  async interrupt(msgId?: string, limits: Limits = {}): Promise<void> {
    const metadata = msgId === undefined ? {} : { laneway: { msg_id: msgId } };
    if (this.#mayBeOvertaken(msgId)) await this.kernelInfo(limits);
    await this.request("interrupt_request", {}, { ...limits, channel: "control", metadata });
  }

  // ---- requests

  /**
   * Send any request, at once, and return its reply, whatever its status. Rejects with KernelTimeoutError after
   * `timeoutMs`, with the reason of `signal` when that is aborted, and as `execute` throws.
   */
  async request(
    msgType: string,
    content: Message["content"],
    options: RequestOptions = {},
  ): Promise<Message> {
    return await this.#exchange(msgType, content, options, (message) => this.#send(message));
  }

  /** What the kernel is and can. */
  kernelInfo(options?: RequestOptions): Promise<KernelInfo> {
    return this.#ask("kernel_info_request", {}, options);
  }

  /** What `code` can be completed with at `cursorPos`, in code points, by default its end. */
  complete(code: string, cursorPos = [...code].length, options?: RequestOptions): Promise<Completions> {
    return this.#ask("complete_request", { code, cursor_pos: cursorPos }, options);
  }

  /** What stands at `cursorPos`, in code points, by default the end of `code`; level 1 shows sources as well. */
  inspect(
    code: string,
    cursorPos = [...code].length,
    detailLevel: 0 | 1 = 0,
    options?: RequestOptions,
  ): Promise<Inspection> {
    return this.#ask("inspect_request", { code, cursor_pos: cursorPos, detail_level: detailLevel }, options);
  }

  /** Is `code` whole, or does another line belong to it? */
  async isComplete(code: string, options?: RequestOptions): Promise<Completeness> {
    const reply = await this.request("is_complete_request", { code }, options);
    return reply.content as unknown as Completeness;
  }

  /** What was run before. */
  history(access: "range" | "tail" | "search" = "tail", options: HistoryOptions = {}): Promise<History> {
    const { timeoutMs, signal, ...fields } = options;
    const content = { hist_access_type: access, raw: true, output: false, ...fields };
    return this.#ask("history_request", content, { timeoutMs, signal });
  }

  /** The comms that are open in the kernel. */
  commInfo(targetName?: string, options?: RequestOptions): Promise<CommInfo> {
    const content = targetName === undefined ? {} : { target_name: targetName };
    return this.#ask("comm_info_request", content, options);
  }

  /** The content of the debug_reply to a request of the Debug Adapter Protocol; see `debugger` for its commands. */
  async debug(request: Record<string, unknown>, options?: Limits): Promise<Record<string, unknown>> {
    return (await this.request("debug_request", request, { ...options, channel: "control" })).content;
  }

  /** Open a subshell (JEP 91) and return its id, for `execute`. Rejects with KernelError where the kernel has none. */
  async createSubshell(options?: Limits): Promise<string> {
    const reply = await this.#control<{ subshell_id: string }>("create_subshell_request", {}, options);
    return reply.subshell_id;
  }

  /** Close a subshell; a cell that runs there is interrupted. */
  async deleteSubshell(subshellId: string, options?: Limits): Promise<void> {
    await this.#control("delete_subshell_request", { subshell_id: subshellId }, options);
  }

  /** The ids of the open subshells. */
  async listSubshells(options?: Limits): Promise<string[]> {
    const reply = await this.#control<{ subshell_id: string[] }>("list_subshell_request", {}, options);
    return reply.subshell_id;
  }

  /**
   * What runs and what is queued in the kernel, of whatever client. With `watch` the kernel publishes `job_event` from
   * now on, or not any more; see `watchJobs`.
   */
  async jobs({ watch, ...limits }: Limits & { watch?: boolean } = {}): Promise<Job[]> {
    const content = watch === undefined ? {} : { watch };
    return (await this.#control<{ jobs: Job[] }>("list_jobs_request", content, limits)).jobs;
  }

  /**
   * End this job (a cell's `id` is its `msgId`), and no other, and insist on it. Rejects with KernelError where there is
   * none.
   */
  async cancel(jobId: string, limits?: Limits): Promise<void> {
    if (this.#mayBeOvertaken(jobId)) await this.kernelInfo(limits);
    await this.#control("cancel_job_request", { job_id: jobId }, limits);
  }

  /** The jobs that there are, then each cell and hook whenever its state changes, `ended` included. */
  async *watchJobs(): AsyncGenerator<Job, void> {
    const changes = this.subscribe((message) => message.header.msg_type === "job_event");
    this.#watching++;
    try {
      yield* await this.jobs({ watch: true });
      for await (const message of changes) yield message.content as unknown as Job;
    } finally {
      changes.close();
      if (--this.#watching === 0 && !this.#failure) await this.jobs({ watch: false });
    }
  }

  /** Ask the kernel to end, and wait for its answer. */
  async shutdown(options?: Limits): Promise<void> {
    await this.#control("shutdown_request", { restart: false }, options);
  }

  // ---- messages

  /** Send a message that gets no reply (comm messages) and return it. Throws as `execute` does. */
  post(msgType: string, content: Message["content"], options: MessageOptions = {}): Message {
    this.#check();
    const message = this.#protocol.message(msgType, content, options);
    this.#send(message);
    return message;
  }

  /** Send the input_reply to an input_request. */
  answer(question: Message, value: string): void {
    this.#transport.send(this.#protocol.answer(question, value));
  }

  /**
   * A copy of what the kernel sends from now on (all channels), where `wanted(message)`; independent of everything else.
   *
   * What `wanted` throws ends it, and is thrown to who reads it. Where it is not read in time, it keeps `maxsize`
   * messages, MAX_OUTPUT bytes at most: the oldest are dropped, and counted, but never replies, questions, statuses and
   * errors.
   */
  subscribe(wanted: (message: Message) => boolean = () => true, maxsize = 10_000): Subscription {
    const subscription: Subscription = new Subscription(wanted, maxsize, () =>
      this.#subscriptions.delete(subscription),
    );
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /** @internal The error of an execution whose time is over. */
  timedOut({ phase, elapsedMs, outputs }: Execution): KernelTimeoutError {
    return new KernelTimeoutError("execute_request", phase, elapsedMs, [...outputs]);
  }

  /** @internal Keep it as long as somebody follows it, also where nobody else has it. */
  follow(execution: Execution, follows: boolean): void {
    if (follows) this.#followed.add(execution);
    else this.#followed.delete(execution);
  }

  /** @internal What comes late is not wanted any more. */
  release(execution: Execution): void {
    const { msgId } = execution;
    if (this.#ended.get(msgId)?.deref() === execution) this.#ended.delete(msgId);
  }

  /** @internal Take back an execution that was not sent yet; false where it was. */
  withdraw(execution: Execution): boolean {
    const waited = this.#unsend(execution.pending.request);
    if (waited) this.#forget(execution);
    return waited;
  }

  // ---- from the transport

  #deliver(message: Message): void {
    this.#heard();
    for (const subscription of [...this.#subscriptions]) subscription.offer(message);
    this.#handle(this.#protocol.receive(message, this.#now()));
    if (message.header.msg_type === "status" && isObject(message.content)) this.#noteStatus(message);
  }

  /** What goes wrong with one message, or with what it belongs to, disturbs nothing else. */
  #handle(events: ProtocolEvent[]): void {
    for (const event of events) callHook(() => this.#dispatch(event));
    this.#setTimer();
  }

  #dispatch(event: ProtocolEvent): void {
    const execution = event.pending && this.#executions.get(event.pending.id);
    switch (event.type) {
      case "busy":
        execution?.begin();
        break;
      case "published":
        this.#published(event.message);
        break;
      case "inputRequested":
        execution?.ask(event.message);
        break;
      case "replied":
        this.#requests.get(event.pending.id)?.resolve(event.message);
        break;
      case "done":
        this.#executions.delete(event.pending.id);
        if (execution) this.#finish(execution);
        break;
      case "failed":
        this.#executions.delete(event.pending.id);
        if (event.pending.interrupt) this.#unsend(event.pending.request);
        this.#requests.get(event.pending.id)?.reject(event.error);
        execution?.expire(event.error);
        break;
      case "overdue":
        execution?.giveUp("abandoned");
        this.interrupt(event.pending.id).catch(() => undefined);
        break;
    }
  }

  #published(message: Message): void {
    const type = message.header.msg_type;
    const owner = this.#owner(message);
    if (isOutputType(type)) {
      if (owner && !owner.add(message)) this.#protocol.unclaimed++;
    } else if (type.startsWith("comm_")) {
      this.comms.receive(message, owner);
    } else if (type === "debug_event" && isObject(message.content)) {
      this.debugger.receive(message);
    }
  }

  /** Whose it is: of the cell that caused it, or of the one that has sent the comm message which did. */
  #owner({ parent_header: { msg_id: id = "" } }: Message): Execution | undefined {
    const find = (id: string) => this.#executions.get(id) ?? this.#ended.get(id)?.deref();
    return find(id) ?? find(id.slice(0, Math.max(0, id.lastIndexOf("."))));
  }

  #finish(execution: Execution): void {
    const { msgId } = execution;
    this.#ended.set(msgId, new WeakRef(execution));
    this.#gone.register(execution, msgId);
    execution.finish();
  }

  /** Cells make a kernel busy, what is answered beside them does not. A server says `restarting`, `dead`. */
  #noteStatus({ parent_header: parent, content }: Message): void {
    const state = content.execution_state;
    if (state === "restarting" || state === "autorestarting") {
      if (this.#stage === "up") {
        this.#fail((outputs) => new KernelRestartedError("The kernel was restarted.", outputs));
      }
    } else if (state === "dead") {
      this.#lost(new KernelDiedError("The kernel has died; its server does not say why."));
    } else if (parent.msg_id && parent.msg_type === "execute_request") {
      if (state === "busy") this.#busy.add(parent.msg_id);
      else this.#busy.delete(parent.msg_id);
    }
    this.#update();
  }

  #lost(error: KernelError): void {
    this.#end("dead", (outputs) => new KernelDiedError(error.message, outputs));
  }

  // ---- within

  async #bringUp(
    stage: "starting" | "restarting",
    limits: Limits,
    connect: () => Promise<void>,
  ): Promise<void> {
    const attempt = ++this.#attempts;
    this.#stage = stage;
    this.#failure = undefined;
    this.#outbox = [];
    this.#update();
    const began = performance.now();
    const come = async () => {
      await connect();
      const reply = await this.#exchange("kernel_info_request", {}, {}, (message) =>
        this.#transport.send(message),
      );
      return reply.content as unknown as KernelInfo;
    };
    try {
      const info = await within(come(), limits, () => {
        return new KernelTimeoutError("kernel_info_request", "queued", performance.now() - began);
      });
      this.#checkAttempt(attempt, stage);
      this.#info = info;
      this.#protocol.aims = info.laneway !== undefined;
      this.#stage = "up";
      this.#empty();
      this.#update();
    } catch (error) {
      this.#checkAttempt(attempt, stage);
      const failure =
        error instanceof KernelError
          ? error
          : new KernelDiedError(`The kernel was not waited for: ${String(error)}`);
      this.#end("dead", () => failure);
      // a kernel that was there may be reached again
      if (!this.#info) await this.#transport.close();
      throw error;
    }
  }

  /** Throws where a close, a death or a restart has come between. */
  #checkAttempt(attempt: number, stage: "starting" | "restarting"): void {
    if (attempt === this.#attempts && this.#stage === stage) return;
    throw this.#failure ?? new KernelRestartedError("The kernel was restarted.");
  }

  #file(
    msgType: string,
    content: Message["content"],
    options: MessageOptions,
    limit: TimeLimit = {},
  ): Pending {
    this.#check();
    const pending = this.#protocol.request(msgType, content, options, this.#now(), limit);
    this.#setTimer();
    return pending;
  }

  async #exchange(
    msgType: string,
    content: Message["content"],
    options: RequestOptions,
    send: (message: Message) => void,
  ): Promise<Message> {
    const { signal, timeoutMs } = options;
    signal?.throwIfAborted();
    const pending = this.#file(msgType, content, options, { timeoutMs });
    try {
      const reply = new Promise<Message>((resolve, reject) =>
        this.#requests.set(pending.id, { resolve, reject }),
      );
      send(pending.request);
      this.#listen();
      return await within(reply, { signal });
    } finally {
      this.#unsend(pending.request);
      this.#requests.delete(pending.id);
      this.#protocol.forget(pending);
      this.#setTimer();
    }
  }

  #send(message: Message): void {
    if (this.#outbox) this.#outbox.push(message);
    else this.#transport.send(message);
  }

  /** Nobody wants it any more; false where it was sent already. */
  #unsend(message: Message): boolean {
    const position = this.#outbox?.indexOf(message) ?? -1;
    if (position >= 0) this.#outbox?.splice(position, 1);
    return position >= 0;
  }

  /** Send what waits; what cannot be sent fails its own call. */
  #empty(): void {
    const waiting = this.#outbox ?? [];
    this.#outbox = undefined;
    for (const message of waiting) {
      try {
        this.#transport.send(message);
      } catch (error) {
        const id = message.header.msg_id;
        const execution = this.#executions.get(id);
        if (execution) this.#giveUp(execution, error, "failed");
        this.#requests.get(id)?.reject(error);
      }
    }
  }

  #check(): void {
    if (this.#failure) throw this.#failure;
  }

  /** The content of the reply, where its status is `ok`. */
  async #ask<Reply>(
    msgType: string,
    content: Message["content"],
    options: RequestOptions = {},
  ): Promise<Reply> {
    const reply = (await this.request(msgType, content, options)).content;
    if (reply.status !== "ok" && reply.status !== undefined) {
      const { evalue } = reply;
      throw new KernelError(
        typeof evalue === "string" && evalue ? evalue : "The kernel refused, without saying why.",
      );
    }
    return reply as Reply;
  }

  /**
   * May what is sent on control come to the kernel before this request? An answer on shell tells that it is there:
   * order is kept on a channel, and Laneway answers at once.
   */
  #mayBeOvertaken(msgId: string | undefined): boolean {
    const pending = msgId === undefined ? undefined : this.#executions.get(msgId)?.pending;
    if (!pending || !this.#transport.overtakes || !this.aims) return false;
    return pending.phase === "queued" && pending.request.channel === "shell";
  }

  #control<Reply>(msgType: string, content: Message["content"], limits?: Limits): Promise<Reply> {
    return this.#ask(msgType, content, { ...limits, channel: "control" });
  }

  /** @internal Interrupt the cell; the execution fails with `error` when it has ended, or after a grace. */
  takeBack(execution: Execution, error: unknown, state: ExecutionState): void {
    // where it is not aimed, an interrupt would hit another cell
    if (this.withdraw(execution) || (execution.state === "queued" && !this.aims)) {
      this.#giveUp(execution, error, state);
      return;
    }
    execution.giveUp(state);
    this.#protocol.abandon(execution.pending, error, this.#now());
    this.#setTimer();
    this.interrupt(execution.msgId).catch(() => undefined);
  }

  /** Milliseconds; never less than what the protocol was told, though timers may fire a little early. */
  #now(): number {
    return Math.max(performance.now(), this.#told);
  }

  /** One timer, for what the protocol waits for first. */
  #setTimer(): void {
    const deadline = this.#protocol.nextDeadline() ?? Infinity;
    if (deadline === this.#deadline) return;
    clearTimeout(this.#timer);
    this.#deadline = deadline;
    if (deadline === Infinity) return;
    const delay = Math.min(deadline - this.#now(), MAX_DELAY);
    const due = this.#now() + delay;
    this.#timer = setTimeout(() => {
      this.#deadline = Infinity;
      this.#told = Math.max(this.#told, due);
      this.#handle(this.#protocol.tick(this.#now()));
    }, delay);
  }

  #giveUp(execution: Execution, error: unknown, state: ExecutionState): void {
    this.#forget(execution);
    execution.fail(error, state);
  }

  #forget({ pending }: Execution): void {
    this.#executions.delete(pending.id);
    this.#protocol.forget(pending);
    this.#setTimer();
  }

  #end(stage: "dead" | "closed", failure: Failure): void {
    if (this.#stage === "closed" || this.#stage === stage) return;
    this.#stage = stage;
    this.#failure = failure([]);
    this.#coming = undefined;
    this.#fail(failure);
    this.#update();
    if (stage === "closed") for (const subscription of [...this.#subscriptions]) subscription.close();
  }

  /** Fail all that is pending. */
  #fail(failure: Failure): void {
    this.#busy.clear();
    const executions = [...this.#executions.values()];
    this.#executions.clear();
    for (const execution of executions) execution.fail(failure([...execution.outputs]));
    for (const { reject } of this.#requests.values()) reject(failure([]));
    this.#requests.clear();
    for (const pending of this.#protocol.pending) this.#protocol.forget(pending);
    this.#setTimer();
    for (const execution of [...this.#followed]) execution.release();
    this.#ended.clear();
    this.comms.end();
    this.debugger.end();
    this.#outbox = undefined;
    clearTimeout(this.#silence);
    this.#silence = undefined;
    this.#silent = false;
  }

  #heard(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
    this.#listen();
    if (!this.#silent) return;
    this.#silent = false;
    this.#update();
  }

  /** Count the silence, if something is to come. */
  #listen(): void {
    if (this.#requests.size === 0) return;
    this.#silence ??= setTimeout(() => {
      this.#silent = this.#requests.size > 0;
      this.#silence = undefined;
      this.#update();
    }, UNRESPONSIVE);
  }

  #update(): void {
    const state = this.#presentState();
    if (state === this.#state) return;
    this.#state = state;
    this.#emit("state", state);
  }

  #presentState(): ClientState {
    if (this.#stage === "new") return "starting";
    if (this.#stage !== "up") return this.#stage;
    if (this.#silent) return "unresponsive";
    return this.#busy.size > 0 ? "busy" : "idle";
  }

  #emit<Name extends keyof ClientEvents>(name: Name, value: ClientEvents[Name]): void {
    for (const listener of [...this.#listeners[name]]) callHook(listener, value);
  }
}

/** The metadata of a cell, in which its mode and the options of that are. */
function withMode({ mode, thread, deadlineMs, metadata = {} }: ExecuteOptions): Record<string, unknown> {
  const laneway = {
    ...(mode !== undefined && { mode }),
    ...(thread !== undefined && { name: thread }),
    ...(deadlineMs !== undefined && { timeout: deadlineMs / 1000 }),
  };
  if (Object.keys(laneway).length === 0) return metadata;
  return { ...metadata, laneway: { ...(metadata.laneway as object | undefined), ...laneway } };
}
