/** Text with terminal colours, as nodes. */

import { AnsiUp } from "ansi_up";
import { make } from "./shell.js";

/** A web address, without what ends the sentence that it is in. */
const ADDRESS = /(https?:\/\/[^\s<>"'`]*[^\s<>"'`.,:;!?)\]}])/;

/** Turns pieces of one text into nodes; colours go on from piece to piece. */
export class Ansi {
  #up: AnsiUp;

  constructor(up = new AnsiUp()) {
    up.use_classes = true;
    this.#up = up;
  }

  /** One that goes on from where this one is. */
  fork(): Ansi {
    return new Ansi(Object.assign(new AnsiUp(), this.#up));
  }

  nodes(text: string): DocumentFragment {
    const template = document.createElement("template");
    // as data, since a Content-Security-Policy refuses style attributes; the text has no quotes that are not escaped
    template.innerHTML = this.#up.ansi_to_html(text).replace(/<span style="/g, '<span data-style="');
    for (const span of template.content.querySelectorAll<HTMLElement>("[data-style]")) {
      for (const rule of span.dataset.style!.split(";")) {
        const [name, value = ""] = rule.split(":");
        span.classList.add(...classOf(name!, value));
      }
      delete span.dataset.style;
    }
    if (text.includes("://")) link(template.content);
    return template.content;
  }
}

/** Addresses in it can be followed. */
function link(fragment: DocumentFragment): void {
  const texts: Text[] = [];
  const walker = document.createTreeWalker(fragment, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) texts.push(walker.currentNode as Text);
  for (const node of texts) {
    if (node.parentElement?.closest("a")) continue; // a terminal's own link
    const parts = node.data.split(ADDRESS); // every second one is an address
    if (parts.length === 1) continue;
    node.replaceWith(
      ...parts.map((part, at) =>
        at % 2 ? make("a", { href: part, target: "_blank", rel: "noopener", textContent: part }) : part,
      ),
    );
  }
}

/** The text of `block` becomes this one. */
export function colored<Block extends Element>(block: Block, text: string): Block {
  block.replaceChildren(new Ansi().nodes(text));
  return block;
}

/** Without its colours. */
export function plain(text: string): string {
  // eslint-disable-next-line no-control-regex -- that is what they are
  return text.replace(/\x1b\[[\d;]*[A-Za-z]/g, "");
}

const STYLES: Record<string, string> = {
  "font-weight": "ansi-bold",
  opacity: "ansi-faint",
  "font-style": "ansi-italic",
  "text-decoration": "ansi-underline",
};

const COLORS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** One of the eight colours that can be read on the page's ground, for one of 256 or of 16 million. */
function classOf(name: string, value: string): string[] {
  if (name in STYLES) return [STYLES[name]!];
  const parts = (value.match(/\d+/g) ?? []).map((part) => Number(part) / 255);
  const most = Math.max(0, ...parts);
  const bright = parts.map((part) => most > 0 && part > most * 0.6);
  const color = COLORS[(bright[0] ? 1 : 0) + (bright[1] ? 2 : 0) + (bright[2] ? 4 : 0)]!;
  if (name === "color") return [`ansi-${color}-fg`];
  return name === "background-color" ? [`ansi-${color}-bg`] : [];
}
