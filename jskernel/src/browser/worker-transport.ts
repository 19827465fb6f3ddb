/**
 * The page's end of a kernel in a Web Worker: starts it, carries messages both ways, and says how it fares.
 * It gives no message a meaning; what belongs to which request is the client's business.
 */

import { createMailbox, decode, encode, KernelDiedError } from "../common/index.js";
import type { FromWorker, Message, Progress, StartOptions, ToWorker } from "../common/index.js";
import { Outbox } from "./mailbox.js";

/** `starting` until the kernel can answer, `failed` when it could not start or has died, `stopped` at its own end. */
export type TransportStatus = "starting" | "ready" | "failed" | "stopped";

export interface TransportHandlers {
  /** A message of the kernel. */
  onMessage(message: Message): void;
  /** How far the start is. */
  onProgress?(progress: Progress): void;
  /** The status has changed; `error` is one sentence, followed by details on further lines if there are any. */
  onStatus?(status: TransportStatus, error?: string): void;
}

export class WorkerTransport {
  /** Resolves when the kernel can answer. Rejects with `KernelDiedError` if it never will. */
  readonly ready: Promise<void>;

  #worker: Worker;
  #handlers: TransportHandlers;
  #outbox: Outbox | undefined;
  #status: TransportStatus = "starting";
  #settle!: { resolve: () => void; reject: (error: Error) => void };

  /**
   * Start a kernel in `worker`: one that `createWorker` made, or of your own that calls `serveWorker` of
   * `@laneway/kernel/worker`. The transport owns it, and ends it.
   */
  constructor(worker: Worker, options: StartOptions, handlers: TransportHandlers) {
    this.#worker = worker;
    this.#handlers = handlers;
    this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    // a caller who only follows the status must not be told of an unhandled rejection
    this.ready.catch(() => undefined);
    worker.addEventListener("message", ({ data }) => this.#receive(data as FromWorker));
    worker.addEventListener("messageerror", () =>
      console.error("Laneway: a message of the kernel could not be read and is lost."),
    );
    worker.addEventListener("error", (event) => this.#workerError(event));
    // Node can share memory and has no `crossOriginIsolated`
    if (typeof SharedArrayBuffer === "function" && globalThis.crossOriginIsolated !== false) {
      const mailbox = createMailbox();
      this.#outbox = new Outbox(mailbox, (message, transfer) => this.#post(message, transfer));
      this.#post({ type: "start", options, mailbox });
    } else {
      this.#post({ type: "start", options });
    }
  }

  get status(): TransportStatus {
    return this.#status;
  }

  /**
   * Send a message; returns at once. Before the kernel is ready messages wait in the worker, in order.
   *
   * The buffers are transferred: they are empty afterwards. Throws `KernelDiedError` when there is no kernel.
   */
  send(message: Message): void {
    if (this.#status === "failed" || this.#status === "stopped") {
      throw new KernelDiedError("The kernel does not run any more; restart it.");
    }
    const envelope = encode(message);
    if (this.#outbox) this.#outbox.send(envelope);
    else this.#post({ type: "message", ...envelope }, [envelope.message.buffer, ...envelope.buffers]);
  }

  /** Ask the kernel to end; the status becomes `stopped` when it has. */
  stop(): void {
    if (this.#status !== "starting" && this.#status !== "ready") return;
    if (this.#outbox) this.#outbox.stop();
    else this.#post({ type: "stop" });
  }

  /** End the worker at once, whatever it does. */
  terminate(): void {
    this.#end("stopped");
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #receive(data: FromWorker): void {
    switch (data.type) {
      case "progress":
        this.#handlers.onProgress?.(data);
        break;
      case "lock":
        void navigator.locks.request(data.name, () =>
          this.#end("failed", "The kernel's worker has ended; restart the kernel."),
        );
        break;
      case "ready":
        this.#status = "ready";
        this.#settle.resolve();
        this.#handlers.onStatus?.("ready");
        break;
      case "message":
        this.#deliver(data);
        break;
      case "room":
        this.#outbox?.flush();
        break;
      case "failed":
        this.#end("failed", data.error);
        break;
      case "stopped":
        this.#end("stopped");
        break;
    }
  }

  #deliver(envelope: FromWorker & { type: "message" }): void {
    let message: Message;
    try {
      message = decode(envelope);
    } catch (error) {
      console.error("Laneway: a message of the kernel is dropped.", error);
      return;
    }
    this.#handlers.onMessage(message);
  }

  #workerError(event: ErrorEvent): void {
    if (this.#status === "starting") {
      const detail = event.message ? `\n${event.message}` : "";
      this.#end("failed", `The kernel's worker could not be loaded or broke off while it started.${detail}`);
    } else {
      // thrown by a callback of user code in the worker, which goes on
      console.error("Laneway: an error in the kernel's worker:", event.message);
    }
  }

  #end(status: "failed" | "stopped", error?: string): void {
    if (this.#status === "failed" || this.#status === "stopped") return;
    this.#status = status;
    this.#worker.terminate();
    this.#settle.reject(new KernelDiedError(error ?? "The kernel was stopped."));
    this.#handlers.onStatus?.(status, error);
  }
}
