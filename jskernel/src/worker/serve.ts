/**
 * The worker's side of the protocol in `common/envelope.ts`: one kernel over one port. Messages that come before the
 * kernel is ready wait, in order.
 */

import type { Envelope, FromWorker, StartOptions, ToWorker } from "../common/index.js";
import { boot } from "./boot.js";
import type { BootHooks } from "./boot.js";
import type { Kernel } from "./bridge.js";
import { MailboxInbox } from "./inbox.js";
import type { Inbox, InboxEvents } from "./inbox.js";

export { boot } from "./boot.js";
export type { BootEvents, BootHooks } from "./boot.js";
export type { Kernel, KernelEvents } from "./bridge.js";
export type { Inbox, InboxEvents } from "./inbox.js";
export type { PyCallable, Pyodide, PyProxy } from "./pyodide.js";

/** The worker's end of the connection to the page; whatever carries it (a worker, Node's streams). */
export interface Port {
  post(message: FromWorker, transfer: ArrayBuffer[]): void;
}

/**
 * Serve one kernel over a port; returns the function that takes what the page sends. What comes through a mailbox is
 * read there once the kernel runs.
 */
export function serve<Options extends StartOptions>(
  port: Port,
  hooks: BootHooks<Options> = {},
): (message: ToWorker) => void {
  const waiting: Envelope[] = [];
  let kernel: Kernel | undefined;
  let inbox: Inbox | undefined;
  let state: "new" | "starting" | "running" | "ended" = "new";
  let stopAsked = false;

  const post = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.post(message, transfer);
  const end = (message: FromWorker) => {
    if (state === "ended") return;
    state = "ended";
    waiting.length = 0;
    post(message);
  };
  const fail = (error: unknown) =>
    end({ type: "failed", error: error instanceof Error ? error.message : String(error) });

  const start = async (options: Options, mailbox?: SharedArrayBuffer) => {
    state = "starting";
    const arrivals: InboxEvents = {
      message: (envelope) => kernel?.receive(envelope),
      stop: () => kernel?.stop(),
      room: () => post({ type: "room" }),
    };
    inbox = mailbox ? new MailboxInbox(mailbox, arrivals) : hooks.inbox?.(options, arrivals);
    const started = await boot(
      options,
      {
        progress: (progress) => post({ type: "progress", ...progress }),
        message: (envelope) =>
          post({ type: "message", ...envelope }, [envelope.message.buffer, ...envelope.buffers]),
        stopped: () => end({ type: "stopped" }),
        died: (error) => fail(`Python has stopped for good; restart the kernel.\n${String(error)}`),
      },
      hooks,
      inbox,
    );
    kernel = started;
    state = "running";
    post({ type: "ready" });
    for (const envelope of waiting.splice(0)) started.receive(envelope);
    inbox?.open();
    if (stopAsked) started.stop();
  };

  return (message) => {
    if (state === "ended") return;
    switch (message.type) {
      case "start":
        if (state === "new") void start(message.options as Options, message.mailbox).catch(fail);
        break;
      case "message":
        if (inbox) inbox.posted(message);
        else if (kernel) kernel.receive(message);
        else waiting.push(message);
        break;
      case "mail":
        inbox?.bell();
        break;
      case "stop":
        if (kernel) kernel.stop();
        else if (state === "new") end({ type: "stopped" });
        else stopAsked = true;
        break;
    }
  };
}

/** Serve one kernel in a dedicated worker: call it in the worker's entry module, before anything is awaited. */
export function serveWorker<Options extends StartOptions>(hooks: BootHooks<Options> = {}): void {
  const scope = globalThis as unknown as DedicatedWorkerGlobalScope;
  const post = (message: FromWorker, transfer: ArrayBuffer[] = []) => scope.postMessage(message, transfer);
  const receive = serve({ post }, hooks);
  scope.addEventListener("message", ({ data }) => receive(data as ToWorker));
  // a worker's end is no event, whoever ends it; but its locks are free then (there are none without HTTPS)
  const { locks } = scope.navigator as { locks?: LockManager };
  if (!locks) return;
  const name = crypto.randomUUID();
  void locks.request(name, () => {
    post({ type: "lock", name });
    return new Promise(() => undefined);
  });
}
