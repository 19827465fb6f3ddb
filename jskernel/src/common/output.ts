/** The outputs of a cell: messages on iopub without their headers (messaging spec, "Messages on the IOPub channel"). */

import type { Message } from "./message.js";

/** Data by MIME type; text as a string, JSON types as what they hold. */
export type MimeBundle = Record<string, unknown>;

interface Contents {
  stream: { name: "stdout" | "stderr"; text: string };
  display_data: { data: MimeBundle; metadata?: Record<string, unknown>; transient?: { display_id?: string } };
  update_display_data: {
    data: MimeBundle;
    metadata?: Record<string, unknown>;
    transient?: { display_id?: string };
  };
  execute_result: { data: MimeBundle; metadata?: Record<string, unknown>; execution_count: number };
  /** The lines of the traceback have ANSI colours. */
  error: { ename: string; evalue: string; traceback: string[] };
  clear_output: { wait?: boolean };
}

export type OutputType = keyof Contents;

/** One output of a cell; `type` is its msg_type. */
export type Output = {
  [Type in OutputType]: {
    readonly type: Type;
    readonly content: Contents[Type];
    readonly metadata: Record<string, unknown>;
    readonly buffers: readonly ArrayBuffer[];
  };
}[OutputType];

const text = (value: unknown) => typeof value === "string";
const bundle = ({ data }: Message["content"]) => typeof data === "object" && data !== null;

/** What the content of each must have, so that whoever shows it need not look. */
const CHECKS: Record<OutputType, (content: Message["content"]) => boolean> = {
  stream: (content) => text(content.text) && (content.name === "stdout" || content.name === "stderr"),
  display_data: bundle,
  update_display_data: bundle,
  execute_result: bundle,
  error: ({ ename, evalue, traceback }) =>
    text(ename) && text(evalue) && Array.isArray(traceback) && traceback.every(text),
  clear_output: () => true,
};

export function isOutputType(type: string): type is OutputType {
  return Object.hasOwn(CHECKS, type);
}

/** The output in a message, or undefined where its content is not what the messaging spec says. */
export function toOutput({ header, content, metadata, buffers }: Message): Output | undefined {
  const type = header.msg_type;
  if (!isOutputType(type) || !CHECKS[type](content)) return undefined;
  return { type, content, metadata, buffers } as Output;
}

/** The same outputs; neighbouring pieces of one stream are joined. */
export function joined(outputs: readonly Output[]): Output[] {
  const result: Output[] = [];
  for (const output of outputs) {
    const last = result.at(-1);
    if (output.type === "stream" && last?.type === "stream" && last.content.name === output.content.name) {
      // a string that grows is a rope in every engine: this is not quadratic
      last.content.text += output.content.text;
    } else {
      result.push(output.type === "stream" ? { ...output, content: { ...output.content } } : output);
    }
  }
  return result;
}

/** Roughly how many bytes a message, or an output, holds. */
export function sizeOf(message: { content: object; buffers: readonly ArrayBuffer[] }): number {
  const { content, buffers } = message;
  let size = buffers.reduce((sum, buffer) => sum + buffer.byteLength, 256);
  const values: unknown[] = [content]; // no recursion: what a kernel sends may be nested as deep as it likes
  while (values.length > 0) {
    const value = values.pop();
    size += typeof value === "string" ? value.length + 16 : 16;
    if (typeof value === "object" && value !== null)
      for (const item of Object.values(value)) values.push(item);
  }
  return size;
}

/** Bytes (roughly) that wait for a reader, or are kept of a cell, before the oldest are dropped. */
export const MAX_OUTPUT = 64 * 2 ** 20;

/**
 * The outputs of a cell, by their position. Of more than MAX_OUTPUT the oldest are dropped, and counted: streams first,
 * then displays and results, but neither errors nor the newest. What `clear_output` clears is let go: what the cell
 * shows, but not its updates of what another cell shows.
 */
export class Outputs {
  /** How many were dropped for want of room. */
  dropped = 0;
  /** How many have come; the position of the next one. */
  count = 0;

  #kept = new Map<number, { output: Output; size: number }>();
  #size = 0;
  /** The ids of the displays that are its own. */
  #displays = new Set<string>();
  /** The position of a `clear_output` that waits for the next output. */
  #clearing: number | undefined;

  /** Those that are there. */
  get kept(): Output[] {
    return Array.from(this.#kept.values(), ({ output }) => output);
  }

  /** The one at `position`, if it is there. */
  at(position: number): Output | undefined {
    return this.#kept.get(position)?.output;
  }

  add(output: Output): void {
    const position = this.count++;
    if (output.type === "clear_output") {
      if (this.#clearing !== undefined) this.#drop(this.#clearing);
      this.#clearing = output.content.wait ? position : undefined;
      if (!output.content.wait) this.#clear(position);
    } else if (this.#clearing !== undefined) {
      this.#clear(this.#clearing);
      this.#clearing = undefined;
    }
    const id = displayId(output);
    if (output.type !== "update_display_data" && id !== undefined) this.#displays.add(id);
    const size = sizeOf(output);
    this.#kept.set(position, { output, size });
    this.#size += size;
    if (this.#size > MAX_OUTPUT) this.#makeRoom(position);
  }

  #clear(before: number): void {
    for (const [position, { output }] of this.#kept) {
      if (position >= before) break;
      const id = displayId(output);
      const elsewhere = output.type === "update_display_data" && !(id && this.#displays.has(id));
      if (!elsewhere) this.#drop(position);
    }
  }

  /** More room than is needed now, so that this is not done for every output. */
  #makeRoom(newest: number): void {
    if (this.dropped === 0) {
      console.warn("Laneway: a cell puts out more than is kept; the oldest is dropped, and counted.");
    }
    const streams = (type: OutputType) => type === "stream";
    const others = (type: OutputType) => type !== "error";
    for (const droppable of [streams, others]) {
      for (const [position, { output }] of this.#kept) {
        if (this.#size <= 0.9 * MAX_OUTPUT || position === newest) break;
        if (!droppable(output.type)) continue;
        this.#drop(position);
        this.dropped++;
      }
    }
  }

  #drop(position: number): void {
    this.#size -= this.#kept.get(position)?.size ?? 0;
    this.#kept.delete(position);
  }
}

function displayId({ content }: Output): string | undefined {
  const { transient } = content as { transient?: { display_id?: unknown } };
  return typeof transient?.display_id === "string" ? transient.display_id : undefined;
}
