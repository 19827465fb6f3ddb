/**
 * How JupyterLite's files reach the worker. Its file system is synchronous and the page's contents are not, so the
 * worker blocks for each answer: on a `SharedArrayBuffer` where the page is cross-origin isolated, else on a
 * synchronous request to JupyterLite's service worker.
 *
 * The shared buffer: Int32 STATE (REQUESTED, then ANSWERED or REFUSED) and Int32 SIZE, the bytes of the whole answer
 * (JSON), then as much of it as fits. The worker asks for the rest part by part, with a request of `null`.
 */

import type { StartOptions } from "@laneway/kernel";
import type { MailOptions, ServiceWorkerOptions } from "./mail.js";
import type { TDriveMethod, TDriveRequest } from "@jupyterlite/services/lib/contents/drivefs.js";

export const STATE = 0;
export const SIZE = 1;
export const HEADER_BYTES = 8;
export const PART_BYTES = 1 << 20;

export const REQUESTED = 0;
export const ANSWERED = 1;
export const REFUSED = 2;

/** Worker to page, beside the messages of the kernel. */
export interface DriveMessage {
  type: "drive";
  /** `null` asks for the next part of the answer. */
  request: TDriveRequest<TDriveMethod> | null;
}

/** What the worker needs to mount the drive. */
export interface DriveOptions extends ServiceWorkerOptions {
  /** JupyterLab's drive, "" for the default one. */
  name: string;
  /** The folder of the notebook in that drive. */
  directory: string;
  shared?: SharedArrayBuffer;
}

export interface LiteStartOptions extends StartOptions {
  /** Without it the kernel has no files of JupyterLite. */
  drive?: DriveOptions;
  /** Without it, and without shared memory, no message reaches a worker that computes. */
  mail?: MailOptions;
}
