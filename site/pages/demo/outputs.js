/** What a cell puts out, for people: streams, displays and errors with their colours, questions. */

/** Characters of a cell that are shown. */
const ROOM = 200_000;

export class Outputs {
  #room = ROOM;
  #clearing = false;
  /** The block that a stream is being written to. */
  #stream;
  /** By display_id, what can be updated. */
  #displays = new Map();

  constructor(title) {
    this.element = make("div", { className: "outputs", role: "log", ariaLabel: `Output: ${title}` });
  }

  clear() {
    this.element.replaceChildren();
    this.#stream = undefined;
    this.#displays.clear();
    this.#room = ROOM;
    this.#clearing = false;
  }

  /** Show an output of the client. */
  add({ type, content }) {
    if (type === "clear_output") {
      if (content.wait) this.#clearing = true;
      else this.clear();
      return;
    }
    if (this.#clearing) this.clear();
    if (type === "stream") {
      this.#write(content.name, content.text);
    } else if (type === "error") {
      this.#append(colored(make("pre", { className: "error" }), content.traceback.join("\n")));
    } else {
      const shown = display(content.data);
      const id = content.transient?.display_id;
      if (type === "update_display_data") {
        this.#displays.get(id)?.replaceWith(shown);
      } else {
        this.#append(shown);
      }
      if (id !== undefined) this.#displays.set(id, shown);
    }
  }

  /** Say something that the cell has not. */
  say(text) {
    this.#append(make("p", { className: "said", textContent: text }));
  }

  /** Ask a question inline; gives the answer. */
  ask(prompt, { password, signal }) {
    const form = make("form", { className: "question" });
    const label = colored(make("label", {}), prompt || "Input: ");
    const input = make("input", { type: password ? "password" : "text", autocomplete: "off" });
    const send = make("button", { textContent: "Answer" });
    label.append(input);
    form.append(label, send);
    const cell = this.element.parentElement;
    const here = document.activeElement === document.body || cell.contains(document.activeElement);
    this.#append(form);
    if (here) input.focus();
    return new Promise((resolve) => {
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        form.remove();
        this.#write("stdout", `${prompt}${password ? "········" : input.value}\n`);
        if (here) cell.querySelector("textarea").focus();
        resolve(input.value);
      });
      signal.addEventListener("abort", () => form.remove());
    });
  }

  #append(block) {
    this.#stream = undefined;
    this.element.append(block);
  }

  #write(name, text) {
    if (this.#room <= 0) return;
    if (this.#stream?.className !== name) {
      this.#append(make("pre", { className: name }));
      this.#stream = this.element.lastChild;
    }
    const cut = text.slice(0, this.#room);
    this.#room -= cut.length;
    // a carriage return begins the line anew: what it overwrites is in this block
    if (/\r(?!\n)/.test(cut)) {
      const whole = this.#stream.textContent + cut;
      this.#stream.replaceChildren();
      colored(this.#stream, whole.replace(/[^\n]*\r(?!\n)/g, ""));
    } else {
      colored(this.#stream, cut);
    }
    if (this.#room <= 0) this.say("There is more output, which is not shown.");
  }
}

function display(data) {
  const { "text/html": html, "image/svg+xml": svg, "image/png": png, "text/plain": text } = data;
  if (html !== undefined) return make("div", { className: "html", innerHTML: html });
  const url =
    svg !== undefined
      ? `data:image/svg+xml,${encodeURIComponent(svg)}`
      : png !== undefined
        ? `data:image/png;base64,${png}`
        : undefined;
  if (url) return make("img", { src: url, alt: describe(text) });
  return colored(make("pre", {}), text ?? "This output has no form that can be shown here.");
}

/** What Python says of a picture, unless that is only the name of its class. */
function describe(text = "") {
  return /^(<.*>)?$/s.test(text) ? "A picture without a description" : text;
}

const COLORS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** Append text with ANSI colours to `block`, in colours that can be read on its background. */
function colored(block, text) {
  const style = { color: undefined, bold: false, marked: false };
  // eslint-disable-next-line no-control-regex -- that is what they are
  for (const [, codes, plain] of text.matchAll(/(?:\x1b\[([\d;]*)m)?((?:(?!\x1b\[[\d;]*m)[^])*)/g)) {
    if (codes !== undefined) change(style, codes.split(";").map(Number));
    if (plain === "") continue;
    const classes = [style.color && `ansi-${style.color}`, style.bold && "bold", style.marked && "marked"];
    const className = classes.filter(Boolean).join(" ");
    block.append(className ? make("span", { className, textContent: plain }) : plain);
  }
  return block;
}

function change(style, codes) {
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 0) Object.assign(style, { color: undefined, bold: false, marked: false });
    else if (code === 1) style.bold = true;
    else if (code === 22) style.bold = false;
    else if (code >= 30 && code <= 37) style.color = COLORS[code - 30];
    else if (code >= 90 && code <= 97) style.color = COLORS[code - 90];
    else if (code === 39) style.color = undefined;
    else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) style.marked = true;
    else if (code === 49) style.marked = false;
    else if (code === 38 || code === 48) {
      const [color, length] = extended(codes.slice(i + 1));
      if (code === 38) style.color = color;
      else style.marked = true;
      i += length;
    }
  }
}

/** One of the eight colours for one of 256 or of 16 million; and how many codes say it. */
function extended([kind, ...codes]) {
  if (kind === 2) return [nearest(codes.slice(0, 3).map((part) => part / 255)), 4];
  const [number = 0] = codes;
  if (number < 16) return [COLORS[number % 8], 2];
  if (number >= 232) return ["white", 2];
  const cube = number - 16;
  return [nearest([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((part) => part / 5)), 2];
}

function nearest([red = 0, green = 0, blue = 0]) {
  const most = Math.max(red, green, blue);
  const bright = (part) => most > 0 && part > most * 0.6;
  return COLORS[(bright(red) ? 1 : 0) + (bright(green) ? 2 : 0) + (bright(blue) ? 4 : 0)];
}

/** A new element with these properties. */
export function make(name, properties) {
  return Object.assign(document.createElement(name), properties);
}
