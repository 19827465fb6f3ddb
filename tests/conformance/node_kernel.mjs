/**
 * The Pyodide kernel in Node, over stdin and stdout, through the same bridge as in a worker.
 *
 *     node node_kernel.mjs PYODIDE_FOLDER [OPTIONS_JSON]
 *
 * A frame, both ways: 4 bytes with the length of the rest, 4 bytes with the number of parts, then for each part 4
 * bytes with its length and its bytes; all numbers little-endian. Part 0 is the envelope, the others are the binary
 * buffers. When the kernel can answer, a frame `{"ready": true, "capabilities": {...}}` comes. The end of stdin stops the
 * kernel. Needs a built `@laneway/kernel`. What is printed goes to stderr.
 */
import { Console } from "node:console";
import { resolve } from "node:path";
import process from "node:process";
import { serve } from "@laneway/kernel/worker";

globalThis.console = new Console(process.stderr, process.stderr);

const [folder, options = "{}"] = process.argv.slice(2);

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

/** Leave when all that was written has been read. */
function leave(code) {
  process.stdout.end(() => process.exit(code));
}

function receive(message) {
  switch (message.type) {
    case "progress":
      console.error(message.text, message.total ? `(${message.loaded + 1} of ${message.total})` : "");
      break;
    case "ready": {
      const capabilities = { jspi: "Suspending" in WebAssembly, node: process.version };
      write([Buffer.from(JSON.stringify({ ready: true, capabilities }))]);
      break;
    }
    case "message":
      write([message.message, ...message.buffers]);
      break;
    case "failed":
      console.error(message.error);
      leave(1);
      break;
    case "stopped":
      leave(0);
      break;
  }
}

const send = serve({ post: receive }, { print: (text) => console.error(text) });
send({ type: "start", options: { indexURL: resolve(folder), ...JSON.parse(options) } });

let pending = Buffer.alloc(0);
process.stdin.on("data", (chunk) => {
  pending = Buffer.concat([pending, chunk]);
  while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32LE(0)) {
    const size = pending.readUInt32LE(0);
    const [message, ...buffers] = read(pending.subarray(4, 4 + size));
    pending = pending.subarray(4 + size);
    send({ type: "message", message, buffers: buffers.map((part) => part.buffer) });
  }
});
process.stdin.on("end", () => send({ type: "stop" }));
