/**
 * Breakpoints in the editor: a press on a line's number, or F9 in the line, sets one or takes it away. They move with
 * the code. And the line at which Python has stopped.
 */

import { RangeSet, StateEffect, StateField } from "@codemirror/state";
import type { EditorState, Extension, Range } from "@codemirror/state";
import {
  Decoration,
  EditorView,
  GutterMarker,
  keymap,
  lineNumberMarkers,
  lineNumbers,
} from "@codemirror/view";

/** A line from 1 on. One at which the kernel will not stop is `refused`. */
export interface Breakpoint {
  line: number;
  refused?: boolean;
}

class Marker extends GutterMarker {
  override elementClass: string;

  constructor(readonly refused: boolean) {
    super();
    this.elementClass = refused ? "cm-breakpoint cm-refused" : "cm-breakpoint";
  }

  override eq(other: GutterMarker): boolean {
    return other instanceof Marker && other.refused === this.refused;
  }
}

const setPoints = StateEffect.define<readonly Breakpoint[]>();
const setStop = StateEffect.define<number | undefined>();

const points = StateField.define<RangeSet<Marker>>({
  create: () => RangeSet.empty,
  update(markers, { changes, effects, state }) {
    for (const effect of effects) if (effect.is(setPoints)) return markersOf(state, effect.value);
    return markers.map(changes);
  },
  provide: (field) => lineNumberMarkers.from(field),
});

const stopped = Decoration.line({ class: "cm-paused", attributes: { "aria-current": "step" } });

const stop = StateField.define({
  create: () => Decoration.none,
  update(line, { changes, effects, state }) {
    for (const effect of effects) {
      if (!effect.is(setStop)) continue;
      const start = startOf(state, effect.value);
      return start === undefined ? Decoration.none : Decoration.set(stopped.range(start));
    }
    return line.map(changes);
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** `changed` is called with what the reader has done, in words. */
export function breakpoints(lines: readonly number[], changed: (said: string) => void): Extension {
  const toggle = (view: EditorView, position: number) => {
    changed(toggleBreakpoint(view, position));
    return true;
  };
  return [
    points.init((state) =>
      markersOf(
        state,
        lines.map((line) => ({ line })),
      ),
    ),
    stop,
    lineNumbers({ domEventHandlers: { mousedown: (view, { from }) => toggle(view, from) } }),
    keymap.of([{ key: "F9", run: (view) => toggle(view, view.state.selection.main.head) }]),
  ];
}

/** The lines that have one, in order. */
export function linesOf(state: EditorState): number[] {
  const found = new Set<number>();
  state
    .field(points)
    .between(0, state.doc.length, (position) => void found.add(state.doc.lineAt(position).number));
  return [...found];
}

/** Set these, in the place of those there are. */
export function showBreakpoints(view: EditorView, wanted: readonly Breakpoint[]): void {
  view.dispatch({ effects: setPoints.of(wanted) });
}

/** Set one in this line, or take it away; says which. */
export function toggleBreakpoint(view: EditorView, position = view.state.selection.main.head): string {
  const { number: line } = view.state.doc.lineAt(position);
  const lines = linesOf(view.state);
  const rest = lines.filter((other) => other !== line);
  const has = rest.length < lines.length;
  showBreakpoints(
    view,
    (has ? rest : [...lines, line]).map((line) => ({ line })),
  );
  return has ? `No breakpoint in line ${line} any more.` : `Breakpoint in line ${line}.`;
}

/** Show that Python has stopped in this line, and let it be seen; `undefined`: it has not. */
export function showStop(view: EditorView, line: number | undefined): void {
  const start = startOf(view.state, line);
  const seen = start === undefined ? [] : [EditorView.scrollIntoView(start, { y: "nearest", yMargin: 40 })];
  view.dispatch({ effects: [setStop.of(line), ...seen] });
}

function markersOf(state: EditorState, wanted: readonly Breakpoint[]): RangeSet<Marker> {
  const ranges: Range<Marker>[] = [];
  for (const { line, refused = false } of wanted) {
    const start = startOf(state, line);
    if (start !== undefined) ranges.push(new Marker(refused).range(start));
  }
  return RangeSet.of(ranges, true);
}

function startOf({ doc }: EditorState, line: number | undefined): number | undefined {
  return line !== undefined && line >= 1 && line <= doc.lines ? doc.line(line).from : undefined;
}
