/** `launch`: a client of a kernel in a worker of this page. */

import { Client, ClosedError, KernelDiedError, KernelError, sharesMemory } from "../common/index.js";
import type { ClientTransport, Message, TransportEvents } from "../common/index.js";
import { controlled } from "./service-worker.js";
import { takeWorker } from "./spare.js";
import type { WorkerTransport, WorkerStart } from "./worker-transport.js";

/** As for the worker, but addresses may be relative to the page's. */
export interface LaunchOptions extends WorkerStart {
  /** Keep a worker ready for the next kernel, or a restart: it is there at once then, and takes memory until then. */
  spare?: boolean;
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
  #start: WorkerStart;
  #spare: boolean;
  #events: TransportEvents | undefined;
  #transport: WorkerTransport | undefined;

  constructor({ spare = false, kernelURL, ...options }: LaunchOptions) {
    this.#start = { ...options, kernelURL: folderAddress(kernelURL) };
    this.#spare = spare;
  }

  async start(events: TransportEvents): Promise<void> {
    this.#events = events;
    if (!sharesMemory()) await controlled();
    if (this.#events !== events) throw new ClosedError("The kernel was closed while it started.");
    await this.restart();
  }

  send(message: Message): void {
    if (!this.#transport) throw new ClosedError("The kernel's worker does not run.");
    this.#transport.send(message);
  }

  async restart(): Promise<void> {
    this.#end();
    const events = this.#events;
    const transport = takeWorker(this.#start, this.#spare);
    this.#transport = transport;
    transport.claim({
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
    await transport.ready;
  }

  close(): Promise<void> {
    this.#events = undefined;
    this.#end();
    return Promise.resolve();
  }

  #end(): void {
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.terminate();
  }
}

/** Absolute, with a slash at the end. Throws a `KernelError` where it is none. */
export function folderAddress(kernelURL: string): string {
  if (typeof kernelURL !== "string" || kernelURL === "") {
    throw new KernelError("The option kernelURL is missing: give the address of a kernel folder.");
  }
  return new URL(kernelURL.endsWith("/") ? kernelURL : `${kernelURL}/`, document.baseURI).href;
}
