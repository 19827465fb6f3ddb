/**
 * Storms of requests on a kernel in a worker, from the page that owns it: what is answered, how soon, and whether what
 * the cells compute meanwhile is right. Driven by test_safepoints.py.
 */
import { WorkerTransport } from "/lib/browser/index.js";

/** A kernel, and a client that counts: each request has one reply, and an answer that is to be the same at any time. */
export class Kernel {
  /** What should not be: requests without an answer, with two, or with another than when the kernel was idle. */
  faults = { lost: 0, double: 0, wrong: [] };
  /** Runs when a cell asks. */
  onInput = () => undefined;
  #pending = new Map();
  #listeners = new Map();
  #count = 0;

  constructor(kernelURL) {
    this.kernelURL = kernelURL;
    this.transport = new WorkerTransport({ kernelURL }).claim({
      onMessage: (message) => this.#receive(message),
    });
  }

  /** Send a message that has no reply; what it brings about on iopub goes to `onOutput`. */
  post(msg_type, content, onOutput, buffers = []) {
    const header = {
      msg_id: `m${this.#count++}`,
      msg_type,
      session: "page",
      username: "",
      date: "",
      version: "5.5",
    };
    this.#listeners.set(header.msg_id, onOutput);
    this.transport.send({ channel: "shell", header, parent_header: {}, metadata: {}, content, buffers });
  }

  /** Send a request; the promise is of `{content, ms}`, or of undefined where no answer comes. */
  request(msg_type, content, { channel = "shell", onOutput, patience = 60_000, metadata = {} } = {}) {
    const msg_id = `r${this.#count++}`;
    this.lastId = msg_id;
    const sent = performance.now();
    const header = { msg_id, msg_type, session: "page", username: "", date: "", version: "5.5" };
    this.transport.send({ channel, header, parent_header: {}, metadata, content, buffers: [] });
    if (onOutput) this.#listeners.set(msg_id, onOutput);
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.faults.lost++;
        resolve(undefined);
      }, patience);
      this.#pending.set(msg_id, (reply) => {
        clearTimeout(late);
        resolve({ content: reply, ms: performance.now() - sent });
      });
    });
  }

  /** Run a cell. `started` resolves when it has printed "go", `done` with its reply, `text` and `ms` at its end. */
  execute(code, metadata = {}) {
    const run = { text: "" };
    run.started = new Promise((resolve) => {
      const onOutput = ({ header, content }) => {
        if (header.msg_type === "stream") run.text += content.text;
        if (header.msg_type === "execute_result") run.result = content.data["text/plain"];
        if (run.text.includes("go")) resolve();
      };
      const content = { code, allow_stdin: true, store_history: false };
      run.done = this.request("execute_request", content, { onOutput, patience: 600_000, metadata });
      run.msg_id = this.lastId;
      void run.done.then(resolve);
    });
    return run;
  }

  interrupt(msg_id) {
    const metadata = msg_id ? { laneway: { msg_id } } : {};
    return this.request("interrupt_request", {}, { channel: "control", metadata });
  }

  #receive(message) {
    const id = message.parent_header.msg_id;
    if (message.channel === "iopub") {
      this.#listeners.get(id)?.(message);
    } else if (message.channel === "stdin") {
      this.onInput(message);
    } else if (this.#pending.has(id)) {
      this.#pending.get(id)(message.content);
      this.#pending.set(id, () => this.faults.double++);
    }
  }

  answer(message, value) {
    const header = { ...message.header, msg_id: `i${this.#count++}`, msg_type: "input_reply" };
    this.transport.send({
      ...message,
      header,
      parent_header: message.header,
      content: { value },
      buffers: [],
    });
  }
}

/** What is asked, again and again: message type, content, channel. Its answers do not depend on what runs. */
const QUESTIONS = [
  ["complete_request", { code: "storm_na", cursor_pos: 8 }],
  ["complete_request", { code: "storm_name.appe", cursor_pos: 15 }],
  ["complete_request", { code: "impo", cursor_pos: 4 }],
  ["complete_request", { code: "storm_dict['a", cursor_pos: 13 }],
  ["inspect_request", { code: "len", cursor_pos: 3, detail_level: 0 }],
  ["inspect_request", { code: "storm_function", cursor_pos: 5, detail_level: 0 }],
  ["is_complete_request", { code: "for i in x:" }],
  ["is_complete_request", { code: "x = 1" }],
  ["history_request", { hist_access_type: "tail", n: 3 }],
  ["comm_info_request", {}],
  ["kernel_info_request", {}],
  ["kernel_info_request", {}, "control"],
  ["complete_request", { code: "import math; math.co", cursor_pos: 20 }],
];

