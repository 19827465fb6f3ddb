/** What a cell prints: one block for each run of text to one stream, which grows. */

import { Ansi } from "./ansi.js";
import { make } from "./shell.js";

/** Lines of one chunk: the browser need not lay out the others when more comes. */
const CHUNK = 100;

/** Characters after which a line is not written anew when more of it comes. */
const LONG = 10_000;

export class StreamBlock {
  readonly element: HTMLPreElement;

  #ansi = new Ansi();
  /** The last line, which a carriage return may begin anew. */
  #line = "";
  #shown = make("span");
  /** The chunk that is being written, and how many lines it has. */
  #chunk = make("span");
  #lines = 0;

  constructor(readonly name: "stdout" | "stderr") {
    this.element = make("pre", { className: `laneway-stream laneway-${name}` });
    this.element.append(this.#chunk, this.#shown);
  }

  write(text: string): void {
    const whole = this.#line + text;
    const end = whole.length - whole.lastIndexOf("\n") > LONG ? whole.length : whole.lastIndexOf("\n") + 1;
    const lines = whole.slice(0, end);
    this.#line = whole.slice(end);
    if (lines) this.#commit(overwritten(lines));
    this.#shown.replaceChildren(this.#ansi.fork().nodes(overwritten(this.#line)));
  }

  #commit(text: string): void {
    for (let at = 0; at < text.length;) {
      let end = at;
      while (this.#lines < CHUNK && end < text.length) {
        const line = text.indexOf("\n", end) + 1;
        if (line > 0) this.#lines++;
        end = line || text.length;
      }
      this.#chunk.append(this.#ansi.nodes(text.slice(at, end)));
      at = end;
      if (this.#lines < CHUNK) continue;
      this.#chunk.className = "laneway-lines";
      this.#chunk = make("span");
      this.#shown.before(this.#chunk);
      this.#lines = 0;
    }
  }
}

/** The text as a terminal would show it: a carriage return begins a line anew, a backspace goes back. */
export function overwritten(text: string): string {
  if (!/[\r\b]/.test(text)) return text;
  return text.replace(/\r+\n/g, "\n").split("\n").map(overwriteLine).join("\n");
}

function overwriteLine(line: string): string {
  let shown = "";
  for (const part of line.split("\r")) {
    const longer = part.length >= shown.length || (part !== "" && /\x1b/.test(shown + part)); // eslint-disable-line no-control-regex -- colours have no width
    shown = longer ? part : part + shown.slice(part.length);
  }
  // eslint-disable-next-line no-control-regex -- as above
  while (/[^\b]\x08/.test(shown)) shown = shown.replace(/[^\b]\x08/g, ""); // a backspace takes what is before it
  return shown;
}
