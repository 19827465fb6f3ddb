// The client against a kernel that answers in any order, late, twice or never.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import {
  Client,
  ClientClosedError,
  ClosedError,
  Execution,
  KernelDiedError,
  KernelError,
  KernelRestartedError,
  KernelTimeoutError,
  MessagesLostError,
  MAX_OUTPUT,
} from "@laneway/kernel";
import type { ExecuteOptions, Message, Output, Subscription } from "@laneway/kernel";
import { ScriptedKernel, scripted } from "./scripted.js";

/** Let promises that can settle do so. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** From now on time passes only where the test says so. */
function stopTime(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  return {
    tick(milliseconds: number): void {
      for (const end = now + milliseconds; now < end; t.mock.timers.tick(1)) now++;
    },
  };
}

/** Keep what is said on the console. */
function listenToConsole(t: TestContext, level: "error" | "warn" = "error"): unknown[][] {
  const said: unknown[][] = [];
  t.mock.method(console, level, (...items: unknown[]) => void said.push(items));
  return said;
}

const failureOf = async (call: Promise<unknown> | Execution): Promise<unknown> =>
  (call instanceof Execution ? call.done : call).then(
    () => assert.fail("It did not fail."),
    (error: unknown) => error,
  );

const tell = (code: unknown) => String(code);

void test("file, then send, both at once and in the order of the calls", async () => {
  const { kc, kernel } = await scripted();
  const calls = [kc.execute("1").done, kc.complete("2"), kc.execute("3").done, kc.interrupt()];
  assert.deepEqual(
    kernel.received.map(({ header }) => header.msg_type),
    ["execute_request", "complete_request", "execute_request", "interrupt_request"],
  );
  assert.equal(kc.pending, 4);
  for (const request of kernel.received.splice(0)) kernel.finish(request);
  await Promise.all(calls);
  assert.equal(kc.pending, 0);
});

void test("a mode and its options are metadata", async () => {
  const { kc, kernel } = await scripted();
  const sent = (options: ExecuteOptions): unknown => {
    kc.execute("1", options);
    return JSON.parse(JSON.stringify(kernel.next("execute_request").metadata));
  };
  assert.deepEqual(sent({}), {});
  assert.deepEqual(sent({ mode: "task" }), { laneway: { mode: "task" } });
  assert.deepEqual(sent({ mode: "thread", thread: "io", deadlineMs: 500, metadata: { tags: [] } }), {
    tags: [],
    laneway: { mode: "thread", name: "io", timeout: 0.5 },
  });
  await kc.close();
});

void test("jobs are listed, cancelled and watched", async () => {
  const { kc, kernel } = await scripted();
  const job = { id: "1", kind: "cell", mode: "queue", lane: "main", state: "running", code: "x" };
  const listed = kc.jobs();
  const request = kernel.next("list_jobs_request");
  assert.deepEqual([request.channel, request.content], ["control", {}]);
  kernel.reply(request, { status: "ok", jobs: [job] });
  assert.deepEqual(await listed, [job]);

  const cancelled = kc.cancel("1");
  const cancel = kernel.next("cancel_job_request");
  assert.deepEqual([cancel.channel, cancel.content], ["control", { job_id: "1" }]);
  kernel.reply(cancel, { status: "error", ename: "RemoteProtocolError", evalue: "There is no job '1'." });
  await assert.rejects(cancelled, { name: "KernelError", message: "There is no job '1'." });

  const watch = kc.watchJobs();
  const first = watch.next();
  const watching = kernel.next("list_jobs_request");
  assert.deepEqual(watching.content, { watch: true });
  kernel.publish(undefined, "job_event", { ...job, state: "ended" });
  kernel.reply(watching, { status: "ok", jobs: [job] });
  assert.deepEqual((await first).value, job);
  assert.deepEqual((await watch.next()).value, { ...job, state: "ended" });
  const end = watch.return();
  await new Promise((resolve) => setImmediate(resolve));
  const last = kernel.next("list_jobs_request");
  assert.deepEqual(last.content, { watch: false });
  kernel.reply(last, { status: "ok", jobs: [] });
  await end;
  await kc.close();
});

void test("reversed replies reach their owners", async () => {
  const { kc, kernel } = await scripted();
  const executions = Array.from({ length: 100 }, (_, i) => kc.execute(String(i)));
  const requests = kernel.received.splice(0).reverse();
  for (const request of requests) {
    kernel.stream(request, tell(request.content.code));
    kernel.status(request, "idle");
  }
  for (const request of requests) {
    kernel.reply(request, { status: "ok", execution_count: Number(request.content.code) });
  }
  for (const [i, execution] of executions.entries()) {
    const result = await execution.done;
    assert.deepEqual([result.stdout, result.executionCount], [String(i), i]);
  }
});

void test("requests of all kinds, answered in any order", async () => {
  const { kc, kernel } = await scripted();
  kernel.answering = false;
  const completed = Array.from({ length: 20 }, (_, i) => kc.complete(String(i)));
  const info = kc.kernelInfo({ channel: "control" });
  for (const request of kernel.received.splice(0).reverse()) {
    const { code } = request.content;
    kernel.reply(request, { status: "ok", matches: [code], banner: request.channel });
  }
  const matches = (await Promise.all(completed)).map((reply) => reply.matches);
  assert.deepEqual(
    matches,
    completed.map((_, i) => [String(i)]),
  );
  assert.equal((await info).banner, "control");
});

