/**
 * Boots a Python kernel: Pyodide, its packages, the embedder's own preparations, the kernel. Needs neither worker nor
 * page, and so runs in Node, too.
 */

import { KernelError } from "../common/index.js";
import type { Progress, StartOptions } from "../common/index.js";
import { importKernel, startKernel } from "./bridge.js";
import type { Kernel, KernelEvents } from "./bridge.js";
import type { Inbox, InboxEvents } from "./inbox.js";
import { limitMemory } from "./memory.js";
import type { Pyodide, PyodideModule } from "./pyodide.js";
import { Safepoints } from "./safepoints.js";

export interface BootHooks<Options extends StartOptions = StartOptions> {
  /** Runs when Pyodide and its packages are there, before the kernel starts: mounts a file system, for example. */
  afterLoad?(pyodide: Pyodide, options: Options): void | Promise<void>;
  /**
   * Where page and worker share no memory: another way by which messages arrive while code computes or blocks, if there
   * is one.
   */
  inbox?(options: Options, events: InboxEvents): Inbox | undefined;
  /** Takes what Pyodide itself prints, line by line; the console by default. */
  print?: (text: string) => void;
}

export interface BootEvents extends KernelEvents {
  progress(progress: Progress): void;
}

/**
 * Start a kernel. With an `inbox`, which stays the caller's to empty, it also looks there by itself, and so answers
 * while code computes. Throws a `KernelError`: one sentence, then details on further lines.
 */
export async function boot<Options extends StartOptions>(
  options: Options,
  events: BootEvents,
  hooks: BootHooks<Options> = {},
  inbox?: Inbox,
): Promise<Kernel> {
  const indexURL = checkedIndexURL(options);
  limitMemory();
  events.progress({ phase: "pyodide", text: "Loading Pyodide" });
  const pyodide = await attempt(
    `Pyodide could not be loaded from ${indexURL}; check the address (indexURL) and that it can be reached.`,
    () => loadPyodide(indexURL, options.lockFileURL, hooks.print ?? console.log),
  );
  await loadPackages(pyodide, options.packages ?? ["laneway"], events);
  events.progress({ phase: "kernel", text: "Starting the kernel" });
  const failure =
    "The Python kernel did not start; is the package laneway among those to load, and does it suit this Pyodide?";
  // imported before the embedder comes, whose files may be slow and would be searched for every module
  const app = await attempt(failure, () => importKernel(pyodide));
  await attempt("The kernel's surroundings could not be prepared.", () =>
    hooks.afterLoad?.(pyodide, options),
  );
  const safepoints = inbox && new Safepoints(pyodide, inbox);
  return await attempt(failure, () => startKernel(pyodide, app, options.settings ?? {}, events, safepoints));
}

function checkedIndexURL(options: StartOptions): string {
  if (typeof options.indexURL !== "string" || options.indexURL === "") {
    throw new KernelError("The option indexURL is missing: give the address of the folder with pyodide.mjs.");
  }
  return options.indexURL.endsWith("/") ? options.indexURL : `${options.indexURL}/`;
}

async function loadPyodide(
  indexURL: string,
  lockFileURL: string | undefined,
  print: (text: string) => void,
): Promise<Pyodide> {
  const module = (await import(/* @vite-ignore */ `${indexURL}pyodide.mjs`)) as PyodideModule;
  const lock = lockFileURL === undefined ? {} : { lockFileURL };
  return await module.loadPyodide({ indexURL, ...lock, stdout: print, stderr: print });
}

async function loadPackages(pyodide: Pyodide, names: string[], events: BootEvents): Promise<void> {
  if (names.length === 0) return;
  const errors: string[] = [];
  // Pyodide announces all that it is about to load in one line, and then shows only in `loadedPackages` what is done
  let pending: string[] = [];
  let reported = -1;
  const report = () => {
    const next = pending.find((name) => !(name in pyodide.loadedPackages));
    const loaded = pending.filter((name) => name in pyodide.loadedPackages).length;
    if (next === undefined || loaded === reported) return;
    reported = loaded;
    events.progress({ phase: "packages", text: `Loading ${next}`, loaded, total: pending.length });
  };
  const timer = setInterval(report, 50);
  const failure = `Packages could not be loaded (${names.join(", ")}).`;
  try {
    await attempt(failure, () =>
      pyodide.loadPackage(names, {
        messageCallback: (text) => {
          const announced = /^Loading (.+)$/.exec(text)?.[1];
          if (announced !== undefined) pending = announced.split(", ");
          report();
        },
        errorCallback: (text) => errors.push(text),
      }),
    );
  } finally {
    clearInterval(timer);
  }
  // some versions only print what failed
  if (errors.length > 0) throw new KernelError([failure, ...errors].join("\n"));
}

/** Run `action`; what it throws becomes the details of `sentence`. */
async function attempt<Result>(sentence: string, action: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    throw new KernelError(`${sentence}\n${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
