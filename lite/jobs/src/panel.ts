/** The panel: the jobs of one kernel, each with a button that cancels it. */

import type { ISessionContext } from "@jupyterlab/apputils";
import { closeIcon, LabIcon } from "@jupyterlab/ui-components";
import type { Message } from "@lumino/messaging";
import { Widget } from "@lumino/widgets";
import icon from "../style/jobs.svg";
import type { ToldJob } from "./jobs.js";
import { SessionJobs } from "./jobs.js";

/** Milliseconds after which times are shown anew, and what has no events is asked for. */
const TICK = 1000;

export class JobsPanel extends Widget {
  #context: ISessionContext | null = null;
  /** While the panel is visible: a kernel that nobody watches tells nothing. */
  #jobs: SessionJobs | undefined;
  #rows = new Map<string, Row>();
  #timer: number | undefined;
  /** May there be tasks that we were not told of? */
  #stale = false;
  #of = element("p", "laneway-Jobs-of");
  #says = element("p", "laneway-Jobs-says");
  #list = element("ul", "laneway-Jobs-list");
  #announces = element("p", "laneway-Jobs-announces");

  constructor() {
    super();
    this.id = "laneway-jobs";
    this.addClass("laneway-Jobs");
    this.title.icon = new LabIcon({ name: "laneway:jobs", svgstr: icon });
    this.title.caption = "Jobs of the kernel";
    this.node.setAttribute("role", "region");
    this.node.setAttribute("aria-label", "Jobs of the kernel");
    this.node.tabIndex = -1;
    this.#list.setAttribute("aria-label", "Jobs");
    this.#announces.setAttribute("role", "status");
    const title = element("h2", "laneway-Jobs-title");
    title.textContent = "Jobs";
    this.node.append(title, this.#of, this.#says, this.#list, this.#announces);
    this.update();
  }

  override dispose(): void {
    this.follow(null);
    super.dispose();
  }

  /** The notebook's or console's that is shown. */
  get followed(): ISessionContext | null {
    return this.#context;
  }

  /** Show the jobs of the kernel of this notebook or console. */
  follow(context: ISessionContext | null): void {
    if (context === this.#context) return;
    this.#unwatch();
    this.#context?.propertyChanged.disconnect(this.#rename, this);
    this.#context = context;
    context?.propertyChanged.connect(this.#rename, this);
    if (this.isVisible) this.#watch();
    this.update();
  }

  protected override onAfterShow(_message: Message): void {
    this.#watch();
  }

  protected override onAfterHide(_message: Message): void {
    this.#unwatch();
  }

  protected override onBeforeDetach(_message: Message): void {
    this.#unwatch();
  }

  protected override onActivateRequest(_message: Message): void {
    (this.#list.querySelector("button") ?? this.node).focus();
  }

  #watch(): void {
    if (this.#jobs || !this.#context) return;
    this.#jobs = new SessionJobs(this.#context);
    this.#jobs.changed.connect(() => this.update());
    this.#timer = window.setInterval(() => this.#tick(), TICK);
    this.update();
  }

  #unwatch(): void {
    window.clearInterval(this.#timer);
    this.#jobs?.dispose();
    this.#jobs = undefined;
  }

  #rename(): void {
    this.update();
  }

  #tick(): void {
    if (!this.#jobs || (this.#rows.size === 0 && !this.#stale)) return;
    this.#stale = this.#rows.size > 0; // what has just ended may have left tasks
    if (this.#jobs.standing === "followed") void this.#jobs.refresh();
    for (const row of this.#rows.values()) row.tick();
  }

  protected override onUpdateRequest(_message: Message): void {
    const jobs = this.#jobs?.jobs ?? [];
    const says = this.#sentence(jobs);
    setText(
      this.#of,
      this.#context ? `${this.#context.name || "Kernel"}: ${this.#context.kernelDisplayName}` : "",
    );
    setText(this.#says, says);
    this.#says.hidden = says === "";
    this.#list.hidden = jobs.length === 0;
    this.#show(jobs);
    if (this.#jobs?.standing === "waits") this.#announces.textContent = "";
  }

  /** What there is to say in place of a list. */
  #sentence(jobs: ToldJob[]): string {
    if (!this.#context || !this.#jobs)
      return "Open a notebook or a console: what its kernel runs is listed here.";
    const name = this.#context.kernelDisplayName;
    switch (this.#jobs.standing) {
      case "waits":
        return `The kernel tells nothing: its status is "${this.#context.kernelDisplayStatus}".`;
      case "asked":
        return "Asking the kernel …";
      case "foreign":
        return `The kernel ${name} does not say what it runs. "Python (Laneway)" does.`;
      case "followed":
        return this.#jobs.problem || (jobs.length === 0 ? "Nothing runs, and nothing is queued." : "");
    }
  }

  #show(jobs: ToldJob[]): void {
    const ids = new Set(jobs.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      this.#stale = true;
      this.#rows.delete(id);
      this.#remove(row);
    }
    for (const job of jobs) {
      let row = this.#rows.get(job.id);
      if (!row) {
        row = new Row(job, () => void this.#cancel(job.id));
        this.#rows.set(job.id, row);
        this.#list.append(row.node);
      }
      row.show(job);
    }
  }

  /** Take a row away; who was in it is in the next one then. */
  #remove(row: Row): void {
    const focused = row.node.contains(document.activeElement);
    const next = row.node.nextElementSibling ?? row.node.previousElementSibling;
    row.node.remove();
    if (focused) (next?.querySelector("button") ?? this.node).focus();
    if (row.cancelled) this.#announces.textContent = `Cancelled: ${row.name}`;
  }

  async #cancel(id: string): Promise<void> {
    const row = this.#rows.get(id);
    if (!row || row.cancelled) return;
    row.cancelled = true;
    this.#announces.textContent = `Cancelling: ${row.name}`;
    try {
      await this.#jobs?.cancel(id);
    } catch {
      // it has ended meanwhile; or else it is still listed then
      row.cancelled = false;
      await this.#jobs?.refresh();
    }
  }
}

/** One job. */
class Row {
  readonly node = element("li", "laneway-Job");
  cancelled = false;
  #job: ToldJob;
  #code = element("code", "laneway-Job-code");
  #state = element("span", "laneway-Job-state");
  #time = element("span", "laneway-Job-time");
  #where = element("span", "laneway-Job-where");
  #button = element("button", "laneway-Job-cancel");

  constructor(job: ToldJob, cancel: () => void) {
    this.#job = job;
    this.#button.type = "button";
    closeIcon.element({ container: this.#button, tag: "span", elementSize: "normal" });
    this.#button.addEventListener("click", cancel);
    const facts = element("div", "laneway-Job-facts");
    const since = element("span", "laneway-Job-since");
    since.append(this.#state, " ", this.#time);
    facts.append(since, " ", this.#where);
    const text = element("div", "laneway-Job-text");
    text.append(this.#code, facts);
    this.node.append(text, this.#button);
  }

  /** The first line of its code. */
  get name(): string {
    return this.#job.code || this.#job.kind;
  }

  show(job: ToldJob): void {
    this.#job = job;
    this.node.dataset["state"] = job.state;
    setText(this.#code, this.name);
    this.#code.title = this.name;
    setText(this.#state, job.state);
    const kind = job.kind === "cell" ? `${job.mode} cell` : job.kind;
    setText(this.#where, `${kind} · ${shortened(job.lane)}`);
    this.#where.title = job.lane;
    const label = `Cancel: ${this.name}`;
    if (this.#button.title !== label) {
      this.#button.title = label;
      this.#button.setAttribute("aria-label", label);
    }
    this.#button.setAttribute("aria-disabled", String(job.state === "ending" || this.cancelled));
    this.tick();
  }

  /** Show how long it has run by now. */
  tick(): void {
    const { elapsed, timeout, told } = this.#job;
    const ran = elapsed === null ? null : elapsed + (performance.now() - told) / 1000;
    const limit = timeout === null ? "" : `of ${timeout} s`;
    setText(this.#time, [ran === null ? "" : seconds(ran), limit].join(" ").trim());
  }
}

/** Of a subshell's long id the end: that is where the ids of a kernel differ. */
function shortened(lane: string): string {
  return lane.replace(/^(subshell ).{12,}(.{6})$/, "$1…$2");
}

function seconds(time: number): string {
  const whole = Math.floor(time);
  if (whole < 60) return `${whole} s`;
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (part: number) => String(part).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  name: string,
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  made.className = name;
  return made;
}

/** What stays as it was is not touched: screen readers would begin anew. */
function setText(node: HTMLElement, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}
