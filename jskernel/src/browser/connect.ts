/** `launch`: a client of a kernel in a worker of this page. */

import { Client, ClosedError, KernelDiedError, KernelError } from "../common/index.js";
import type { ClientTransport, Message, StartOptions, TransportEvents } from "../common/index.js";
import { createWorker } from "./create-worker.js";
import { WorkerTransport } from "./worker-transport.js";

/** As for the worker, but addresses may be relative to the page's. */
export interface LaunchOptions extends StartOptions {
  /** Makes a worker of your own, which calls `serveWorker` of `@laneway/kernel/worker`. */
  createWorker?: () => Worker;
}

/**
 * A client of a kernel in a worker of its own. Starting the client starts the worker, restarting it puts another in its
 * place, and closing it, or the page, ends it.
 */
export function launch(options: LaunchOptions): Client {
  return new Client(new KernelWorker(options));
}

/** A kernel in a worker, one after the other. */
class KernelWorker implements ClientTransport {
  #createWorker: () => Worker;
  #options: StartOptions;
  #events: TransportEvents | undefined;
  #transport: WorkerTransport | undefined;

  constructor({ createWorker: make = createWorker, ...options }: LaunchOptions) {
    this.#createWorker = make;
    this.#options = absolute(options);
  }

  start(events: TransportEvents): Promise<void> {
    this.#events = events;
    return this.restart();
  }

  send(message: Message): void {
    if (!this.#transport) throw new ClosedError("The kernel's worker does not run.");
    this.#transport.send(message);
  }

  async restart(): Promise<void> {
    this.#end();
    const events = this.#events;
    const transport = new WorkerTransport(this.#newWorker(), this.#options, {
      onMessage: (message) => {
        if (transport === this.#transport) events?.message(message);
      },
      onProgress: (progress) => {
        if (transport === this.#transport) events?.progress(progress);
      },
      onStatus: (status, error) => {
        if (transport !== this.#transport || status === "ready") return;
        this.#transport = undefined;
        events?.lost(new KernelDiedError(error ?? "The kernel has ended."));
      },
    });
    this.#transport = transport;
    await transport.ready;
  }

  close(): Promise<void> {
    this.#end();
    return Promise.resolve();
  }

  #end(): void {
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.terminate();
  }

  #newWorker(): Worker {
    try {
      return this.#createWorker();
    } catch (error) {
      throw new KernelError(`The kernel's worker cannot be started: ${String(error)}`, { cause: error });
    }
  }
}

function absolute(options: StartOptions): StartOptions {
  const from = (address: string) => new URL(address, document.baseURI).href;
  const { indexURL, lockFileURL } = options;
  return {
    ...options,
    indexURL: from(indexURL),
    ...(lockFileURL === undefined ? {} : { lockFileURL: from(lockFileURL) }),
  };
}
