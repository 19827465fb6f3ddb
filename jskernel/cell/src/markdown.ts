/** Markdown (GitHub's), with formulas, and without scripts. */

import DOMPurify from "dompurify";
import { Marked } from "marked";

/** A formula: what is within is not Markdown. */
const FORMULA =
  /^(\$\$[\s\S]+?\$\$|\$(?!\s)(?:\\.|[^\\$\n])+?(?<!\s)\$(?!\d)|\\\([\s\S]+?\\\)|\\\[[\s\S]+?\\\]|\\begin\{(\w+\*?)\}[\s\S]+?\\end\{\2\})/;

const marked = new Marked({
  gfm: true,
  extensions: [
    {
      name: "formula",
      level: "inline",
      start: (source) => source.search(/\$|\\[([]|\\begin\{/),
      tokenizer(source) {
        const found = FORMULA.exec(source);
        return found ? { type: "formula", raw: found[0] } : undefined;
      },
      renderer: ({ raw }) => `<span>${raw.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`)}</span>`,
    },
  ],
});

/** Formulas in it are still to be typeset. */
export function renderMarkdown(source: string): DocumentFragment {
  const html = marked.parse(source, { async: false });
  return DOMPurify.sanitize(html, { RETURN_DOM_FRAGMENT: true });
}
