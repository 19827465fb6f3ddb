/** The entry of the kernel's worker in JupyterLite: the worker of `@laneway/kernel`, with JupyterLite's files. */

import { serveWorker } from "@laneway/kernel/worker";
import type { LiteStartOptions } from "../common/drive.js";
import { mountDrive } from "./drive.js";
import { FetchingInbox } from "./mail.js";

serveWorker<LiteStartOptions>({
  afterLoad(pyodide, { drive }) {
    if (drive) mountDrive(pyodide, drive);
  },
  inbox({ mail }, events) {
    try {
      return mail && new FetchingInbox(mail, events);
    } catch (error) {
      console.warn("Laneway:", error);
      return undefined;
    }
  },
});
