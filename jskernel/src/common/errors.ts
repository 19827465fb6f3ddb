/** The errors of this package; the first line of every message is one sentence that can be shown to a user. */

import type { Output } from "./output.js";

export class KernelError extends Error {
  override name = "KernelError";
}

/** A message or an envelope that breaks the protocol. */
export class ProtocolError extends KernelError {
  override name = "ProtocolError";
}

/** The client, the connection or the comm is closed, or not open yet; nothing can be sent. */
export class ClosedError extends KernelError {
  override name = "ClosedError";
}

/** The client was closed while this call was pending, or before it was made. */
export class ClientClosedError extends ClosedError {
  override name = "ClientClosedError";
}

/** Messages that were not read in time have been dropped; those that follow are there. */
export class MessagesLostError extends KernelError {
  override name = "MessagesLostError";

  constructor(
    message: string,
    /** How many. */
    readonly count: number,
  ) {
    super(message);
  }
}

/** The debugger refuses a request, or there is none; `message` says why. */
export class DebugError extends KernelError {
  override name = "DebugError";

  constructor(
    message: string,
    /** The command that was refused. */
    readonly command: string,
  ) {
    super(message);
  }
}

/** A call has not come to its end. */
abstract class UnfinishedError extends KernelError {
  constructor(
    message: string,
    /** What the call had put out. */
    readonly outputs: readonly Output[] = [],
  ) {
    super(message);
  }
}

/** The kernel is not there any more, or has never come up; nothing can be sent to it. */
export class KernelDiedError extends UnfinishedError {
  override name = "KernelDiedError";
}

/** The kernel was restarted while this call was pending. */
export class KernelRestartedError extends UnfinishedError {
  override name = "KernelRestartedError";
}

/** What a call waits for. */
export type Phase = "queued" | "running" | "awaiting stdin" | "awaiting idle";

/** A call has not ended in the time given. */
export class KernelTimeoutError extends UnfinishedError {
  override name = "KernelTimeoutError";

  constructor(
    /** The msg_type of the request. */
    readonly request: string,
    readonly phase: Phase,
    /** Milliseconds since it was sent. */
    readonly elapsedMs: number,
    outputs?: readonly Output[],
  ) {
    super(`${request} has not ended after ${Math.round(elapsedMs)} ms; it was ${phase}.`, outputs);
  }

  /** The same error, for a call that has had these outputs. */
  withOutputs(outputs: readonly Output[]): KernelTimeoutError {
    return new KernelTimeoutError(this.request, this.phase, this.elapsedMs, outputs);
  }
}