void test("what the calls ask, and what they make of the answer", async () => {
  const { kc, kernel } = await scripted();
  const cases: [Promise<unknown>, string, Record<string, unknown>, Record<string, unknown>, unknown][] = [
    [kc.complete("a🐍b"), "complete_request", { code: "a🐍b", cursor_pos: 3 }, { matches: [] }, undefined],
    [
      kc.inspect("len", 1, 1),
      "inspect_request",
      { code: "len", cursor_pos: 1, detail_level: 1 },
      { found: true },
      undefined,
    ],
    [
      kc.isComplete("if 1:"),
      "is_complete_request",
      { code: "if 1:" },
      { status: "incomplete", indent: "  " },
      { status: "incomplete", indent: "  " },
    ],
    [
      kc.history("tail", { n: 3 }),
      "history_request",
      { hist_access_type: "tail", raw: true, output: false, n: 3 },
      { history: [] },
      undefined,
    ],
    [kc.commInfo("t"), "comm_info_request", { target_name: "t" }, { comms: {} }, undefined],
    [kc.debug({ seq: 1 }), "debug_request", { seq: 1 }, { success: true }, { success: true }],
    [kc.createSubshell(), "create_subshell_request", {}, { subshell_id: "s" }, "s"],
    [kc.deleteSubshell("s"), "delete_subshell_request", { subshell_id: "s" }, {}, null],
    [kc.listSubshells(), "list_subshell_request", {}, { subshell_id: ["s"] }, ["s"]],
    [kc.shutdown(), "shutdown_request", { restart: false }, {}, null],
  ];
  for (const [call, msgType, content, answer, expected] of cases) {
    const request = kernel.next(msgType);
    assert.deepEqual(request.content, content);
    const onControl = /debug|subshell|shutdown/.test(msgType);
    assert.equal(request.channel, onControl ? "control" : "shell");
    const whole = msgType === "debug_request" ? answer : { status: "ok", ...answer };
    kernel.reply(request, whole);
    assert.deepEqual((await call) ?? null, expected === undefined ? whole : expected);
  }
  const refused = kc.createSubshell();
  kernel.reply(kernel.next("create_subshell_request"), { status: "error", evalue: "No subshells here." });
  await assert.rejects(refused, /No subshells here/);
});

void test("what an execution asks for", async () => {
  const { kc, kernel } = await scripted();
  const options: ExecuteOptions = {
    silent: true,
    storeHistory: false,
    userExpressions: { x: "1" },
    stopOnError: false,
    stdin: () => "",
    mode: "task",
    subshell: "sub",
    metadata: { tags: ["a"], laneway: { other: 1 } },
  };
  kc.execute("x", options);
  const { content, metadata, header } = kernel.next("execute_request");
  assert.deepEqual(content, {
    code: "x",
    silent: true,
    store_history: false,
    user_expressions: { x: "1" },
    allow_stdin: true,
    stop_on_error: false,
  });
  assert.deepEqual(metadata, { tags: ["a"], laneway: { other: 1, mode: "task" } });
  assert.equal(header.subshell_id, "sub");
});

for (const idleFirst of [true, false]) {
  void test(`done is reply and idle, ${idleFirst ? "idle" : "reply"} first`, async () => {
    const { kc, kernel } = await scripted();
    const execution = kc.execute("x");
    const request = kernel.next("execute_request");
    kernel.status(request, "busy");
    kernel.stream(request, "a");
    if (idleFirst) kernel.status(request, "idle");
    else kernel.reply(request);
    assert.equal(execution.state, "running");
    if (!idleFirst) kernel.stream(request, "b");
    if (idleFirst) kernel.reply(request);
    else kernel.status(request, "idle");
    const result = await execution.done;
    assert.deepEqual(
      [result.stdout, result.complete, execution.state, kc.pending],
      [idleFirst ? "a" : "ab", true, "done", 0],
    );
  });
}

void test("an idle that never comes", async (t) => {
  const time = stopTime(t);
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  kernel.reply(request);
  time.tick(1999);
  kernel.stream(request, "all there was"); // the reply has overtaken it
  time.tick(1999);
  assert.equal(kc.pending, 1);
  time.tick(1);
  const result = await execution.done;
  assert.deepEqual([result.stdout, result.complete, kc.pending], ["all there was", false, 0]);
  kernel.status(request, "idle"); // after all: nobody minds
});

void test("a duplicate live id is refused", async () => {
  const { kc, kernel } = await scripted();
  const first = kc.execute("1", { msgId: "same" });
  assert.throws(() => kc.execute("2", { msgId: "same" }), RangeError);
  kernel.finish(kernel.next("execute_request"));
  assert.equal((await first.done).status, "ok");
  assert.equal(kernel.received.length, 0);
  kc.execute("3", { msgId: "same" });
  assert.equal(kernel.next("execute_request").content.code, "3");
});

void test("results can be awaited any number of times", async () => {
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const both = Promise.all([execution.done, execution.done]);
  kernel.finish(kernel.next("execute_request"), {
    status: "error",
    ename: "E",
    evalue: "v",
    traceback: ["t"],
  });
  const [one, two] = await both;
  assert.equal(one, two);
  assert.deepEqual([one.status, one.error], ["error", { ename: "E", evalue: "v", traceback: ["t"] }]);
});

void test("the whole result", async () => {
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  kernel.stream(request, "a");
  kernel.stream(request, "b");
  kernel.publish(request, "stream", { name: "stderr", text: "c" });
  kernel.stream(request, "d");
  kernel.publish(request, "display_data", { data: { "text/plain": "shown" }, metadata: {} });
  kernel.publish(request, "execute_result", { data: { "text/plain": "1" }, execution_count: 1 });
  kernel.finish(request, { status: "ok", execution_count: 1, user_expressions: { x: { status: "ok" } } });
  const result = await execution.done;
  assert.deepEqual(
    [result.stdout, result.stderr, result.result, result.userExpressions, result.error],
    ["abd", "c", { "text/plain": "1" }, { x: { status: "ok" } }, undefined],
  );
  assert.deepEqual(
    result.outputs.map((output) => (output.type === "stream" ? output.content.text : output.type)),
    ["ab", "c", "d", "display_data", "execute_result"],
  );
});

void test("an aborted request leaves nothing behind", async () => {
  const { kc, kernel } = await scripted();
  const controller = new AbortController();
  const call = kc.complete("x", 1, { signal: controller.signal });
  const request = kernel.next("complete_request");
  controller.abort(new Error("not wanted"));
  await assert.rejects(call, /not wanted/);
  assert.equal(kc.pending, 0);
  kernel.reply(request, { status: "ok", matches: ["late"] });
  assert.equal(kc.unclaimed, 1);
  await assert.rejects(kc.complete("x", 1, { signal: controller.signal }), /not wanted/);
  assert.throws(() => kc.execute("x", { signal: controller.signal }), /not wanted/);
  assert.equal(kernel.received.length, 0);
});

void test("a signal that outlives its calls holds none of them", async (t) => {
  const { kc, kernel } = await scripted();
  const { signal } = new AbortController();
  let listening = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  t.mock.method(signal, "addEventListener", (...args: Parameters<typeof add>) => (listening++, add(...args)));
  t.mock.method(signal, "removeEventListener", (...args: Parameters<typeof remove>) => {
    listening--;
    remove(...args);
  });
  const calls = [kc.execute("x", { signal }).done, kc.complete("x", 1, { signal })];
  assert.equal(listening, 2);
  for (const request of kernel.received.splice(0)) kernel.finish(request);
  await Promise.all(calls);
  assert.equal(listening, 0);
});

