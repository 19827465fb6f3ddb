/**
 * Tells the user how far the start of a kernel is: one notification, which stays only if the start fails. And, once in
 * a page, what kernels cannot do in it.
 */

import { Notification } from "@jupyterlab/apputils";
import type { Progress } from "@laneway/kernel";

/** What the user has been told is missing. */
const told = new Set<string>();

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);

export class StartNotice {
  #title: string;
  #id: string | undefined;

  constructor(title: string) {
    this.#title = title;
  }

  show({ text, loaded, total }: Progress): void {
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

  close(): void {
    if (this.#id !== undefined) Notification.dismiss(this.#id);
    this.#id = undefined;
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
}
