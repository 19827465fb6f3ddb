/** What the kernel answers: contents of replies, as in the messaging spec. Positions are in code points. */

export interface KernelInfo {
  protocol_version: string;
  implementation: string;
  implementation_version: string;
  language_info: { name: string; version: string; mimetype?: string; file_extension?: string };
  banner: string;
  help_links?: { text: string; url: string }[];
  /** Has it a debugger? Newer kernels say so among the features. */
  debugger?: boolean;
  supported_features?: string[];
  /** What a Laneway kernel can do where it runs; other kernels do not have it. */
  laneway?: Record<string, unknown>;
}

export interface Completions {
  matches: string[];
  /** What the matches replace. */
  cursor_start: number;
  cursor_end: number;
  metadata: Record<string, unknown>;
}

export interface Inspection {
  found: boolean;
  /** By MIME type; `text/plain` has ANSI colours. */
  data: Record<string, unknown>;
  metadata: Record<string, unknown>;
}

export interface Completeness {
  status: "complete" | "incomplete" | "invalid" | "unknown";
  /** Where it is incomplete: what to begin the next line with. */
  indent?: string;
}

/** Session, number, and the source; or the source and its output, where outputs were asked for. */
export interface History {
  history: [session: number, line: number, entry: string | [string, string | null]][];
}

/** A cell, the hook of a comm message, or a task that one of these has made and that goes on. */
export interface Job {
  /** Of a cell its `msgId`. */
  id: string;
  kind: "cell" | "hook" | "task";
  mode: "queue" | "task" | "thread";
  /** Where it runs: `main`, `control`, `subshell ID`, `thread NAME`, or `thread`, one without a name. */
  lane: string;
  /** `stopped`: in the debugger. `ending`: its time is over, or it was cancelled. */
  state: "queued" | "running" | "stopped" | "ending" | "ended";
  /** The date, in ISO 8601; of tasks it is not known. */
  started: string | null;
  /** Seconds that it has run. */
  elapsed: number | null;
  /** Seconds that it may run. */
  timeout: number | null;
  /** The first line of its code that is no mode; of a hook the message's type, of a task its function. */
  code: string;
}

export interface CommInfo {
  comms: Record<string, { target_name: string }>;
}