void test("an abort takes the cell back", async () => {
  const { kc, kernel } = await scripted();
  const controller = new AbortController();
  const execution = kc.execute("x", { signal: controller.signal });
  const request = kernel.next("execute_request");
  controller.abort();
  const interrupt = kernel.next("interrupt_request");
  assert.deepEqual(
    [interrupt.channel, interrupt.metadata],
    ["control", { laneway: { msg_id: execution.msgId } }],
  );
  kernel.reply(interrupt);
  kernel.finish(request, { status: "error", ename: "KeyboardInterrupt", evalue: "" });
  assert.equal(((await failureOf(execution)) as Error).name, "AbortError");
  assert.deepEqual([execution.state, kc.pending], ["cancelled", 0]);
});

for (const phase of ["queued", "running", "awaiting stdin", "awaiting idle"] as const) {
  void test(`a timeout names the phase: ${phase}`, async (t) => {
    const time = stopTime(t);
    const { kc, kernel } = await scripted();
    let asked: AbortSignal | undefined;
    const stdin = (_: string, { signal }: { signal: AbortSignal }) => {
      asked = signal;
      return new Promise<string>(() => undefined);
    };
    const execution = kc.execute("x", { timeoutMs: 50, stdin });
    const request = kernel.next("execute_request");
    kernel.stream(request, "so far");
    if (phase !== "queued") kernel.status(request, "busy");
    if (phase === "awaiting stdin") kernel.say("stdin", "input_request", { prompt: "" }, request);
    if (phase === "awaiting idle") kernel.reply(request);
    time.tick(50);
    const error = await failureOf(execution);
    assert(error instanceof KernelTimeoutError);
    assert.deepEqual([error.request, error.phase], ["execute_request", phase]);
    assert.deepEqual(
      error.outputs.map((output) => output.content),
      [{ name: "stdout", text: "so far" }],
    );
    assert.equal(asked?.aborted, phase === "awaiting stdin" ? true : undefined);
    assert.deepEqual([execution.state, kc.pending], ["abandoned", 0]);
    kernel.finish(request); // late: nobody's
  });
}

void test("the time that a call took is in its error", async () => {
  const { kc } = await scripted();
  const error = await failureOf(kc.execute("x", { timeoutMs: 20 }));
  assert(error instanceof KernelTimeoutError && error.elapsedMs >= 19);
  assert.match(error.message, /^execute_request has not ended after \d+ ms; it was queued\.$/);
});

void test("a timeout can interrupt the cell", async (t) => {
  const time = stopTime(t);
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x", { timeoutMs: 10, onTimeout: "interrupt" });
  time.tick(10);
  const interrupt = kernel.next("interrupt_request");
  assert.deepEqual(interrupt.metadata, { laneway: { msg_id: execution.msgId } });
  kernel.reply(interrupt);
  kernel.finish(kernel.next("execute_request"), { status: "error", ename: "KeyboardInterrupt", evalue: "" });
  assert((await failureOf(execution)) instanceof KernelTimeoutError);
  assert.equal(execution.state, "abandoned");
});

void test("a timeout does not wait for an interrupt for ever", async (t) => {
  const time = stopTime(t);
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x", { timeoutMs: 10, onTimeout: "interrupt" });
  time.tick(10);
  kernel.next("interrupt_request");
  time.tick(2000);
  assert((await failureOf(execution)) instanceof KernelTimeoutError);
  assert.equal(execution.state, "abandoned");
});

void test("a kernel that cannot aim is not asked to interrupt a cell that is queued", async (t) => {
  const time = stopTime(t);
  const kernel = new ScriptedKernel();
  kernel.info = { status: "ok" };
  const kc = await new Client(kernel).start();
  const execution = kc.execute("x", { timeoutMs: 10, onTimeout: "interrupt" });
  await assert.rejects(execution.cancel(), /cannot take back/);
  time.tick(10);
  assert((await failureOf(execution)) instanceof KernelTimeoutError);
  assert.deepEqual(
    kernel.received.map(({ header }) => header.msg_type),
    ["execute_request"],
  );
});

void test("a timeout of a request", async (t) => {
  const time = stopTime(t);
  const { kc } = await scripted();
  const call = failureOf(kc.complete("x", 1, { timeoutMs: 10 }));
  time.tick(10);
  const error = await call;
  assert(error instanceof KernelTimeoutError && error.request === "complete_request");
  assert.equal(kc.pending, 0);
});

void test("a start is told, or that there will be none", async () => {
  const { kc, kernel } = await scripted();
  const [first, second] = [kc.execute("1"), kc.execute("2")];
  const [request, another] = kernel.received.splice(0) as [Message, Message];
  const told: string[] = [];
  void first.started.then(() => told.push(`first ${first.state}`));
  void second.started.then(() => told.push(`second ${second.state}`));
  await settled();
  assert.deepEqual(told, []);
  kernel.status(request, "busy");
  await settled();
  kernel.finish(another, { status: "aborted" });
  await settled();
  assert.deepEqual(told, ["first running", "second done"]);
});

void test("cancelling waits for the end", async () => {
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  let ended = false;
  const cancelled = execution.cancel().then(() => (ended = true));
  kernel.reply(kernel.next("interrupt_request"));
  await settled();
  assert.equal(ended, false);
  kernel.finish(request, { status: "aborted" });
  await cancelled;
  assert.deepEqual([(await execution.done).status, execution.state], ["aborted", "cancelled"]);
  await execution.cancel(); // harmless
  assert.equal(kernel.received.length, 0);
});

void test("cancelling can have a limit", async (t) => {
  const time = stopTime(t);
  const { kc } = await scripted();
  const execution = kc.execute("while True: pass");
  const cancelled = failureOf(execution.cancel({ timeoutMs: 10 }));
  time.tick(10);
  assert((await cancelled) instanceof KernelTimeoutError);
});

void test("outputs as they come, for several readers", async () => {
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  const texts: string[] = [];
  const read = async () => {
    for await (const output of execution) {
      if (output.type === "stream") texts.push(output.content.text);
    }
  };
  const reader = read();
  kernel.stream(request, "one ");
  await settled();
  assert.deepEqual(texts, ["one "]);
  kernel.stream(request, "two");
  kernel.finish(request);
  await reader;
  assert.deepEqual(texts, ["one ", "two"]);
  await read();
  assert.deepEqual(texts, ["one ", "two", "one ", "two"]);
  for await (const output of execution) {
    assert.equal(output.type, "stream");
    break; // leaving a loop ends nothing
  }
  assert.equal((await execution.done).stdout, "one two");
});

