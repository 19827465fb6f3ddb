/** What the kernel completes, with the kinds of things and, for the one that is chosen, its documentation. */

import type {
  Completion,
  CompletionContext,
  CompletionResult,
  CompletionSource,
} from "@codemirror/autocomplete";
import { fromCodePoints, toCodePoints } from "@laneway/kernel";
import { colored } from "./ansi.js";
import type { Kernel } from "./kernel.js";
import { make } from "./shell.js";

/** Milliseconds: the kernel may have to start first. */
const PATIENCE = 120_000;

/** IPython's kinds, for what CodeMirror shows. */
interface Kind {
  text: string;
  type?: string;
  signature?: string;
}

export function completionSource(kernel: Kernel): CompletionSource {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    if (!context.explicit) return null;
    const code = context.state.doc.toString();
    const gone = new AbortController();
    context.addEventListener("abort", () => gone.abort());
    kernel.start();
    try {
      const found = await kernel.client.complete(code, toCodePoints(code, context.pos), {
        timeoutMs: PATIENCE,
        signal: gone.signal,
      });
      const kinds = found.metadata._jupyter_types_experimental;
      const byText = new Map(
        (Array.isArray(kinds) ? (kinds as Kind[]) : []).map((kind) => [kind.text, kind]),
      );
      const from = fromCodePoints(code, found.cursor_start);
      const to = fromCodePoints(code, found.cursor_end);
      return {
        from,
        to,
        // the kernel's order is by relevance
        options: found.matches.map((label, index) => option(label, byText.get(label), -index, from)),
        filter: true,
        validFor: /^[\w.]*$/,
      };
    } catch {
      return null; // the kernel's state says why
    }

    function option(label: string, kind: Kind | undefined, order: number, from: number): Completion {
      return {
        label,
        boost: Math.max(-99, order),
        ...(kind?.type && kind.type !== "<unknown>" ? { type: kind.type, detail: kind.type } : {}),
        info: async () => {
          const name = code.slice(0, from) + label;
          const { found, data } = await kernel.client.inspect(name, undefined, 0, { timeoutMs: PATIENCE });
          const text = data["text/plain"];
          return found && typeof text === "string" ? colored(make("div"), text) : null;
        },
      };
    }
  };
}
