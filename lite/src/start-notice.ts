/**
 * Tells the user how far the start of a kernel is: one notification, which stays only if the start fails. And, once in
 * a page, what kernels cannot do in it.
 */

import { Notification } from "@jupyterlab/apputils";
import type { Progress } from "@laneway/kernel";

/** A start that takes less is not told of, in ms: who could read that? */
const SHORT = 500;

/** How often to look whether a toast is drawn, in ms, and how many times. */
const LOOK = 250;
const LOOKS = 20;

/** What the user has been told is missing. */
const told = new Set<string>();

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

export class StartNotice {
  #title: string;
  #id: string | undefined;
  #progress: Progress | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(title: string) {
    this.#title = title;
  }

  show(progress: Progress): void {
    this.#progress = progress;
    this.#timer ??= setTimeout(() => this.#draw(), SHORT);
    if (this.#id !== undefined) this.#draw();
  }

  close(): void {
    clearTimeout(this.#timer);
    if (this.#id !== undefined) void dismiss(this.#id);
    this.#id = this.#timer = undefined;
  }

  /** Say that the kernel has failed, until the user closes it. */
  fail(sentence: string): void {
    this.close();
    Notification.error(`${this.#title}: ${sentence}`, { autoClose: false });
  }

  /** Say what the kernel cannot do, a sentence for each thing. JupyterLab cuts off what is longer than 140 letters. */
  missing(sentences: string[]): void {
    for (const sentence of sentences.filter((sentence) => !told.has(sentence))) {
      told.add(sentence);
      Notification.warning(`${this.#title}: ${sentence}`, { autoClose: 15_000 });
    }
  }

  #draw(): void {
    const { text, loaded, total } = this.#progress!;
    const counted = loaded !== undefined && total !== undefined;
    const count = counted ? ` (${megabytes(loaded)} of ${megabytes(total)} MB)` : "";
    const message = `Starting ${this.#title}: ${text}${count}`;
    const progress = counted ? { progress: loaded / total } : {};
    if (this.#id === undefined) {
      this.#id = Notification.emit(message, "in-progress", { autoClose: false, ...progress });
    } else {
      Notification.update({ id: this.#id, message, ...progress });
    }
  }
}

/**
 * Take a notification away, once its toast is drawn. JupyterLab loads what draws toasts with the first of them, and
 * draws an update by two timers, of 0 and of 100 ms: a toast that is dismissed before that stays for good. Where the
 * user wants no toasts, the notification goes after a while.
 */
async function dismiss(id: string): Promise<void> {
  await sleep(0);
  let looks = 0;
  do await sleep(LOOK);
  while (++looks < LOOKS && document.getElementById(id) === null);
  Notification.dismiss(id);
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
