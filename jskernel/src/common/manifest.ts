/**
 * The manifest of a *kernel folder*: what lies in it, and by which ways a kernel can start from it. `laneway.json` is its
 * one file at a fixed address; every other address has a hash of its content in it.
 */

import { KernelError } from "./errors.js";
import { isObject } from "./message.js";

/** The version of this package, which is that of the Python package that it starts. */
export const VERSION = "0.2.0";

export const MANIFEST = "laneway.json";

/** Paths are relative to the manifest; those of folders end with a slash. */
export interface Manifest {
  /** The version of Laneway. */
  laneway: string;
  /** Names this build: equal builds have equal names. */
  build: string;
  /** Python's version. */
  python: string;
  /** The script of the kernel's worker. */
  worker: string;
  /** The folder of `pyodide.mjs`. */
  core: string;
  /** Python's own library. */
  stdlib: string;
  /** Pyodide's lock. */
  lock: string;
  /** The site's own pip index, `{package_name}` standing for a name. */
  index: string;
  /** Names of packages: the kernel's own, which are there in each way, and those that the site's author wants loaded. */
  kernel: string[];
  preload: string[];
  /** What starting in a quick way takes; without it a kernel starts in the plain way. All of it is gzip. */
  quick?: QuickStart;
  /** How many bytes a browser keeps to start a kernel offline. */
  offline: number;
  /** Every file: how many bytes it has, and its SHA-256 in hexadecimal. */
  files: Record<string, { size: number; sha256: string }>;
}

export interface QuickStart {
  /** A memory snapshot, where one could be made. */
  memory?: string;
  /** The files that a kernel opens until it has answered its first cell. */
  first: string;
  /** The same of Python's own library, an archive. */
  library: string;
  /** All files of its packages. */
  rest: string;
}

/**
 * How a kernel starts, the quickest first:
 *
 * | way | before the first reply | after it |
 * |---|---|---|
 * | `snapshot` | the memory of a kernel that waited for its first message is restored | all files |
 * | `first` | Pyodide, and the files that the first reply takes | all files |
 * | `plain` | Pyodide, and whole packages, as Pyodide itself loads them | – |
 */
export type Way = "snapshot" | "first" | "plain";

export const WAYS: readonly Way[] = ["snapshot", "first", "plain"];

/** The ways that a kernel folder offers. */
export function waysOf({ quick }: Manifest): Way[] {
  return WAYS.filter((way) => way === "plain" || (quick && (way === "first" || quick.memory)));
}

/** Check what was read from `address`. Throws a `KernelError` with a sentence. */
export function checkManifest(value: unknown, address: string): Manifest {
  if (!isObject(value) || typeof value.laneway !== "string" || !isObject(value.files)) {
    throw new KernelError(
      `${address} is no manifest of a kernel folder; make one with \`python -m laneway_lite kernel\`.`,
    );
  }
  checkVersion(value.laneway, `the kernel's files at ${address}`);
  return value as unknown as Manifest;
}

/** Throws an `ErrorClass` where what is met is of another version. */
export function checkVersion(version: string, what: string, ErrorClass = KernelError): void {
  if (version === VERSION) return;
  throw new ErrorClass(
    `This page's scripts are of Laneway ${VERSION}, but ${what} of ${version}: reload the page, or build it with one version of both.`,
  );
}
