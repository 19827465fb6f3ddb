/**
 * Restores Pyodide from a memory snapshot, which `make_start.mjs` has made of the very same build.
 *
 * Pyodide knows how to do that, but loads and compiles one thing after the other, and has no place for a compiled module.
 * So, while it loads, `WebAssembly.instantiateStreaming` of this worker is ours, and takes the module that is being
 * compiled since before Pyodide's scripts came. So is `WebAssembly.Module`, with which Pyodide wraps 260 functions of
 * JavaScript: for each signature one is compiled. Both are put back. Neither the module nor Python's library, which comes
 * later, is fetched once more.
 */

import { KernelError } from "../common/index.js";
import type { Kept, WorkerOptions } from "../common/index.js";
import type { Downloads } from "./download.js";
import { lending } from "./lend.js";
import type { LoadOptions, Pyodide, PyodideModule } from "./pyodide.js";
import { Snapshot } from "./snapshot.js";

/** Bytes of an archive without files. */
const EMPTY_ZIP = Uint8Array.from([0x50, 0x4b, 5, 6, ...new Array<number>(18).fill(0)]);

export interface Restored {
  pyodide: Pyodide;
  /** For the next worker. */
  kept: Kept;
}

export async function restore(
  { manifest, kept }: WorkerOptions,
  downloads: Downloads,
  load: Omit<LoadOptions, "lockFileURL">,
): Promise<Restored> {
  const path = manifest.quick?.memory;
  if (path === undefined) throw new KernelError("This kernel folder has no memory snapshot.");
  const wasm = `${load.indexURL}pyodide.asm.wasm`;
  const glue = `${load.indexURL}pyodide.asm.mjs`;
  const bytes = kept ? Promise.resolve(new Uint8Array(kept.memory)) : downloads.get(path, { unpack: true });
  const saved = bytes.then((bytes) => new Snapshot(bytes));
  const module = kept ? Promise.resolve(kept.module as WebAssembly.Module) : compile(wasm);
  const scripts = Promise.all([
    import(/* @vite-ignore */ `${load.indexURL}pyodide.mjs`),
    import(/* @vite-ignore */ glue),
  ]);
  downloads.expect(manifest.core + "pyodide.asm.mjs", scripts);
  if (!kept) downloads.expect(manifest.core + "pyodide.asm.wasm", module);
  let memory: WebAssembly.Memory;
  const instantiate = async (imports: WebAssembly.Imports | undefined) => {
    const instance = await WebAssembly.instantiate(await module, imports);
    memory = instance.exports.memory as WebAssembly.Memory;
    (await saved).resolve(memory);
    return { module: await module, instance };
  };
  let fail: (error: unknown) => void;
  const failure = new Promise<never>((_resolve, reject) => (fail = reject));
  for (const part of [saved, module, scripts]) part.catch((error: unknown) => fail(error));
  const takeBack = lendingModule((imports) => {
    const instantiated = instantiate(imports);
    instantiated.catch((error: unknown) => fail(error)); // Pyodide would wait for ever
    return instantiated;
  });
  try {
    const [{ loadPyodide }] = (await Promise.race([scripts, failure])) as [PyodideModule, unknown];
    const stdLibURL = downloads.url(manifest.stdlib);
    const files = { [wasm]: new Uint8Array(0), [stdLibURL]: EMPTY_ZIP };
    const _loadSnapshot = saved.then((snapshot) => snapshot.forPyodide(() => memory));
    const loading = lending(files, () => loadPyodide({ ...load, stdLibURL, _loadSnapshot }));
    const pyodide = await Promise.race([loading, failure]);
    return { pyodide, kept: { module: await module, memory: (await bytes).buffer } };
  } finally {
    takeBack();
  }
}

async function compile(url: string): Promise<WebAssembly.Module> {
  return await WebAssembly.compileStreaming(fetch(url));
}

function lendingModule(
  instantiate: (imports?: WebAssembly.Imports) => Promise<WebAssembly.WebAssemblyInstantiatedSource>,
): () => void {
  const { instantiateStreaming, Module } = WebAssembly;
  const wrappers = new Map<string, WebAssembly.Module>();
  WebAssembly.instantiateStreaming = (_source, imports) => instantiate(imports);
  WebAssembly.Module = new Proxy(Module, {
    construct: (_Module, [bytes]: [BufferSource]) => {
      if (!(bytes instanceof Uint8Array)) return new Module(bytes);
      const key = bytes.join();
      const wrapper = wrappers.get(key) ?? new Module(bytes);
      wrappers.set(key, wrapper);
      return wrapper;
    },
  });
  return () => Object.assign(WebAssembly, { instantiateStreaming, Module });
}
