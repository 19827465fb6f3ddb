/** The entry of the module worker that `WorkerTransport` starts by default. */

import { serveWorker } from "./serve.js";

serveWorker();
