/**
 * Boots a Python kernel in one of the ways of `manifest.ts`: Pyodide, its packages, the kernel. Needs neither worker nor
 * page, and so runs in Node, too.
 */

import { checkVersion, KernelError } from "../common/index.js";
import type { Kept, Progress, WorkerOptions } from "../common/index.js";
import { importKernel, startKernel } from "./bridge.js";
import type { Kernel, KernelEvents } from "./bridge.js";
import { Downloads } from "./download.js";
import { completeErrors } from "./errors.js";
import type { Inbox } from "./inbox.js";
import { folders, LateFiles, writeFiles } from "./late-files.js";
import type { Load } from "./late-files.js";
import { lending } from "./lend.js";
import { limitMemory } from "./memory.js";
import type { LoadOptions, Pyodide, PyodideModule } from "./pyodide.js";
import { restore } from "./restore.js";
import { Safepoints } from "./safepoints.js";

export interface BootHooks<Claim = unknown> {
  /** Runs when the kernel has found its user, before the first message: mounts a file system, for example. */
  claim?(pyodide: Pyodide, options: Claim): void;
  /** Takes what Pyodide itself prints, line by line; the console by default. */
  print?: (text: string) => void;
}

export interface BootEvents extends KernelEvents {
  progress(progress: Progress): void;
  /** There is something that the next worker may begin with. */
  kept(kept: Kept): void;
}

export interface Booted {
  kernel: Kernel;
  pyodide: Pyodide;
  /** Gets what the kernel has started without: to be called when it has answered first. See `LateFiles.load`. */
  finish(load: Load): Promise<void>;
}

/** A Pyodide in which the kernel can be imported, and the files that it lacks. */
interface Loaded {
  pyodide: Pyodide;
  late?: LateFiles;
}

/** The kernel cannot start, in whatever way it is tried. */
export class FinalError extends KernelError {}

/**
 * Start a kernel. With an `inbox`, which stays the caller's to empty, it also looks there by itself, and so answers
 * while code computes. Throws a `KernelError`: one sentence, then details on further lines.
 */
export async function boot(
  options: WorkerOptions,
  events: BootEvents,
  hooks: BootHooks = {},
  inbox?: Inbox,
): Promise<Booted> {
  checkWebAssembly();
  limitMemory();
  completeErrors();
  let started = false;
  const downloads = new Downloads(options.kernelURL, options.manifest, (progress) => {
    if (!started) events.progress(progress); // what comes later holds nobody up
  });
  events.progress({ phase: "pyodide", text: "Loading Python" });
  const failure = `Python could not be loaded from ${options.kernelURL}; check the address, and that it can be reached.`;
  const { pyodide, late } = await attempt(failure, () => load(options, downloads, events, hooks));
  const packages = [...options.manifest.preload, ...(options.packages ?? [])];
  if (packages.length > 0) {
    await late?.load(); // Pyodide puts packages into a folder that is watched else
    await loadPackages(pyodide, packages, events);
  }
  events.progress({ phase: "kernel", text: "Starting the kernel" });
  const safepoints = inbox && new Safepoints(pyodide, inbox);
  const kernel = await attempt("The Python kernel did not start.", async () => {
    const app = importKernel(pyodide);
    checkVersion(app.VERSION, "the Python package", FinalError);
    const started = await startKernel(pyodide, app, settings(options), events, safepoints);
    if (options.way === "first") late?.awaitImports();
    return started;
  });
  started = true;
  return { kernel, pyodide, finish: async (load) => await late?.load(load) };
}

/** Pyodide would wait for ever where nothing can be compiled. */
function checkWebAssembly(): void {
  if (typeof WebAssembly === "undefined") {
    throw new FinalError(
      "This browser has WebAssembly switched off, and Python needs it; allow it for this page.",
    );
  }
  try {
    new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)); // an empty one
  } catch (error) {
    const policy = "its Content-Security-Policy allows no WebAssembly; add 'wasm-unsafe-eval' to script-src.";
    throw new FinalError(`Python cannot run in this page: ${policy}\n${(error as Error).message}`);
  }
}

/** The kernel's settings: `%pip install` looks into the folder's own index first. */
function settings({ kernelURL, manifest, settings = {} }: WorkerOptions): Record<string, unknown> {
  const { pipIndexURLs = [] } = settings as { pipIndexURLs?: string[] };
  // not through `URL`, which would write the braces otherwise
  return { ...settings, pipIndexURLs: [kernelURL + manifest.index, ...pipIndexURLs] };
}

async function load(
  options: WorkerOptions,
  downloads: Downloads,
  events: BootEvents,
  { print = console.log }: BootHooks,
): Promise<Loaded> {
  const { manifest, way } = options;
  const { quick } = manifest;
  const indexURL = downloads.url(manifest.core);
  const base = { indexURL, stdout: print, stderr: print };
  if (way === "plain" || !quick) {
    const pyodide = await loadPyodide({
      ...base,
      lockFileURL: downloads.url(manifest.lock),
      stdLibURL: downloads.url(manifest.stdlib),
    });
    await loadPackages(pyodide, manifest.kernel, events);
    return { pyodide };
  }
  const lock = downloads.get(manifest.lock).then((bytes) => new TextDecoder().decode(bytes));
  lock.catch(() => undefined);
  const common = { ...base, lockFileContents: lock, packageBaseUrl: indexURL };
  let pyodide: Pyodide;
  if (way === "snapshot") {
    const restored = await restore(options, downloads, common);
    pyodide = restored.pyodide;
    events.kept(restored.kept);
  } else {
    const library = downloads.get(quick.library, { unpack: true });
    const first = downloads.get(quick.first, { unpack: true });
    first.catch(() => undefined);
    const stdLibURL = downloads.url(quick.library);
    pyodide = await lending({ [stdLibURL]: library }, () => loadPyodide({ ...common, stdLibURL }));
    writeFiles(pyodide.FS, folders(pyodide.FS).site, await first);
  }
  for (const name of manifest.kernel) pyodide.loadedPackages[name] = "pyodide";
  const late = new LateFiles(pyodide, downloads, manifest, quick);
  if (way === "snapshot") late.watch();
  return { pyodide, late };
}

async function loadPyodide(options: LoadOptions): Promise<Pyodide> {
  const module = (await import(/* @vite-ignore */ `${options.indexURL}pyodide.mjs`)) as PyodideModule;
  return await module.loadPyodide(options);
}

async function loadPackages(pyodide: Pyodide, names: string[], events: BootEvents): Promise<void> {
  const errors: string[] = [];
  const failure = `Packages could not be loaded (${names.join(", ")}).`;
  events.progress({ phase: "packages", text: "Loading packages" });
  await attempt(failure, () =>
    pyodide.loadPackage(names, {
      messageCallback: (text) => {
        if (text.startsWith("Loaded ")) events.progress({ phase: "packages", text });
      },
      errorCallback: (text) => errors.push(text),
    }),
  );
  // some versions only print what failed
  if (errors.length > 0) throw new FinalError([failure, ...errors].join("\n"));
}

/** Run `action`; what it throws becomes the details of `sentence`. */
async function attempt<Result>(sentence: string, action: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof FinalError) throw error;
    const { type, message = String(error) } = error as { type?: string; message?: string };
    // Pyodide says the type of a Python exception
    const Class = type === "SettingsError" ? FinalError : KernelError;
    throw new Class(`${sentence}\n${message}`, { cause: error });
  }
}
