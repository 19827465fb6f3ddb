// The bridge against a real Pyodide; the Python end is a package of a few lines that answers what it is sent.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import type { FromWorker, ToWorker } from "@laneway/kernel";
import { serve } from "@laneway/kernel/worker";
import type { BootHooks, Pyodide } from "@laneway/kernel/worker";

const indexURL = fileURLToPath(new URL(".", import.meta.resolve("pyodide")));

const ECHO = `
import pathlib, sys
folder = pathlib.Path("/lib/echo/laneway/apps")
folder.mkdir(parents=True)
(folder / "browser.py").write_text('''
from types import SimpleNamespace
from pyodide.ffi import to_js

async def start(post, stopped, settings):
    def receive(message, buffers):
        data = message.to_bytes()
        if data == b"die":
            raise RuntimeError("died")
        post(to_js(data), to_js([buffer.to_bytes() for buffer in buffers]))
    return SimpleNamespace(receive=receive, stop=lambda: stopped())
''')
sys.path.insert(0, "/lib/echo")
`;

class Page {
  received: FromWorker[] = [];
  pyodide: Pyodide | undefined;
  send: (message: ToWorker) => void;
  #wanted: { type: FromWorker["type"]; count: number; resolve: () => void } | undefined;

  constructor(hooks: BootHooks = {}) {
    const afterLoad = (pyodide: Pyodide) => {
      this.pyodide = pyodide;
      pyodide.runPython(ECHO);
    };
    this.send = serve(
      { post: (message, transfer) => this.#receive(structuredClone(message, { transfer })) },
      { afterLoad, ...hooks },
    );
  }

  start(): void {
    this.send({ type: "start", options: { indexURL, packages: [] } });
  }

  say(text: string, buffers: ArrayBuffer[] = []): void {
    this.send({ type: "message", message: new TextEncoder().encode(text), buffers });
  }

  async wait(type: FromWorker["type"], count = 1): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wanted = { type, count, resolve };
      this.#check();
    });
  }

  get texts(): string[] {
    return this.received.flatMap((item) =>
      item.type === "message" ? [new TextDecoder().decode(item.message)] : [],
    );
  }

  #receive(message: FromWorker): void {
    this.received.push(message);
    this.#check();
  }

  #check(): void {
    const wanted = this.#wanted;
    if (wanted && this.received.filter(({ type }) => type === wanted.type).length >= wanted.count) {
      wanted.resolve();
    }
  }
}

void test("early messages wait in order; buffers cross; stop is answered once", async () => {
  const page = new Page();
  page.say("one");
  page.start();
  page.say("two", [new Uint8Array([1, 2]).buffer, new Uint8Array([3]).buffer]);
  await page.wait("message", 2);
  assert.deepEqual(page.texts, ["one", "two"]);
  assert.equal(page.received[0]?.type, "progress");
  assert.deepEqual(page.received.map(({ type }) => type).slice(-3), ["ready", "message", "message"]);
  const last = page.received.at(-1);
  assert(last?.type === "message");
  assert.deepEqual(
    last.buffers.map((buffer) => [...new Uint8Array(buffer)]),
    [[1, 2], [3]],
  );
  page.send({ type: "stop" });
  page.send({ type: "stop" });
  await page.wait("stopped");
  page.say("too late");
  assert.equal(page.received.filter(({ type }) => type === "stopped").length, 1);
  assert.equal(page.texts.length, 2);
});

void test("memory does not grow with the number of messages", async () => {
  const page = new Page();
  page.start();
  await page.wait("ready");
  const used = () => {
    page.pyodide?.runPython("import gc; gc.collect()");
    return page.pyodide?.runPython("sys.getallocatedblocks()") as number;
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
  page.send({ type: "start", options: { indexURL: "/nowhere/", packages: [] } });
  await page.wait("failed");
  const failed = page.received.at(-1);
  assert(failed?.type === "failed");
  assert.match(failed.error, /^Pyodide could not be loaded from \/nowhere\/; check the address/);
});

void test("an embedder's failure ends the start", async () => {
  const page = new Page({
    afterLoad() {
      throw new Error("no drive");
    },
  });
  page.start();
  await page.wait("failed");
  const failed = page.received.at(-1);
  assert(failed?.type === "failed");
  assert.match(failed.error, /^The kernel's surroundings could not be prepared\.\nno drive$/);
});

void test("a Python that throws has died, and says so once", async () => {
  const page = new Page();
  page.start();
  await page.wait("ready");
  page.say("die");
  page.say("die");
  await page.wait("failed");
  assert.equal(page.received.filter(({ type }) => type === "failed").length, 1);
});

void test("a stop before the start is an end", async () => {
  const page = new Page();
  page.send({ type: "stop" });
  await page.wait("stopped");
});
