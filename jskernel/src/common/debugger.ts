/**
 * Debugger: the requests of the Debug Adapter Protocol (DAP) as calls, its events as they come.
 *
 *     attach                     a kernel has one debugger: of several clients the one that attached last has it
 *     dumpCell, setBreakpoints   in a cell they are set at the path that its code has
 *     Client.execute             -> event `stopped`
 *     stackTrace, scopes, variables, evaluate ...
 *     next ... continue          it goes on, and may stop again
 *     disconnect                 what is stopped goes on, and nothing stops any more
 *
 * Source: messaging spec 5.5, "Debug request" and "Additions to the DAP"; the types are DAP's own.
 */

import type { Client } from "./client.js";
import type { DebugProtocol } from "./dap.js";
import { DebugError } from "./errors.js";
import { callHook } from "./hooks.js";
import type { Limits } from "./limits.js";
import type { Message } from "./message.js";
import type { MimeBundle } from "./output.js";
import type { Subscription } from "./subscription.js";

export type { DebugProtocol } from "./dap.js";

/** What a kernel's debugger says of itself. */
export interface DebugInfo {
  /** Has a front end attached? */
  isStarted: boolean;
  hashMethod: string;
  hashSeed: number;
  /** A cell's path is prefix, hash of its code, suffix. */
  tmpFilePrefix: string;
  tmpFileSuffix: string;
  breakpoints: { source: string; breakpoints: DebugProtocol.SourceBreakpoint[] }[];
  stoppedThreads: number[];
  richRendering?: boolean;
  copyToGlobals?: boolean;
  exceptionPaths: string[];
}

/** Command -> what it takes, and the body of its response. */
export interface DebugCommands {
  debugInfo: [Empty, DebugInfo];
  dumpCell: [{ code: string }, { sourcePath: string }];
  inspectVariables: [Empty, { variables: DebugProtocol.Variable[] }];
  richInspectVariables: [{ variableName: string; frameId?: number | undefined }, RichVariable];
  copyToGlobals: [{ srcVariableName: string; dstVariableName: string; srcFrameId: number }, unknown];
  initialize: [DebugProtocol.InitializeRequestArguments, DebugProtocol.Capabilities];
  attach: [{ justMyCode?: boolean }, unknown];
  configurationDone: [Empty, unknown];
  disconnect: [DebugProtocol.DisconnectArguments, unknown];
  threads: [Empty, { threads: DebugProtocol.Thread[] }];
  modules: [DebugProtocol.ModulesArguments, { modules: DebugProtocol.Module[]; totalModules?: number }];
  source: [{ source: DebugProtocol.Source; sourceReference?: number }, { content: string }];
  setBreakpoints: [DebugProtocol.SetBreakpointsArguments, Breakpoints];
  setFunctionBreakpoints: [DebugProtocol.SetFunctionBreakpointsArguments, Breakpoints];
  setExceptionBreakpoints: [DebugProtocol.SetExceptionBreakpointsArguments, Partial<Breakpoints>];
  pause: [Thread, unknown];
  stackTrace: [DebugProtocol.StackTraceArguments, DebugProtocol.StackTraceResponse["body"]];
  scopes: [DebugProtocol.ScopesArguments, { scopes: DebugProtocol.Scope[] }];
  variables: [DebugProtocol.VariablesArguments, { variables: DebugProtocol.Variable[] }];
  exceptionInfo: [Thread, DebugProtocol.ExceptionInfoResponse["body"]];
  evaluate: [DebugProtocol.EvaluateArguments, DebugProtocol.EvaluateResponse["body"]];
  completions: [DebugProtocol.CompletionsArguments, { targets: DebugProtocol.CompletionItem[] }];
  setVariable: [DebugProtocol.SetVariableArguments, DebugProtocol.SetVariableResponse["body"]];
  setExpression: [DebugProtocol.SetExpressionArguments, DebugProtocol.SetExpressionResponse["body"]];
  continue: [Thread, { allThreadsContinued?: boolean }];
  next: [Thread, unknown];
  stepIn: [Thread, unknown];
  stepOut: [Thread, unknown];
}

export type DebugCommand = keyof DebugCommands;
type Arguments<Command extends DebugCommand> = DebugCommands[Command][0];
type Body<Command extends DebugCommand> = DebugCommands[Command][1];
type Empty = Record<string, never>;
type Thread = { threadId: number };
type Breakpoints = { breakpoints: DebugProtocol.Breakpoint[] };

/** A variable as a cell would show it. */
export interface RichVariable {
  data: MimeBundle;
  metadata: Record<string, unknown>;
}

