/**
 * The page's end of a kernel in a Web Worker: starts it, carries messages both ways, and says how it fares.
 * It gives no message a meaning; what belongs to which request is the client's business.
 */

import {
  createMailbox,
  decode,
  encode,
  KernelDiedError,
  KernelError,
  sharesMemory,
  WAYS,
} from "../common/index.js";
import type {
  Envelope,
  FromWorker,
  KernelEnvelope,
  Manifest,
  Message,
  Progress,
  StartOptions,
  ToWorker,
  Way,
  WorkerOptions,
} from "../common/index.js";
import { FileServer } from "./file-server.js";
import { kernelFolder } from "./folder.js";
import type { KernelFolder } from "./folder.js";
import { MailServer } from "./mail.js";
import { Outbox } from "./mailbox.js";
import { controllerOfPage } from "./service-worker.js";

/** Milliseconds in which a worker that starts says nothing, after which it is given up. */
const PATIENCE: Record<Way, number> = { snapshot: 30_000, first: 60_000, plain: 120_000 };

/** `starting` until the kernel can answer, `failed` when it could not start or has died, `stopped` at its own end. */
export type TransportStatus = "starting" | "ready" | "failed" | "stopped";

export interface TransportHandlers {
  /** A message of the kernel. */
  onMessage(message: Message): void;
  /** How far the start is. */
  onProgress?(progress: Progress): void;
  /** The status has changed; `error` is one sentence, followed by details on further lines if there are any. */
  onStatus?(status: TransportStatus, error?: string): void;
  /** The hook of an embedder has posted something of its own: an object whose `type` is none of ours. */
  onOther?(data: { type: string }): void;
}

/** Where a kernel starts, and how. */
export interface WorkerStart extends StartOptions {
  /** Makes the worker from the address that the folder names; by default a module worker. */
  createWorker?: (url: string) => Worker;
  /** Only these ways of starting are tried, in this order; by default all that the folder offers. */
  ways?: readonly Way[];
}

export class WorkerTransport {
  /** Resolves when the kernel can answer. Rejects with `KernelDiedError` if it never will. */
  readonly ready: Promise<void>;

  #start: WorkerStart;
  #folder: KernelFolder;
  #worker: Worker | undefined;
  #handlers: TransportHandlers | undefined;
  #claim: unknown;
  /** How far the start is. */
  #progress: Progress | undefined;
  #outbox: Outbox | undefined;
  #files: FileServer | undefined;
  #mail: MailServer | undefined;
  #status: TransportStatus = "starting";
  #settle!: { resolve: () => void; reject: (error: Error) => void };
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  /** What is to be sent when the kernel is ready. */
  #waiting: Envelope[] = [];
  /** What came before there were handlers. */
  #arrived: Message[] = [];

  /** Start a kernel in a worker of its own. The kernel waits until it is claimed. */
  constructor(start: WorkerStart) {
    this.#start = start;
    this.#folder = kernelFolder(start.kernelURL);
    this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    // a caller who only follows the status must not be told of an unhandled rejection
    this.ready.catch(() => undefined);
    void this.#begin();
  }