const PREPARE = `
import asyncio, json, re, time
storm_name, storm_dict = [], {"a_key": 1}
def storm_function(x):
    "Its docstring."
    return x
`;

/** What of an answer must be the same at any time: a completion has types when jedi, which is slow, makes it. */
function essence(msg_type, asked, content) {
  if (msg_type !== "complete_request") return JSON.stringify(content);
  const { matches, cursor_start, status } = content;
  return JSON.stringify([status, matches.map((match) => asked.code.slice(0, cursor_start) + match)]);
}

/** Seeded random numbers (mulberry32). */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function prepare(kernel) {
  await kernel.transport.ready;
  await kernel.execute(PREPARE).done;
  const answers = [];
  for (const [msg_type, content, channel] of QUESTIONS) {
    const reply = await kernel.request(msg_type, content, { channel });
    answers.push(essence(msg_type, content, reply.content));
  }
  kernel.answers = answers;
}

/** Ask one of the questions and compare; returns its milliseconds. */
async function ask(kernel, which) {
  const [msg_type, content, channel] = QUESTIONS[which];
  const reply = await kernel.request(msg_type, content, { channel, patience: 30_000 });
  if (reply && essence(msg_type, content, reply.content) !== kernel.answers[which]) {
    kernel.faults.wrong.push([msg_type, content, essence(msg_type, content, reply.content).slice(0, 300)]);
  }
  return reply?.ms;
}

/** Loops of ten kinds. Each computes `right`, which says whether nothing disturbed it, for `seconds`. */
const LOOPS = {
  pass: "n = 0\nwhile time.monotonic() < end: n += 1\nright = n > 0",
  arithmetic:
    "a = b = 0\nwhile time.monotonic() < end:\n    a += 3\n    b += a % 7\n    b -= a % 7\nright = b == 0",
  calls: `def f(x): return x + 1
n = m = 0
while time.monotonic() < end:
    n = f(n)
    m += 1
right = n == m`,
  comprehension:
    "right = True\nwhile time.monotonic() < end: right &= sum([i * i for i in range(300)]) == 8955050",
  generator: `def g():
    i = 0
    while True:
        yield i
        i += 1
right, it, n = True, g(), 0
while time.monotonic() < end:
    right &= next(it) == n
    n += 1`,
  exceptions: `n = m = 0
while time.monotonic() < end:
    n += 1
    try:
        1 / 0
    except ZeroDivisionError:
        m += 1
right = n == m`,
  json: `right, value = True, {"a": list(range(50)), "b": {"c": "d" * 50}}
while time.monotonic() < end: right &= json.loads(json.dumps(value, indent=1)) == value`,
  text: 'right = True\nwhile time.monotonic() < end: right &= len(re.findall("b", "-".join("abc" * 100))) == 100',
  sorting: `right = True
while time.monotonic() < end: right &= sorted(range(200), key=lambda i: -i)[:2] == [199, 198]`,
  classes: `right = True
while time.monotonic() < end:
    space = {}
    exec("class A:\\n    def f(self): return 5\\nx = A().f()", space)
    right &= space["x"] == 5`,
};

function cell(body, seconds) {
  return `end = time.monotonic() + ${seconds}\nprint("go", flush=True)\n${body}\nright`;
}

async function finish(kernel, run, expected, what) {
  const reply = await run.done;
  if (run.result !== expected)
    kernel.faults.wrong.push([what, run.result, JSON.stringify(reply?.content).slice(0, 300)]);
}

/** `count` mixed requests over the ten loops, up to `burst` at a time. Returns a summary of the milliseconds. */
export async function loops(kernel, count, seed, burst = 5) {
  const next = random(seed);
  const times = [];
  const bodies = Object.entries(LOOPS);
  for (const [kind, body] of bodies) {
    const goal = times.length + count / bodies.length;
    while (times.length < goal) {
      const run = kernel.execute(cell(body, 0.7));
      await run.started;
      let over = false;
      void run.done.then(() => (over = true));
      while (!over && times.length < goal) {
        const size = Math.min(1 + Math.floor(next() * burst), goal - times.length);
        const asked = Array.from({ length: size }, () => ask(kernel, Math.floor(next() * QUESTIONS.length)));
        times.push(...(await Promise.all(asked)));
        if (next() < 0.1) await sleep(next() * 5);
      }
      await finish(kernel, run, "True", kind);
    }
  }
  return summary(times);
}

