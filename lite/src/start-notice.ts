/** Tells the user how far the start of a kernel is: one notification, which stays only if the start fails. */

import { Notification } from "@jupyterlab/apputils";
import type { Progress } from "@laneway/kernel";

export class StartNotice {
  #title: string;
  #id: string | undefined;

  constructor(title: string) {
    this.#title = title;
  }

  show({ text, loaded, total }: Progress): void {
    const counted = loaded !== undefined && total !== undefined;
    const count = counted ? ` (${loaded + 1} of ${total})` : "";
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
}