/** Event -> its body; what a kernel leaves out is `undefined`. */
export interface DebugEvents {
  initialized: undefined;
  stopped: DebugProtocol.StoppedEvent["body"];
  continued: DebugProtocol.ContinuedEvent["body"];
  /** What a log point has said. */
  output: DebugProtocol.OutputEvent["body"];
  terminated: DebugProtocol.TerminatedEvent["body"];
  thread: DebugProtocol.ThreadEvent["body"];
  breakpoint: DebugProtocol.BreakpointEvent["body"];
  module: DebugProtocol.ModuleEvent["body"];
  exited: DebugProtocol.ExitedEvent["body"];
}

export type DebugEventName = keyof DebugEvents;

/** An event, as `Debugger.events` gives it. */
export type DebugEvent<Name extends DebugEventName = DebugEventName> = {
  [Each in Name]: { event: Each; body: DebugEvents[Each] };
}[Name];

/** Limits of a call, and of which thread it is; by default of the one that has stopped last, else of the main one. */
export interface ThreadOptions extends Limits {
  threadId?: number | undefined;
}

export interface AttachOptions extends Limits {
  /** Stop in the reader's code only, not in libraries; by default true. */
  justMyCode?: boolean | undefined;
}

export interface StackOptions extends ThreadOptions {
  /** The first frame that is wanted, and how many, from the innermost on. */
  startFrame?: number | undefined;
  levels?: number | undefined;
}

export interface VariablesOptions extends Limits {
  /** Which members of a container, and from which on how many; without `count` a container's are not all given. */
  filter?: "indexed" | "named" | undefined;
  start?: number | undefined;
  count?: number | undefined;
}

/** Limits of a call, and the frame that it is about; without one the cells' own names. */
export interface FrameOptions extends Limits {
  frameId?: number | undefined;
}

export interface EvaluateOptions extends FrameOptions {
  /** `repl`, the default, takes statements as well; `hover`, `watch` and `variables` take an expression. */
  context?: "repl" | "hover" | "watch" | "variables" | undefined;
}

export interface CompletionsOptions extends FrameOptions {
  /** Where in the text, both from 1 on; by default at its end. */
  line?: number | undefined;
  column?: number | undefined;
}

const MAIN_THREAD = 1;

/**
 * The debugger of a client's kernel: `Client.debugger`. Calls reject with DebugError where the kernel refuses, as it
 * does before `attach`, and else as `Client.request` does.
 */
export class Debugger {
  #client: Client;
  #seq = 0;
  #attached = false;
  /** By thread, the one that has stopped last at the end. */
  #stopped = new Map<number, DebugEvents["stopped"]>();
  #listeners = new Map<DebugEventName, Set<(body: never) => unknown>>();

  /** @internal */
  constructor(client: Client) {
    this.#client = client;
  }

  // ---- who is there

  /** Has this client attached, and not disconnected since? */
  get attached(): boolean {
    return this.#attached;
  }

  /** What has stopped, by thread; the last one has stopped last. */
  get stopped(): ReadonlyMap<number, DebugEvents["stopped"]> {
    return this.#stopped;
  }

  /** Begin, or begin anew: from now on code stops at breakpoints. Resolves with what the kernel's debugger can. */
  async attach({ justMyCode = true, ...limits }: AttachOptions = {}): Promise<DebugProtocol.Capabilities> {
    const info = this.#client.info ?? (await this.#client.kernelInfo(limits));
    const { supported_features: features = [], debugger: has } = info;
    // a kernel that knows no debug_request would not answer; ours says why it has none
    if (info.laneway === undefined && has !== true && !features.includes("debugger")) {
      throw new DebugError(`The kernel ${info.implementation} has no debugger.`, "initialize");
    }
    this.#forget();
    const capabilities = await this.request(
      "initialize",
      {
        clientID: "laneway",
        clientName: "Laneway",
        adapterID: "",
        pathFormat: "path",
        linesStartAt1: true,
        columnsStartAt1: true,
        supportsVariableType: true,
        supportsVariablePaging: true,
        supportsRunInTerminalRequest: false,
        locale: "en",
      },
      limits,
    );
    await this.request("attach", { justMyCode }, limits);
    this.#attached = true;
    return capabilities;
  }

  /** End: what is stopped goes on, and breakpoints are gone. */
  async disconnect(limits?: Limits): Promise<void> {
    await this.request("disconnect", { restart: false, terminateDebuggee: false }, limits);
    this.#forget();
  }

  /** What is stopped goes on, breakpoints are gone, and the debugger stays: JupyterLab's "Terminate". */
  async terminate(options?: AttachOptions): Promise<void> {
    await this.disconnect(options);
    await this.attach(options);
  }

  /** What the kernel's debugger is, and knows; also before `attach`. */
  info(limits?: Limits): Promise<DebugInfo> {
    return this.request("debugInfo", {}, limits);
  }

  // ---- where to stop

  /** The path of a cell with this code, for `setBreakpoints`; a frame of the cell names it, too. */
  async dumpCell(code: string, limits?: Limits): Promise<string> {
    return (await this.request("dumpCell", { code }, limits)).sourcePath;
  }