const RECURSION = `
def deep(n):
    return 0 if n == 0 else 1 + deep(n - 1)
right = True
while time.monotonic() < end:
    right &= deep(500) == 500
    try:
        deep(100_000)
        right = False
    except RecursionError:
        pass
`;
const DEEP_C = `
def deep(n):
    return 0 if n == 0 else 1 + list(map(deep, [n - 1]))[0]
right = True
while time.monotonic() < end: right &= deep(60) == 60
`;
/** How a state is entered; each gives the runs that make it, with their results. */
const STATES = {
  idle: () => [],
  await: (kernel) => [[kernel.execute(`print("go", flush=True)\nawait asyncio.sleep(0.3)\n1`), "1"]],
  sleep: (kernel) => [[kernel.execute(`print("go", flush=True)\ntime.sleep(0.3)\n2`), "2"]],
  loop: (kernel) => [[kernel.execute(cell(LOOPS.calls, 0.3)), "True"]],
  call: (kernel) => [[kernel.execute(`print("go", flush=True)\nsum(range(2_000_000))`), "1999999000000"]],
  suspended: (kernel) =>
    [3, 4].map((n) => [
      kernel.execute(`print("go", flush=True)\ntime.sleep(0.2)\n${n}`, { laneway: { mode: "task" } }),
      String(n),
    ]),
  suspended_and_loop: (kernel) => [
    [kernel.execute(`print("go", flush=True)\ntime.sleep(0.2)\n5`, { laneway: { mode: "task" } }), "5"],
    [kernel.execute(cell(LOOPS.exceptions, 0.2)), "True"],
  ],
  recursion: (kernel) => [[kernel.execute(cell(RECURSION, 0.3)), "True"]],
  recursion_in_c: (kernel) => [[kernel.execute(cell(DEEP_C, 0.3)), "True"]],
};

/** `count` requests over a random mix of states. Returns summaries of the milliseconds by state. */
export async function states(kernel, count, seed) {
  const next = random(seed);
  const names = Object.keys(STATES);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (let done = 0; done < count;) {
    const name = names[Math.floor(next() * names.length)];
    const runs = STATES[name](kernel);
    await Promise.all(runs.map(([run]) => run.started));
    for (let i = 0; i < 8 && done < count; i++) {
      const size = next() < 0.2 ? 5 : 1;
      const asked = Array.from({ length: size }, () => ask(kernel, Math.floor(next() * QUESTIONS.length)));
      times[name].push(...(await Promise.all(asked)));
      done += size;
      if (next() < 0.5) await sleep(next() * 10);
    }
    for (const [run, expected] of runs) await finish(kernel, run, expected, name);
  }
  return Object.fromEntries(names.map((name) => [name, summary(times[name])]));
}

/** `count` requests at once while a cell computes. Returns the milliseconds until all were answered. */
export async function flood(kernel, count, seed) {
  const next = random(seed);
  const run = kernel.execute(`print("go", flush=True)\nn = 0\nwhile True: n += 1`);
  await run.started;
  const began = performance.now();
  await Promise.all(Array.from({ length: count }, () => ask(kernel, Math.floor(next() * QUESTIONS.length))));
  const ms = performance.now() - began;
  await kernel.interrupt();
  const reply = await run.done;
  if (reply.content.ename !== "KeyboardInterrupt") kernel.faults.wrong.push(["flood", reply.content]);
  return ms;
}

/** Interrupt `code` `count` times. Returns a summary of the milliseconds until each cell had ended. */
export async function interrupts(kernel, code, count) {
  const times = [];
  await kernel.execute("kept = 'kept'").done;
  for (let i = 0; i < count; i++) {
    const asked = new Promise((resolve) => (kernel.onInput = resolve));
    const run = kernel.execute(`print("go", flush=True)\n${code}`);
    await run.started;
    if (code.startsWith("input")) await asked;
    else await sleep(20);
    const began = performance.now();
    void kernel.interrupt();
    const reply = await run.done;
    times.push(performance.now() - began);
    if (reply?.content.ename !== "KeyboardInterrupt") kernel.faults.wrong.push([code, reply?.content]);
    const next = kernel.execute("kept");
    await finish(kernel, next, "'kept'", "after an interrupt");
  }
  return summary(times);
}

/** A summary of the milliseconds of `count` requests, one after the other, while `code` runs (nothing: idle). */
export async function latencies(kernel, code, which, count) {
  let run;
  if (code) {
    run = kernel.execute(`print("go", flush=True)\n${code}`);
    await run.started;
  }
  const times = [];
  for (let i = 0; i < count; i++) {
    times.push(await ask(kernel, which));
    await sleep(5);
  }
  if (run) {
    await kernel.interrupt();
    await run.done;
  }
  return summary(times);
}

function summary(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share) =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) * 100) / 100;
  return { n: times.length, p50: at(0.5), p95: at(0.95), max: at(1) };
}

