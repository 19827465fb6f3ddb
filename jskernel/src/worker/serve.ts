/**
 * The worker's side of the protocol in `common/envelope.ts`: one kernel over one port.
 *
 *     start -> (progress)* -> ready | failed;  claim -> messages ... -> stopped | failed
 */

import type { Envelope, FromWorker, MailAddress, ToWorker, WorkerOptions } from "../common/index.js";
import { boot, FinalError } from "./boot.js";
import type { Booted, BootHooks } from "./boot.js";
import { MailboxInbox } from "./inbox.js";
import type { Inbox, InboxEvents } from "./inbox.js";
import { FetchingInbox } from "./mail.js";
import { reportFetches } from "./offline.js";

export { boot } from "./boot.js";
export type { Booted, BootEvents, BootHooks } from "./boot.js";
export type { Kernel, KernelEvents } from "./bridge.js";
export type { Inbox, InboxEvents } from "./inbox.js";
export type { PyCallable, Pyodide, PyProxy } from "./pyodide.js";

/** Milliseconds after the kernel is ready, or has answered, in which nobody asks it: then it gets its late files. */
const LULL = 150;

/** The worker's end of the connection to the page; whatever carries it (a worker, Node's streams). */
export interface Port {
  post(message: FromWorker, transfer: ArrayBuffer[]): void;
}

/** Serve one kernel over a port; returns the function that takes what the page sends. */
export function serve<Claim = unknown>(
  port: Port,
  hooks: BootHooks<Claim> = {},
): (message: ToWorker) => void {
  let booted: Booted | undefined;
  let inbox: Inbox | undefined;
  let state: "new" | "starting" | "running" | "ended" = "new";
  let lull: ReturnType<typeof setTimeout> | undefined;
  let loaded: ((files: ArrayBuffer[]) => void) | undefined;

  const post = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.post(message, transfer);
  const end = (message: FromWorker) => {
    if (state === "ended") return;
    state = "ended";
    clearTimeout(lull);
    post(message);
  };
  const fail = (error: unknown) => {
    const final = error instanceof FinalError;
    end({ type: "failed", error: error instanceof Error ? error.message : String(error), final });
  };
  const receive = (envelope: Envelope) => {
    booted?.kernel.receive(envelope);
    if (lull !== undefined) wait();
  };
  const load = (urls: string[]) =>
    new Promise<ArrayBuffer[]>((resolve) => {
      loaded = resolve;
      post({ type: "load", urls });
    });
  const finish = () => {
    lull = undefined;
    booted?.finish(load).catch((error: unknown) => {
      // whoever looks for one of them tries once more, and is told
      console.warn("Laneway: files of the kernel have not come.", error);
    });
  };
  const wait = () => {
    clearTimeout(lull);
    lull = setTimeout(finish, LULL);
  };

  const start = async (options: WorkerOptions, mailbox?: SharedArrayBuffer, mail?: MailAddress) => {
    state = "starting";
    const arrivals: InboxEvents = {
      message: receive,
      stop: () => booted?.kernel.stop(),
      room: () => post({ type: "room" }),
      taken: (count) => post({ type: "taken", count }),
      fetch: (id, url) => post({ type: "fetch", id, ...(url === undefined ? {} : { url }) }),
    };
    inbox = mailbox ? new MailboxInbox(mailbox, arrivals) : mail && fetchingInbox(mail, arrivals);
    booted = await boot(
      options,
      {
        progress: (progress) => post({ type: "progress", ...progress }),
        kept: (kept) => {
          if (!options.kept) post({ type: "kept", kept }, [kept.memory as ArrayBuffer]);
        },
        messages: (messages) => {
          const transfer = messages.flatMap(({ message, buffers }) =>
            typeof message === "string" ? buffers : [message.buffer, ...buffers],
          );
          post({ type: "messages", messages }, transfer);
        },
        stopped: () => end({ type: "stopped" }),
        died: (error) => fail(`Python has stopped for good; restart the kernel.\n${String(error)}`),
      },
      hooks,
      inbox,
    );
    state = "running";
    post({ type: "ready", fetches: inbox instanceof FetchingInbox });
    inbox?.open();
    wait();
  };

  const claim = ({ pyodide }: Booted, options: Claim) => {
    try {
      hooks.claim?.(pyodide, options);
    } catch (error) {
      fail(new FinalError(`The kernel's surroundings could not be prepared.\n${(error as Error).message}`));
    }
  };

  return (message) => {
    if (state === "ended") return;
    switch (message.type) {
      case "start":
        if (state === "new") void start(message.options, message.mailbox, message.mail).catch(fail);
        break;
      case "claim":
        if (booted) claim(booted, message.options as Claim);
        break;
      case "message":
        if (inbox) inbox.posted(message, message.number);
        else receive(message);
        break;
      case "mail":
        inbox?.bell();
        break;
      case "loaded":
        loaded?.(message.files);
        break;
      case "stop":
        booted?.kernel.stop();
        break;
    }
  };
}

/** Where messages can be fetched; undefined if they cannot, and come by `postMessage` alone. */
function fetchingInbox(mail: MailAddress, events: InboxEvents): Inbox | undefined {
  try {
    return new FetchingInbox(mail, events);
  } catch (error) {
    console.warn("Laneway: messages cannot be fetched while code computes.", error);
    return undefined;
  }
}

/** Serve one kernel in a dedicated worker: call it in the worker's entry module, before anything is awaited. */
export function serveWorker<Claim = unknown>(hooks: BootHooks<Claim> = {}): void {
  const scope = globalThis as unknown as DedicatedWorkerGlobalScope;
  const post = (message: FromWorker, transfer: ArrayBuffer[] = []) => {
    scope.postMessage(message, transfer);
    if (message.type === "ready") reportFetches();
  };
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
