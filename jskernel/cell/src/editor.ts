/**
 * The editor of a cell: CodeMirror with the kernel's completion and documentation.
 *
 * | key | does |
 * |---|---|
 * | Shift-Enter, Ctrl-Enter | runs the cell |
 * | Tab | completes behind a name, else indents |
 * | Shift-Tab | shows documentation (again: with the source), else takes an indentation back |
 * | Escape, then Tab | leaves the editor; Ctrl-M (Shift-Alt-M on a Mac) lets Tab leave it always |
 * | F9 | sets a breakpoint in this line, or takes it away, in a cell that can be debugged |
 */

import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  startCompletion,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from "@codemirror/commands";
import { python, pythonLanguage } from "@codemirror/lang-python";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import type { Command } from "@codemirror/view";
import { breakpoints, linesOf, showBreakpoints, showStop, toggleBreakpoint } from "./breakpoints.js";
import type { Breakpoint } from "./breakpoints.js";
import { completionSource } from "./completion.js";
import { documentation, hideDocumentation, showDocumentation } from "./documentation.js";
import { highlighter } from "./highlighter.js";
import type { Kernel } from "./kernel.js";

export interface EditorOptions {
  parent: HTMLElement;
  root: ShadowRoot;
  code: string;
  label: string;
  readOnly: boolean;
  /** The number of the first line, where lines have numbers. */
  firstLine: number | undefined;
  kernel: Kernel;
  run(): void;
  changed(): void;
  /** The lines that have breakpoints, where there can be any. */
  breakpoints: readonly number[] | undefined;
  /** Called with what the reader has done to breakpoints, in words. */
  breakpointsChanged(said: string): void;
}

export interface Editor {
  code: string;
  focus(): void;
  /** The lines that have breakpoints. */
  readonly breakpoints: number[];
  /** Set one in the line of the cursor, or take it away. */
  toggleBreakpoint(): void;
  showBreakpoints(breakpoints: readonly Breakpoint[]): void;
  showStop(line: number | undefined): void;
}

export function createEditor(options: EditorOptions): Editor {
  const { kernel, breakpoints: lines, firstLine } = options;
  const runs: Command = () => {
    options.run();
    return true;
  };
  const view = new EditorView({
    parent: options.parent,
    root: options.root,
    state: EditorState.create({
      doc: options.code,
      extensions: [
        keymap.of([
          { key: "Shift-Enter", run: runs },
          { key: "Mod-Enter", run: runs },
          { key: "Ctrl-Enter", run: runs },
          {
            key: "Tab",
            run: (view) => acceptCompletion(view) || completeOrIndent(view),
            shift: (view) => showDocumentation(view, kernel) || indentLess(view),
          },
          { key: "Escape", run: hideDocumentation },
          ...closeBracketsKeymap,
          ...completionKeymap,
          ...historyKeymap,
          ...defaultKeymap,
        ]),
        history(),
        python(),
        pythonLanguage.data.of({ autocomplete: completionSource(kernel) }),
        // it is asked for: Enter is meant for it at once
        autocompletion({
          activateOnTyping: false,
          interactionDelay: 0,
          icons: false,
          maxRenderedOptions: 200,
        }),
        closeBrackets(),
        bracketMatching(),
        indentOnInput(),
        indentUnit.of("    "),
        syntaxHighlighting(highlighter),
        documentation,
        lines ? breakpoints(lines, (said) => options.breakpointsChanged(said)) : [],
        firstLine === undefined ? [] : lineNumbers({ formatNumber: (line) => String(line + firstLine - 1) }),
        EditorState.readOnly.of(options.readOnly),
        EditorView.contentAttributes.of({
          "aria-label": options.label,
          tabindex: "0",
          autocapitalize: "off",
          autocorrect: "off",
          spellcheck: "false",
        }),
        EditorView.updateListener.of(({ docChanged }) => {
          if (docChanged) options.changed();
        }),
      ],
    }),
  });
  return {
    get code() {
      return view.state.doc.toString();
    },
    set code(code) {
      const kept = this.breakpoints;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: code } });
      if (lines) this.showBreakpoints(kept.map((line) => ({ line })));
    },
    focus: () => view.focus(),
    get breakpoints() {
      return lines ? linesOf(view.state) : [];
    },
    toggleBreakpoint: () => options.breakpointsChanged(toggleBreakpoint(view)),
    showBreakpoints: (wanted) => showBreakpoints(view, wanted),
    showStop: (line) => showStop(view, line),
  };
}

/** Tab. */
const completeOrIndent: Command = (view) => {
  const { main } = view.state.selection;
  const before = view.state.sliceDoc(Math.max(0, main.from - 1), main.from);
  return main.empty && /[\w.%]/.test(before) ? startCompletion(view) : indentMore(view);
};
