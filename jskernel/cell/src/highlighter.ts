/** Classes for Python's tokens; `shell.css` gives them colours. */

import { tagHighlighter, tags } from "@lezer/highlight";

export const highlighter = tagHighlighter([
  {
    tag: [
      tags.keyword,
      tags.controlKeyword,
      tags.definitionKeyword,
      tags.moduleKeyword,
      tags.operatorKeyword,
    ],
    class: "tok-keyword",
  },
  { tag: [tags.string, tags.special(tags.string)], class: "tok-string" },
  { tag: tags.comment, class: "tok-comment" },
  { tag: tags.number, class: "tok-number" },
  { tag: [tags.bool, tags.null], class: "tok-bool" },
  { tag: tags.function(tags.definition(tags.variableName)), class: "tok-definition" },
  { tag: tags.definition(tags.className), class: "tok-class" },
  {
    tag: [
      tags.arithmeticOperator,
      tags.bitwiseOperator,
      tags.compareOperator,
      tags.updateOperator,
      tags.definitionOperator,
    ],
    class: "tok-operator",
  },
  { tag: tags.meta, class: "tok-decorator" },
  { tag: [tags.standard(tags.variableName), tags.self], class: "tok-builtin" },
]);
