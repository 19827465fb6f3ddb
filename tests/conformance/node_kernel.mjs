/**
 * The Pyodide kernel in Node: a worker thread, and this process's main thread as its page, which talks over stdin and
 * stdout.
 *
 *     node node_kernel.mjs KERNEL_FOLDER [--plain]
 *
 * A frame, both ways: 4 bytes with the length of the rest, 4 bytes with the number of parts, then for each part 4
 * bytes with its length and its bytes; all numbers little-endian. Part 0 is the envelope, the others are the binary
 * buffers. When the kernel can answer, a frame `{"ready": true}` comes. The end of stdin stops the kernel. Needs a built
 * `@laneway/kernel`. What is printed goes to stderr. `--plain`: without shared memory, as from a plain server.
 */
import { Console } from "node:console";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { encode } from "@laneway/kernel";
import { WorkerTransport } from "@laneway/kernel/browser";
import { serve } from "@laneway/kernel/worker";

/** A worker thread with the interface of a page's worker, as far as WorkerTransport uses it. */
class PageWorker extends EventTarget {
  #worker = new Worker(fileURLToPath(import.meta.url));

  constructor() {
    super();
    this.#worker.on("message", (data) => this.#dispatch("message", { data }));
    this.#worker.on("error", (error) => this.#dispatch("error", { message: String(error) }));
  }

  postMessage(message, transfer) {
    this.#worker.postMessage(message, transfer);
  }

  terminate() {
    void this.#worker.terminate();
  }

  #dispatch(type, fields) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }
}

function page(folder) {
  // Node does not fetch files
  globalThis.fetch = async (url) => new Response(await readFile(new URL(url)));
  const kernelURL = pathToFileURL(`${folder}/`).href;
  const start = { kernelURL, ways: ["plain"], createWorker: () => new PageWorker() };
  const transport = new WorkerTransport(start).claim({
    onMessage: (message) => {
      const envelope = encode(message);
      write([envelope.message, ...envelope.buffers]);
    },
    onProgress: ({ text }) => console.error(text),
    onStatus: (status, error) => {
      if (status === "ready") {
        write([Buffer.from('{"ready": true}')]);
        return;
      }
      if (error) console.error(error);
      // leave when all that was written has been read
      process.stdout.end(() => process.exit(status === "failed" ? 1 : 0));
    },
  });
  let pending = Buffer.alloc(0);
  process.stdin.on("data", (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32LE(0)) {
      const size = pending.readUInt32LE(0);
      const [message, ...buffers] = read(pending.subarray(4, 4 + size));
      pending = pending.subarray(4 + size);
      const fields = JSON.parse(new TextDecoder().decode(message));
      transport.send({ ...fields, buffers: buffers.map((part) => part.buffer) });
    }
  });
  process.stdin.on("end", () => transport.stop());
}

function write(parts) {
  const size = parts.reduce((sum, part) => sum + 4 + part.byteLength, 4);
  const frame = Buffer.allocUnsafe(4 + size);
  let at = frame.writeUInt32LE(size, 0);
  at = frame.writeUInt32LE(parts.length, at);
  for (const part of parts) {
    at = frame.writeUInt32LE(part.byteLength, at);
    frame.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  process.stdout.write(frame);
}

function read(frame) {
  const parts = [];
  let at = 4;
  for (let count = frame.readUInt32LE(0); count > 0; count--) {
    const size = frame.readUInt32LE(at);
    at += 4 + size;
    parts.push(new Uint8Array(frame.subarray(at - size, at)));
  }
  return parts;
}

if (isMainThread) {
  globalThis.console = new Console(process.stderr, process.stderr);
  const [folder, plain] = process.argv.slice(2);
  if (plain) globalThis.crossOriginIsolated = false;
  page(folder);
} else {
  const receive = serve(
    { post: (message, transfer) => parentPort.postMessage(message, transfer) },
    { print: (text) => console.error(text) },
  );
  parentPort.on("message", receive);
}
