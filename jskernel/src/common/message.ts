/**
 * The Jupyter message as every part of this package knows it (messaging spec 5.5, "General message format").
 * Neither page nor worker.
 */

/**
 * A `Uint8Array<ArrayBuffer>`, whose memory can be transferred. It is not written so because users may have
 * TypeScript 5.4, and array types have parameters since 5.7 only.
 */
export type Bytes = ReturnType<TextEncoder["encode"]>;

export type Channel = "shell" | "control" | "stdin" | "iopub";

export const CHANNELS: readonly Channel[] = ["shell", "control", "stdin", "iopub"];

export interface Header {
  msg_id: string;
  msg_type: string;
  /** The sender's session: a client's in requests and replies. */
  session: string;
  username: string;
  /** ISO 8601. */
  date: string;
  /** Version of the protocol, "5.5". */
  version: string;
  /** The subshell that a shell request is for (JEP 91); the main one where it is missing. */
  subshell_id?: string | null;
}

export interface Message {
  channel: Channel;
  header: Header;
  /** Empty where no message caused this one. */
  parent_header: Header | Record<string, never>;
  metadata: Record<string, unknown>;
  content: Record<string, unknown>;
  /** Binary buffers, in order; whole `ArrayBuffer`s, so that they can be transferred. */
  buffers: ArrayBuffer[];
}

/** Whether this message runs user code, and so keeps its place among others that do. */
export function runsCode({ channel, header }: Message): boolean {
  return channel === "shell" && /^(execute_request|comm_(open|msg|close))$/.test(header.msg_type);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
