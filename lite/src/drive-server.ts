/** The page's end of the shared drive: answers the file requests of one worker from JupyterLite's contents. */

import type { Contents } from "@jupyterlab/services";
import { DriveContentsProcessor } from "@jupyterlite/services";
import { ANSWERED, HEADER_BYTES, PART_BYTES, REFUSED, SIZE, STATE } from "./common/drive.js";
import type { DriveMessage } from "./common/drive.js";

/** Answers one worker's file requests. */
export interface DriveServer {
  /** What the worker is to be given. */
  shared: SharedArrayBuffer;
  /** Take what the worker has posted. */
  receive(data: { type: string }): void;
}

export function serveDrive(contentsManager: Contents.IManager): DriveServer {
  const shared = new SharedArrayBuffer(HEADER_BYTES + PART_BYTES);
  const control = new Int32Array(shared, 0, HEADER_BYTES / 4);
  const part = new Uint8Array(shared, HEADER_BYTES);
  const processor = new DriveContentsProcessor({ contentsManager });
  let rest = new Uint8Array();

  const answer = async ({ request }: DriveMessage) => {
    let state = ANSWERED;
    if (request !== null) {
      try {
        rest = new TextEncoder().encode(JSON.stringify(await processor.processDriveRequest(request)));
        Atomics.store(control, SIZE, rest.length);
      } catch {
        // a file that is not there, usually; Python raises OSError
        state = REFUSED;
      }
    }
    if (state === ANSWERED) {
      part.set(rest.subarray(0, PART_BYTES));
      rest = rest.subarray(PART_BYTES);
    }
    Atomics.store(control, STATE, state);
    Atomics.notify(control, STATE);
  };

  return {
    shared,
    receive(data) {
      if (data.type === "drive") void answer(data as DriveMessage);
    },
  };
}