void test("an iteration throws what the execution fails with", async () => {
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const texts: string[] = [];
  const read = async () => {
    for await (const output of execution) texts.push(output.type);
  };
  const reading = assert.rejects(read(), KernelDiedError);
  kernel.stream(kernel.next("execute_request"), "partial");
  kernel.lose(new KernelDiedError("It is dead."));
  await reading;
  assert.deepEqual(texts, ["stream"]);
});

void test("of output that is too much the oldest is dropped, streams first, and counted", async (t) => {
  const said = listenToConsole(t, "warn");
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  kernel.publish(request, "display_data", { data: { "text/plain": "a plot" } });
  kernel.publish(request, "error", { ename: "E", evalue: "", traceback: [] });
  const text = "x".repeat(MAX_OUTPUT / 4);
  for (let i = 0; i < 10; i++) kernel.stream(request, text + i);
  kernel.finish(request);
  const result = await execution.done;
  assert.deepEqual(
    result.outputs.map(({ type }) => type),
    ["display_data", "error", "stream"],
  );
  assert.deepEqual([...result.stdout].filter((letter) => letter !== "x").join(""), "789");
  assert.deepEqual([result.dropped, execution.dropped, said.length], [7, 7, 1]);
});

void test("of displays that are too much the oldest is dropped; one that is too large alone stays", async (t) => {
  listenToConsole(t, "warn");
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  for (const number of [0, 1]) {
    kernel.publish(request, "display_data", { data: { "text/plain": "x".repeat(MAX_OUTPUT) + number } });
  }
  kernel.finish(request);
  const [output] = (await execution.done).outputs;
  assert(output?.type === "display_data" && String(output.content.data["text/plain"]).endsWith("1"));
  assert.equal(execution.dropped, 1);
});

void test("what is cleared is let go, and counts nowhere", async () => {
  const { kc, kernel } = await scripted();
  for (const wait of [true, false]) {
    const execution = kc.execute("an animation");
    const request = kernel.next("execute_request");
    const frame = "x".repeat(MAX_OUTPUT / 4);
    for (let i = 0; i < 10; i++) {
      kernel.publish(request, "clear_output", { wait });
      kernel.publish(request, "display_data", { data: { "text/plain": frame + i } });
    }
    assert.equal(execution.outputs.length, 2);
    kernel.publish(request, "clear_output", { wait: true }); // for which nothing comes
    assert.equal(execution.outputs.length, 3);
    kernel.finish(request);
    const shown: Output[] = [];
    for await (const output of execution) shown.push(output);
    assert.deepEqual(
      shown.map(({ type }) => type),
      ["clear_output", "display_data", "clear_output"],
    );
    assert.equal(execution.dropped, 0);
  }
});

void test("what is cleared is the cell's own, and no update of another display", async () => {
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  for (const display_id of ["own", "other"]) {
    const content = { data: { "text/plain": "x" }, transient: { display_id } };
    if (display_id === "own") kernel.publish(request, "display_data", content);
    kernel.publish(request, "update_display_data", content);
  }
  kernel.publish(request, "clear_output", { wait: false });
  kernel.finish(request);
  const [updated, cleared] = (await execution.done).outputs;
  assert(updated?.type === "update_display_data" && updated.content.transient?.display_id === "other");
  assert.equal(cleared?.type, "clear_output");
});

void test("an execution can be returned by an async function before it has ended", async () => {
  const { kc, kernel } = await scripted();
  const begin = async () => {
    await settled();
    return kc.execute("x");
  };
  const execution = await begin();
  assert.equal(execution.state, "queued");
  kernel.finish(kernel.next("execute_request"));
  assert.equal((await execution.done).status, "ok");
});

void test("what comes after the end has an owner, until it is released", async () => {
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  const seen: unknown[] = [];
  const following = (async () => {
    for await (const { content } of execution.follow()) seen.push((content as { text: string }).text);
  })();
  kernel.stream(request, "early");
  kernel.finish(request);
  const result = await execution.done;
  kernel.stream(request, "late");
  await settled();
  assert.deepEqual(seen, ["early", "late"]);
  assert.equal(execution.outputs.length, 2);
  assert.equal(result.stdout, "early");
  const iterated: unknown[] = [];
  for await (const { content } of execution) iterated.push((content as { text: string }).text);
  assert.deepEqual(iterated, seen);
  execution.release();
  await following;
  kernel.stream(request, "too late");
  await settled();
  assert.equal(execution.outputs.length, 2);
});

void test("what a comm message causes belongs to the cell that opened the comm, or to the one that is named", async () => {
  const { kc, kernel } = await scripted();
  kc.comms.registerTarget("target", () => undefined);
  const [first, second] = [kc.execute("x", { msgId: "with.dots" }), kc.execute("y")];
  const request = kernel.next("execute_request");
  kernel.publish(request, "comm_open", { comm_id: "1", target_name: "target", data: {} });
  kernel.finish(request);
  const comm = kc.comms.get("1");
  assert.equal(comm?.owner, first.msgId);
  const texts = (run: Execution) => run.outputs.map(({ content }) => (content as { text: string }).text);
  const answer = (sent: Message | undefined, text: string) => {
    kernel.status(sent, "busy");
    kernel.stream(sent, text);
    kernel.status(sent, "idle");
    kernel.stream(sent, `${text}, late`);
  };
  answer(comm?.send({}), "one");
  answer(comm?.send({}, { owner: second.msgId }), "two");
  assert.deepEqual(
    [texts(first), texts(second)],
    [
      ["one", "one, late"],
      ["two", "two, late"],
    ],
  );
  assert.deepEqual([first.state, second.state], ["done", "queued"]);
  // a comm that is opened while such a message is handled is of the same cell
  const sent = comm?.send({});
  kernel.publish(sent, "comm_open", { comm_id: "2", target_name: "target", data: {} });
  assert.equal(kc.comms.get("2")?.owner, first.msgId);
  if (comm) comm.owner = undefined;
  answer(comm?.send({}), "nobody's");
  assert.equal(texts(first).length, 2);
});

