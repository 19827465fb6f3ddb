/** An error, its frames folded as a reader wants them: their own code is open, what lies in libraries is not. */

import { colored, plain } from "./ansi.js";
import { make } from "./shell.js";

/** A frame begins with one of these (IPython's tracebacks). */
const FRAME = /^(File |Cell In|\S+ in |<|~|\/|\.\.\.)/;

export interface ErrorContent {
  ename: string;
  evalue: string;
  traceback: string[];
}

export function renderError({ ename, evalue, traceback }: ErrorContent): HTMLElement {
  const block = make("div", { className: "laneway-error" });
  if (traceback.length === 0) {
    block.append(make("pre", { textContent: evalue ? `${ename}: ${evalue}` : ename }));
    return block;
  }
  const frames = traceback.filter((part) => isFrame(part));
  for (const part of traceback) {
    // the ruler above it is for terminals
    if (/^-+$/.test(plain(part).trim())) continue;
    if (isFrame(part) && frames.length > 1) block.append(frame(part, part === frames.at(-1)));
    else block.append(colored(make("pre"), part));
  }
  return block;
}

function isFrame(part: string): boolean {
  return FRAME.test(plain(part)) && plain(part).trim().includes("\n");
}

function frame(part: string, last: boolean): HTMLElement {
  const [first = "", ...rest] = part.split("\n");
  const folded = make("details", { open: last || /^Cell In/.test(plain(part)) });
  const code = rest.join("\n").trimEnd();
  folded.append(colored(make("summary"), first), colored(make("pre"), code));
  return folded;
}
