/** What a cell looks like: the parts that are there before it wakes, in its shadow root. */

import outputSheet from "./outputs.css";
import shellSheet from "./shell.css";

/** What a cell does, as its `data-state` says. */
export type CellState =
  | "asleep"
  | "loading"
  | "waiting"
  | "running"
  | "paused"
  | "asking"
  | "stopping"
  | "done"
  | "failed"
  | "stopped";

const WORDS: Record<CellState, string> = {
  asleep: "",
  loading: "Loading",
  waiting: "Waiting",
  running: "Running",
  paused: "Paused",
  asking: "Asks",
  stopping: "Stopping",
  done: "Done",
  failed: "Failed",
  stopped: "Stopped",
};

const SHEET = sheet(shellSheet);

export type Action = "run" | "stop" | "edit" | "breakpoint" | "copy" | "reset" | "above" | "restart";

/** Text of the buttons; their names have the cell's label behind it. */
const BUTTONS: Record<Action, string> = {
  run: "Run",
  stop: "Stop",
  edit: "Edit",
  breakpoint: "Breakpoint",
  copy: "Copy",
  reset: "Reset",
  above: "Run above",
  restart: "Restart",
};

export class Shell {
  readonly root: ShadowRoot;
  /** Where the editor comes. */
  readonly place = make("div", { className: "editor", hidden: true });
  /** Over the place: where the author's `pre` is shown. */
  readonly source = make("slot", { name: "source" });

  #host: HTMLElement;
  #outputs = make("slot", { name: "outputs" });
  #label: string;
  #buttons = new Map<Action, HTMLButtonElement>();
  #status = make("span", { className: "status", role: "status" });
  #bar = make("progress", { hidden: true });
  #detail = make("span", { className: "detail" });
  #printed = make("pre", { className: "printed" });

  constructor(host: HTMLElement, label: string, act: (action: Action) => void) {
    adoptOutputSheet();
    this.#host = host;
    this.#label = label;
    this.root = host.attachShadow({ mode: "open" });
    this.root.adoptedStyleSheets = [SHEET];
    const controls = make("div", { className: "controls", role: "group", ariaLabel: label });
    for (const action of Object.keys(BUTTONS) as Action[]) {
      const button = make("button", { type: "button", textContent: BUTTONS[action] });
      button.ariaLabel = `${BUTTONS[action]}: ${label}`;
      button.classList.add(action);
      button.setAttribute("part", `button ${action}`);
      button.addEventListener("click", () => act(action));
      this.#buttons.set(action, button);
      controls.append(button);
    }
    this.#bar.ariaLabel = "Loading Python";
    controls.append(this.#status, this.#bar, this.#detail);
    controls.setAttribute("part", "controls");
    this.root.append(this.source, this.place, this.#printed, controls, this.#outputs);
    this.show({ run: true, edit: true, copy: true });
    this.state("asleep");
  }

  /** The other way round: what the code has put out stands above it. */
  showCodeBelow(): void {
    this.root.prepend(this.#outputs);
  }

  /** Show these buttons, or hide them; the others stay as they are. */
  show(buttons: Partial<Record<Action, boolean>>): void {
    for (const [action, button] of this.#buttons) {
      const shown = buttons[action] ?? !(button.hidden || this.#host.dataset.state === undefined);
      if (!shown && this.root.activeElement === button) this.#hand(action);
      button.hidden = !shown;
    }
  }

  /** Say what the cell does; `said` stands in the place of the state's own word. */
  state(state: CellState, said = WORDS[state]): void {
    const busy = ["loading", "waiting", "running", "paused", "asking", "stopping"].includes(state);
    const focused = this.root.activeElement;
    const [run, stop] = [this.#buttons.get("run")!, this.#buttons.get("stop")!];
    run.hidden = busy;
    stop.hidden = !busy;
    // one takes the other's place, and its focus
    if (focused === run && busy) stop.focus();
    if (focused === stop && !busy) run.focus();
    this.#host.dataset.state = state;
    this.#status.textContent = said;
  }

  /** Say how far the start of the kernel is, `part` of 1 where that is known; nothing where there is nothing to say. */
  progress(text = "", part?: number): void {
    this.#bar.hidden = text === "";
    this.#detail.textContent = text;
    if (part === undefined) this.#bar.removeAttribute("value");
    else this.#bar.value = part;
  }

  /** Focus what the reader acts with. */
  focus(): void {
    const [run, stop] = [this.#buttons.get("run")!, this.#buttons.get("stop")!];
    (run.hidden ? stop : run).focus();
  }

  /** What is printed in the editor's place. */
  print(code: string): void {
    this.#printed.textContent = code;
  }

  get label(): string {
    return this.#label;
  }

  /** The focus of a button that goes is for its neighbour, lest it be lost. */
  #hand(action: Action): void {
    this.#buttons.get(action === "run" ? "stop" : "run")!.focus();
  }
}

/** A new element with these properties. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  properties: Partial<HTMLElementTagNameMap[Name]> = {},
): HTMLElementTagNameMap[Name] {
  return Object.assign(document.createElement(name), properties);
}

/** Constructed: a Content-Security-Policy need not allow it. */
export function sheet(text: string): CSSStyleSheet {
  const made = new CSSStyleSheet();
  made.replaceSync(text);
  return made;
}

let adopted = false;

/** Outputs are in the page itself, where scripts of outputs find them. */
function adoptOutputSheet(): void {
  if (adopted) return;
  adopted = true;
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet(outputSheet)];
}
