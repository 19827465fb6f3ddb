/** Gets the files of a kernel folder: all at once, counted, checked, and given up where the server has fallen silent. */

import { KernelError } from "../common/index.js";
import type { Manifest, Progress } from "../common/index.js";
import { gunzipSync } from "fflate";

/** Milliseconds without a byte after which a download is given up. */
const PATIENCE = 20_000;

/** Milliseconds after which a synchronous request is given up, which blocks all else. */
const BLOCKED = 180_000;

export class Downloads {
  #base: string;
  #files: Manifest["files"];
  #report: (progress: Progress) => void;
  #loaded = 0;
  #total = 0;
  #reportedAt = 0;

  /** `base` is the folder's address; `report` hears how far all downloads are. */
  constructor(base: string, { files }: Manifest, report: (progress: Progress) => void) {
    this.#base = base;
    this.#files = files;
    this.#report = report;
  }

  /** The address of a file; in Node, where the folder is on this machine, its path, as Pyodide wants it. */
  url(path: string): string {
    const { href, pathname, protocol } = new URL(path, this.#base);
    return protocol === "file:" ? decodeURIComponent(pathname) : href;
  }

  /** Count a file that others get, which `done` says. */
  expect(path: string, done: Promise<unknown>): void {
    const { size } = this.#file(path);
    this.#total += size;
    done.then(
      () => this.#count(size),
      () => undefined,
    );
  }

  /**
   * The content of a file, which may be there already, as `loaded`. Throws a `KernelError` where it cannot be had, or is
   * another than the manifest says.
   */
  async get(
    path: string,
    { unpack = false, loaded }: { unpack?: boolean; loaded?: ArrayBuffer | undefined } = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { size, sha256 } = this.#file(path);
    this.#total += size;
    const parts: Uint8Array<ArrayBuffer>[] = [];
    const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (part, controller) => {
        this.#count(part.length);
        parts.push(part);
        controller.enqueue(part);
      },
    });
    const url = this.url(path);
    const silence = new AbortController();
    try {
      const whole = loaded ? new Blob([loaded]).stream() : await open(url, silence);
      const body = whole.pipeThrough(counted);
      // unpacked while it comes, and checked before it is used
      const stream = unpack ? body.pipeThrough(new DecompressionStream("gzip")) : body;
      const content = new Uint8Array(await new Response(stream).arrayBuffer());
      await check(parts, sha256);
      return content;
    } catch (error) {
      const { message } = (silence.signal.reason ?? error) as Error;
      throw new KernelError(`${url} cannot be loaded: ${message}`, { cause: error });
    }
  }

  /** The same in synchronous code, unpacked. */
  getNow(path: string): Uint8Array<ArrayBuffer> {
    const request = new XMLHttpRequest();
    request.open("GET", this.url(path), false);
    request.responseType = "arraybuffer";
    request.timeout = BLOCKED;
    request.send();
    if (request.status !== 200) throw new KernelError(`${this.url(path)} cannot be loaded.`);
    return unpacked(new Uint8Array(request.response as ArrayBuffer));
  }

  #file(path: string): { size: number; sha256: string } {
    const file = this.#files[path];
    if (!file) throw new KernelError(`The manifest of ${this.#base} does not name ${path}.`);
    return file;
  }

  #count(bytes: number): void {
    this.#loaded += bytes;
    const now = performance.now();
    if (now < this.#reportedAt + 50 && this.#loaded < this.#total) return;
    this.#reportedAt = now;
    this.#report({ phase: "pyodide", text: "Loading Python", loaded: this.#loaded, total: this.#total });
  }
}

/** A stream that fails where the server does not answer, says no, or falls silent, which `silence` says. */
async function open(url: string, silence: AbortController): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const giveUp = () => silence.abort(new Error("the server has fallen silent."));
  let timer = setTimeout(giveUp, PATIENCE);
  const response = await fetch(url, { signal: silence.signal });
  if (!response.ok || !response.body) {
    clearTimeout(timer);
    throw new Error(`the server says ${response.status}.`);
  }
  return response.body.pipeThrough(
    new TransformStream({
      transform(part: Uint8Array<ArrayBuffer>, controller) {
        clearTimeout(timer);
        timer = setTimeout(giveUp, PATIENCE);
        controller.enqueue(part);
      },
      flush: () => clearTimeout(timer),
    }),
  );
}

/** Only a page with HTTPS can compute hashes; elsewhere Pyodide's own checks must do. */
async function check(parts: Uint8Array<ArrayBuffer>[], sha256: string): Promise<void> {
  const { subtle } = crypto as { subtle?: SubtleCrypto };
  if (!subtle) return;
  const digest = await subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
  const found = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== sha256)
    throw new Error("it is not the file that the manifest names; is the site being built?");
}

/** A server may have said that it is packed, and then the browser has unpacked it. */
function unpacked(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
}
