"""The client of @laneway/kernel in Chromium, over a worker and over a real Jupyter server: the same tests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

import pytest

from tests.client.server import TOKEN, kernels
from tests.page import ROOT

from .busy import BUSY_OR_ASKING
from .client import Connected, connected

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["worker", "server"])
async def there(request: pytest.FixtureRequest) -> AsyncGenerator[Connected, None]:
    """A page with a client; each test leaves its kernel idle."""
    async with connected(request.param) as there:
        yield there


@pytest.fixture(scope="module")
async def server() -> AsyncGenerator[Connected, None]:
    """One over a server."""
    async with connected("server") as there:
        yield there


async def test_many_outstanding(there: Connected) -> None:
    results, completed, pending, state = await there.run(
        """async () => {
          const runs = Array.from({ length: 1000 }, (_, i) => kc.execute(`print(${i})\\n${i}`));
          const completion = await kc.complete("impo");
          const results = [];
          for (const run of runs) {
            const { stdout, result } = await run.done;
            results.push([stdout, result["text/plain"]]);
          }
          return [results, completion.matches.includes("import"), kc.pending, kc.state];
        }"""
    )
    assert results == [[f"{i}\n", str(i)] for i in range(1000)]
    assert (completed, pending, state) == (True, 0, "idle")


async def test_sixty_cells_four_at_a_time(there: Connected) -> None:
    texts = await there.run(
        """async () => {
          const texts = [];
          const numbers = Array.from({ length: 60 }, (_, i) => i).values();
          const work = async () => {
            for (const i of numbers) texts[i] = (await kc.execute(`print("<${i}>")`).done).stdout;
          };
          await Promise.all([work(), work(), work(), work()]);
          return texts;
        }"""
    )
    assert texts == [f"<{i}>\n" for i in range(60)]


async def test_all_is_answered_while_a_cell_awaits(there: Connected) -> None:
    assert await there.run(
        """async () => {
          const cell = kc.execute("import asyncio\\nprint('ready')\\nawait asyncio.sleep(1000)");
          await until(cell, "ready");
          const answers = await Promise.all([
            kc.complete("impo"),
            kc.inspect("len"),
            kc.isComplete("if True:"),
            kc.history("tail", { n: 1 }),
            kc.commInfo(),
            kc.kernelInfo(),
            kc.kernelInfo({ channel: "control" }),
            kc.execute("1 + 1", { mode: "task" }).done,
          ]);
          const state = [cell.state, kc.state];
          await cell.cancel();
          return [
            answers[0].matches.includes("import"),
            answers[1].found,
            answers[2].status,
            answers[3].history.length,
            answers[5].implementation,
            answers[7].result["text/plain"],
            ...state,
            cell.state,
          ];
        }"""
    ) == [True, True, "incomplete", 1, "laneway", "2", "running", "busy", "cancelled"]


@pytest.mark.parametrize("code", BUSY_OR_ASKING.values(), ids=BUSY_OR_ASKING)
async def test_fifty_of_fifty_are_answered_while_a_cell(there: Connected, code: str) -> None:
    answers, ename, kept = await there.run(
        """async (code) => {
          await kc.execute("import math; kept = 1").done;
          const cell = kc.execute(code, { stdin: () => new Promise(() => {}) });
          await until(cell, "ready");
          const answers = [];
          for (let i = 0; i < 50; i++) {
            const began = performance.now();
            const completion = await kc.complete("math.s");
            const inspection = await kc.inspect("len");
            const info = await kc.kernelInfo();
            const names = completion.matches.map((match) => match.split(".").at(-1));
            answers.push([
              ["sin", "sinh", "sqrt"].every((name) => names.includes(name)),
              inspection.found && info.implementation === "laneway",
              performance.now() - began,
            ]);
          }
          await cell.cancel();
          const { error } = await cell.done;
          return [answers, error.ename, (await kc.execute("kept").done).result["text/plain"]];
        }""",
        code,
    )
    assert all(completed and answered for completed, answered, _ in answers)
    assert sorted(milliseconds for _, _, milliseconds in answers)[25] < 1000  # it did not wait for the cell
    assert (ename, kept) == ("KeyboardInterrupt", "1")


@pytest.mark.parametrize("code", BUSY_OR_ASKING.values(), ids=BUSY_OR_ASKING)
async def test_twenty_of_twenty_interrupts_arrive_when_a_cell(there: Connected, code: str) -> None:
    enames, milliseconds = await there.run(
        """async (code) => {
          const enames = [];
          const milliseconds = [];
          for (let i = 0; i < 20; i++) {
            const cell = kc.execute(code, { stdin: () => new Promise(() => {}) });
            await until(cell, "ready");
            const began = performance.now();
            await cell.cancel();
            milliseconds.push(performance.now() - began);
            enames.push((await cell.done).error.ename);
          }
          return [enames, milliseconds];
        }""",
        code,
    )
    assert enames == ["KeyboardInterrupt"] * 20
    assert sorted(milliseconds)[10] < 1000


async def test_cancelling_what_is_queued_and_what_runs(there: Connected) -> None:
    assert await there.run(
        """async () => {
          const running = kc.execute("import asyncio\\nprint('ready')\\nawait asyncio.sleep(1000)");
          const queued = kc.execute("ran = True");
          const controller = new AbortController();
          const unwanted = kc.execute("ran = True", { signal: controller.signal });
          await until(running, "ready");
          await queued.cancel();
          controller.abort();
          const { name } = await failure(unwanted);
          const before = running.state;
          await running.cancel();
          return [
            ...[(await queued.done).status, queued.state, name, unwanted.state, before],
            ...[(await running.done).error.ename, running.state],
            ...[(await kc.execute("ran").done).error.ename, kc.pending],
          ];
        }"""
    ) == [
        *("aborted", "cancelled", "AbortError", "cancelled", "running"),
        *("KeyboardInterrupt", "cancelled", "NameError", 0),
    ]


async def test_jobs_and_deadlines(there: Connected) -> None:
    assert await there.run(
        """async () => {
          const running = kc.execute("import asyncio\\nprint('ready')\\nawait asyncio.sleep(1000)");
          const queued = kc.execute("1");
          const late = kc.execute("await asyncio.sleep(1000)", { deadlineMs: 50 });
          const options = { mode: "task", deadlineMs: 50 };
          const task = kc.execute("import asyncio; await asyncio.sleep(1000)", options);
          await until(running, "ready");
          const taskError = (await task.done).error.ename;
          const jobs = (await kc.jobs()).filter(({ kind }) => kind === "cell");
          await kc.cancel(running.msgId);
          return [
            ...jobs.map(({ state, code }) => `${state}: ${code}`),
            ...[taskError, (await running.done).error.ename],
            ...[(await queued.done).status, (await late.done).error.ename],
          ];
        }"""
    ) == [
        "running: import asyncio",
        "queued: 1",
        "queued: await asyncio.sleep(1000)",
        "CellTimeoutError",
        "KeyboardInterrupt",
        "ok",
        "CellTimeoutError",
    ]


async def test_the_debugger(there: Connected) -> None:
    seen = await there.run(
        """async () => {
          const debug = kc.debugger;
          if (!kc.info.laneway.debugger) return await failure(debug.attach());
          await debug.attach();
          const code = "def double(n):\\n    return n + n\\n\\nfor i in range(9):\\n    print(double(i))";
          const path = await debug.dumpCell(code);
          const [point] = await debug.setBreakpoints(path, [{ line: 2, condition: "n == 7" }]);
          const events = debug.events("stopped");
          const cell = kc.execute(code);
          const { value } = await events.next();
          const [top] = await debug.stackTrace();
          const [locals] = await debug.scopes(top.id);
          const [n] = await debug.variables(locals.variablesReference);
          await debug.setVariable(locals.variablesReference, "n", "50");
          const evaluated = await debug.evaluate("n + 1", { frameId: top.id });
          const refused = await failure(debug.evaluate("no_such_name", { frameId: top.id }));
          await debug.next();
          await events.next();
          const [after] = await debug.stackTrace({ levels: 1 });
          await debug.continue();
          const { stdout } = await cell.done;
          events.close();
          await debug.disconnect();
          return [
            ...[point.verified, value.body.reason, top.name, top.line, top.source.path === path],
            ...[n.name, n.value, evaluated.result, refused.name, after.line, stdout.split("\\n")[7]],
            ...[debug.attached, debug.stopped.size],
          ];
        }"""
    )
    if isinstance(seen, dict):  # Python 3.11
        assert (seen["name"], "Python 3.12" in seen["message"]) == ("DebugError", True)
        return
    assert seen == [
        *(True, "breakpoint", "double", 2, True, "n", "7", "51", "DebugError", 5, "100", False, 0),
    ]


async def test_an_interrupt_stops_what_runs_and_keeps_the_namespace(there: Connected) -> None:
    assert await there.run(
        """async () => {
          const cell = kc.execute("import asyncio\\nkept = 1\\nprint('ready')\\nawait asyncio.sleep(1000)");
          await until(cell, "ready");
          await kc.interrupt();
          return [(await cell.done).error.ename, (await kc.execute("kept").done).result["text/plain"]];
        }"""
    ) == ["KeyboardInterrupt", "1"]


async def test_a_timeout_abandons_the_cell(there: Connected) -> None:
    failed, after, pending = await there.run(
        """async () => {
          const code = "import asyncio\\nprint('so far', flush=True)\\nawait asyncio.sleep(0.5)\\nended = 1";
          const failed = await failure(kc.execute(code, { timeoutMs: 300 }));
          return [failed, (await kc.execute("ended").done).result["text/plain"], kc.pending];
        }"""
    )
    assert failed["name"] == "KernelTimeoutError"
    assert (failed["phase"], failed["texts"], failed["state"]) == ("running", ["so far\n"], "abandoned")
    assert (after, pending) == ("1", 0)


async def test_a_timeout_frees_a_cell_that_asks(there: Connected) -> None:
    failed, aborted, status = await there.run(
        """async () => {
          let aborted = false;
          const stdin = (prompt, { signal }) => {
            signal.addEventListener("abort", () => (aborted = true));
            return new Promise(() => {});
          };
          const run = kc.execute("input('? ')", { stdin, timeoutMs: 500, onTimeout: "interrupt" });
          const failed = await failure(run);
          return [failed, aborted, (await kc.execute("1").done).status];
        }"""
    )
    assert (failed["name"], failed["phase"]) == ("KernelTimeoutError", "awaiting stdin")
    assert (aborted, status) == (True, "ok")


async def test_input(there: Connected) -> None:
    assert await there.run(
        """async () => {
          const asked = [];
          const stdin = async (prompt, { password }) => {
            asked.push([prompt, password]);
            await new Promise((resolve) => setTimeout(resolve));
            return "Ada";
          };
          const code = "import getpass\\nprint(input('name? '), getpass.getpass('secret? '))";
          const { stdout } = await kc.execute(code, { stdin }).done;
          const mistake = kc.execute("input()", { stdin: () => { throw new Error("no answer"); } });
          const { message } = await failure(mistake);
          return [asked, stdout, message, (await kc.execute("input()").done).error.ename];
        }"""
    ) == [
        [["name? ", False], ["secret? ", True]],
        "Ada Ada\n",
        "no answer",
        "StdinNotImplementedError",
    ]


async def test_a_flood_of_prints_is_few_messages(there: Connected) -> None:
    count, text, dropped = await there.run(
        """async () => {
          const run = kc.execute("for i in range(20_000): print(i)");
          const { stdout, dropped } = await run.done;
          return [run.outputs.length, stdout, dropped];
        }"""
    )
    assert text == "".join(f"{i}\n" for i in range(20_000))
    assert count <= 50
    assert dropped == 0


async def test_a_flood_of_displays_with_a_slow_reader(there: Connected) -> None:
    count, kept, dropped = await there.run(
        """async () => {
          const few = kc.subscribe(({ header }) => header.msg_type === "display_data", 100);
          const result = await kc.execute(
            "for i in range(20_000): display({'text/plain': str(i)}, raw=True)",
          ).done;
          few.close();
          const kept = [];
          for await (const { content } of few) kept.push(content.data["text/plain"]);
          return [result.outputs.length + result.dropped, kept, few.dropped];
        }"""
    )
    assert count == 20_000
    assert kept == [str(i) for i in range(dropped, 20_000)]
    assert 90 <= len(kept) <= 100


async def test_output_is_bounded_and_what_is_dropped_is_counted(there: Connected) -> None:
    kept, dropped = await there.run(
        """async () => {
          const code = "for i in range(80): display({'text/plain': 'x' * 2**20}, raw=True)";
          const { outputs, dropped } = await kc.execute(code).done;
          return [outputs.length, dropped];
        }"""
    )
    assert kept + dropped == 80
    assert 0.9 * 64 - 1 <= kept < 64


async def test_three_comms_with_much_data_each_way(there: Connected) -> None:
    """64 MiB each, in parts, while a cell awaits."""
    assert await there.run(
        """async () => {
          await kc.execute(`
            def echo(comm, _):
                comm.on_msg(lambda m: comm.send(m["content"]["data"], buffers=m["buffers"]))
            get_ipython().kernel.comm_manager.register_target("echo", echo)
          `.replaceAll("\\n            ", "\\n").trim()).done;
          const loop = "while True: await asyncio.sleep(0)";
          const computing = kc.execute(`import asyncio\\nprint('ready')\\n${loop}`);
          await until(computing, "ready");
          const comms = Array.from({ length: 3 }, () => kc.comms.open("echo"));
          const chunks = Array.from({ length: 4 }, (_, i) => new Uint8Array(16 * 2 ** 20).fill(i + 1));
          for (const [number, chunk] of chunks.entries()) {
            for (const comm of comms) comm.send({ number }, { buffers: [chunk] });
          }
          let right = 0;
          for (const comm of comms) {
            for (const [number, chunk] of chunks.entries()) {
              const { content, buffers } = (await comm.next()).value;
              const same = indexedDB.cmp(buffers[0], chunk) === 0; // bytes, at the speed of memory
              if (content.data.number === number && same) right++;
            }
            comm.close();
          }
          const state = computing.state;
          await computing.cancel();
          return [right, state];
        }"""
    ) == [12, "running"]


async def test_what_cannot_be_sent_is_its_callers_error_and_nobody_elses(there: Connected) -> None:
    assert await there.run(
        """async () => {
          const buffer = new ArrayBuffer(8);
          buffer.transfer?.();
          const buffers = [buffer, buffer];
          const failed = await failure((async () => kc.comms.open("target", {}, { buffers }))());
          const impossible = await failure((async () => kc.execute("1", { metadata: { x: 1n } }))());
          const { result } = await kc.execute("1 + 1").done;
          return [failed.name, impossible.name, result["text/plain"], kc.pending];
        }"""
    ) == [
        "DataCloneError" if there.kind == "worker" else "TypeError",
        "TypeError",
        "2",
        0,
    ]


async def test_a_comm_that_the_kernel_opens_reaches_a_cell_that_awaits_it(there: Connected) -> None:
    assert (
        await there.run(
            """async () => {
          const bytes = new Uint8Array([1, 2, 3]);
          kc.comms.registerTarget("test", (comm) => comm.send({ hello: "cell" }, { buffers: [bytes] }));
          const { stdout } = await kc.execute(`
            import asyncio, comm
            got = asyncio.get_running_loop().create_future()
            c = comm.create_comm(target_name="test")
            c.on_msg(lambda m: got.set_result((m["content"]["data"], [bytes(b) for b in m["buffers"]])))
            print(await got)`.replaceAll("\\n            ", "\\n")).done;
          return stdout;
        }"""
        )
        == "({'hello': 'cell'}, [b'\\x01\\x02\\x03'])\n"
    )


async def test_restart_goes_on_with_the_same_client(there: Connected) -> None:
    failures, states, ename, matches = await there.run(
        """async () => {
          await kc.execute("old = 1").done;
          const states = [];
          const off = kc.on("state", (state) => states.push(state));
          const running = kc.execute("import asyncio\\nprint('ready')\\nawait asyncio.sleep(1000)");
          const queued = kc.execute("1");
          await until(running, "ready");
          const restarted = kc.restart();
          const early = kc.execute("old");
          const failures = [await failure(running), await failure(queued)];
          await restarted;
          off();
          const { error } = await early.done;
          return [failures, states, error.ename, (await kc.complete("impo")).matches.length];
        }"""
    )
    assert [failed["name"] for failed in failures] == ["KernelRestartedError"] * 2
    assert [failed["texts"] for failed in failures] == [["ready\n"], []]
    assert states == ["busy", "restarting", "idle"]
    assert ename == "NameError"
    assert matches


async def test_closing_with_fifty_pending_frees_the_kernel(there: Connected) -> None:
    workers = len(there.page.workers)
    names, state = await there.run(
        """async () => {
          window.other = await connect().start();
          const code = "import asyncio; await asyncio.sleep(1000)";
          const runs = Array.from({ length: 50 }, () => other.execute(code));
          const closed = other.close();
          const names = [];
          for (const run of runs) names.push((await failure(run)).name);
          await closed;
          return [[...new Set(names)], other.state];
        }"""
    )
    assert (names, state) == (["ClientClosedError"], "closed")
    if there.kind == "worker":
        async with asyncio.timeout(10):
            while len(there.page.workers) > workers:  # noqa: ASYNC110, Chromium tells of it when it likes
                await asyncio.sleep(0.01)
    else:
        assert len(kernels(there.url)) == 1


# ---- the death of a worker

DEATHS = {
    "exit": ("import os; os._exit(3)", "exit(3)"),
    "exit from a callback": (
        "import asyncio, os\n"
        "asyncio.get_running_loop().call_later(0.1, os._exit, 4)\n"
        "await asyncio.sleep(1000)",
        "exit(4)",
    ),
    "a wasm trap": ("import ctypes; ctypes.string_at(0xfffffff0)", "out of bounds"),
    "abort": ("import os; os.abort()", "unreachable"),
    "the end of the stack": (
        "import sys\nsys.setrecursionlimit(10**7)\ndef f(x): return list(map(f, [x]))\nf(1)",
        "call stack",
    ),
}


@pytest.fixture(scope="module")
async def mortal() -> AsyncGenerator[Connected, None]:
    """A worker that dies in every test, and comes back."""
    async with connected("worker") as there:
        yield there


@pytest.mark.parametrize(("code", "reason"), DEATHS.values(), ids=DEATHS)
async def test_death_fails_everything_and_a_restart_helps(mortal: Connected, code: str, reason: str) -> None:
    failures, comm_closed, state, later, ename = await mortal.run(
        """async (code) => {
          const sleep = "import asyncio\\nprint('partial', flush=True)\\nawait asyncio.sleep(1000)";
          const beside = kc.execute(sleep, { mode: "task" });
          await until(beside, "partial");
          const comm = kc.comms.open("target");
          const runs = [kc.execute(code), kc.execute("1"), beside];
          const failures = [];
          for (const call of [...runs, kc.request("execute_request", { code: "1" })]) {
            failures.push(await failure(call));
          }
          const later = [await failure((async () => kc.execute("1"))()), await failure(kc.complete("x"))];
          const state = kc.state;
          await kc.restart();
          return [failures, comm.closed, state, later, (await kc.execute("beside").done).error.ename];
        }""",
        code,
    )
    for failed in [*failures, *later]:
        assert failed["name"] == "KernelDiedError"
        assert reason in failed["message"]
    assert [failed["texts"] for failed in failures[:3]] == [[], [], ["partial\n"]]
    assert all(failed["milliseconds"] < 300 for failed in failures[1:])  # all at once
    assert (comm_closed, state) == (True, "dead")
    assert ename == "NameError"


@pytest.mark.parametrize("thing", ["bytearray(2**27)", "[0] * 1000"], ids=["large", "small"])
async def test_a_cell_that_wants_too_much_memory_has_an_error_and_the_kernel_lives(
    mortal: Connected, thing: str
) -> None:
    assert await mortal.run(
        """async (thing) => {
          const { error } = await kc.execute(`much = []\\nwhile True: much.append(${thing})`).done;
          const { stdout } = await kc.execute("print(len(much) > 10); del much; print('lives')").done;
          return [error.ename, stdout, (await kc.complete("impo")).matches.length, kc.state];
        }""",
        thing,
    ) == ["MemoryError", "True\nlives\n", 1, "idle"]


async def test_a_start_that_fails_says_why(mortal: Connected) -> None:
    failed, state = await mortal.run(
        """async () => {
          const other = connect({ kernelURL: "nowhere/" });
          return [await failure(other.start()), other.state];
        }"""
    )
    assert failed["name"] == "KernelDiedError"
    assert failed["message"].startswith("There is no ")
    assert state == "dead"


async def test_progress_is_told(mortal: Connected) -> None:
    progress = await mortal.run(
        """async () => {
          const other = connect();
          const progress = [];
          other.on("progress", (step) => progress.push(step));
          const first = other.start();
          const early = other.execute("'early'"); // waits for the kernel
          await first;
          const { result } = await early.done;
          await other.close();
          return [...progress, result["text/plain"]];
        }"""
    )
    assert progress[0] == {"type": "progress", "phase": "pyodide", "text": "Loading Python"}
    assert {step["phase"] for step in progress[:-1]} == {"pyodide", "kernel"}
    assert progress[-1] == "'early'"


# ---- what only a server has


async def test_a_kernel_that_dies_is_restarted_by_the_server_and_what_was_pending_fails(
    server: Connected,
) -> None:
    names, text = await server.run(
        """async () => {
          const runs = [kc.execute("import os; os._exit(3)"), kc.execute("1")];
          const names = [];
          for (const run of runs) names.push((await failure(run)).name);
          // the server's own iopub socket has not found it yet
          while (!(await kc.execute("1").done).complete);
          return [names, (await kc.execute("'again'").done).result["text/plain"]];
        }"""
    )
    assert names == ["KernelRestartedError"] * 2
    assert text == "'again'"


async def test_a_running_kernel_is_joined_and_left_running(server: Connected) -> None:
    (kernel,) = kernels(server.url)
    assert (
        await server.run(
            """async (kernel) => {
              await kc.execute("shared = 42").done;
              const second = await connect({ kernel }).start();
              const { result } = await second.execute("shared").done;
              await second.close();
              return result["text/plain"];
            }""",
            kernel,
        )
        == "42"
    )
    assert kernels(server.url) == [kernel]


async def test_a_dropped_connection_fails_everything_and_can_be_made_again(server: Connected) -> None:
    failures, state, kept = await server.run(
        """async () => {
          await kc.execute("kept = 1").done;
          const running = kc.execute("import asyncio\\nprint('ready')\\nawait asyncio.sleep(2)\\nkept = 2");
          const calls = [running, kc.execute("1"), kc.request("execute_request", { code: "1" })];
          await until(running, "ready");
          sockets.find(({ readyState }) => readyState === WebSocket.OPEN).close();
          const failures = [];
          for (const call of calls) failures.push(await failure(call));
          const { state } = kc;
          const { fetch } = window;
          window.fetch = () => Promise.reject(new TypeError("offline"));
          failures.push(await failure(kc.start()));
          window.fetch = fetch;
          await kc.start();
          return [failures, state, (await kc.execute("kept").done).result["text/plain"]];
        }"""
    )
    assert [failed["name"] for failed in failures] == [*["KernelDiedError"] * 3, "KernelError"]
    assert "connection to the server has ended" in failures[0]["message"]
    assert failures[0]["texts"] == ["ready\n"]
    assert state == "dead"
    assert kept == "2"  # the kernel has gone on


async def test_a_start_that_comes_too_late_leaves_the_next_one_alone(server: Connected) -> None:
    """It was given up, and ends well all the same, after another has."""
    errors, results, before, after = await server.run(
        """async () => {
          const running = async () => (await (await fetch(`${kernels}?token=${token}`)).json()).length;
          const { fetch } = window;
          const [kernels, token] = [`${serverAddress[0]}/api/kernels`, serverAddress[1]];
          const before = await running();
          let free;
          const held = new Promise((resolve) => (free = resolve));
          const errors = [];
          const results = [];
          for (const late of ["GET", "POST"]) {
            const other = connect();
            if (late === "GET") {
              await other.start();
              sockets.at(-1).close();
              while (other.state !== "dead") await new Promise((resolve) => setTimeout(resolve, 10));
            }
            const givenUp = new AbortController();
            window.fetch = async (address, options) => {
              const answer = await fetch(address, options);
              if (options.method !== late) return answer;
              const text = await answer.text();
              givenUp.abort(new Error("given up"));
              await held;
              return new Response(text, answer);
            };
            const starting = other.start({ signal: givenUp.signal });
            errors.push((await failure(starting)).message);
            window.fetch = fetch;
            await other.start();
            free();
            for (let i = 0; i < 20; i++) results.push((await other.execute("1 + 1").done).status);
            await other.close();
          }
          return [errors, results, before, await running()];
        }"""
    )
    assert errors == ["given up"] * 2
    assert results == ["ok"] * 40
    assert before == after


async def test_any_kernel(server: Connected) -> None:
    assert await server.run(
        """async () => {
          const other = await connect({ kernel: "python3" }).start();
          const runs = Array.from({ length: 20 }, (_, i) => other.execute(`print(${i})`));
          const texts = [];
          for (const run of runs) texts.push((await run.done).stdout);
          const running = other.execute("print('ready')\\nimport time; time.sleep(1000)");
          const queued = other.execute("1");
          await until(running, "ready");
          const { message } = await failure(queued.cancel());
          await running.cancel();
          const ename = (await running.done).error.ename;
          await other.close();
          return [texts, message, ename];
        }"""
    ) == [
        [f"{i}\n" for i in range(20)],
        "This kernel cannot take back a cell that is queued; wait until it runs.",
        "KeyboardInterrupt",
    ]


async def test_what_goes_wrong_is_said(server: Connected) -> None:
    messages = await server.run(
        """async () => {
          const options = [
            { token: "wrong" },
            { kernel: "no-such-kernel" },
            { url: "http://127.0.0.1:9" },
            { url: location.href },
          ];
          const messages = [];
          for (const option of options) messages.push((await failure(connect(option).start())).message);
          return messages;
        }"""
    )
    assert "check the address, the token" in messages[0]  # more the browser does not tell a page
    assert "no kernel no-such-kernel" in messages[1]
    assert "No Jupyter server answers this page at http://127.0.0.1:9;" in messages[2]
    assert "404" in messages[3]


async def test_a_server_that_dies() -> None:
    async with connected("server") as there:
        await there.run(
            """async () => {
              window.running = kc.execute("import asyncio\\nprint('ready')\\nawait asyncio.sleep(1000)");
              await until(running, "ready");
            }"""
        )
        assert there.process
        there.process.kill()
        failed, again = await there.run(
            "async () => [await failure(running), await failure(kc.start())]",
        )
        assert failed["name"] == "KernelDiedError"
        assert "No Jupyter server answers" in again["message"]


async def test_the_token_is_not_in_what_is_said(server: Connected) -> None:
    message = await server.run(
        "async () => (await failure(connect({ kernel: 'no-such-kernel' }).start())).message"
    )
    assert TOKEN not in message


async def test_the_program_in_the_readme(mortal: Connected) -> None:
    program = re.findall(r"```js\n(.*?)```", (ROOT / "jskernel" / "README.md").read_text(), re.DOTALL)[0]
    said = await mortal.run(
        """async (program) => {
          const said = [];
          window.prompt = (question) => `asked ${question}`;
          const { log } = console;
          console.log = (...items) => said.push(items);
          const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
          await import(url);
          console.log = log;
          return said;
        }""",
        program,
    )
    assert ["Loading Python"] in said
    printed = [text for text, *_ in said if isinstance(text, str) and re.fullmatch(r"[\d\n]+", text)]
    assert "".join(printed) == "0\n1\n2\n"
    assert said[-2:] == [
        [["import"], "ok", "'Hello, asked Your name? !'"],
        ["closed", "The client was closed."],
    ]


async def test_without_cross_origin_isolation() -> None:
    async with connected("worker", "--no-isolation") as there:
        assert await there.run(
            """async () => [
              crossOriginIsolated,
              (await kc.execute("1 + 1").done).result["text/plain"],
              kc.info.laneway.cross_origin_isolated,
            ]"""
        ) == [False, "2", False]
