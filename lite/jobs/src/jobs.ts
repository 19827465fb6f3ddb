/**
 * What the kernel of a notebook or console runs and has queued, as the kernel tells it: `list_jobs_request` on control,
 * then `job_event` on iopub. Both are Laneway's own; what they hold is said in `py/laneway/protocol/routes.py`.
 */

import type { ISessionContext } from "@jupyterlab/apputils";
import type { Kernel } from "@jupyterlab/services";
import { KernelMessage } from "@jupyterlab/services";
import type { Job } from "@laneway/kernel";
import type { ISignal } from "@lumino/signaling";
import { Signal } from "@lumino/signaling";

/** The kernel `waits` to be started or connected, is `asked` what runs, is `foreign`, or is `followed`. */
export type Standing = "waits" | "asked" | "foreign" | "followed";

/** A job, and when that was told: in milliseconds, as `performance.now()` counts. */
export interface ToldJob extends Job {
  told: number;
}

/** Requests to which the kernel's "busy" is not about what it runs. */
export const REQUESTS = ["list_jobs_request", "cancel_job_request"];

export class SessionJobs {
  #context: ISessionContext;
  #standing: Standing = "waits";
  #problem = "";
  #jobs = new Map<string, ToldJob>();
  /** Events that came before the list for which they may be news. */
  #early: Job[] | undefined;
  /** Counts the kernels, and their restarts: what was asked of one is not the next one's. */
  #turn = 0;
  #changed = new Signal<this, void>(this);

  constructor(context: ISessionContext) {
    this.#context = context;
    context.kernelChanged.connect(this.#onKernel, this);
    context.statusChanged.connect(this.#look, this);
    context.iopubMessage.connect(this.#onMessage, this);
    this.#look();
  }

  /** Stop to follow the kernel, which need not tell anything any more. */
  dispose(): void {
    const kernel = this.#kernel;
    if (kernel && this.#standing === "followed") {
      ask(kernel, "list_jobs_request", { watch: false }).catch(() => undefined);
    }
    this.#turn++;
    Signal.clearData(this);
  }

  /** Emitted when what is told here has changed. */
  get changed(): ISignal<this, void> {
    return this.#changed;
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** Why jobs are not told, though the kernel is one of ours: a sentence. */
  get problem(): string {
    return this.#problem;
  }

  get jobs(): ToldJob[] {
    return [...this.#jobs.values()];
  }

  /** End this job, and no other. Rejects with a sentence where there is none. */
  async cancel(id: string): Promise<void> {
    if (this.#kernel) await ask(this.#kernel, "cancel_job_request", { job_id: id });
  }

  /** Ask again: of tasks there are no events. */
  async refresh(): Promise<void> {
    const kernel = this.#kernel;
    if (!kernel || this.#early) return;
    const turn = this.#turn;
    this.#early = [];
    try {
      const { jobs } = await ask<{ jobs: Job[] }>(kernel, "list_jobs_request", { watch: true });
      if (turn !== this.#turn) return;
      this.#jobs.clear();
      for (const job of [...jobs, ...this.#early]) this.#take(job);
      this.#problem = "";
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#problem = (error as Error).message;
    }
    this.#early = undefined;
    this.#stand("followed");
  }

  get #kernel(): Kernel.IKernelConnection | undefined {
    return this.#context.session?.kernel ?? undefined;
  }

  #onKernel(): void {
    this.#forget();
    this.#look();
  }

  #look(): void {
    const status = this.#kernel?.status;
    const lives = status === "idle" || status === "busy";
    if (!lives && this.#standing !== "waits") this.#forget();
    else if (!lives)
      this.#changed.emit(); // the kernel's status is shown
    else if (this.#standing === "waits") void this.#begin();
  }

  async #begin(): Promise<void> {
    const turn = this.#turn;
    this.#stand("asked");
    const info = await this.#kernel?.info.catch(() => undefined);
    if (turn !== this.#turn) return;
    if (info && "laneway" in info) await this.refresh();
    else this.#stand("foreign");
  }

  #forget(): void {
    this.#turn++;
    this.#jobs.clear();
    this.#early = undefined;
    this.#problem = "";
    this.#stand("waits");
  }

  #onMessage(_context: ISessionContext, message: KernelMessage.IMessage): void {
    if ((message.header.msg_type as string) !== "job_event") return;
    const job = message.content as unknown as Job;
    if (this.#early) this.#early.push(job);
    else if (this.#standing === "followed") {
      this.#take(job);
      this.#changed.emit();
    }
  }

  #take(job: Job): void {
    if (job.state === "ended") this.#jobs.delete(job.id);
    else this.#jobs.set(job.id, { ...job, told: performance.now() });
  }

  #stand(standing: Standing): void {
    this.#standing = standing;
    this.#changed.emit();
  }
}

/** The content of the reply to a control request of ours. Rejects with its error's sentence. */
async function ask<Content = object>(
  kernel: Kernel.IKernelConnection,
  msgType: string,
  content: object,
): Promise<Content> {
  const options = {
    msgType,
    channel: "control",
    session: kernel.clientId,
    username: kernel.username,
    content,
  };
  // JupyterLab's types know the specification's messages only
  const message: unknown = KernelMessage.createMessage(options as never);
  const reply = await kernel.sendControlMessage(message as KernelMessage.IControlMessage, true).done;
  const answer = reply.content as { status: string; evalue?: string };
  if (answer.status !== "ok") throw new Error(answer.evalue ?? answer.status);
  return answer as Content;
}
