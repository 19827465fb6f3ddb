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

/** Roughly how many bytes it holds. */
export function sizeOf({ content, buffers }: Output): number {
  return buffers.reduce((size, buffer) => size + buffer.byteLength, weigh(content));
}

function weigh(value: unknown): number {
  if (typeof value === "string") return value.length + 16;
  if (typeof value !== "object" || value === null) return 16;
  return Object.values(value).reduce((size: number, item) => size + weigh(item), 256);
}
