/** The client's end of a connection to a kernel: what carries the messages, whoever runs it. */

import type { Progress } from "./envelope.js";
import type { KernelError } from "./errors.js";
import type { Message } from "./message.js";

/** Where a transport delivers to. The calls return at once and never throw. */
export interface TransportEvents {
  /** A message of the kernel; in order per channel. */
  message(message: Message): void;
  /** How far a start is. */
  progress(progress: Progress): void;
  /** The connection has ended by itself: why. Once, and nothing follows until it is started again. */
  lost(error: KernelError): void;
}

/** The client calls `send` only while it is connected. */
export interface ClientTransport {
  /** May a message on control come to the kernel before one that was sent on shell? Behind a server it may. */
  readonly overtakes?: boolean;
  /**
   * Connect; after `lost`, connect again. Resolves when messages can be sent, and the iopub messages of requests sent
   * from then on will be seen. Rejects with a KernelError, also when it is closed meanwhile.
   */
  start(events: TransportEvents): Promise<void>;
  /**
   * Take a message for delivery, in the order of the calls. Never waits. Its buffers are handed over. Throws TypeError
   * where its content has no JSON form.
   */
  send(message: Message): void;
  /**
   * Put a fresh kernel in the place of this one, be it alive or dead; nothing of the old one comes any more. Settles as
   * `start` does.
   */
  restart(): Promise<void>;
  /** End within a bounded time. Harmless if repeated. */
  close(): Promise<void>;
}