void test("no limit is no limit, and what is none is refused", async (t) => {
  const time = stopTime(t);
  const { kc, kernel } = await scripted();
  const limits = [Infinity, 2 ** 31, Number.MAX_VALUE].map((timeoutMs) => ({ timeoutMs }));
  const calls = limits.map((limit) => [kc.execute("x", limit).done, kc.complete("x", 1, limit)]).flat();
  const restarted = kc.start({ timeoutMs: Infinity });
  time.tick(10);
  await settled();
  for (const request of kernel.received.splice(0)) kernel.finish(request);
  await Promise.all([...calls, restarted]);
  assert.throws(() => kc.execute("x", { timeoutMs: NaN }), /timeoutMs is NaN/);
  await assert.rejects(kc.complete("x", 1, { timeoutMs: -1 }), RangeError);
  await assert.rejects(kc.restart({ timeoutMs: NaN }), RangeError);
  assert.equal(kc.pending, 0);
});

void test("a client that waits for nothing has no timer", async (t) => {
  const { kc, kernel } = await scripted();
  const timers = t.mock.method(globalThis, "setTimeout");
  const ended = t.mock.method(globalThis, "clearTimeout");
  const execution = kc.execute("x", { timeoutMs: 3_600_000 });
  const request = kernel.next("execute_request");
  kernel.status(request, "idle");
  kernel.reply(request);
  await execution.done;
  assert.equal(timers.mock.callCount(), 1);
  assert.equal(ended.mock.calls.at(-1)?.arguments[0], timers.mock.calls[0]?.result);
});

void test("prompts find their own hooks, which may be asynchronous", async () => {
  const { kc, kernel } = await scripted();
  kc.execute("a", { stdin: (prompt, { password }) => `a:${prompt}:${password}` });
  kc.execute("b", { stdin: async (prompt) => Promise.resolve(`b:${prompt}`) });
  for (const request of kernel.received.splice(0).reverse()) {
    kernel.say("stdin", "input_request", { prompt: request.content.code, password: true }, request);
  }
  await settled();
  const answers = kernel.received.map(({ channel, content }) => [channel, content.value]);
  assert.deepEqual(answers.sort(), [
    ["stdin", "a:a:true"],
    ["stdin", "b:b"],
  ]);
});

void test("a question ends with its cell", async () => {
  const { kc, kernel } = await scripted();
  let answer: (value: string) => void = () => undefined;
  let asked: AbortSignal | undefined;
  const execution = kc.execute("x", {
    stdin: (_, { signal }) => {
      asked = signal;
      return new Promise((resolve) => (answer = resolve));
    },
  });
  const request = kernel.next("execute_request");
  kernel.say("stdin", "input_request", {}, request);
  assert.equal(asked?.aborted, false);
  kernel.finish(request, { status: "error", ename: "KeyboardInterrupt", evalue: "" });
  await execution.done;
  assert.equal(asked.aborted, true);
  answer("too late");
  await settled();
  assert.equal(kernel.received.length, 0);
});

const hooks: [string, ExecuteOptions["stdin"], RegExp][] = [
  ["raises", () => assert.fail("no answer"), /no answer/],
  ["rejects", () => Promise.reject(new Error("no answer")), /no answer/],
  ["returns no string", () => null as unknown as string, /must return a string/],
  ["is missing", undefined, /asks for input/],
];
for (const [what, stdin, message] of hooks) {
  void test(`a stdin hook that ${what}: the cell is interrupted, and its owner sees why`, async () => {
    const { kc, kernel } = await scripted();
    const [execution, other] = [kc.execute("x", { stdin }), kc.execute("y")];
    const [request, another] = kernel.received.splice(0) as [Message, Message];
    kernel.say("stdin", "input_request", { prompt: "?" }, request);
    await settled();
    const interrupt = kernel.next("interrupt_request");
    assert.deepEqual(interrupt.metadata, { laneway: { msg_id: execution.msgId } });
    kernel.reply(interrupt);
    kernel.finish(request, { status: "error", ename: "KeyboardInterrupt", evalue: "" });
    await assert.rejects(execution.done, message);
    assert.equal(execution.state, "failed");
    kernel.finish(another);
    assert.equal((await other.done).status, "ok");
  });
}

void test("strange messages are counted and nothing else", async () => {
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  kernel.say("shell", "execute_reply", { status: "ok" });
  kernel.say("control", "execute_reply", { status: "ok" }, request);
  kernel.say("stdin", "input_request", {});
  kernel.say("shell", "execute_reply", ["not", "an", "object"], request);
  kernel.say("shell", "execute_reply", null, request);
  kernel.publish(undefined, "status", null);
  kernel.publish(request, "stream", { name: "stdout" });
  kernel.publish(request, "error", { ename: "E", evalue: "", traceback: [1] });
  kernel.publish(request, "display_data", {});
  assert.equal(kc.unclaimed, 9);
  kernel.publish(undefined, "made_up", {});
  kernel.publish(request, "made_up", {});
  kernel.publish(request, "status", { execution_state: "dizzy" });
  kernel.publish(undefined, "comm_msg", { comm_id: 1 });
  kernel.publish(undefined, "comm_msg", { comm_id: "unknown" });
  kernel.stream(request, "right");
  kernel.finish(request);
  kernel.reply(request);
  const result = await execution.done;
  assert.deepEqual([result.stdout, result.outputs.length, result.status], ["right", 1, "ok"]);
});

void test("death fails everything at once, and what is called afterwards", async () => {
  const { kc, kernel } = await scripted();
  const executions = Array.from({ length: 10 }, () => kc.execute("x"));
  kernel.answering = false;
  const requests = [
    kc.complete("x"),
    kc.inspect("x"),
    kc.isComplete("x"),
    kc.history(),
    kc.commInfo(),
    kc.kernelInfo(),
    kc.interrupt(),
    kc.createSubshell(),
    kc.debug({}),
    kc.shutdown(),
    executions[0]?.cancel(),
  ].map((call) => Promise.resolve(call).catch((error: unknown) => error));
  const comm = kc.comms.open("target");
  kernel.stream(kernel.next("execute_request"), "partial");
  kernel.lose(new KernelDiedError("Memory is exhausted."));
  assert.deepEqual([kc.state, kc.pending, comm.closed], ["dead", 0, true]);
  for (const execution of executions) {
    const error = await failureOf(execution);
    assert(error instanceof KernelDiedError);
    assert.equal(error.message, "Memory is exhausted.");
    assert.equal(error.outputs.length, execution === executions[0] ? 1 : 0);
    assert.equal(execution.state, "failed");
  }
  const failures = await Promise.all(requests);
  assert.equal(failures.pop(), undefined); // who wanted it to end has what they wanted
  for (const failure of failures) assert(failure instanceof KernelDiedError);
  assert.throws(() => kc.execute("x"), /Memory is exhausted/);
  await assert.rejects(kc.complete("x"), KernelDiedError);
  assert.throws(() => kc.comms.open("target"), KernelDiedError);
  assert.throws(() => comm.send({}), ClosedError);
  assert.deepEqual(await comm.next(), { done: true, value: undefined });
});

