/** JSON as a tree that folds; a branch is made when it is opened. */

import { make } from "./shell.js";

/** How many levels are open where all are wanted. */
const DEEP = 5;

/** How many members of one branch are shown. */
const MANY = 1000;

/** Of a display, see IPython's JSON. */
export interface JSONMetadata {
  /** Are all levels open, or only the first? */
  expanded?: boolean;
  /** The name of the whole. */
  root?: string;
}

export function renderJSON(value: unknown, { expanded = false, root }: JSONMetadata): HTMLElement {
  const block = make("div", { className: "laneway-json" });
  block.append(branch(root, value, expanded ? DEEP : 1));
  return block;
}

/** `levels` of it are open. */
function branch(name: string | undefined, value: unknown, levels: number): HTMLElement {
  const label = name === undefined ? "" : `${name}: `;
  if (typeof value !== "object" || value === null) {
    return make("div", { textContent: label + JSON.stringify(value) });
  }
  const members = Object.entries(value);
  const size = Array.isArray(value) ? `[${members.length}]` : `{${members.length}}`;
  const folded = make("details", { open: levels > 0 });
  folded.append(make("summary", { textContent: label + size }));
  const fill = () => {
    if (folded.childElementCount > 1) return;
    for (const [key, member] of members.slice(0, MANY)) folded.append(branch(key, member, levels - 1));
    if (members.length > MANY) folded.append(make("div", { textContent: `${members.length - MANY} more` }));
  };
  if (levels > 0) fill();
  else folded.addEventListener("toggle", fill);
  return folded;
}
