// The debugger's client: what it sends, and what becomes of what comes.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client, Debugger } from "@laneway/kernel";
import { scripted } from "./scripted.js";
import type { ScriptedKernel } from "./scripted.js";

/** Let promises that can settle do so. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Answer the next request of the debugger; returns what it was. */
function answer(
  kernel: ScriptedKernel,
  body: unknown = {},
  rest: Record<string, unknown> = { success: true },
) {
  const request = kernel.next("debug_request");
  assert.equal(request.channel, "control");
  const { type, seq, command, arguments: content } = request.content;
  assert.deepEqual([type, typeof seq], ["request", "number"]);
  kernel.reply(request, { type: "response", request_seq: seq, command, body, ...rest });
  return [command, content];
}

const say = (kernel: ScriptedKernel, event: string, body: unknown) =>
  kernel.publish(undefined, "debug_event", { type: "event", seq: 1, event, body });

async function attached(): Promise<{ kc: Client; kernel: ScriptedKernel; debug: Debugger }> {
  const { kc, kernel } = await scripted();
  const debug = kc.debugger;
  const attaching = debug.attach();
  await settled();
  const [command, content] = answer(kernel, { supportsLogPoints: true });
  assert.equal(command, "initialize");
  assert.equal((content as { linesStartAt1: boolean }).linesStartAt1, true);
  await settled();
  assert.deepEqual(answer(kernel), ["attach", { justMyCode: true }]);
  assert.deepEqual(await attaching, { supportsLogPoints: true });
  assert.equal(debug.attached, true);
  return { kc, kernel, debug };
}

void test("attach, and terminate, which attaches anew", async () => {
  const { kernel, debug } = await attached();
  const terminated = debug.terminate({ justMyCode: false });
  assert.deepEqual(answer(kernel), ["disconnect", { restart: false, terminateDebuggee: false }]);
  await settled();
  assert.equal(debug.attached, false);
  answer(kernel);
  await settled();
  assert.deepEqual(answer(kernel), ["attach", { justMyCode: false }]);
  await terminated;
  assert.equal(debug.attached, true);
});

void test("what is asked is sent without what was not given", async () => {
  const { kernel, debug } = await attached();
  const path = debug.dumpCell("1");
  assert.deepEqual(answer(kernel, { sourcePath: "/p.py" }), ["dumpCell", { code: "1" }]);
  assert.equal(await path, "/p.py");
  const breakpoints = [{ verified: true, line: 2 }];
  for (const [call, content, body, result] of [
    [
      debug.setBreakpoints("/p.py", [2, { line: 3, condition: "i" }]),
      { source: { path: "/p.py" }, breakpoints: [{ line: 2 }, { line: 3, condition: "i" }] },
      { breakpoints },
      breakpoints,
    ],
    [
      debug.setFunctionBreakpoints(["f", { name: "g", hitCondition: "3" }]),
      { breakpoints: [{ name: "f" }, { name: "g", hitCondition: "3" }] },
      { breakpoints },
      breakpoints,
    ],
    [debug.setExceptionBreakpoints(["raised"]), { filters: ["raised"] }, {}, undefined],
    [debug.threads(), {}, { threads: [{ id: 1 }] }, [{ id: 1 }]],
    [debug.stackTrace({ levels: 1 }), { threadId: 1, levels: 1 }, { stackFrames: [] }, []],
    [debug.scopes(7), { frameId: 7 }, { scopes: [] }, []],
    [
      debug.variables(8, { start: 100, count: 50 }),
      { variablesReference: 8, start: 100, count: 50 },
      { variables: [] },
      [],
    ],
    [debug.inspectVariables(), {}, { variables: [] }, []],
    [debug.evaluate("n"), { expression: "n", context: "repl" }, { result: "1" }, { result: "1" }],
    [
      debug.evaluate("n", { frameId: 7, context: "hover", timeoutMs: 9000 }),
      { expression: "n", context: "hover", frameId: 7 },
      {},
      {},
    ],
    [debug.completions("a\nb.c"), { text: "a\nb.c", line: 2, column: 4 }, { targets: [] }, []],
    [
      debug.setVariable(8, "n", "2"),
      { variablesReference: 8, name: "n", value: "2" },
      { value: "2" },
      { value: "2" },
    ],
    [
      debug.setExpression("p.x", "2", { frameId: 7 }),
      { expression: "p.x", value: "2", frameId: 7 },
      { value: "2" },
      { value: "2" },
    ],
    [debug.exceptionInfo({ threadId: 3 }), { threadId: 3 }, {}, {}],
    [debug.source("/p.py"), { source: { path: "/p.py" }, sourceReference: 0 }, { content: "1" }, "1"],
    [debug.richInspectVariables("n", { frameId: 7 }), { variableName: "n", frameId: 7 }, {}, {}],
    [
      debug.copyToGlobals("n", 7),
      { srcVariableName: "n", dstVariableName: "n", srcFrameId: 7 },
      {},
      undefined,
    ],
    [debug.pause({ threadId: 2 }), { threadId: 2 }, {}, undefined],
  ] as const) {
    assert.deepEqual(answer(kernel, body)[1], content);
    assert.deepEqual(await call, result);
  }
});