void test("a dead kernel is started again, by start or by restart", async () => {
  const { kc, kernel } = await scripted();
  for (const again of ["start", "restart"] as const) {
    kernel.lose(new KernelDiedError("gone"));
    assert.equal(kc.state, "dead");
    await kc[again]();
    const execution = kc.execute("x");
    kernel.finish(kernel.next("execute_request"));
    assert.equal((await execution.done).status, "ok");
    assert.deepEqual([kc.state, kc.failure], ["idle", undefined]);
  }
  assert.deepEqual(kernel.calls, { start: 2, restart: 1, close: 0 });
});

void test("a restart fails the old calls, and the same client goes on", async () => {
  const { kc, kernel } = await scripted();
  const old = kc.execute("old");
  const asked = failureOf(kc.complete("x"));
  const comm = kc.comms.open("target");
  kernel.stream(kernel.next("execute_request"), "partial");
  const restarted = kc.restart();
  assert.equal(kc.state, "restarting");
  const fresh = kc.execute("fresh"); // for the new kernel, when it is there
  assert.throws(() => kernel.next("execute_request"));
  const error = await failureOf(old);
  assert(error instanceof KernelRestartedError && error.outputs.length === 1);
  assert((await asked) instanceof KernelRestartedError);
  assert.equal(comm.closed, true);
  await restarted;
  assert.equal(kc.state, "idle");
  kernel.finish(kernel.next("execute_request"));
  assert.equal((await fresh.done).status, "ok");
});

void test("a restart by a server fails what is pending", async () => {
  const { kc, kernel } = await scripted();
  const execution = kc.execute("x");
  kernel.status(undefined, "restarting");
  assert((await failureOf(execution)) instanceof KernelRestartedError);
  assert.equal(kc.state, "idle");
  kernel.status(undefined, "dead");
  assert.equal(kc.state, "dead");
});

void test("calls made during the start wait for it, and can be taken back", async (t) => {
  const time = stopTime(t);
  const kernel = new ScriptedKernel();
  kernel.answering = false;
  const kc = new Client(kernel);
  assert.throws(() => kc.execute("x"), ClosedError);
  const started = kc.start();
  const first = kc.execute("first");
  const late = kc.execute("late", { timeoutMs: 10, onTimeout: "interrupt" });
  const unwanted = kc.execute("unwanted");
  await unwanted.cancel();
  assert.deepEqual([(await unwanted.done).status, unwanted.state], ["aborted", "cancelled"]);
  const asked = failureOf(kc.complete("x", 1, { timeoutMs: 10 }));
  time.tick(10);
  assert((await failureOf(late)) instanceof KernelTimeoutError);
  assert((await asked) instanceof KernelTimeoutError);
  kernel.answering = true;
  kernel.reply(kernel.next("kernel_info_request"), kernel.info);
  await started;
  assert.deepEqual(
    kernel.received.map(({ content }) => content.code),
    ["first"],
  );
  kernel.finish(kernel.next("execute_request"));
  assert.equal((await first.done).status, "ok");
});

void test("what cannot be sent is its caller's error, at once or when it is its turn", async () => {
  const { kc, kernel } = await scripted();
  const impossible = { userExpressions: { x: 1n } as unknown as Record<string, string> };
  assert.throws(() => kc.execute("x", impossible), TypeError);
  await assert.rejects(kc.request("made_up_request", { x: 1n }), TypeError);
  assert.throws(() => kc.post("comm_msg", { x: 1n }), TypeError);
  const restarted = kc.restart();
  const execution = kc.execute("x", impossible);
  const call = failureOf(kc.request("made_up_request", { x: 1n }));
  const fine = kc.execute("fine");
  await restarted;
  assert((await failureOf(execution)) instanceof TypeError);
  assert((await call) instanceof TypeError);
  kernel.finish(kernel.next("execute_request"));
  assert.equal((await fine.done).status, "ok");
  assert.equal(kc.pending, 0);
});

void test("starting twice is one start; a failed one says why", async () => {
  const kernel = new ScriptedKernel();
  const kc = new Client(kernel);
  await Promise.all([kc.start(), kc.start()]);
  await kc.start();
  assert.equal(kernel.calls.start, 1);

  const failing = new ScriptedKernel();
  failing.start = () => Promise.reject(new KernelError("There is no kernel."));
  const none = new Client(failing);
  await assert.rejects(none.start(), /There is no kernel/);
  assert.deepEqual([none.state, failing.calls.close], ["dead", 1]);
  assert.throws(() => none.execute("x"), /There is no kernel/);
});

void test("a start has limits", async (t) => {
  const time = stopTime(t);
  const kernel = new ScriptedKernel();
  kernel.answering = false;
  const kc = new Client(kernel);
  const starting = failureOf(kc.start({ timeoutMs: 10 }));
  await settled();
  time.tick(10);
  assert((await starting) instanceof KernelTimeoutError);
  assert.deepEqual([kc.state, kc.pending, kernel.calls.close], ["dead", 0, 1]);
  const controller = new AbortController();
  const again = failureOf(kc.start({ signal: controller.signal }));
  controller.abort(new Error("never mind"));
  assert.match(String(await again), /never mind/);
});

void test("a kernel that was there is not given up by a start that fails", async (t) => {
  const { kc, kernel } = await scripted();
  kernel.lose(new KernelDiedError("The network is down."));
  const down = t.mock.method(kernel, "start", () => Promise.reject(new KernelError("It still is.")));
  await assert.rejects(kc.start(), /It still is/);
  assert.throws(() => kc.execute("x"), /It still is/);
  down.mock.restore();
  await kc.start();
  assert.deepEqual([kc.state, kernel.calls.close], ["idle", 0]);
});

void test("a signal that is aborted already starts nothing", async () => {
  const kernel = new ScriptedKernel();
  const kc = new Client(kernel);
  const signal = AbortSignal.abort(new Error("not wanted"));
  await assert.rejects(kc.start({ signal }), /not wanted/);
  assert.equal(kernel.calls.start, 0);
  await kc.start();
  await assert.rejects(kc.restart({ signal }), /not wanted/);
  await assert.rejects(kc.execute("x").cancel({ signal }), /not wanted/);
  assert.equal(kernel.calls.restart, 0);
});

