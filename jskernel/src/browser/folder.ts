/**
 * A kernel folder as a page knows it: its manifest, which ways of starting have failed here, and what one worker leaves
 * for the next. One for each address, for as long as the page lives.
 */

import { checkManifest, KernelError, MANIFEST, sharesMemory, waysOf } from "../common/index.js";
import type { Kept, Manifest, Way } from "../common/index.js";

const folders = new Map<string, KernelFolder>();

/**
 * Whether this browser can restore a memory snapshot, which is made with JSPI. WebKit has no JSPI, and numbers functions
 * otherwise.
 */
const restores = "Suspending" in WebAssembly;

/** The folder at an address, which ends with a slash. */
export function kernelFolder(url: string): KernelFolder {
  const folder = folders.get(url) ?? new KernelFolder(url);
  folders.set(url, folder);
  return folder;
}

export class KernelFolder {
  #kept: Kept | undefined;
  #url: string;
  #manifest: Promise<Manifest> | undefined;
  #failed = new Set<Way>();

  constructor(url: string) {
    this.#url = url;
  }

  /** What the next worker may begin with. */
  get kept(): Kept | undefined {
    // to be sent a copy, and to take it, costs a worker a tenth of its start
    if (this.#kept && sharesMemory()) this.#kept.memory = shared(this.#kept.memory);
    return this.#kept;
  }

  set kept(kept: Kept | undefined) {
    this.#kept = kept;
  }

  /** The manifest, which is read once. Rejects with a `KernelError`. */
  manifest(): Promise<Manifest> {
    if (!this.#manifest) {
      this.#manifest = this.#read();
      this.#manifest.catch(() => (this.#manifest = undefined));
    }
    return this.#manifest;
  }

  /**
   * The first of `ways` in which to start, given that `failed` has just failed, if one has. None where all have: the
   * folder is read anew the next time then, since its files may have been replaced.
   */
  async way(ways: readonly Way[], failed?: Way): Promise<Way | undefined> {
    if (failed) {
      this.#failed.add(failed);
      if (failed === "snapshot") this.kept = undefined;
    }
    const offered = waysOf(await this.manifest()).filter((way) => way !== "snapshot" || restores);
    const way = ways.find((way) => offered.includes(way) && !this.#failed.has(way));
    if (way === undefined) {
      this.#failed.clear();
      this.#manifest = undefined;
    }
    return way;
  }

  async #read(): Promise<Manifest> {
    const url = this.#url + MANIFEST;
    let response: Response;
    try {
      response = await fetch(url, { cache: "no-cache" });
    } catch (error) {
      throw new KernelError(`${url} cannot be reached; is the network up?`, { cause: error });
    }
    if (!response.ok) {
      throw new KernelError(
        `There is no ${url} (the server says ${response.status}); kernelURL must be the address of a kernel folder.`,
      );
    }
    let value: unknown;
    try {
      value = await response.json();
    } catch {
      value = undefined;
    }
    return checkManifest(value, url);
  }
}

/** The same bytes in memory that workers share with the page. */
function shared(memory: ArrayBufferLike): SharedArrayBuffer {
  if (memory instanceof SharedArrayBuffer) return memory;
  const copy = new SharedArrayBuffer(memory.byteLength);
  new Uint8Array(copy).set(new Uint8Array(memory));
  return copy;
}
