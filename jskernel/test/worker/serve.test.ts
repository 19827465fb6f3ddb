// The bridge against a real Pyodide; the Python end is a package of a few lines that answers what it is sent.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadPyodide } from "pyodide";
import { VERSION } from "@laneway/kernel";
import type { FromWorker, KernelEnvelope, Manifest, ToWorker, WorkerOptions } from "@laneway/kernel";
import { serve } from "@laneway/kernel/worker";
import type { BootHooks, Pyodide } from "@laneway/kernel/worker";

const kernelURL = new URL(".", import.meta.resolve("pyodide")).href;
const indexURL = fileURLToPath(kernelURL);

const ECHO = `
VERSION = ${JSON.stringify(VERSION)}
from types import SimpleNamespace
from pyodide.ffi import to_js

async def start(post, stopped, settings, safepoints):
    def receive(message, buffers):
        data = message.to_bytes()
        if data == b"die":
            raise RuntimeError("died")
        post(data.decode() if len(data) < 2000 else to_js(data), to_js([buffer.to_bytes() for buffer in buffers]))
    return SimpleNamespace(receive=receive, stop=lambda: stopped())
`;
const PACK = `
import zipfile
with zipfile.ZipFile("/tmp/wheel", "w") as wheel:
    wheel.writestr("laneway/apps/browser.py", source)
    wheel.writestr("laneway-0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: laneway\\nVersion: 0\\n")
    wheel.writestr("laneway-0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
`;

const folder = await mkdtemp(join(tmpdir(), "laneway-"));
const wheel = join(folder, "laneway-0-py3-none-any.whl");
const older = join(folder, "older", "laneway-0-py3-none-any.whl");

before(async () => {
  const pyodide = await loadPyodide({ indexURL });
  const files = pyodide.FS as { readFile(path: string): Uint8Array };
  await mkdir(join(folder, "older"));
  for (const [path, source] of [
    [wheel, ECHO],
    [older, ECHO.replace(VERSION, "0.0")],
  ] as const) {
    pyodide.runPython(`source = ${JSON.stringify(source)}\n${PACK}`);
    await writeFile(path, files.readFile("/tmp/wheel"));
  }
});
after(() => rm(folder, { recursive: true }));

const manifest: Manifest = {
  laneway: VERSION,
  build: "",
  python: "",
  worker: "",
  core: "./",
  stdlib: "python_stdlib.zip",
  lock: "pyodide-lock.json",
  index: "",
  kernel: [wheel],
  preload: [],
  offline: 0,
  files: {},
};
const options: WorkerOptions = { kernelURL, manifest, way: "plain" };

const text = new TextDecoder();

class Page {
  received: FromWorker[] = [];
  pyodide: Pyodide | undefined;
  send: (message: ToWorker) => void;
  #wanted:
    | { type: FromWorker["type"]; count: number; resolve: () => void; reject: (error: Error) => void }
    | undefined;

  constructor(hooks: BootHooks = {}) {
    const claim = (pyodide: Pyodide) => void (this.pyodide = pyodide);
    this.send = serve(
      { post: (message, transfer) => this.#receive(structuredClone(message, { transfer })) },
      { claim, ...hooks },
    );
  }

  start(): void {
    this.send({ type: "start", options });
  }

  /** Start, and take the kernel. */
  async open(): Promise<void> {
    this.start();
    await this.wait("ready");
    this.send({ type: "claim", options: undefined });
  }

  say(words: string, buffers: ArrayBuffer[] = []): void {
    this.send({ type: "message", message: new TextEncoder().encode(words), buffers });
  }

  async wait(type: FromWorker["type"], count = 1): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#wanted = { type, count, resolve, reject };
      this.#check();
    });
  }

  get envelopes(): KernelEnvelope[] {
    return this.received.flatMap((item) => (item.type === "messages" ? item.messages : []));
  }

  get texts(): string[] {
    return this.envelopes.map(({ message }) =>
      typeof message === "string" ? message : text.decode(message),
    );
  }

  #receive(message: FromWorker): void {
    this.received.push(message);
    this.#check();
  }

  #check(): void {
    const wanted = this.#wanted;
    const last = this.received.at(-1);
    if (wanted && this.received.filter(({ type }) => type === wanted.type).length >= wanted.count) {
      wanted.resolve();
    } else if (last?.type === "failed") {
      wanted?.reject(new Error(last.error));
    }
  }
}