const AT_THE_LIMIT = `
def loop():
    n = 0
    while time.monotonic() < end: n += 1
def deep(n):
    return deep(n - 1) if n else loop()
def deepest():
    global end
    end, low, high = 0, 1, 1000
    while low < high:
        middle = (low + high + 1) // 2
        try:
            deep(middle)
            low = middle
        except RecursionError:
            high = middle - 1
    return low
most, good = deepest(), 0
print("go", flush=True)
backs = [*range(30), 40, 60, 80, 100, 200]
for back in backs:
    end = time.monotonic() + 0.05
    deep(most - back)
    good += 1
f"{good} of {len(backs)}"`;

/** Requests while code computes at, and near, the deepest recursion that it can have. Returns what it came to. */
export async function recursion(kernel) {
  const run = kernel.execute(AT_THE_LIMIT);
  await run.started;
  let over = false;
  void run.done.then(() => (over = true));
  for (let i = 0; !over; i++) await ask(kernel, i % QUESTIONS.length);
  return run.result?.slice(1, -1) ?? JSON.stringify((await run.done).content);
}

const STRANGE = `
class Sleeper:
    def __repr__(self):
        time.sleep(0.05)
        return "slept"
class Raiser:
    def __repr__(self): raise SystemExit
sleeper, raiser = Sleeper(), Raiser()`;

/** Inspect, while a cell computes, what runs code of its own. Returns whether each was found. */
export async function inspections(kernel) {
  await kernel.execute(STRANGE).done;
  const run = kernel.execute('print("go", flush=True)\nwhile True: pass');
  await run.started;
  const found = [];
  for (const code of ["sleeper", "raiser", "len"]) {
    const reply = await kernel.request("inspect_request", { code, cursor_pos: 2, detail_level: 0 });
    found.push(reply?.content.found ?? reply?.content.status === "error");
  }
  await kernel.interrupt();
  const reply = await run.done;
  if (reply.content.ename !== "KeyboardInterrupt") kernel.faults.wrong.push(["inspections", reply.content]);
  return found;
}

const ECHO = `
from comm import get_comm_manager
def opened(comm, message):
    comm.on_msg(lambda message: comm.send(message["content"]["data"], buffers=message["buffers"]))
get_comm_manager().register_target("echo", opened)`;

/** A comm, while a cell sleeps: returns what comes back of messages with and without a buffer, in order. */
export async function comms(kernel) {
  await kernel.execute(ECHO).done;
  const run = kernel.execute('print("go", flush=True)\ntime.sleep(1000)');
  await run.started;
  const back = [];
  await new Promise((resolve) => {
    const onOutput = ({ header, content, buffers }) => {
      if (header.msg_type === "comm_msg")
        back.push([content.data.n, buffers.map((buffer) => buffer.byteLength)]);
      if (back.length === 4) resolve();
    };
    kernel.post("comm_open", { comm_id: "echo", target_name: "echo", data: {} }, onOutput);
    for (let n = 0; n < 4; n++) {
      const buffers = n % 2 ? [] : [new ArrayBuffer(1000)];
      kernel.post("comm_msg", { comm_id: "echo", data: { n } }, onOutput, buffers);
    }
  });
  await kernel.interrupt();
  await run.done;
  return back;
}

const BENCH = `
def bench():
    n, began = 0, time.perf_counter()
    for i in range(1_000_000): n += i
    loop = time.perf_counter() - began
    def f(x): return x
    began = time.perf_counter()
    for i in range(300_000): f(i)
    calls = time.perf_counter() - began
    began = time.perf_counter()
    for i in range(200_000): str(i)
    return loop, calls, time.perf_counter() - began
bench()`;

/** How many times as long loops take where a safepoint is possible, when none happens: of nothing, of calls, of texts. */
export async function cost(kernel, count) {
  const without = new Kernel(kernel.kernelURL);
  await prepare(without);
  await without.execute("import pyodide_js; pyodide_js.setInterruptBuffer(None)").done;
  const bench = async (in_kernel) => {
    const run = in_kernel.execute(BENCH);
    await run.done;
    return run.result.slice(1, -1).split(",").map(Number);
  };
  const base = [];
  const measured = [];
  for (let i = 0; i < count; i++) {
    base.push(await bench(without));
    measured.push(await bench(kernel));
  }
  without.transport.terminate();
  // the machine has other things to do, which can only make it slower
  const least = (times, which) => Math.min(...times.map((pair) => pair[which]));
  const [loop, calls, texts] = [0, 1, 2].map((which) => least(measured, which) / least(base, which));
  return { loop, calls, texts };
}
