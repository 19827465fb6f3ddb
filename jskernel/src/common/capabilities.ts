/** What a kernel says of itself in `kernel_info_reply`, under `laneway`. */

/** Fields that tell what works; more may follow. */
export interface Capabilities {
  /** `input()` and `getpass()`. */
  input: boolean;
  /** Completion and the like while a cell computes or blocks. */
  answers_while_blocking: boolean;
  /** An interrupt stops a cell that computes or blocks. */
  interrupts_blocking: boolean;
  /** The browser has JavaScript Promise Integration. */
  jspi?: boolean;
  cross_origin_isolated?: boolean;
  /** A short sentence for each thing that does not work here, with what it needs. */
  missing?: string[];
}

/**
 * What does not work in this page, for its user: a short sentence for each thing, with what it needs. `content` is that
 * of a `kernel_info_reply`, of any kernel.
 */
export function missing(content: Record<string, unknown>): string[] {
  return (content.laneway as Partial<Capabilities> | undefined)?.missing ?? [];
}
