/** What the kernel answers: contents of replies, as in the messaging spec. Positions are in code points. */

export interface KernelInfo {
  protocol_version: string;
  implementation: string;
  implementation_version: string;
  language_info: { name: string; version: string; mimetype?: string; file_extension?: string };
  banner: string;
  help_links?: { text: string; url: string }[];
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

export interface CommInfo {
  comms: Record<string, { target_name: string }>;
}