void test("a restart during the start takes its place", async () => {
  const kernel = new ScriptedKernel();
  kernel.answering = false;
  const kc = new Client(kernel);
  const starting = failureOf(kc.start());
  await settled();
  const restarted = kc.restart();
  kernel.answering = true;
  await restarted;
  assert((await starting) instanceof KernelRestartedError);
  assert.equal(kc.state, "idle");
});

void test("closing fails what is pending", async () => {
  const { kc, kernel } = await scripted();
  const executions = Array.from({ length: 50 }, () => kc.execute("x"));
  const everything = kc.subscribe();
  const comm = kc.comms.open("target");
  await kc.close();
  for (const execution of executions) assert((await failureOf(execution)) instanceof ClientClosedError);
  assert.throws(() => kc.execute("x"), ClientClosedError);
  assert.throws(() => comm.send({}), ClosedError);
  await assert.rejects(kc.start(), ClientClosedError);
  await assert.rejects(kc.restart(), ClientClosedError);
  assert.deepEqual(await everything.next(), { done: true, value: undefined });
  await kc.close();
  assert.deepEqual([kc.state, kc.pending, kernel.calls.close], ["closed", 0, 2]);
});

void test("closing ends a start", async () => {
  const kernel = new ScriptedKernel();
  kernel.answering = false;
  const kc = new Client(kernel);
  const starting = failureOf(kc.start());
  await settled();
  await kc.close();
  assert((await starting) instanceof ClientClosedError);
  assert.equal(kc.state, "closed");
});

void test("the state, and what tells of it", async (t) => {
  const time = stopTime(t);
  const kernel = new ScriptedKernel();
  const kc = new Client(kernel);
  const states: string[] = [];
  const progress: string[] = [];
  kc.on("state", (state) => states.push(state));
  kc.on("progress", ({ text }) => progress.push(text));
  assert.equal(kc.state, "starting");
  await kc.start();
  assert.deepEqual([states, progress], [["idle"], ["Starting"]]);
  kc.execute("a");
  kc.execute("b");
  const [a, b] = kernel.received.splice(0) as [Message, Message];
  kernel.status(a, "busy");
  kernel.status(b, "busy");
  kernel.status(a, "idle");
  assert.equal(kc.state, "busy");
  kernel.status(b, "idle");
  const completion = kc.complete("x");
  const request = kernel.next("complete_request");
  kernel.status(request, "busy"); // not a cell
  assert.equal(kc.state, "idle");
  time.tick(2999);
  assert.equal(kc.state, "idle");
  time.tick(1);
  assert.equal(kc.state, "unresponsive");
  kernel.reply(request, { status: "ok" });
  await completion;
  time.tick(10_000);
  assert.equal(kc.state, "idle");
  await kc.restart();
  kernel.lose(new KernelDiedError("gone"));
  await kc.close();
  assert.deepEqual(states, [
    ...["idle", "busy", "idle", "unresponsive", "idle"],
    ...["restarting", "idle", "dead", "closed"],
  ]);
});

void test("a listener can be taken off; one that throws disturbs nobody", async (t) => {
  const said = listenToConsole(t);
  const { kc, kernel } = await scripted();
  let count = 0;
  const off = kc.on("state", () => count++);
  kc.on("state", () => assert.fail("a mistake"));
  kc.on("state", () => Promise.reject(new Error("another")));
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  kernel.status(request, "busy");
  off();
  kernel.finish(request);
  assert.equal((await execution.done).status, "ok");
  await settled();
  assert.equal(count, 1);
  assert.equal(said.filter(([, error]) => /a mistake/.test(String(error))).length, 2);
  assert.equal(said.filter(([, error]) => /another/.test(String(error))).length, 2);
});

void test("subscriptions are bounded and independent", async () => {
  const { kc, kernel } = await scripted();
  const everything = kc.subscribe();
  const few = kc.subscribe(({ header }) => header.msg_type === "stream", 3);
  for (let i = 0; i < 10; i++) kernel.stream(undefined, String(i));
  few.close();
  const texts: unknown[] = [];
  for await (const { content } of few) texts.push(content.text);
  assert.deepEqual([texts, few.dropped], [["7", "8", "9"], 7]);
  everything.close();
  kernel.stream(undefined, "not any more");
  assert.equal(everything.size, 10);
});

void test("of what a subscription cannot hold, replies, questions, statuses and errors stay", async (t) => {
  const said = listenToConsole(t, "warn");
  const { kc, kernel } = await scripted();
  const few = kc.subscribe(undefined, 2);
  const large = kc.subscribe();
  const execution = kc.execute("x", { stdin: () => "" });
  const request = kernel.next("execute_request");
  kernel.status(request, "busy");
  kernel.say("stdin", "input_request", { prompt: "" }, request);
  kernel.publish(request, "error", { ename: "E", evalue: "", traceback: [] });
  const text = "x".repeat(MAX_OUTPUT / 4);
  for (let i = 0; i < 10; i++) kernel.stream(request, text + i);
  kernel.finish(request);
  await execution.done;
  const types = async (messages: Subscription) => {
    messages.close();
    const seen: string[] = [];
    for await (const { header, content } of messages) {
      seen.push(header.msg_type === "stream" ? String(content.text).slice(-1) : header.msg_type);
    }
    return seen;
  };
  const others = ["status", "input_request", "error"];
  assert.deepEqual(await types(few), [...others, "8", "9", "execute_reply", "status"]);
  assert.equal(few.dropped, 8);
  assert.deepEqual(await types(large), [...others, "7", "8", "9", "execute_reply", "status"]);
  assert.equal(large.dropped, 7);
  assert.match(said.join(" "), /subscription/);
});

void test("what a subscription's filter throws is its reader's error, and nobody else's", async () => {
  const { kc, kernel } = await scripted();
  const broken = kc.subscribe(({ header }) => {
    if (header.msg_type === "stream") throw new Error("a mistake");
    return true;
  });
  const other = kc.subscribe();
  const execution = kc.execute("x");
  const request = kernel.next("execute_request");
  kernel.status(request, "busy");
  kernel.stream(request, "text");
  kernel.finish(request);
  assert.equal((await execution.done).stdout, "text");
  assert.equal((await broken.next()).value?.header.msg_type, "status");
  await assert.rejects(broken.next(), /a mistake/);
  assert.deepEqual(await broken.next(), { done: true, value: undefined });
  assert.equal(other.size, 4);
});

