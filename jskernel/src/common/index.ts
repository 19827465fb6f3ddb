export * from "./capabilities.js";
export { Client } from "./client.js";
export type { ClientEvents, ClientState, ExecuteOptions, HistoryOptions, RequestOptions } from "./client.js";
export { Comm, Comms } from "./comms.js";
export type { CommMessageOptions, CommOptions, MessageHook } from "./comms.js";
export { Debugger, DebugEventStream } from "./debugger.js";
export type {
  AttachOptions,
  CompletionsOptions,
  DebugCommand,
  DebugCommands,
  DebugEvent,
  DebugEventName,
  DebugEvents,
  DebugInfo,
  DebugProtocol,
  EvaluateOptions,
  FrameOptions,
  RichVariable,
  StackOptions,
  ThreadOptions,
  VariablesOptions,
} from "./debugger.js";
export * from "./envelope.js";
export * from "./errors.js";
export { ExecResult, Execution } from "./execution.js";
export type { ExecutionState, StdinHook } from "./execution.js";
export type { Limits } from "./limits.js";
export * from "./mail.js";
export * from "./mailbox.js";
export * from "./manifest.js";
export * from "./message.js";
export { MAX_OUTPUT, toOutput } from "./output.js";
export type { MimeBundle, Output, OutputType } from "./output.js";
export { ClientProtocol, Pending } from "./protocol.js";
export type { MessageOptions, ProtocolEvent, TimeLimit } from "./protocol.js";
export * from "./replies.js";
export * from "./service-worker.js";
export { Subscription } from "./subscription.js";
export * from "./text.js";
export type * from "./transport.js";
export * from "./websocket.js";
