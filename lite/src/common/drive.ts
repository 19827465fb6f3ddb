/**
 * How JupyterLite's files reach the worker. Its file system is synchronous and the page's contents are not, so the
 * worker blocks for each answer: on a `SharedArrayBuffer` where page and worker share memory, else on a synchronous
 * request to JupyterLite's service worker.
 *
 * The shared buffer: Int32 STATE (REQUESTED, then ANSWERED or REFUSED) and Int32 SIZE, the bytes of the whole answer
 * (JSON), then as much of it as fits. The worker asks for the rest part by part, with a request of `null`.
 */

import type { TDriveMethod, TDriveRequest } from "@jupyterlite/services/lib/contents/drivefs.js";

export const STATE = 0;
export const SIZE = 1;
export const HEADER_BYTES = 8;
export const PART_BYTES = 1 << 20;

export const ANSWERED = 0;
export const REQUESTED = 1;
export const REFUSED = 2;

/** Worker to page, beside the messages of the kernel. */
export interface DriveMessage {
  type: "drive";
  /** `null` asks for the next part of the answer. */
  request: TDriveRequest<TDriveMethod> | null;
}

/** What the worker needs to mount the drive. */
export interface DriveOptions {
  /** How it reaches the page through JupyterLite's service worker. */
  baseUrl: string;
  browsingContextId: string;
  /** JupyterLab's drive, "" for the default one. */
  name: string;
  /** The folder of the notebook in that drive. */
  directory: string;
  shared?: SharedArrayBuffer;
}

/** What the worker is told when a notebook takes its kernel. */
export interface LiteClaim {
  /** Without it the kernel has no files of JupyterLite. */
  drive?: DriveOptions;
}
