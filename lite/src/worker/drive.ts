/** Mounts JupyterLite's files at /drive and makes the notebook's folder the working directory. Runs in the worker. */

import type { Pyodide } from "@laneway/kernel/worker";
import { ContentsAPI, DriveFS } from "@jupyterlite/services/lib/contents/drivefs.js";
import type {
  TDriveMethod,
  TDriveRequest,
  TDriveResponse,
} from "@jupyterlite/services/lib/contents/drivefs.js";
import { ANSWERED, HEADER_BYTES, REQUESTED, SIZE, STATE } from "../common/drive.js";
import type { DriveMessage, DriveOptions } from "../common/drive.js";

const MOUNTPOINT = "/drive";

/** Milliseconds that the page may take for an answer: longer than it is busy, and not for ever. */
const PATIENCE = 30_000;

/** The part of Emscripten's file system that is used here. */
interface FileSystem {
  mkdirTree(path: string): void;
  mount(type: DriveFS, options: object, mountpoint: string): void;
  chdir(path: string): void;
}

export function mountDrive(pyodide: Pyodide, options: DriveOptions): void {
  const FS = pyodide.FS as unknown as FileSystem & DriveFS.IOptions["FS"];
  const mount: DriveFS.IOptions = {
    FS,
    PATH: pyodide.PATH as DriveFS.IOptions["PATH"],
    ERRNO_CODES: pyodide.ERRNO_CODES,
    baseUrl: options.baseUrl,
    driveName: options.name,
    mountpoint: MOUNTPOINT,
    browsingContextId: options.browsingContextId,
  };
  FS.mkdirTree(MOUNTPOINT);
  FS.mount(options.shared ? new SharedDriveFS(mount, options.shared) : new DriveFS(mount), {}, MOUNTPOINT);
  FS.chdir(MOUNTPOINT);
  try {
    FS.chdir(`${MOUNTPOINT}/${options.directory}`);
  } catch {
    console.warn(`Laneway: there is no folder "${options.directory}"; the kernel works in ${MOUNTPOINT}.`);
  }
}

class SharedDriveFS extends DriveFS {
  constructor(options: DriveFS.IOptions, shared: SharedArrayBuffer) {
    super(options);
    this.API = new SharedContents(options, shared);
  }

  // called by the base's constructor, when the buffer is not known yet
  override createAPI(options: DriveFS.IOptions): ContentsAPI {
    return new SharedContents(options, new SharedArrayBuffer(HEADER_BYTES));
  }
}

class SharedContents extends ContentsAPI {
  #control: Int32Array;
  #part: Uint8Array;

  constructor(options: DriveFS.IOptions, shared: SharedArrayBuffer) {
    super(options);
    this.#control = new Int32Array(shared, 0, HEADER_BYTES / 4);
    this.#part = new Uint8Array(shared, HEADER_BYTES);
  }

  override request<T extends TDriveMethod>(request: TDriveRequest<T>): TDriveResponse<T> {
    this.#ask(request);
    const answer = new Uint8Array(Atomics.load(this.#control, SIZE));
    for (let at = 0; ; this.#ask(null)) {
      const part = this.#part.subarray(0, answer.length - at);
      answer.set(part, at);
      at += part.length;
      if (at === answer.length) break;
    }
    return JSON.parse(new TextDecoder().decode(answer)) as TDriveResponse<T>;
  }

  #ask(request: DriveMessage["request"]): void {
    this.#wait(); // for the answer to a request that was given up: the buffer has room for one
    Atomics.store(this.#control, STATE, REQUESTED);
    const message: DriveMessage = { type: "drive", request };
    self.postMessage(message);
    this.#wait();
    if (Atomics.load(this.#control, STATE) !== ANSWERED) throw this.#error("EINVAL");
  }

  /** Block until nothing is asked. */
  #wait(): void {
    if (Atomics.wait(this.#control, STATE, REQUESTED, PATIENCE) !== "timed-out") return;
    console.error("Laneway: the page does not answer when it is asked for a file; is it busy, or paused?");
    throw this.#error("ETIMEDOUT");
  }

  /** What Python raises as an OSError. */
  #error(name: "EINVAL" | "ETIMEDOUT"): Error {
    const codes = this.ERRNO_CODES as Record<typeof name, number>;
    return new (this.FS.ErrnoError as new (code: number) => Error)(codes[name]);
  }
}