void test("what a kernel refuses is an error of its own", async () => {
  const { kc, kernel } = await scripted();
  const debug = kc.debugger;
  const next = debug.next();
  answer(kernel, {}, { success: false, message: "Thread 1 is not stopped." });
  await assert.rejects(next, { name: "DebugError", message: "Thread 1 is not stopped.", command: "next" });
  for (const rest of [{}, { status: "error", evalue: "It has no debugger." }]) {
    const threads = debug.threads();
    answer(kernel, {}, rest);
    await assert.rejects(threads, { name: "DebugError", message: rest.evalue ?? /does not answer threads/ });
  }
});

void test("a kernel that knows no debug_request is not asked", async () => {
  const { kc, kernel } = await scripted();
  kernel.info = { status: "ok", implementation: "other" };
  await kc.restart();
  await assert.rejects(kc.debugger.attach(), {
    name: "DebugError",
    message: "The kernel other has no debugger.",
  });
  assert.deepEqual(kernel.received, []);
});

void test("events have their listeners and readers, and say what is stopped", async () => {
  const { kc, kernel, debug } = await attached();
  const threads: unknown[] = [];
  const end = debug.on("stopped", ({ threadId }) => threads.push(threadId));
  const all = debug.events();
  const stops = debug.events("stopped", "output");
  say(kernel, "stopped", { reason: "breakpoint", threadId: 1 });
  say(kernel, "stopped", { reason: "step", threadId: 2 });
  say(kernel, "continued", { threadId: 2, allThreadsContinued: false });
  say(kernel, "output", { output: "5\n" });
  assert.deepEqual([...debug.stopped.keys()], [1]);
  say(kernel, "stopped", { reason: "step", threadId: 2 });
  end();
  say(kernel, "stopped", { reason: "pause", threadId: 1 });
  assert.deepEqual([...debug.stopped.keys()], [2, 1]); // by when they have stopped
  assert.deepEqual(threads, [1, 2, 2]);
  assert.equal((await all.next()).value?.event, "stopped");
  await stops.next();
  await stops.next();
  const output = await stops.next();
  assert(!output.done && output.value.event === "output");
  assert.equal(output.value.body.output, "5\n");
  stops.close();
  assert.equal((await stops.next()).value?.event, "stopped");
  await kc.close();
  assert.equal(debug.stopped.size, 0);
  const rest = [];
  for await (const { event } of all) rest.push(event);
  assert.deepEqual(rest, ["stopped", "continued", "output", "stopped", "stopped"]);
});

void test("a step is of the thread that stopped last, whose next stop may come before the answer", async () => {
  const { kernel, debug } = await attached();
  say(kernel, "stopped", { reason: "breakpoint", threadId: 5 });
  const stepped = debug.next();
  assert.equal(debug.stopped.size, 0);
  say(kernel, "stopped", { reason: "step", threadId: 5 });
  assert.deepEqual(answer(kernel), ["next", { threadId: 5 }]);
  await stepped;
  assert.equal(debug.stopped.get(5)?.reason, "step");
  const refused = debug.continue();
  answer(kernel, {}, { success: false, message: "no" });
  await assert.rejects(refused, { command: "continue" });
  assert.equal(debug.stopped.get(5)?.reason, "step");
});

void test("with its kernel go what is stopped and who has attached", async () => {
  const { kc, kernel, debug } = await attached();
  say(kernel, "stopped", { reason: "breakpoint", threadId: 1 });
  await kc.restart();
  assert.deepEqual([debug.attached, debug.stopped.size], [false, 0]);
});