  /** Take the kernel: `options` are for the worker's hook, and `handlers` hear what it has said and will say. */
  claim(handlers: TransportHandlers, options?: unknown): this {
    this.#handlers = handlers;
    this.#claim = options;
    if (this.#status === "ready") this.#open();
    else if (this.#progress) handlers.onProgress?.(this.#progress);
    for (const message of this.#arrived.splice(0)) handlers.onMessage(message);
    return this;
  }

  get status(): TransportStatus {
    return this.#status;
  }

  /**
   * Send a message; returns at once. Before the kernel is ready messages wait, in order.
   *
   * The buffers are transferred: they are empty afterwards. Throws `KernelDiedError` when there is no kernel.
   */
  send(message: Message): void {
    if (this.#status === "failed" || this.#status === "stopped") {
      throw new KernelDiedError("The kernel does not run any more; restart it.");
    }
    const envelope = encode(message);
    if (this.#status === "starting") this.#waiting.push(envelope);
    else this.#send(envelope);
  }

  /** Ask the kernel to end; the status becomes `stopped` when it has. */
  stop(): void {
    if (this.#status === "starting") this.#end("stopped");
    else if (this.#status !== "ready") return;
    else if (this.#outbox) this.#outbox.stop();
    else this.#post({ type: "stop" });
  }

  /** End the worker at once, whatever it does. */
  terminate(): void {
    this.#end("stopped");
  }

  // ---- the start

  /** Start a worker in the first way that has not failed in this page. `failed` has just failed, with this `error`. */
  async #begin(failed?: Way, error?: string): Promise<void> {
    try {
      const way = await this.#folder.way(this.#start.ways ?? WAYS, failed);
      if (this.#status !== "starting") return;
      if (way === undefined) throw new KernelError(error ?? "The kernel could not be started.");
      if (failed) console.warn(`Laneway: the kernel is started in another way (${way}). ${error}`);
      const manifest = await this.#folder.manifest();
      if (this.#status === "starting") this.#launch(way, manifest);
    } catch (reason) {
      this.#end("failed", reason instanceof Error ? reason.message : String(reason));
    }
  }

  #launch(way: Way, manifest: Manifest): void {
    const { createWorker = moduleWorker, kernelURL, packages, settings } = this.#start;
    const worker = createWorker(new URL(manifest.worker, kernelURL).href);
    this.#worker = worker;
    const retry = (error: string) => {
      if (worker !== this.#worker || this.#status !== "starting") return;
      clearTimeout(this.#watchdog);
      this.#worker = this.#outbox = undefined;
      this.#closeMail();
      this.#closeFiles();
      worker.terminate();
      void this.#begin(way, error);
    };
    const watch = () => {
      clearTimeout(this.#watchdog);
      this.#watchdog = setTimeout(() => retry("It has not said anything for a long time."), PATIENCE[way]);
    };
    worker.addEventListener("message", ({ data }) => {
      if (worker !== this.#worker) return;
      const message = data as FromWorker;
      if (this.#status === "starting") watch();
      if (message.type === "failed" && !message.final) retry(message.error);
      this.#receive(message, worker);
    });
    worker.addEventListener("messageerror", () =>
      console.error("Laneway: a message of the kernel could not be read and is lost."),
    );
    worker.addEventListener("error", ({ message }) => {
      if (this.#status === "starting") {
        const detail = message ? `\n${message}` : "";
        retry(`The kernel's worker could not be loaded or broke off while it started.${detail}`);
      } else {
        // thrown by a callback of user code in the worker, which goes on
        console.error("Laneway: an error in the kernel's worker:", message);
      }
    });
    watch();
    const kept = way === "snapshot" ? this.#folder.kept : undefined; // while the worker comes up
    const mine: WorkerOptions = {
      kernelURL,
      ...(packages ? { packages } : {}),
      ...(settings ? { settings } : {}),
      manifest,
      way,
      ...(kept ? { kept } : {}),
    };
    if (sharesMemory()) {
      const mailbox = createMailbox();
      this.#outbox = new Outbox(mailbox, (message, transfer) => this.#post(message, transfer));
      this.#files = new FileServer(this.#outbox);
      this.#post({ type: "start", options: mine, mailbox });
    } else {
      const controller = controllerOfPage();
      if (controller) this.#mail = new MailServer(controller.scriptURL);
      this.#post({ type: "start", options: mine, ...(this.#mail ? { mail: this.#mail.address } : {}) });
    }
  }

  /** The kernel is ready, and claimed: what has waited is sent. */
  #open(): void {
    this.#post({ type: "claim", options: this.#claim });
    for (const envelope of this.#waiting.splice(0)) this.#send(envelope);
  }

  // ---- messages

  #send(envelope: Envelope): void {
    if (this.#outbox) {
      this.#outbox.send(envelope);
      return;
    }
    const number = this.#mail?.put(envelope);
    const transfer = [envelope.message.buffer, ...envelope.buffers];
    this.#post({ type: "message", ...(number === undefined ? {} : { number }), ...envelope }, transfer);
  }

  #post(message: ToWorker, transfer: Transferable[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }

  #receive(data: FromWorker, worker: Worker): void {
    switch (data.type) {
      case "progress":
        this.#progress = data;
        this.#handlers?.onProgress?.(data);
        break;
      case "lock":
        void navigator.locks.request(data.name, () => {
          if (worker === this.#worker)
            this.#end("failed", "The kernel's worker has ended; restart the kernel.");
        });
        break;
      case "kept":
        this.#folder.kept = data.kept;
        break;
      case "ready":
        clearTimeout(this.#watchdog);
        this.#status = "ready";
        if (!data.fetches) this.#closeMail();
        if (this.#handlers) this.#open();
        this.#settle.resolve();
        this.#handlers?.onStatus?.("ready");
        break;
      case "messages":
        for (const envelope of data.messages) this.#deliver(envelope);
        break;
      case "room":
        this.#outbox?.flush();
        break;
      case "fetch":
        void this.#files?.fetch(data.id, data.url);
        break;
      case "taken":
        this.#mail?.taken(data.count);
        break;
      case "load":
        void this.#load(data.urls, worker);
        break;
      case "failed":
        if (this.#status === "ready" || data.final) this.#end("failed", data.error);
        break;
      case "stopped":
        this.#end("stopped");
        break;
      default:
        this.#handlers?.onOther?.(data);
    }
  }

  #deliver(envelope: KernelEnvelope): void {
    if (this.#status === "failed" || this.#status === "stopped") return; // by who heard the one before
    let message: Message;
    try {
      message = decode(envelope);
    } catch (error) {
      console.error("Laneway: a message of the kernel is dropped.", error);
      return;
    }
    try {
      if (this.#handlers) this.#handlers.onMessage(message);
      else this.#arrived.push(message);
    } catch (error) {
      reportError(error); // who fails to hear it shall hear the next one
    }
  }

  /**
   * Load files for the worker, which must not do it: what comes for it nobody reads while its code computes, and until
   * then the browser's cache has everyone wait who wants the same file, a synchronous request of the worker itself, too.
   */
  async #load(urls: string[], worker: Worker): Promise<void> {
    const files = await Promise.all(urls.map(content)).catch(() => []);
    if (worker === this.#worker) this.#post({ type: "loaded", files }, files);
  }

  #closeMail(): void {
    this.#mail?.close();
    this.#mail = undefined;
  }

  #closeFiles(): void {
    this.#files?.close();
    this.#files = undefined;
  }

  #end(status: "failed" | "stopped", error?: string): void {
    if (this.#status === "failed" || this.#status === "stopped") return;
    this.#status = status;
    clearTimeout(this.#watchdog);
    this.#worker?.terminate();
    this.#closeMail();
    this.#closeFiles();
    this.#settle.reject(new KernelDiedError(error ?? "The kernel was stopped."));
    this.#handlers?.onStatus?.(status, error);
  }
}

async function content(url: string): Promise<ArrayBuffer> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`The server says ${response.status}.`);
  return await response.arrayBuffer();
}

/** A worker that the page may have, and that its service worker serves, too, wherever its script lies. */
function moduleWorker(url: string): Worker {
  const controller = controllerOfPage();
  const served = !controller || url.startsWith(new URL(".", controller.scriptURL).href);
  if (served && new URL(url).origin === location.origin) return new Worker(url, { type: "module" });
  // one without an address is of the page's origin, and has the service worker of its page, and its headers
  const script = new Blob([`import ${JSON.stringify(url)};`], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(script), { type: "module" });
}
