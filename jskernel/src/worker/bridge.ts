/**
 * The bridge between JavaScript and the Python kernel (`laneway.apps.browser`): each way one `Uint8Array` with the
 * envelope, or a string where it is short and comes from Python, and the binary buffers beside it. No structure is ever
 * converted, and no proxy outlives the call that made it, so that memory does not grow with the number of messages.
 *
 * What the kernel sends is posted at once. `postMessage` has no back pressure and says nothing of what was read, and
 * an answer of the page would not be heard while Python computes; so nothing is left out here, as it is over ZMQ. What
 * a page that is blocked has not read lies in the page's memory, not in Python's, which has an end.
 */

import type { Envelope, KernelEnvelope } from "../common/index.js";
import type { PyCallable, Pyodide, PyProxy } from "./pyodide.js";
import type { Safepoints } from "./safepoints.js";

/** A Python kernel that runs. */
export interface Kernel {
  /** Hand over a message; returns at once. */
  receive(envelope: Envelope): void;
  /** Ask the kernel to end. */
  stop(): void;
}

/** What comes of the Python kernel. */
export interface KernelEvents {
  messages(envelopes: KernelEnvelope[]): void;
  /** Once, when it has ended. */
  stopped(): void;
  /** Python itself has died: memory is exhausted, for example. */
  died(error: unknown): void;
}

/** The module `laneway.apps.browser`. */
export interface BrowserApp extends PyProxy {
  readonly VERSION: string;
  start: PyCallable;
}

interface Handlers extends PyProxy {
  receive: PyCallable;
  stop: PyCallable;
}

/** Import the kernel, in a Pyodide that has the package `laneway`. */
export function importKernel(pyodide: Pyodide): BrowserApp {
  return pyodide.pyimport("laneway.apps.browser") as BrowserApp;
}

/** Start the kernel, which uses `safepoints` to answer while code computes; `app` is used up. */
export async function startKernel(
  pyodide: Pyodide,
  app: BrowserApp,
  settings: Record<string, unknown>,
  events: KernelEvents,
  safepoints?: Safepoints,
): Promise<Kernel> {
  const post = (...parts: unknown[]) => {
    const envelopes: KernelEnvelope[] = [];
    for (let at = 0; at < parts.length; at += 2) {
      const [message, buffers] = parts.slice(at, at + 2) as [string | Uint8Array, Iterable<Uint8Array>];
      envelopes.push({
        message: typeof message === "string" ? message : own(message),
        buffers: Array.from(buffers, (buffer) => own(buffer).buffer),
      });
    }
    events.messages(envelopes);
  };
  if (pyodide._api) pyodide._api.on_fatal = (error) => events.died(error);
  const start = app.start;
  const starting = start(post, () => events.stopped(), settings, safepoints) as Promise<Handlers> & PyProxy;
  const handlers = await starting;
  starting.destroy();
  start.destroy();
  app.destroy();
  // kept for the kernel's whole life: reading an attribute of a proxy makes a new proxy each time
  const { receive, stop } = handlers;
  return {
    receive: ({ message, buffers }) => {
      try {
        receive(message, buffers);
      } catch (error) {
        // bad messages are Python's to answer: what is thrown here is the end of Python itself
        events.died(error);
      }
    },
    stop: () => void stop(),
  };
}

/** The same bytes in a buffer that holds nothing else, so that it can be transferred. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return whole ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}
