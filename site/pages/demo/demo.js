/** The demo page: one kernel, which starts with the first cell that is run, and the cells of the page. */

import { makeCell } from "./cell.js";
import { launch } from "./kernel/browser/index.js";
import { missing } from "./kernel/common/index.js";

const kc = launch({ indexURL: "../lite/static/laneway/pyodide/" });
for (const section of document.querySelectorAll(".cell")) makeCell(section, kc);

const panel = document.querySelector("#kernel");
const status = panel.querySelector("[role=status]");
const detail = panel.querySelector(".detail");
const bar = panel.querySelector("progress");
const restart = panel.querySelector("button");

const WORDS = {
  starting: "Starting",
  idle: "Ready",
  busy: "Running",
  unresponsive: "Does not answer",
  restarting: "Restarting",
  dead: "Dead",
};

kc.on("state", (state) => {
  const coming = state === "starting" || state === "restarting";
  panel.dataset.state = state;
  status.textContent = WORDS[state];
  bar.hidden = !coming;
  restart.hidden = coming;
  detail.textContent = explain(state);
});

kc.on("progress", ({ text, loaded, total }) => {
  if (status.textContent === "Not started") status.textContent = WORDS.starting;
  bar.hidden = false;
  const counted = total !== undefined;
  detail.textContent = counted ? `${text} (${loaded + 1} of ${total})` : text;
  if (counted) bar.value = loaded / total;
  else bar.removeAttribute("value");
});

restart.addEventListener("click", () => {
  kc.restart().catch(() => undefined); // the state says it
});

function explain(state) {
  if (state === "dead") return kc.failure.message.split("\n")[0];
  if (state === "unresponsive") return "It computes, or is paused; wait, or restart it.";
  return state === "idle" ? missing(kc.info ?? {}).join(" ") : "";
}
