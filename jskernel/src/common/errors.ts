/** The errors of this package; every message is one sentence that can be shown to a user. */

export class KernelError extends Error {
  override name = "KernelError";
}

/** A message or an envelope that breaks the protocol. */
export class ProtocolError extends KernelError {
  override name = "ProtocolError";
}

/** The kernel is not there any more, or has never come up; nothing can be sent to it. */
export class KernelDiedError extends KernelError {
  override name = "KernelDiedError";
}