  /**
   * Set the breakpoints of a file or cell, in the place of those it had: lines from 1 on, or with a `condition`, a
   * `hitCondition` (`3`, `>= 3`, `% 3`) or a `logMessage`, in which `{expression}` is a value, and which does not stop.
   * One that is not `verified` says why in its `message`; one on a line without code moves to the next line.
   */
  async setBreakpoints(
    path: string,
    breakpoints: readonly (number | DebugProtocol.SourceBreakpoint)[],
    limits?: Limits,
  ): Promise<DebugProtocol.Breakpoint[]> {
    const wanted = breakpoints.map((point) => (typeof point === "number" ? { line: point } : point));
    const body = { source: { path }, breakpoints: wanted };
    return (await this.request("setBreakpoints", body, limits)).breakpoints;
  }

  /** Stop where these functions begin, and no others. */
  async setFunctionBreakpoints(
    functions: readonly (string | DebugProtocol.FunctionBreakpoint)[],
    limits?: Limits,
  ): Promise<DebugProtocol.Breakpoint[]> {
    const breakpoints = functions.map((point) => (typeof point === "string" ? { name: point } : point));
    return (await this.request("setFunctionBreakpoints", { breakpoints }, limits)).breakpoints;
  }

  /** Stop at exceptions: `raised`, `uncaught`, `userUnhandled`; of other kernels, see `attach`. */
  async setExceptionBreakpoints(filters: readonly string[], limits?: Limits): Promise<void> {
    await this.request("setExceptionBreakpoints", { filters: [...filters] }, limits);
  }

  // ---- what has stopped

  async threads(limits?: Limits): Promise<DebugProtocol.Thread[]> {
    return (await this.request("threads", {}, limits)).threads;
  }

