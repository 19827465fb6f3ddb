/** Shift-Tab: what the kernel knows of the thing at the cursor, in a tooltip. */

import { StateEffect, StateField } from "@codemirror/state";
import { EditorView, showTooltip } from "@codemirror/view";
import type { Command, Tooltip } from "@codemirror/view";
import { toCodePoints } from "@laneway/kernel";
import { colored } from "./ansi.js";
import type { Kernel } from "./kernel.js";
import { make } from "./shell.js";

interface Shown extends Tooltip {
  level: 0 | 1;
}

const change = StateEffect.define<Shown | null>();

const field = StateField.define<Shown | null>({
  create: () => null,
  update(shown, transaction) {
    for (const effect of transaction.effects) if (effect.is(change)) return effect.value;
    return transaction.docChanged || transaction.selection ? null : shown;
  },
  provide: (field) => showTooltip.from(field),
});

export const documentation = [
  field,
  EditorView.domEventHandlers({
    blur: (_, view) => {
      if (view.state.field(field)) view.dispatch({ effects: change.of(null) });
    },
  }),
];

/** Begins when the cursor is at a name; the second time it shows the source as well. */
export function showDocumentation(view: EditorView, kernel: Kernel): boolean {
  const { main, ...selection } = view.state.selection;
  void selection;
  const around = view.state.sliceDoc(Math.max(0, main.from - 1), main.from + 1);
  if (!main.empty || !/[\w(.)]/.test(around)) return false;
  const level = view.state.field(field)?.level === 0 ? 1 : 0;
  void ask(view, kernel, level);
  return true;
}

async function ask(view: EditorView, kernel: Kernel, level: 0 | 1): Promise<void> {
  const { state } = view;
  const code = state.doc.toString();
  const position = state.selection.main.head;
  kernel.start();
  const say = (text: string) => {
    // the reader may have gone on meanwhile
    if (view.state.doc !== state.doc || view.state.selection.main.head !== position) return;
    const create = () => {
      const dom = colored(make("div", { className: "documentation", role: "status" }), text);
      return { dom };
    };
    view.dispatch({ effects: change.of({ pos: position, above: false, level, create }) });
  };
  try {
    const { found, data } = await kernel.client.inspect(code, toCodePoints(code, position), level, {
      timeoutMs: 120_000,
    });
    say(found && typeof data["text/plain"] === "string" ? data["text/plain"] : "Nothing is known of it.");
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
  }
}

/** Escape: hide it, where it is shown. */
export const hideDocumentation: Command = (view) => {
  if (!view.state.field(field)) return false;
  view.dispatch({ effects: change.of(null) });
  return true;
};
