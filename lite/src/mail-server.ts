/** The page's end of the mail of one kernel, see `common/mail.ts`. */

import { encode } from "@laneway/kernel";
import type { Message } from "@laneway/kernel";
import { isMail } from "./common/mail.js";
import type { MailAnswer, MailRequest } from "./common/mail.js";

/** Every kernel that fetches messages, by its name. */
const servers = new Map<string, MailServer>();

/** Answer a request that has come through the service worker. */
export function answerMail(request: MailRequest): Promise<MailAnswer> {
  const server = servers.get(request.kernel);
  // a kernel that has ended asks once more, perhaps
  return server ? server.take(request) : Promise.resolve({ first: request.taken, messages: [] });
}

export class MailServer {
  static #count = 0;

  readonly name = `${performance.timeOrigin} ${++MailServer.#count}`;

  /** Messages that the worker may not have taken yet, and the number of the first of them. */
  #messages: string[] = [];
  #first = 0;
  #answer: (() => void) | undefined;

  constructor() {
    servers.set(this.name, this);
  }

  /** A message is being sent to the worker. */
  put(message: Message): void {
    if (!isMail(message)) return;
    this.#messages.push(new TextDecoder().decode(encode(message).message));
    this.#answer?.();
  }

  /** The worker has taken all that was sent. */
  clear(): void {
    this.#first += this.#messages.length;
    this.#messages = [];
  }

  take({ taken, timeout }: MailRequest): Promise<MailAnswer> {
    const known = Math.max(0, taken - this.#first);
    this.#first += this.#messages.splice(0, known).length;
    return new Promise((resolve) => {
      this.#answer = () => {
        clearTimeout(timer);
        this.#answer = undefined;
        resolve({ first: this.#first, messages: [...this.#messages] });
      };
      const timer = setTimeout(this.#answer, timeout);
      if (this.#messages.length > 0) this.#answer();
    });
  }

  close(): void {
    servers.delete(this.name);
    this.#answer?.();
  }
}
