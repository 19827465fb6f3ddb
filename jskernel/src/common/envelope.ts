/**
 * How a page and the worker of a kernel talk. Page and worker both import this file and nothing else of each
 * other.
 *
 * An *envelope* is a Jupyter message in one buffer: the UTF-8 JSON object `{channel, header, parent_header,
 * metadata, content}`; binary buffers travel beside it, in order, as transferables. One buffer across is several
 * times cheaper than structured clones that Python would have to convert.
 */

import { ProtocolError } from "./errors.js";
import type { MailAddress } from "./mail.js";
import type { Manifest, Way } from "./manifest.js";
import { CHANNELS, isObject } from "./message.js";
import type { Bytes, Channel, Header, Message } from "./message.js";

export interface Envelope {
  message: Bytes;
  buffers: ArrayBuffer[];
}

/** An envelope from the worker: where it is short it is text, which `postMessage` sends in a third of the time. */
export interface KernelEnvelope {
  message: string | Bytes;
  buffers: ArrayBuffer[];
}

/** What a kernel starts with. */
export interface StartOptions {
  /** The address of a kernel folder, with a trailing slash. */
  kernelURL: string;
  /** Names, or addresses of wheels, of packages to load before the kernel starts, besides those that the folder says. */
  packages?: string[];
  /** For the kernel: plain JSON. */
  settings?: Record<string, unknown>;
}

/** The same for the worker. Addresses are absolute: a worker's own means nothing here. */
export interface WorkerOptions extends StartOptions {
  manifest: Manifest;
  way: Way;
  /** What another worker of the same folder has left for this one. */
  kept?: Kept;
}

/** What takes long to make anew. */
export interface Kept {
  /** Pyodide's `WebAssembly.Module`. */
  module: unknown;
  /** The memory snapshot, unpacked; workers share it where they can. */
  memory: ArrayBufferLike;
}

/** How far the start is, for people: `text` is a phrase ("Loading Python"), the numbers count bytes. */
export interface Progress {
  phase: "pyodide" | "packages" | "kernel";
  text: string;
  loaded?: number;
  total?: number;
}

/**
 * How a file fares that the page fetches for its worker, which cannot await it. They come through the mailbox: one with
 * the answer's `status` (0 where there is none) and, where the server says it, the `total` of bytes; then the parts; then
 * one that says that no more comes.
 */
export interface FileNote {
  id: number;
  status: number;
  total: number;
  ended: boolean;
}

export type ToWorker =
  /** Start a kernel. `mailbox` where page and worker can share memory; else `mail`, if that can be. */
  | { type: "start"; options: WorkerOptions; mailbox?: SharedArrayBuffer; mail?: MailAddress }
  /** The kernel, which is ready, has found its user: what the embedder's hook does for it depends on these options. */
  | { type: "claim"; options: unknown }
  /** `number` counts those that can be fetched, too. */
  | ({ type: "message"; number?: number } & Envelope)
  | { type: "stop" }
  /** The doorbell: there is something in the mailbox. */
  | { type: "mail" }
  /** The content of the files that were asked for; empty where one of them could not be had. */
  | { type: "loaded"; files: ArrayBuffer[] };

export type FromWorker =
  | ({ type: "progress" } & Progress)
  /** The worker holds the Web Lock of this name for as long as it lives. */
  | { type: "lock"; name: string }
  /** `fetches` says whether messages are fetched, where a `mail` address was given. */
  | { type: "ready"; fetches?: boolean }
  /** For the next worker. */
  | { type: "kept"; kept: Kept }
  | { type: "messages"; messages: KernelEnvelope[] }
  /** There is room in the mailbox again. */
  | { type: "room" }
  /** Fetch this file, in place of any that is being fetched; none without `url`. There must be a mailbox. */
  | { type: "fetch"; id: number; url?: string }
  /** Load these files, and send them as `loaded`. */
  | { type: "load"; urls: string[] }
  /** So many messages that can be fetched were taken, in whatever way. */
  | { type: "taken"; count: number }
  /** `final` where no other way of starting would do better. */
  | { type: "failed"; error: string; final?: boolean }
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
export function decode({ message, buffers }: KernelEnvelope): Message {
  let fields: unknown;
  try {
    fields = JSON.parse(typeof message === "string" ? message : decoder.decode(message));
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
    buffers,
  };
}