void test("messages keep their order; buffers cross; stop is answered once", async () => {
  const page = new Page();
  await page.open();
  page.say("one");
  page.say("two", [new Uint8Array([1, 2]).buffer, new Uint8Array([3]).buffer]);
  await page.wait("messages", 2);
  assert.deepEqual(page.texts, ["one", "two"]);
  assert.equal(page.received[0]?.type, "progress");
  assert.deepEqual(page.received.map(({ type }) => type).slice(-3), ["ready", "messages", "messages"]);
  assert.deepEqual(
    page.envelopes[1]?.buffers.map((buffer) => [...new Uint8Array(buffer)]),
    [[1, 2], [3]],
  );
  page.send({ type: "stop" });
  page.send({ type: "stop" });
  await page.wait("stopped");
  page.say("too late");
  assert.equal(page.received.filter(({ type }) => type === "stopped").length, 1);
  assert.equal(page.texts.length, 2);
});

void test("short and long messages cross, whatever they are made of", async () => {
  const page = new Page();
  await page.open();
  const texts = ["grün 🐍 \u2028", "grün 🐍 \u2028".repeat(1000), "x".repeat(100_000)];
  for (const words of texts) page.say(words);
  await page.wait("messages", texts.length);
  assert.deepEqual(page.texts, texts);
  const kinds = page.envelopes.map(({ message }) => typeof message);
  assert.deepEqual(kinds, ["string", "object", "object"]);
});

void test("memory does not grow with the number of messages", async () => {
  const page = new Page();
  await page.open();
  const used = () => {
    page.pyodide?.runPython("import gc; gc.collect()");
    return page.pyodide?.runPython("import sys; sys.getallocatedblocks()") as number;
  };
  const exchange = () => {
    for (let i = 0; i < 10_000; i++) page.say("x".repeat(1000), [new ArrayBuffer(1000)]);
  };
  exchange();
  page.received.length = 0;
  const before = used();
  exchange();
  assert.equal(page.texts.length, 10_000);
  const grown = used() - before;
  assert(grown < 500, `${grown} blocks of memory for 10,000 messages`);
});

void test("what a start lacks is said in a sentence", async () => {
  const page = new Page();
  page.send({ type: "start", options: { ...options, kernelURL: "file:///nowhere/" } });
  await page.wait("failed");
  const failed = page.received.at(-1);
  assert(failed?.type === "failed");
  assert.match(failed.error, /^Python could not be loaded from file:\/\/\/nowhere\/; check the address/);
});

void test("another version of the Python package is a sentence, and final", async () => {
  const page = new Page();
  page.send({ type: "start", options: { ...options, manifest: { ...manifest, kernel: [older] } } });
  await page.wait("failed");
  const failed = page.received.at(-1);
  assert(failed?.type === "failed" && failed.final);
  assert.match(
    failed.error,
    /^This page's scripts are of Laneway .+, but the Python package of 0\.0: reload/,
  );
});

void test("an embedder's failure ends the kernel", async () => {
  const page = new Page({
    claim() {
      throw new Error("no drive");
    },
  });
  await page.open();
  await page.wait("failed");
  const failed = page.received.at(-1);
  assert(failed?.type === "failed");
  assert.match(failed.error, /^The kernel's surroundings could not be prepared\.\nno drive$/);
});

void test("a Python that throws has died, and says so once", async () => {
  const page = new Page();
  await page.open();
  page.say("die");
  page.say("die");
  await page.wait("failed");
  assert.equal(page.received.filter(({ type }) => type === "failed").length, 1);
});
