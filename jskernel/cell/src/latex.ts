/** Formulas within an element, by KaTeX. */

import renderMathInElement from "katex/contrib/auto-render";
import { loadSheet } from "./sheets.js";

const DELIMITERS = [
  { left: "$$", right: "$$", display: true },
  { left: "\\[", right: "\\]", display: true },
  { left: "\\(", right: "\\)", display: false },
  { left: "$", right: "$", display: false },
  ...[
    "equation",
    "equation*",
    "align",
    "align*",
    "gather",
    "gather*",
    "alignat",
    "alignat*",
    "CD",
    "cases",
    "matrix",
  ].map((name) => ({ left: `\\begin{${name}}`, right: `\\end{${name}}`, display: true })),
];

/** What outputs have defined; it holds for those that follow, as with MathJax. */
const macros = {};

/** MathJax's \newcommand may define anew what there is; KaTeX's may not, and it has an \R and more of its own. */
function redefining(formula: string): string {
  return formula.replace(
    /\\newcommand\s*\{?\s*(\\(?:[a-zA-Z]+|.))\s*\}?/g,
    "\\providecommand{$1}{}\\renewcommand{$1}",
  );
}

export async function typeset(place: HTMLElement): Promise<void> {
  await loadSheet(new URL(KATEX_SHEET, import.meta.url));
  renderMathInElement(place, {
    delimiters: DELIMITERS,
    throwOnError: false,
    macros,
    globalGroup: true,
    preProcess: redefining,
  });
}
