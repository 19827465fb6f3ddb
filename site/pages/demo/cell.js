/** A cell in a page: code to edit, complete, run and stop, and what comes of it. */

import { fromCodePoints, toCodePoints } from "./kernel/common/index.js";
import { make, Outputs } from "./outputs.js";

/** Milliseconds after which a cell that was stopped is said not to obey. */
const PATIENCE = 3000;

/** Make a cell of `section`: its heading is the label, its `pre` the code. `kc` is a client, which may not have started. */
export function makeCell(section, kc) {
  const source = section.querySelector("pre");
  const title = section.querySelector("h2").textContent;
  const code = make("textarea", {
    value: source.textContent.trim(),
    spellcheck: false,
    autocapitalize: "off",
    ariaLabel: `Code: ${title}`,
  });
  const fit = () => (code.rows = code.value.split("\n").length);
  code.addEventListener("input", fit);
  fit();
  const button = make("button", { type: "button", textContent: "Run", ariaLabel: `Run: ${title}` });
  const state = make("span", { className: "state", role: "status" });
  const outputs = new Outputs(title);
  const controls = make("div", { className: "controls" });
  controls.append(button, state);
  source.replaceWith(code, controls, outputs.element);
  addCompletion(code, kc);

  let run;

  const begin = async () => {
    outputs.clear();
    label("Stop", "Waiting");
    kc.start().catch(() => undefined); // where it fails, so does the run
    try {
      run = kc.execute(code.value, { stdin: ask });
      void run.started.then(() => (state.textContent = "Running"));
      for await (const output of run) outputs.add(output);
      const { status, executionCount, dropped } = await run;
      if (dropped) outputs.say(`${dropped} outputs were too many and are lost.`);
      const ended = { ok: `Done [${executionCount}]`, error: "Failed", aborted: "Not run" }[status];
      label("Run", run.state === "cancelled" ? "Stopped" : ended);
    } catch (error) {
      outputs.say(error.message);
      label("Run", "Failed");
    }
    run = undefined;
  };

  const ask = async (prompt, question) => {
    state.textContent = "Asks";
    const answer = await outputs.ask(prompt, question);
    state.textContent = "Running";
    return answer;
  };

  const stop = async () => {
    state.textContent = "Stopping";
    try {
      await run.cancel({ timeoutMs: PATIENCE });
    } catch {
      outputs.say("Python does not stop, because it computes without a pause; wait, or restart it.");
    }
  };

  const label = (text, said) => {
    button.textContent = text;
    button.ariaLabel = `${text}: ${title}`;
    state.textContent = said;
  };

  button.addEventListener("click", () => void (run ? stop() : begin()));
  code.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.shiftKey || event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (!run) void begin();
  });
}

/** Tab behind a name completes it; Escape gives the next Tab back to the page. */
function addCompletion(code, kc) {
  const list = make("ul", {
    role: "listbox",
    id: `${crypto.getRandomValues(new Uint32Array(1))}`,
    hidden: true,
  });
  list.ariaLabel = "Completions";
  const count = make("span", { className: "only-heard", role: "status" });
  code.after(list, count);
  code.setAttribute("aria-controls", list.id);
  code.setAttribute("aria-autocomplete", "list");
  let replies = 0;
  let found;
  let chosen = 0;
  let leaving = false;

  const close = () => {
    replies++; // what is on its way comes too late
    list.hidden = true;
    code.removeAttribute("aria-activedescendant");
    count.textContent = "";
  };

  const choose = (index) => {
    list.children[chosen]?.setAttribute("aria-selected", "false");
    chosen = (index + list.children.length) % list.children.length;
    const option = list.children[chosen];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    code.setAttribute("aria-activedescendant", option.id);
  };

  const accept = (match) => {
    const [start, end] = [found.cursor_start, found.cursor_end].map((at) => fromCodePoints(code.value, at));
    close();
    code.setRangeText(match, start, end, "end");
    code.dispatchEvent(new Event("input"));
    code.focus();
  };

  const complete = async () => {
    const { value, selectionStart } = code;
    close();
    const reply = ++replies;
    kc.start().catch(() => undefined);
    count.textContent = "Completing";
    try {
      found = await kc.complete(value, toCodePoints(value, selectionStart), { timeoutMs: 60_000 });
    } catch {
      return; // the kernel's state says why
    }
    if (reply !== replies || code.value !== value) return;
    const { matches } = found;
    if (matches.length === 1) accept(matches[0]);
    count.textContent = matches.length === 1 ? matches[0] : `${matches.length || "No"} completions`;
    if (matches.length < 2) return;
    list.replaceChildren(
      ...matches.map((match, index) => {
        const option = make("li", { role: "option", id: `${list.id}-${index}`, textContent: match });
        option.addEventListener("pointerdown", (event) => {
          event.preventDefault(); // the code keeps the focus
          accept(match);
        });
        return option;
      }),
    );
    list.hidden = false;
    choose(0);
  };

  const keys = {
    ArrowDown: () => choose(chosen + 1),
    ArrowUp: () => choose(chosen - 1),
    Enter: () => accept(list.children[chosen].textContent),
    Tab: () => accept(list.children[chosen].textContent),
    Escape: close,
  };

  code.addEventListener("keydown", (event) => {
    const { key, shiftKey, ctrlKey, metaKey, altKey } = event;
    if (shiftKey || ctrlKey || metaKey || altKey) return;
    const free = leaving;
    leaving = key === "Escape";
    if (!list.hidden && key in keys) {
      event.preventDefault();
      keys[key]();
      return;
    }
    const behindName = /[\w.]$/.test(code.value.slice(0, code.selectionStart));
    if (key === "Tab" && behindName && !free && code.selectionStart === code.selectionEnd) {
      event.preventDefault();
      void complete();
    }
  });
  code.addEventListener("input", close);
  code.addEventListener("blur", close);
}
