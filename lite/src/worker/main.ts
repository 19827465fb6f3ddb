/** The entry of the kernel's worker in JupyterLite: the worker of `@laneway/kernel`, with JupyterLite's files. */

import { serveWorker } from "@laneway/kernel/worker";
import type { LiteClaim } from "../common/drive.js";
import { mountDrive } from "./drive.js";

serveWorker<LiteClaim>({
  claim(pyodide, { drive } = {}) {
    if (drive) mountDrive(pyodide, drive);
  },
});