void test("comms: metadata", async () => {
  const { kc, kernel } = await scripted();
  const comm = kc.comms.open("target", {}, { metadata: { version: "1.0.0" }, commId: "own" });
  comm.send({}, { metadata: { a: 1 } });
  comm.close({}, { metadata: { b: 1 } });
  const sent = kernel.received.map(({ metadata, content }) => [metadata, content.comm_id]);
  assert.deepEqual(sent, [
    [{ version: "1.0.0" }, "own"],
    [{ a: 1 }, "own"],
    [{ b: 1 }, "own"],
  ]);
});

void test("comms: opened here", async () => {
  const { kc, kernel } = await scripted();
  const comm = kc.comms.open("target", { a: 1 });
  const opened = kernel.next("comm_open");
  assert.deepEqual(opened.content, { comm_id: comm.commId, target_name: "target", data: { a: 1 } });
  assert.equal(kc.comms.get(comm.commId), comm);
  const bytes = new Uint8Array([0, 1, 2, 3]);
  const own = new ArrayBuffer(2);
  comm.send({ b: 2 }, { buffers: [bytes.subarray(1, 3), own] });
  const { content, buffers } = kernel.next("comm_msg");
  assert.deepEqual(content, { comm_id: comm.commId, data: { b: 2 } });
  assert.deepEqual(new Uint8Array(buffers[0] ?? []), new Uint8Array([1, 2]));
  assert.equal(buffers[1], own);
  const says = (number: number) =>
    kernel.publish(undefined, "comm_msg", { comm_id: comm.commId, data: { number } });
  const waiting = comm.next();
  says(0);
  assert.equal(((await waiting).value?.content.data as { number: number }).number, 0);
  says(1);
  says(2);
  const seen: unknown[] = [];
  for await (const message of comm) {
    seen.push((message.content.data as { number: number }).number);
    if (seen.length === 2) break;
  }
  says(3);
  comm.onMsg((message) => seen.push((message.content.data as { number: number }).number));
  says(4);
  assert.deepEqual(seen, [1, 2, 3, 4]);
  kernel.publish(undefined, "comm_close", { comm_id: comm.commId, data: {} });
  assert.equal(comm.closed, true);
  assert.throws(() => comm.send({}), ClosedError);
  comm.close();
  assert.equal(kernel.received.length, 0);
  assert.equal(kc.comms.get(comm.commId), undefined);
});

const numberOf = ({ content }: Message) => (content.data as { number: number }).number;

for (const how of ["reads", "gives a hook"]) {
  void test(`comms: of what waits too long the oldest is lost, and whoever ${how} is told`, async (t) => {
    const said = listenToConsole(t, "warn");
    const { kc, kernel } = await scripted();
    const comm = kc.comms.open("target");
    const text = "x".repeat(2 ** 26); // of 256 MiB that wait
    const say = (number: number) =>
      kernel.publish(undefined, "comm_msg", { comm_id: comm.commId, data: { number, text } });
    for (let number = 0; number < 5; number++) say(number);
    const seen: number[] = [];
    const lost = (error: unknown) => error instanceof MessagesLostError && error.count === 2;
    if (how === "reads") {
      await assert.rejects(comm.next(), lost);
      comm.close();
      for await (const message of comm) seen.push(numberOf(message));
    } else {
      const hook = (message: Message) => seen.push(numberOf(message));
      assert.throws(() => comm.onMsg(hook), lost);
      comm.onMsg(hook);
      comm.onMsg(undefined);
      for (let number = 5; number < 8; number++) say(number); // they fit again
      comm.onMsg(hook);
    }
    assert.deepEqual(seen, how === "reads" ? [2, 3, 4] : [2, 3, 4, 5, 6, 7]);
    assert.equal(said.length, 1);
  });
}

void test("of what waits the newest is kept, however large", async (t) => {
  listenToConsole(t, "warn");
  const { kc, kernel } = await scripted();
  const messages = kc.subscribe();
  kernel.publish(undefined, "display_data", { data: { "text/plain": "x".repeat(2 * MAX_OUTPUT) } });
  assert.deepEqual([messages.size, messages.dropped], [1, 0]);
  kernel.publish(undefined, "display_data", { data: {} });
  assert.deepEqual([messages.size, messages.dropped], [1, 1]);
});

void test("comms: opened by the kernel, and closed here", async (t) => {
  const said = listenToConsole(t);
  const { kc, kernel } = await scripted();
  const texts: unknown[] = [];
  kc.comms.registerTarget("target", (comm, { content }) => {
    texts.push(content.data);
    comm.onMsg((message) => {
      texts.push(message.content.data);
      throw new Error("a mistake");
    });
  });
  kernel.publish(undefined, "comm_open", { comm_id: "0", target_name: "another client's", data: {} });
  assert.equal(kernel.received.length, 0);
  kc.execute("x");
  const request = kernel.next("execute_request");
  kernel.publish(request, "comm_open", { comm_id: "1", target_name: "unknown", data: {} });
  assert.equal(kernel.next("comm_close").content.comm_id, "1");
  kernel.publish(undefined, "comm_open", { comm_id: "2", target_name: "target", data: "opened" });
  kernel.publish(undefined, "comm_msg", { comm_id: "2", data: "one" });
  kernel.publish(undefined, "comm_msg", { comm_id: "2", data: "two" });
  assert.deepEqual(texts, ["opened", "one", "two"]);
  assert.equal(said.length, 2);
  assert.equal(kc.comms.get("1"), undefined);
  kc.comms.get("2")?.close();
  assert.equal(kernel.next("comm_close").content.comm_id, "2");
});

for (const how of ["cancel", "job"]) {
  void test(`a ${how} does not overtake its cell behind a server`, async () => {
    const { kc, kernel } = await scripted();
    kernel.answering = false;
    kernel.overtakes = true;
    const execution = kc.execute("x");
    const cancelling = how === "cancel" ? execution.cancel() : kc.cancel(execution.msgId);
    const barrier = kernel.next("kernel_info_request");
    assert.equal(barrier.channel, "shell");
    const request = kernel.next("execute_request");
    assert.deepEqual(kernel.received, []);
    kernel.reply(barrier, kernel.info);
    await new Promise((resolve) => setImmediate(resolve));
    kernel.reply(kernel.next(how === "cancel" ? "interrupt_request" : "cancel_job_request"));
    kernel.finish(request, { status: "aborted" });
    await cancelling;
    assert.equal((await execution.done).status, "aborted");
  });
}