  /** The frames of a thread, the innermost first. */
  async stackTrace(options: StackOptions = {}): Promise<DebugProtocol.StackFrame[]> {
    const { startFrame, levels } = options;
    const wanted = defined({ startFrame, levels });
    return (await this.request("stackTrace", { ...this.#thread(options), ...wanted }, options)).stackFrames;
  }

  async scopes(frameId: number, limits?: Limits): Promise<DebugProtocol.Scope[]> {
    return (await this.request("scopes", { frameId }, limits)).scopes;
  }

  /** The variables of a scope, or the members of a variable, by its `variablesReference`. */
  async variables(
    variablesReference: number,
    options: VariablesOptions = {},
  ): Promise<DebugProtocol.Variable[]> {
    const { filter, start, count } = options;
    const wanted = { variablesReference, ...defined({ filter, start, count }) };
    return (await this.request("variables", wanted, options)).variables;
  }

  /** The names of the cells, where nothing has stopped. */
  async inspectVariables(limits?: Limits): Promise<DebugProtocol.Variable[]> {
    return (await this.request("inspectVariables", {}, limits)).variables;
  }

  /** A variable as a cell would show it. */
  richInspectVariables(variableName: string, options: FrameOptions = {}): Promise<RichVariable> {
    return this.request("richInspectVariables", { variableName, ...frame(options) }, options);
  }

  /** Give a variable of a frame to the cells, under this name. */
  async copyToGlobals(name: string, frameId: number, as: string = name, limits?: Limits): Promise<void> {
    const content = { srcVariableName: name, dstVariableName: as, srcFrameId: frameId };
    await this.request("copyToGlobals", content, limits);
  }

  /** `value` is an expression; resolves with what it has become. */
  setVariable(
    variablesReference: number,
    name: string,
    value: string,
    limits?: Limits,
  ): Promise<Body<"setVariable">> {
    return this.request("setVariable", { variablesReference, name, value }, limits);
  }

  /** The same of anything that can be assigned to, as `point.x` or `table["a"]`. */
  setExpression(
    expression: string,
    value: string,
    options: FrameOptions = {},
  ): Promise<Body<"setExpression">> {
    return this.request("setExpression", { expression, value, ...frame(options) }, options);
  }

  evaluate(expression: string, options: EvaluateOptions = {}): Promise<Body<"evaluate">> {
    const { context = "repl" } = options;
    return this.request("evaluate", { expression, context, ...frame(options) }, options);
  }

  async completions(text: string, options: CompletionsOptions = {}): Promise<DebugProtocol.CompletionItem[]> {
    const lines = text.split("\n");
    const { line = lines.length } = options;
    const { column = (lines[line - 1] ?? "").length + 1 } = options;
    const wanted = { text, line, column, ...frame(options) };
    return (await this.request("completions", wanted, options)).targets;
  }

  exceptionInfo(options: ThreadOptions = {}): Promise<Body<"exceptionInfo">> {
    return this.request("exceptionInfo", this.#thread(options), options);
  }

  /** The text of a file or cell. */
  async source(path: string, limits?: Limits): Promise<string> {
    return (await this.request("source", { source: { path }, sourceReference: 0 }, limits)).content;
  }

  // ---- how it goes on; each resolves when the kernel has taken it, and an event says where it has come

  /** Stop where it is. */
  async pause(options: ThreadOptions = {}): Promise<void> {
    await this.request("pause", this.#thread(options), options);
  }

  /** Go on to the next breakpoint. */
  async continue(options?: ThreadOptions): Promise<void> {
    await this.#go("continue", options);
  }

  /** Go on to the next line. */
  async next(options?: ThreadOptions): Promise<void> {
    await this.#go("next", options);
  }

  /** Go on into what this line calls. */
  async stepIn(options?: ThreadOptions): Promise<void> {
    await this.#go("stepIn", options);
  }

  /** Go on until this function has returned. */
  async stepOut(options?: ThreadOptions): Promise<void> {
    await this.#go("stepOut", options);
  }

  // ---- beneath and beside

  /** Send any request of the table; its body. Not every kernel knows all of them. */
  async request<Command extends DebugCommand>(
    command: Command,
    content: Arguments<Command>,
    { timeoutMs, signal }: Limits = {},
  ): Promise<Body<Command>> {
    const request = { type: "request", seq: ++this.#seq, command, arguments: content };
    const { success, message, evalue, body } = await this.#client.debug(request, { timeoutMs, signal });
    if (success === true) return body;
    const said = [message, evalue].find((text) => typeof text === "string" && text !== "");
    throw new DebugError((said as string | undefined) ?? `The debugger does not answer ${command}.`, command);
  }

  /** Call `listener` whenever this happens; returns how to end it. What it throws is said on the console. */
  on<Name extends DebugEventName>(name: Name, listener: (body: DebugEvents[Name]) => unknown): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** The events from now on, or those of these names only; iterate them, and `close` them. */
  events<Name extends DebugEventName = DebugEventName>(...names: Name[]): DebugEventStream<Name> {
    const wanted = ({ header, content }: Message) =>
      header.msg_type === "debug_event" && (names.length === 0 || names.includes(content.event as Name));
    return new DebugEventStream(this.#client.subscribe(wanted));
  }

  /** @internal A debug_event has come. */
  receive({ content }: Message): void {
    const { event, body } = content as unknown as DebugEvent;
    if (event === "stopped") {
      const thread = body.threadId ?? MAIN_THREAD;
      this.#stopped.delete(thread); // it is the last one now
      this.#stopped.set(thread, body);
    } else if (event === "continued") {
      if (body.allThreadsContinued) this.#stopped.clear();
      else this.#stopped.delete(body.threadId);
    } else if (event === "terminated") {
      this.#stopped.clear();
    }
    for (const listener of [...(this.#listeners.get(event) ?? [])]) callHook(listener, body as never);
  }

  /** @internal The kernel is gone, or another one. */
  end(): void {
    this.#forget();
  }

  #forget(): void {
    this.#attached = false;
    this.#stopped.clear();
  }

  #thread({ threadId = [...this.#stopped.keys()].at(-1) ?? MAIN_THREAD }: ThreadOptions): Thread {
    return { threadId };
  }

  /** Adapters need not say `continued` to who has asked for it. The next stop may be told before the answer. */
  async #go(command: "continue" | "next" | "stepIn" | "stepOut", options: ThreadOptions = {}): Promise<void> {
    const thread = this.#thread(options);
    const stop = this.#stopped.get(thread.threadId);
    this.#stopped.delete(thread.threadId);
    try {
      await this.request(command, thread, options);
    } catch (error) {
      const refused = error instanceof DebugError && stop && !this.#stopped.has(thread.threadId);
      if (refused) this.#stopped.set(thread.threadId, stop);
      throw error;
    }
  }
}

/** What `Debugger.events` gives; leaving a loop does not end it. */
export class DebugEventStream<Name extends DebugEventName> implements AsyncIterableIterator<
  DebugEvent<Name>
> {
  #messages: Subscription;

  /** @internal */
  constructor(messages: Subscription) {
    this.#messages = messages;
  }

  /** The next one; `done` when it is closed, or the client is. */
  async next(): Promise<IteratorResult<DebugEvent<Name>, undefined>> {
    const { done, value } = await this.#messages.next();
    if (done) return { done, value: undefined };
    const { event, body } = value.content;
    return { done: false, value: { event, body } as DebugEvent<Name> };
  }

  /** End it; what it holds can still be read. */
  close(): void {
    this.#messages.close();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function frame({ frameId }: FrameOptions): { frameId?: number } {
  return defined({ frameId });
}

/** Without the fields that are not given: DAP knows no null. */
function defined<Fields extends Record<string, unknown>>(
  fields: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> };
}
