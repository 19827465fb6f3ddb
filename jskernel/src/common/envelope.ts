/**
 * How a page and the worker of a kernel talk. Page and worker both import this file and nothing else of each
 * other.
 *
 * An *envelope* is a Jupyter message in one buffer: the UTF-8 JSON object `{channel, header, parent_header,
 * metadata, content}`; binary buffers travel beside it, in order, as transferables. One buffer across is several
 * times cheaper than structured clones that Python would have to convert.
 */

import { ProtocolError } from "./errors.js";
import { CHANNELS, isObject } from "./message.js";
import type { Channel, Header, Message } from "./message.js";

export interface Envelope {
  message: Uint8Array<ArrayBuffer>;
  buffers: ArrayBuffer[];
}

/** What a worker needs to start a kernel. URLs are absolute: a worker's own address means nothing here. */
export interface StartOptions {
  /** The folder of Pyodide's core, 0.27 or later, with a trailing slash. */
  indexURL: string;
  /** The lock with the packages that can be loaded; by default `pyodide-lock.json` in `indexURL`. */
  lockFileURL?: string;
  /** What to load, with all that it depends on, before the kernel starts; `["laneway"]` by default. */
  packages?: string[];
  /** For the kernel: plain JSON. */
  settings?: Record<string, unknown>;
}

/** How far the start is, for people: `text` is a phrase ("Loading ipython"), the numbers count packages. */
export interface Progress {
  phase: "pyodide" | "packages" | "kernel";
  text: string;
  loaded?: number;
  total?: number;
}

export type ToWorker =
  /** `mailbox` where page and worker can share memory; messages then come through it. */
  | { type: "start"; options: StartOptions; mailbox?: SharedArrayBuffer }
  | ({ type: "message" } & Envelope)
  | { type: "stop" }
  /** The doorbell: there is something in the mailbox. */
  | { type: "mail" };

export type FromWorker =
  | ({ type: "progress" } & Progress)
  /** The worker holds the Web Lock of this name for as long as it lives. */
  | { type: "lock"; name: string }
  | { type: "ready" }
  | ({ type: "message" } & Envelope)
  /** There is room in the mailbox again. */
  | { type: "room" }
  | { type: "failed"; error: string }
  | { type: "stopped" };

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Encode a message. Lone surrogates are escaped, NaN and infinities become null, as JSON has none. */
export function encode(message: Message): Envelope {
  const { channel, header, parent_header, metadata, content, buffers } = message;
  return {
    message: encoder.encode(JSON.stringify({ channel, header, parent_header, metadata, content })),
    buffers,
  };
}

/** Decode an envelope; what is missing besides channel and header is empty. Throws `ProtocolError`. */
export function decode(envelope: Envelope): Message {
  let fields: unknown;
  try {
    fields = JSON.parse(decoder.decode(envelope.message));
  } catch (error) {
    throw new ProtocolError(`The envelope is not JSON in UTF-8: ${String(error)}`);
  }
  if (!isObject(fields)) throw new ProtocolError("The envelope is not a JSON object.");
  const { channel, header, parent_header = {}, metadata = {}, content = {} } = fields;
  if (!CHANNELS.includes(channel as Channel)) {
    throw new ProtocolError(`The channel ${JSON.stringify(channel)} is none of ${CHANNELS.join(", ")}.`);
  }
  if (!isObject(header) || typeof header.msg_id !== "string" || typeof header.msg_type !== "string") {
    throw new ProtocolError("The header lacks msg_id or msg_type, or they are not text.");
  }
  if (!isObject(parent_header) || !isObject(metadata) || !isObject(content)) {
    throw new ProtocolError("parent_header, metadata and content must be JSON objects.");
  }
  return {
    channel: channel as Channel,
    header: header as unknown as Header,
    parent_header: parent_header as unknown as Header | Record<string, never>,
    metadata,
    content,
    buffers: envelope.buffers,
  };
}
