"""What every Laneway kernel does, whatever carries its messages.

A check is a plain coroutine function that takes a connected `laneway.Client` and raises AssertionError; no
test framework in here. `needs(...)` names capabilities that kernel_info must announce under `laneway`; who
runs the checks skips, and says which is missing.

A kernel may have served other checks before: a check relies on nothing that it has not made, and leaves
nothing running.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import anyio

from laneway.client.client import Client
from laneway.client.execution import ExecResult, Execution, State
from laneway.client.subscription import Subscription
from laneway.protocol.message import Channel, Message
from laneway.protocol.routes import ROUTES
from laneway.transports.event_loops import Future

Check = Callable[[Client], Awaitable[None]]
C = TypeVar("C", bound=Check)

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_OURS = re.compile(r"(?:py|site-packages)[/\\]laneway[/\\]")
"""In the path of a file of Laneway, which may lie in a checkout whose folder has that name, too."""

PATIENCE = 60
"""Seconds after which something has hung. No check relies on it to be right."""


def has_ours(traceback: list[str]) -> bool:
    """Does a traceback show code of Laneway? No user has asked for that."""
    return _OURS.search(_ANSI.sub("", "\n".join(traceback))) is not None


def needs(*capabilities: str) -> Callable[[C], C]:
    """Mark a check that only a kernel with these capabilities can pass."""

    def mark(check: C) -> C:
        check.needs = capabilities  # type: ignore[attr-defined]
        return check

    return mark


def missing(check: Check, kc: Client) -> list[str]:
    """The capabilities that `check` needs and the kernel does not announce."""
    has = {**kc.info["laneway"], kc.info["laneway"]["backends"][0]: True}
    return [name for name in getattr(check, "needs", ()) if not has.get(name)]


# ---- helpers


async def soon(awaitable: Awaitable[Any]) -> Any:
    """Await, but not for ever."""
    with anyio.fail_after(PATIENCE):
        return await awaitable


async def run(kc: Client, code: str, **options: Any) -> ExecResult:
    """Run a cell that must succeed."""
    result = await soon(kc.execute(code, **options))
    assert result.status == "ok", result.reply
    return result


async def output(execution: Execution, text: str) -> None:
    """Wait until `execution` has printed `text`."""
    seen = ""
    with anyio.fail_after(PATIENCE):
        async for out in execution:
            seen += out.content.get("text", "")
            if text in seen:
                return
    raise AssertionError(f"{text!r} was not printed; {seen!r} was.")


async def ready(kc: Client, code: str, **options: Any) -> Execution:
    """Run `code` until it has printed `ready`."""
    execution = kc.execute(code, **options)
    await output(execution, "ready")
    return execution


async def interrupted(execution: Execution) -> None:
    """It ends with a KeyboardInterrupt, and its traceback shows nothing of ours."""
    result = await soon(execution)
    assert result.reply["ename"] == "KeyboardInterrupt", result.reply
    assert not has_ours(result.reply["traceback"])


async def process_of(kc: Client) -> int:
    """The kernel's process."""
    return int((await run(kc, "import os; print(os.getpid())")).stdout)


async def find(subscription: Subscription, msg_type: str, parent: Message | str | None = None) -> Message:
    """The next message of this type (and parent) in `subscription`."""
    parent_id = parent.msg_id if isinstance(parent, Message) else parent
    with anyio.fail_after(PATIENCE):
        async for message in subscription:
            if message.msg_type == msg_type and parent_id in (None, message.parent_id):
                return message
    raise AssertionError(f"No {msg_type} came.")


async def answers_all(kc: Client, execution: Execution) -> None:
    """All that is no user code is answered while `execution` runs."""
    completed = await soon(kc.complete("imp"))
    assert "import" in completed["matches"], completed
    assert (await soon(kc.inspect("len")))["found"]
    assert (await soon(kc.is_complete("for i in x:")))["status"] == "incomplete"
    assert (await soon(kc.history("tail", n=1)))["status"] == "ok"
    assert (await soon(kc.comm_info()))["status"] == "ok"
    assert (await soon(kc.kernel_info()))["status"] == "ok"
    assert execution.state is State.RUNNING


# ---- information


async def check_kernel_info(kc: Client) -> None:
    info = await soon(kc.kernel_info())
    assert info["status"] == "ok"
    assert info["protocol_version"] == "5.5"
    assert info["implementation"] == "laneway"
    assert info["language_info"]["name"] == "python"
    assert info["language_info"]["file_extension"] == ".py"
    version = (await run(kc, "import platform; print(platform.python_version(), end='')")).stdout
    assert info["language_info"]["version"] == version
    assert "kernel subshells" in info["supported_features"]
    threads = ["thread"] if info["laneway"]["host"] == "threads" else []
    assert info["laneway"]["modes"] == ["queue", "task", *threads]
    on_control = await soon(kc.kernel_info(channel="control"))
    assert on_control == info


async def check_history(kc: Client) -> None:
    await run(kc, "history_check = 'first'")
    await run(kc, "history_check = 'second'")
    await run(kc, "history_check = 'unseen'", store_history=False)
    tail = (await soon(kc.history("tail", n=2)))["history"]
    assert [entry[2] for entry in tail] == ["history_check = 'first'", "history_check = 'second'"], tail
    found = (await soon(kc.history("search", pattern="history_check = *", unique=True)))["history"]
    assert {entry[2] for entry in found} == {"history_check = 'first'", "history_check = 'second'"}, found
    number = tail[-1][1]
    by_range = (await soon(kc.history("range", session=0, start=number, stop=number + 1)))["history"]
    assert [entry[2] for entry in by_range] == ["history_check = 'second'"], by_range
    wrong = await soon(kc.request("history_request", {"hist_access_type": "backwards"}))
    assert wrong.content["status"] == "error", wrong.content


# ---- cells


async def check_execute(kc: Client) -> None:
    first = await run(kc, "1 + 1")
    assert first.result is not None
    assert first.result["text/plain"] == "2"
    second = await run(kc, "print('out'); import sys; print('err', file=sys.stderr); print('again')")
    assert second.execution_count == first.execution_count + 1  # type: ignore[operator]
    streams = [(out.content["name"], out.content["text"]) for out in second.outputs]
    assert streams == [("stdout", "out\n"), ("stderr", "err\n"), ("stdout", "again\n")], streams
    assert (await run(kc, "_ + 1; 3;")).result is None


async def check_order_of_messages(kc: Client) -> None:
    messages = kc.subscribe()
    execution = kc.execute("print('x')\n'value'")
    await soon(execution)
    messages.close()
    iopub = [m async for m in messages if m.channel is Channel.IOPUB and m.parent_id == execution.msg_id]
    kinds = [m.content.get("execution_state", m.msg_type) for m in iopub]
    assert kinds == ["busy", "execute_input", "stream", "execute_result", "idle"], kinds
    assert iopub[1].content["code"] == "print('x')\n'value'"
    counts = {m.content["execution_count"] for m in iopub if "execution_count" in m.content}
    assert counts == {(await execution).execution_count}
    assert all(m.parent_header["session"] == kc.session for m in iopub)
    assert all(m.parent_header["msg_type"] == "execute_request" for m in iopub)


async def check_error(kc: Client) -> None:
    result = await soon(kc.execute("def f():\n    return 1 / 0\nf()"))
    assert result.status == "error"
    assert result.reply["ename"] == "ZeroDivisionError"
    assert result.reply["evalue"] == "division by zero"
    text = "\n".join(result.reply["traceback"])
    assert "return" in text
    assert not has_ours(result.reply["traceback"]), text
    errors = [out for out in result.outputs if out.msg_type == "error"]
    assert len(errors) == 1
    assert errors[0].content["ename"] == "ZeroDivisionError"
    syntax = await soon(kc.execute("1 +"))
    assert syntax.reply["ename"] == "SyntaxError"
    exits = await soon(kc.execute("class Strange(BaseException): pass\nraise Strange('x')"))
    assert exits.reply["ename"] == "Strange"


async def check_stop_on_error(kc: Client) -> None:
    gate = kc.execute("await __import__('asyncio').sleep(0.05); raise ValueError", stop_on_error=True)
    queued = [kc.execute("reached = True") for _ in range(3)]
    assert (await soon(gate)).status == "error"
    results = [await soon(execution) for execution in queued]
    assert [result.status for result in results] == ["aborted"] * 3, results
    gate = kc.execute("raise ValueError", stop_on_error=False)
    queued = [kc.execute("1") for _ in range(3)]
    assert (await soon(gate)).status == "error"
    assert [(await soon(execution)).status for execution in queued] == ["ok"] * 3


async def check_error_leaves_task_cells_alone(kc: Client) -> None:
    task = kc.execute(
        "import asyncio\ntask_go = asyncio.Event()\nprint('ready')\nawait task_go.wait()", mode="task"
    )
    await output(task, "ready")
    assert (await soon(kc.execute("raise ValueError"))).status == "error"
    await run(kc, "task_go.set()")
    assert (await soon(task)).status == "ok"


async def check_silent_and_store_history(kc: Client) -> None:
    before = await run(kc, "'counted'")
    messages = kc.subscribe()
    silent = kc.execute("'silent'; print('said')", silent=True)
    result = await soon(silent)
    messages.close()
    kinds = [
        m.msg_type async for m in messages if m.channel is Channel.IOPUB and m.parent_id == silent.msg_id
    ]
    assert "execute_input" not in kinds
    assert "execute_result" not in kinds
    assert result.status == "ok"
    unstored = await run(kc, "'unstored'", store_history=False)
    assert unstored.result is not None
    after = await run(kc, "'counted'")
    assert after.execution_count == before.execution_count + 1  # type: ignore[operator]


async def check_user_expressions(kc: Client) -> None:
    result = await run(kc, "x = 6", user_expressions={"good": "x * 7", "bad": "nothing_of_this_name"})
    assert result.user_expressions["good"]["data"]["text/plain"] == "42"
    assert result.user_expressions["bad"]["status"] == "error"
    assert result.user_expressions["bad"]["ename"] == "NameError"


async def check_payloads(kc: Client) -> None:
    next_input = await run(kc, "get_ipython().set_next_input('next', replace=False)")
    assert next_input.reply["payload"] == [{"source": "set_next_input", "text": "next", "replace": False}]
    page = await run(kc, "len?")
    (payload,) = page.reply["payload"]
    assert payload["source"] == "page"
    assert "Return the number of items" in payload["data"]["text/plain"]
    assert (await run(kc, "1")).reply["payload"] == []


async def check_namespace_and_context_last(kc: Client) -> None:
    await run(kc, "import decimal; decimal.getcontext().prec = 5; kept = 1")
    result = await run(kc, "str(decimal.Decimal(1) / 3), kept")
    assert result.result is not None
    assert result.result["text/plain"] == "('0.33333', 1)"
    await run(kc, "decimal.getcontext().prec = 28")


async def check_thousand_pipelined(kc: Client) -> None:
    executions = [kc.execute(f"{i}", store_history=False) for i in range(1000)]
    for i, execution in enumerate(executions):
        result = await soon(execution)
        assert result.result is not None
        assert result.result["text/plain"] == str(i)
        assert len(result.outputs) == 1


# ---- outputs


async def check_display(kc: Client) -> None:
    sent = kc.subscribe(lambda message: "display" in message.msg_type or message.msg_type == "clear_output")
    result = await run(
        kc,
        "from IPython.display import display, clear_output, HTML\n"
        "h = display({'text/plain': 'one'}, raw=True, display_id='d', metadata={'k': 1})\n"
        "h.update({'text/plain': 'two'}, raw=True)\n"
        "clear_output(wait=True)\n"
        "display(HTML('<b>x</b>'))",
    )
    messages = [await soon(anext(sent)) for _ in range(4)]
    sent.close()
    kinds = [message.msg_type for message in messages]
    assert kinds == ["display_data", "update_display_data", "clear_output", "display_data"], kinds
    shown, updated, cleared, html = messages
    assert shown.content["data"] == {"text/plain": "one"}
    assert shown.content["metadata"] == {"k": 1}
    assert shown.content["transient"]["display_id"] == updated.content["transient"]["display_id"] == "d"
    assert cleared.content == {"wait": True}
    assert html.content["data"]["text/html"] == "<b>x</b>"
    assert result.outputs[-1].content["data"] == html.content["data"]


async def check_streams_and_displays_keep_order(kc: Client) -> None:
    result = await run(
        kc,
        "from IPython.display import display\n"
        "for i in range(3):\n    print(i)\n    display({'text/plain': str(i)}, raw=True)\n"
        "print('end')\n'value'",
    )
    shown = [
        out.content["text"] if out.msg_type == "stream" else out.content["data"]["text/plain"]
        for out in result.outputs
    ]
    assert shown == ["0\n", "0", "1\n", "1", "2\n", "2", "end\n", "'value'"], shown


async def check_twenty_thousand_prints(kc: Client) -> None:
    messages = kc.subscribe(lambda message: message.msg_type == "stream")
    execution = kc.execute("for i in range(20_000): print(i)")
    result = await soon(execution)
    messages.close()
    count = len([m async for m in messages if m.parent_id == execution.msg_id])
    assert result.stdout == "".join(f"{i}\n" for i in range(20_000))
    assert count <= 50, f"{count} messages"


async def check_ten_thousand_flushes(kc: Client) -> None:
    messages = kc.subscribe(lambda message: message.msg_type == "stream")
    execution = kc.execute(
        "import time\nbegan = time.monotonic()\nfor i in range(10_000): print(i, flush=True)\n"
        "time.monotonic() - began"
    )
    result = await soon(execution)
    messages.close()
    count = len([m async for m in messages if m.parent_id == execution.msg_id])
    assert result.stdout == "".join(f"{i}\n" for i in range(10_000))
    assert result.result is not None
    elapsed = float(result.result["text/plain"])
    assert count <= 10 + elapsed / 0.025, f"{count} messages in {elapsed} s"


@needs("interrupts_blocking")
async def check_what_is_flushed_comes_while_a_cell_computes(kc: Client) -> None:
    execution = kc.execute("for i in range(100): print(i, flush=True)\nwhile True: pass")
    await output(execution, "99\n")
    await soon(kc.interrupt())
    assert (await soon(execution)).reply["ename"] == "KeyboardInterrupt"


async def check_output_after_the_reply(kc: Client) -> None:
    messages = kc.subscribe(lambda message: message.msg_type == "stream")
    execution = kc.execute(
        "import asyncio\nlater_go = asyncio.Event()\n"
        "async def later():\n    await later_go.wait()\n    print('later')\n"
        "later_task = asyncio.ensure_future(later())"
    )
    await soon(execution)
    await run(kc, "later_go.set()")
    stream = await find(messages, "stream")
    messages.close()
    assert stream.content["text"] == "later\n"
    assert stream.parent_id == execution.msg_id


async def check_output_of_overlapping_cells(kc: Client) -> None:
    code = (
        "import asyncio\nfor i in range(5):\n    print('{0}', i)\n    await asyncio.sleep(0.01)\n"
        "display({{'text/plain': '{0}'}}, raw=True)\n'{0}'"
    )
    cells = {name: kc.execute(code.format(name), mode="task") for name in "abc"}
    for name, execution in cells.items():
        result = await soon(execution)
        assert result.stdout == "".join(f"{name} {i}\n" for i in range(5)), result.stdout
        displays = [o.content["data"]["text/plain"] for o in result.outputs if o.msg_type == "display_data"]
        assert displays == [name]
        assert result.result is not None
        assert result.result["text/plain"] == f"'{name}'"
    counts = {(await execution).execution_count for execution in cells.values()}
    assert len(counts) == 3, counts


async def check_capture(kc: Client) -> None:
    result = await run(kc, "%%capture captured\nprint('hidden')\ndisplay('shown')")
    assert result.outputs == []
    result = await run(kc, "print(captured.stdout, len(captured.outputs))")
    assert result.stdout == "hidden\n 1\n"


async def check_unsendable_output_is_its_senders_error(kc: Client) -> None:
    result = await soon(kc.execute("display({'application/json': object()}, raw=True)"))
    assert result.status == "error"
    assert result.reply["ename"] == "TypeError", result.reply
    assert (await run(kc, "1")).status == "ok"


# ---- concurrency


async def check_answers_while_a_cell_awaits(kc: Client) -> None:
    execution = kc.execute(
        "import asyncio\nawait_go = asyncio.Event()\nprint('ready')\nawait await_go.wait()"
    )
    await output(execution, "ready")
    await answers_all(kc, execution)
    await run(kc, "await_go.set()", mode="task")
    assert (await soon(execution)).status == "ok"


@needs("answers_while_blocking", "interrupts_blocking")
async def check_answers_while_a_cell_sleeps(kc: Client) -> None:
    execution = kc.execute("print('ready')\nimport time; time.sleep(1000)")
    await output(execution, "ready")
    await answers_all(kc, execution)
    await soon(kc.interrupt())
    assert (await soon(execution)).reply["ename"] == "KeyboardInterrupt"


async def check_task_cells_that_sleep_may_fail(kc: Client) -> None:
    """In a browser their stacks are put aside; an error is shown at length, and so much garbage collected."""
    for _ in range(6):
        cells = [kc.execute(f"# task\nimport time; time.sleep({0.02 * n}); 1 / 0") for n in range(1, 4)]
        for cell in cells:
            assert (await soon(cell)).reply["ename"] == "ZeroDivisionError"


async def check_a_sleep_is_not_too_short(kc: Client) -> None:
    await run(kc, "import time\ndef nap(): time.sleep(0.002); return time.monotonic()")
    result = await run(kc, "-(time.monotonic() - [nap() for _ in range(20)][-1])")
    assert result.result is not None
    assert float(result.result["text/plain"]) >= 0.04


@needs("answers_while_blocking", "interrupts_blocking")
async def check_answers_while_a_cell_computes(kc: Client) -> None:
    execution = kc.execute("print('ready')\nwhile True: pass")
    await output(execution, "ready")
    await answers_all(kc, execution)
    await soon(kc.interrupt())
    assert (await soon(execution)).reply["ename"] == "KeyboardInterrupt"


@needs("answers_while_blocking")
async def check_answers_while_a_cell_computes_between_awaits(kc: Client) -> None:
    """Such a cell releases the GIL often and shortly, which starves threads unless the host sees to them."""
    execution = kc.execute(
        "import asyncio\nprint('ready')\n"
        "while True:\n    sum(i * i for i in range(20_000))\n    await asyncio.sleep(0)"
    )
    await output(execution, "ready")
    for _ in range(5):
        await answers_all(kc, execution)
        failing = await soon(kc.execute("no_such_name", mode="task"))
        assert failing.reply["ename"] == "NameError"
    await soon(kc.interrupt())
    assert (await soon(execution)).reply["ename"] == "KeyboardInterrupt"


async def check_queue_keeps_order(kc: Client) -> None:
    await run(kc, "order = []")
    cells = [
        kc.execute(f"import asyncio\nawait asyncio.sleep({0.02 if i % 2 else 0})\norder.append({i})")
        for i in range(6)
    ]
    for cell in cells:
        await soon(cell)
    assert (await run(kc, "print(order, end='')")).stdout == "[0, 1, 2, 3, 4, 5]"


TICKING = """
import asyncio

ticks, seen = 0, []

async def tick():
    global ticks
    while True:
        ticks += 1
        await asyncio.sleep(0)

ticking = asyncio.create_task(tick())
"""


@needs("asyncio")
async def check_queued_cells_take_turns_with_what_runs_beside(kc: Client) -> None:
    """Each has a task of its own, which ends with it, and between two of them the loop goes round."""
    await run(kc, TICKING)
    cells = [kc.execute("seen.append((ticks, asyncio.current_task()))") for _ in range(20)]
    for cell in cells:
        assert (await soon(cell)).status == "ok"
    await run(kc, "ticking.cancel()\ntimes, tasks = zip(*seen)")
    result = await run(kc, "len(set(tasks)), all(task.done() for task in tasks)")
    assert (result.result or {})["text/plain"] == "(20, True)", result.result
    result = await run(kc, "len(set(times)) if list(times) == sorted(times) else 0")
    turns = int((result.result or {})["text/plain"])
    # Firefox now and then, and WebKit (which has no JSPI) always, call what is on the loop in another order
    jspi = kc.info["laneway"].get("jspi")
    assert turns == 20 if jspi is None else turns >= 10 or not jspi, turns


@needs("jspi")  # threads have their cells wait for one another
async def check_what_comes_with_a_cell_that_sleeps_runs_beside_it(kc: Client) -> None:
    """Both may have arrived before either has begun."""
    await run(kc, "import time\ncome = 0")
    for number in range(1, 21):
        sleeps = kc.execute(f"while come < {number}: time.sleep(0.001)")
        beside = kc.execute(f"come = {number}", mode="task")
        assert (await soon(beside)).status == "ok"
        assert (await soon(sleeps)).status == "ok"


@needs("interrupts_blocking")
async def check_no_reply_waits_for_the_cell_behind(kc: Client) -> None:
    for silent in (False, True):
        replies = [kc.execute(str(number)) for number in range(3)]
        computing = kc.execute("while True: pass", silent=silent)
        for reply in replies:
            assert (await soon(reply)).status == "ok"
        await soon(computing.cancel())
        assert (await soon(computing)).reply["ename"] == "KeyboardInterrupt"


async def check_modes(kc: Client) -> None:
    gate = kc.execute("import asyncio\nmode_go = asyncio.Event()\nprint('ready')\nawait mode_go.wait()")
    await output(gate, "ready")
    assert (await run(kc, "1", mode="task")).status == "ok"
    assert (await run(kc, "# task\n1")).status == "ok"
    assert (await run(kc, "%%task\n1")).status == "ok"
    assert (await run(kc, "1", metadata={"tags": ["task"]})).status == "ok"
    queued = [
        kc.execute(code)
        for code in (
            "threads = 4",
            "# thread safety matters\nthreads",
            "# tasks\nthreads",
            "# queue\nthreads",
        )
    ]
    assert gate.state is State.RUNNING
    assert all(execution.state is State.QUEUED for execution in queued)
    await run(kc, "mode_go.set()", mode="task")
    assert (await soon(gate)).status == "ok"
    results = [await soon(execution) for execution in queued]
    assert [r.result and r.result["text/plain"] for r in results] == [None, "4", "4", "4"], results
    nonsense = await soon(kc.execute("1", metadata={"laneway": {"mode": "quickly"}}))
    assert "quickly" in nonsense.reply["evalue"]
    option = await soon(kc.execute("# task timeout=soon\n1"))
    assert "'soon'" in option.reply["evalue"]


async def check_threads(kc: Client) -> None:
    thread = await soon(kc.execute("# thread\nimport threading\nthreading.current_thread().name"))
    if "thread" not in kc.info["laneway"]["modes"]:
        assert thread.status == "error"
        assert "no threads" in thread.reply["evalue"]
        return
    assert thread.status == "ok"
    # a named one keeps its event loop, and what runs there
    await run(
        kc,
        """%%thread name=io
import asyncio, contextvars
io_context = contextvars.ContextVar("io_context", default=None)
io_context.set("mine")
io_loop = asyncio.get_running_loop()
io_done = asyncio.Event()
async def io_later():
    await asyncio.sleep(0)
    io_done.set()
io_task = asyncio.create_task(io_later())
""",
    )
    code = "await io_done.wait()\nprint(asyncio.get_running_loop() is io_loop, io_context.get(), end='')"
    assert (await run(kc, code, metadata={"tags": ["thread name=io"]})).stdout == "True mine"
    elsewhere = "print(asyncio.get_running_loop() is io_loop, io_context.get(), end='')"
    for mode in ("# thread", "# thread name=other", "# queue", "# task"):
        assert (await run(kc, f"{mode}\n{elsewhere}")).stdout == "False None", mode


@needs("runs_while_computing")
async def check_threads_run_beside_what_blocks(kc: Client) -> None:
    main = kc.execute("import threading\nbarrier = threading.Barrier(4)\nprint('ready')\nbarrier.wait(60)")
    await output(main, "ready")
    beside = [kc.execute(f"{mode}\nbarrier.wait(60)\nprint(1)") for mode in ("# thread", "# thread name=a")]
    beside.append(kc.execute("# thread\nbarrier.wait(60)\nprint(1)"))
    assert (await soon(main)).status == "ok"
    for cell in beside:
        assert (await soon(cell)).stdout == "1\n"


# ---- deadlines


async def is_overdue(kc: Client, execution: Execution) -> None:
    """`execution` ends by its timeout, and a cell that is queued behind it runs."""
    behind = kc.execute("'behind'")
    result = await soon(execution)
    assert (result.status, result.reply["ename"]) == ("error", "CellTimeoutError"), result.reply
    assert "its timeout" in result.reply["evalue"]
    assert (await soon(behind)).status == "ok"


async def check_deadline_of_an_await(kc: Client) -> None:
    own = "deadline_go = asyncio.Event()"
    other = kc.execute(f"# task\nimport asyncio\n{own}\nprint('ready')\nawait deadline_go.wait()")
    await output(other, "ready")
    for mode in ("queue", "task"):
        await is_overdue(kc, kc.execute(f"# {mode} timeout=0.05\nawait asyncio.Event().wait()"))
    caught = "try:\n    await asyncio.Event().wait()\nexcept TimeoutError:\n    print('caught')"
    cell = kc.execute(f"# queue timeout=0.05\n{caught}")
    await is_overdue(kc, cell)
    result = await soon(cell)
    assert result.stdout == "caught\n"
    assert [out.content["ename"] for out in result.outputs if out.msg_type == "error"] == ["CellTimeoutError"]
    in_time = await run(kc, "# queue timeout=50\nawait asyncio.sleep(0)\nprint(1, end='')")
    assert in_time.stdout == "1"
    group = "import asyncio\nasync with asyncio.TaskGroup() as tasks:\n"
    group += "    child = tasks.create_task(asyncio.sleep(50))"
    await is_overdue(kc, kc.execute(f"# queue timeout=0.05\n{group}"))
    assert (await run(kc, "print(child.cancelled(), end='')")).stdout == "True"
    assert other.state is State.RUNNING
    await run(kc, "deadline_go.set()")
    assert (await soon(other)).status == "ok"


@needs("interrupts_blocking")
async def check_deadline_of_what_blocks(kc: Client) -> None:
    await is_overdue(kc, kc.execute("# queue timeout=0.05\nwhile True: pass"))
    await is_overdue(kc, kc.execute("import time; time.sleep(50)", metadata={"laneway": {"timeout": 0.05}}))
    caught = "try:\n    while True: abs(1)\nexcept TimeoutError:\n    print('caught')"
    await is_overdue(kc, kc.execute(f"# queue timeout=0.05\n{caught}"))
    deaf = "while True:\n    try:\n        while True: time.sleep(1)\n    except Exception: pass"
    await is_overdue(kc, kc.execute(f"# queue timeout=0.05\n{deaf}"))


@needs("interrupts_blocking")
async def check_a_lock_that_another_cell_holds(kc: Client) -> None:
    await run(kc, "import asyncio, threading\nheld = threading.Lock()\nlet_go = asyncio.Event()")
    holds = kc.execute("# task\nwith held:\n    print('ready')\n    await let_go.wait()")
    await output(holds, "ready")
    await is_overdue(kc, kc.execute("# queue timeout=0.1\nheld.acquire()"))
    waits = kc.execute("print('waits', flush=True)\nwith held:\n    print('has it')")
    await output(waits, "waits")
    await soon(kc.cancel(waits.msg_id))  # who holds it runs on the thread that waits
    assert (await soon(waits)).reply["ename"] == "KeyboardInterrupt"
    await run(kc, "let_go.set()")
    assert (await soon(holds)).status == "ok"


@needs("interrupts_blocking")
async def check_deadline_in_a_subshell(kc: Client) -> None:
    subshell = await soon(kc.create_subshell())
    limited = {"laneway": {"timeout": 0.05}}
    for code in (
        "while True: abs(1)",
        "import time; time.sleep(50)",
        "import asyncio; await asyncio.sleep(50)",
    ):
        await is_overdue(kc, kc.execute(code, subshell=subshell, metadata=limited))
    await soon(kc.delete_subshell(subshell))


@needs("runs_while_computing", "interrupts_blocking")
async def check_deadline_of_a_thread(kc: Client) -> None:
    for mode in ("# thread timeout=0.05", "# thread name=late timeout=0.05"):
        for code in ("while True: abs(1)", "import time; time.sleep(50)", "await asyncio.sleep(50)"):
            await is_overdue(kc, kc.execute(f"{mode}\nimport asyncio\n{code}"))


@needs("input")
async def check_deadline_of_a_question(kc: Client) -> None:
    async def never(_prompt: str, _password: bool) -> str:
        await anyio.sleep_forever()
        return ""

    await is_overdue(kc, kc.execute("# queue timeout=0.05\ninput()", stdin=never))


# ---- jobs


async def check_jobs(kc: Client) -> None:
    wait = "jobs_go = asyncio.Event()\nprint('ready')\nawait jobs_go.wait()"
    running = kc.execute(f"# task timeout=50\n\nimport asyncio\n{wait}")
    await output(running, "ready")
    gate = kc.execute("print('ready')\nawait jobs_go.wait()")
    await output(gate, "ready")
    queued = kc.execute("'queued'")
    aborted = kc.execute("'aborted'")
    await soon(kc.kernel_info())  # behind them: control overtakes
    listed = {job.id: job for job in await soon(kc.jobs()) if job.kind == "cell"}
    assert list(listed) == [running.msg_id, gate.msg_id, queued.msg_id, aborted.msg_id], listed
    job = listed[running.msg_id]
    assert (job.kind, job.mode, job.lane, job.state) == ("cell", "task", "main", "running")
    assert (job.timeout, job.code.partition(" ")[0]) == (50, "import")
    assert (job.started or "").startswith("20")
    assert (job.elapsed or 0) > 0
    job = listed[queued.msg_id]
    assert (job.mode, job.state, job.started, job.elapsed, job.code) == (
        "queue",
        "queued",
        None,
        None,
        "'queued'",
    )
    await soon(kc.cancel(aborted.msg_id))
    assert (await soon(aborted)).status == "aborted"
    await soon(kc.cancel(gate.msg_id))
    assert (await soon(gate)).reply["ename"] == "KeyboardInterrupt"
    assert (await soon(queued)).status == "ok"
    again = await soon(kc.request("cancel_job_request", {"job_id": gate.msg_id}, channel="control"))
    assert "There is no job" in again.content["evalue"]
    assert running.state is State.RUNNING
    await run(kc, "jobs_go.set()")
    assert (await soon(running)).status == "ok"
    assert not any(job.kind == "cell" for job in await soon(kc.jobs()))


async def check_a_cancel_insists(kc: Client) -> None:
    deaf = kc.execute(
        "import asyncio\nheard = 0\nwhile heard < 2:\n    try:\n        print('.', flush=True)\n"
        "        await asyncio.sleep(1000)\n    except KeyboardInterrupt:\n        heard += 1"
    )
    await output(deaf, ".")
    await soon(kc.cancel(deaf.msg_id))
    assert (await soon(deaf)).status == "ok"


@needs("interrupts_blocking")
async def check_cancel_of_what_blocks(kc: Client) -> None:
    for code in ("while True: pass", "import time; time.sleep(1000)"):
        cell = kc.execute(f"print('ready', flush=True)\n{code}")
        behind = kc.execute("1")
        await output(cell, "ready")
        await soon(kc.cancel(cell.msg_id))
        assert (await soon(cell)).reply["ename"] == "KeyboardInterrupt"
        assert (await soon(behind)).status == "ok"


async def check_cancels_right_after_execute(kc: Client) -> None:
    """On channels of their own they may overtake."""
    cells = [kc.execute("import asyncio\nawait asyncio.sleep(1000)") for _ in range(30)]
    for number, cell in enumerate(cells):
        await soon(kc.cancel(cell.msg_id) if number % 2 else cell.cancel())
    for cell in cells:
        result = await soon(cell)
        assert result.status == "aborted" or _shown(result) == ["KeyboardInterrupt"], result
    for _ in range(20):
        cell = kc.execute("# task\nimport asyncio\nawait asyncio.sleep(1000)")
        await soon(kc.cancel(cell.msg_id))
        result = await soon(cell)
        assert _shown(result) == [result.reply["ename"]] == ["KeyboardInterrupt"], result


def _shown(result: ExecResult) -> list[str]:
    """The errors among its outputs."""
    return [output.content["ename"] for output in result.outputs if output.msg_type == "error"]


async def check_events_of_jobs(kc: Client) -> None:
    async with aclosing(kc.watch_jobs()) as jobs:
        first = kc.execute("# task timeout=0.05\nimport asyncio\nawait asyncio.sleep(1000)")
        seen: list[str] = []
        with anyio.fail_after(PATIENCE):
            async for job in jobs:
                assert job.id == first.msg_id, job
                if job.state not in seen:
                    seen.append(job.state)
                if job.state == "ended":
                    break
    assert seen == ["running", "ending", "ended"], seen
    told: list[Message] = []
    events = kc.subscribe(lambda message: message.msg_type == "job_event" and not told.append(message))
    await run(kc, "1")
    events.close()
    assert told == []  # nobody watches


@needs("asyncio")  # tasks of trio are no jobs
async def check_jobs_in_the_kernel(kc: Client) -> None:
    code = """import asyncio, laneway
async def left():
    try:
        await asyncio.sleep(1000)
    finally:
        left_ended.set()
left_ended = asyncio.Event()
task = asyncio.create_task(left(), name="lefty")
me = laneway.current_job()
print(me.code, [job.id for job in laneway.jobs() if job.kind == "cell"] == [me.id])
"""
    owner = kc.execute(code)
    assert (await soon(owner)).stdout == "import asyncio, laneway True\n"
    task = next(job for job in await soon(kc.jobs()) if job.kind == "task")
    assert (task.id, task.state, task.code) == (f"{owner.msg_id}/lefty", "running", "left")
    await run(kc, "await asyncio.sleep(0)")
    await soon(kc.cancel(task.id))
    await run(kc, "await left_ended.wait()")
    await output(kc.execute("print('ready')\nawait asyncio.sleep(1000)", msg_id="jobs-sleeper"), "ready")
    code = """# task
sleeper = next(job for job in laneway.jobs() if job.id.endswith("sleeper"))
print(sleeper.cancel())
await sleeper
print(sleeper.cancel())
await sleeper  # it has ended
try:
    await laneway.current_job()
except RuntimeError as error:
    print(error)
"""
    result = await run(kc, code)
    assert result.stdout == "True\nFalse\nA job cannot wait for its own end.\n"
    shown = await run(kc, "%jobs")
    assert re.search(r"running +[\d.]+ +main +queue +%jobs", shown.stdout), shown.stdout
    sleeper = kc.execute("# task\nprint('ready')\nawait asyncio.sleep(1000)", msg_id="jobs-second")
    await output(sleeper, "ready")
    await run(kc, "%cancel second")
    assert (await soon(sleeper)).status == "error"
    wrong = await soon(kc.execute("%cancel second"))
    assert "There is no job 'second'" in "".join(
        out.content.get("text", "") + out.content.get("evalue", "") for out in wrong.outputs
    )


# ---- interrupts


async def check_interrupt_of_an_await(kc: Client) -> None:
    execution = kc.execute("import asyncio\nkept = 'kept'\nprint('ready')\nawait asyncio.sleep(1000)")
    queued = kc.execute("1")
    await output(execution, "ready")
    await soon(kc.interrupt())
    assert (await soon(execution)).reply["ename"] == "KeyboardInterrupt"
    assert (await soon(queued)).status == "aborted"
    assert (await run(kc, "print(kept)")).stdout == "kept\n"


async def check_interrupt_can_be_caught(kc: Client) -> None:
    execution = kc.execute(
        "import asyncio\nprint('ready')\n"
        "try:\n    await asyncio.sleep(1000)\nexcept KeyboardInterrupt:\n    print('caught')\n"
        "await asyncio.sleep(0)\n'went on'"
    )
    await output(execution, "ready")
    await soon(kc.interrupt())
    result = await soon(execution)
    assert result.status == "ok"
    assert "caught" in result.stdout


async def check_interrupt_of_a_task_group(kc: Client) -> None:
    child = (
        "import asyncio\nended = asyncio.Event()\nasync def child():\n    print('ready')\n    try:\n"
        "        await asyncio.sleep(1000)\n    finally:\n        ended.set()\n"
    )
    for body in ("tasks.create_task(child())", "tasks.create_task(child())\n    await asyncio.sleep(1000)"):
        execution = kc.execute(f"{child}async with asyncio.TaskGroup() as tasks:\n    {body}")
        await output(execution, "ready")
        await soon(kc.interrupt())
        assert (await soon(execution)).reply["ename"] == "KeyboardInterrupt"
        await run(kc, "await ended.wait()")


async def check_code_written_with_anyio(kc: Client) -> None:
    result = await run(
        kc,
        "import anyio\nasync def child(number, event):\n    await event.wait()\n    print('child', number)\n"
        "async with anyio.create_task_group() as tasks:\n    event = anyio.Event()\n"
        "    for number in range(3):\n        tasks.start_soon(child, number, event)\n"
        "    with anyio.move_on_after(0.01) as scope:\n        await anyio.sleep(1000)\n    event.set()\n"
        "scope.cancelled_caught",
    )
    assert (result.result or {})["text/plain"] == "True"
    assert sorted(result.stdout.splitlines()) == ["child 0", "child 1", "child 2"]


async def check_a_deadline_that_is_over(kc: Client) -> None:
    code = "import asyncio\nlate = asyncio.Event()\nloop = asyncio.get_running_loop()\n"
    code += "loop.call_at(loop.time() - 1, late.set)\nawait asyncio.wait_for(late.wait(), 100)"
    assert (await run(kc, code)).status == "ok"


async def check_interrupt_aimed_at_one_cell(kc: Client) -> None:
    code = "import asyncio\nprint('ready')\nawait asyncio.sleep(1000)"
    first, second = kc.execute(code, mode="task"), kc.execute(code, mode="task")
    await output(first, "ready")
    await output(second, "ready")
    await soon(first.cancel())
    assert (await soon(first)).reply["ename"] == "KeyboardInterrupt"
    assert second.state is State.RUNNING
    await soon(second.cancel())
    assert (await soon(second)).reply["ename"] == "KeyboardInterrupt"


async def check_interrupt_of_a_queued_cell(kc: Client) -> None:
    await run(kc, "ran = False")
    gate = kc.execute("import asyncio\nqueued_go = asyncio.Event()\nprint('ready')\nawait queued_go.wait()")
    queued, last = kc.execute("ran = True"), kc.execute("'last'")
    await output(gate, "ready")
    await soon(queued.cancel())
    assert (await soon(queued)).status == "aborted"
    assert gate.state is State.RUNNING
    await run(kc, "queued_go.set()", mode="task")
    assert (await soon(gate)).status == (await soon(last)).status == "ok"
    assert (await run(kc, "print(ran)")).stdout == "False\n"


async def check_interrupt_when_idle(kc: Client) -> None:
    await soon(kc.interrupt())
    await soon(kc.interrupt("no such cell"))
    assert (await run(kc, "import asyncio; await asyncio.sleep(0.01); 1")).status == "ok"


@needs("interrupts_blocking")
async def check_interrupt_of_a_callback_before_the_code(kc: Client) -> None:
    await run(
        kc,
        "ran = False\n"
        "def computes(info):\n"
        "    get_ipython().events.unregister('pre_run_cell', computes)\n"
        "    print('ready', flush=True)\n"
        "    while True: pass\n"
        "get_ipython().events.register('pre_run_cell', computes)",
    )
    execution = kc.execute("ran = True")
    await output(execution, "ready")
    await soon(kc.interrupt())
    result = await soon(execution)
    assert _shown(result) == [result.reply["ename"]] == ["KeyboardInterrupt"], result
    assert result.stdout == "ready\n"
    assert (await run(kc, "print(ran)")).stdout == "False\n"


@needs("interrupts_blocking")
async def check_interrupt_where_python_cannot_raise_it(kc: Client) -> None:
    code = """
import time, weakref

class Thing: pass

def computes(reference):
    print("ready", flush=True)
    while True: pass

thing = Thing()
reference = weakref.ref(thing, computes)
del thing
time.sleep(1000)
"""
    for mode in kc.info["laneway"]["modes"]:
        execution = kc.execute(code, mode=mode)
        await output(execution, "ready")
        await soon(kc.interrupt())
        result = await soon(execution)
        assert _shown(result) == [result.reply["ename"]] == ["KeyboardInterrupt"], result
        assert (result.stdout, result.stderr) == ("ready\n", "")


@needs("interrupts_blocking")
async def check_interrupt_many_times(kc: Client) -> None:
    for code in (
        "while True: pass",
        "import time; time.sleep(1000)",
        "await __import__('asyncio').sleep(1000)",
    ) * 3:
        execution = kc.execute(f"print('ready')\n{code}")
        await output(execution, "ready")
        await soon(kc.interrupt())
        reply = (await soon(execution)).reply
        assert reply["ename"] == "KeyboardInterrupt", code
        assert not has_ours(reply["traceback"]), reply["traceback"]
    assert (await run(kc, "1")).status == "ok"


async def check_an_aimed_interrupt_aborts_nothing_behind(kc: Client) -> None:
    execution = kc.execute("import asyncio\nprint('ready')\nawait asyncio.sleep(1000)")
    queued = kc.execute("1 + 1")
    await output(execution, "ready")
    await soon(execution.cancel())
    assert (await soon(execution)).reply["ename"] == "KeyboardInterrupt"
    result = (await soon(queued)).result
    assert result is not None
    assert result["text/plain"] == "2"


_HOOK = """
def interrupted_target(comm, message):
    def on_msg(message):
        print("ready", flush=True)
        while True: pass
    comm.on_msg(on_msg)
get_ipython().kernel.comm_manager.register_target("interrupted", interrupted_target)
"""


@needs("interrupts_blocking")
async def check_interrupt_of_a_hook(kc: Client) -> None:
    await run(kc, _HOOK)
    shown = kc.subscribe(lambda message: message.msg_type in ("stream", "error"))
    kc.post("comm_open", {"comm_id": "i1", "target_name": "interrupted", "data": {}})
    kc.post("comm_msg", {"comm_id": "i1", "data": {}})
    await find(shown, "stream")
    behind = kc.execute("'went on'")
    await soon(kc.interrupt())
    assert (await find(shown, "error")).content["ename"] == "KeyboardInterrupt"
    assert (await soon(behind)).status == "ok"
    shown.close()
    kc.post("comm_close", {"comm_id": "i1", "data": {}})


@needs("interrupts_blocking")
async def check_interrupt_of_what_a_cell_has_left(kc: Client) -> None:
    begins = "import asyncio, time\ndef left():\n    try:\n        print('ready', flush=True)\n        "
    ends = "\n    finally:\n        print('ended', flush=True)\n"
    for computes in ("while True: pass", "time.sleep(1000)"):
        for leaves in (
            "asyncio.get_running_loop().call_later(0.01, left)",
            "async def task():\n    await asyncio.sleep(0.01)\n    left()\nt = asyncio.ensure_future(task())",
        ):
            printed = kc.subscribe(lambda message: message.content.get("name") == "stdout")
            await run(kc, f"{begins}{computes}{ends}{leaves}\nNone")
            assert (await find(printed, "stream")).content["text"] == "ready\n"
            behind = kc.execute("'went on'")
            await soon(kc.interrupt())
            assert (await find(printed, "stream")).content["text"] == "ended\n", (computes, leaves)
            result = await soon(behind)  # which runs beside what sleeps, where stacks can be put aside
            assert result.status == "ok" or "sleep" in computes, (computes, leaves)
            printed.close()


# ---- questions


@needs("input")
async def check_input(kc: Client) -> None:
    asked: list[tuple[str, bool]] = []

    async def hook(prompt: str, password: bool) -> str:
        asked.append((prompt, password))
        return f"answer {len(asked)}"

    result = await run(
        kc, "import getpass\nprint(input('name? '))\nprint(getpass.getpass('secret? '))", stdin=hook
    )
    assert asked == [("name? ", False), ("secret? ", True)], asked
    assert result.stdout == "answer 1\nanswer 2\n", result.stdout


@needs("input")
async def check_answers_while_a_cell_asks(kc: Client) -> None:
    asked = anyio.Event()
    answer: Future[str] = Future()

    async def hook(_prompt: str, _password: bool) -> str:
        asked.set()
        return await answer

    execution = kc.execute("print(input())", stdin=hook)
    await soon(asked.wait())
    await answers_all(kc, execution)
    answer.set_result("here")
    assert (await soon(execution)).stdout == "here\n"


@needs("input")
async def check_interrupt_of_a_question(kc: Client) -> None:
    asked = anyio.Event()

    async def hook(_prompt: str, _password: bool) -> str:
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError

    execution = kc.execute("input()", stdin=hook)
    await soon(asked.wait())
    await soon(kc.interrupt())
    assert (await soon(execution)).reply["ename"] == "KeyboardInterrupt"
    assert (await run(kc, "1")).status == "ok"


async def check_what_is_missing_is_said(kc: Client) -> None:
    has = kc.info["laneway"]

    async def hook(_prompt: str, _password: bool) -> str:
        return "answered"

    result = await soon(kc.execute("print(input())", stdin=hook))
    if has["input"]:
        assert result.stdout == "answered\n"
    else:
        assert result.reply["ename"] == "StdinNotImplementedError", result.reply
        assert "input() is not available" in result.reply["evalue"]
    if "missing" in has:
        assert any("computes" in sentence for sentence in has["missing"]) is not has["interrupts_blocking"]
        assert any("input()" in sentence for sentence in has["missing"]) is not has["input"]
        assert any("sleeps" in sentence for sentence in has["missing"]) is not has["runs_while_sleeping"]
        assert all(len(sentence) < 120 for sentence in has["missing"]), "JupyterLab cuts off the rest."
        for call in ("run", "get_event_loop().run_until_complete"):
            result = await soon(
                kc.execute(f"import asyncio\nasync def one(): return 1\nprint(asyncio.{call}(one()))")
            )
            if has["jspi"]:
                assert result.stdout == "1\n"
            else:
                assert result.reply["ename"] == "RuntimeError"
                assert "must be awaited" in result.reply["evalue"]


async def check_no_question_without_stdin(kc: Client) -> None:
    result = await soon(kc.execute("input()"))
    assert result.status == "error"
    assert result.reply["ename"] == "StdinNotImplementedError", result.reply
    assert "does not support input requests" in result.reply["evalue"]  # as programs know it
    assert not has_ours(result.reply["traceback"]), result.reply["traceback"]


# ---- introspection


async def check_complete(kc: Client) -> None:
    await run(kc, "completable_name = {'a_key': 1}")
    reply = await soon(kc.complete("completable_n"))
    assert reply["matches"] == ["completable_name"], reply
    assert (reply["cursor_start"], reply["cursor_end"]) == (0, 13)
    types = reply["metadata"]["_jupyter_types_experimental"]
    assert types[0]["text"] == "completable_name", types
    reply = await soon(kc.complete("é = completable_name.ke", 23))
    assert "keys" in [match.rsplit(".", 1)[-1] for match in reply["matches"]], reply
    assert (await soon(kc.complete("zzzzqq")))["matches"] == []


async def check_inspect(kc: Client) -> None:
    await run(kc, "def inspected(a, b=2):\n    'Its docstring.'\n    return a")
    reply = await soon(kc.inspect("inspected(1, 2)", 5))
    assert reply["found"]
    assert "Its docstring." in reply["data"]["text/plain"]
    detailed = (await soon(kc.inspect("inspected", detail_level=1)))["data"]["text/plain"]
    assert "return a" in _ANSI.sub("", detailed)
    assert (await soon(kc.inspect("no_such_name")))["found"] is False


async def check_is_complete(kc: Client) -> None:
    expected = {
        "1 + 1": "complete",
        "for i in x:": "incomplete",
        "1 +* 1": "invalid",
        "await f()": "complete",
        "%%time\n": "incomplete",
    }
    for code, status in expected.items():
        reply = await soon(kc.is_complete(code))
        assert reply["status"] == status, (code, reply)
    assert (await soon(kc.is_complete("for i in x:")))["indent"] == "    "


# ---- comms

_ECHO = """
import asyncio
def _open(comm, opened):
    comm.on_msg(lambda m: comm.send({'echo': m['content']['data']}, buffers=m['buffers']))
    comm.send({'opened': opened['content']['data']})
get_ipython().kernel.comm_manager.register_target('echo', _open)
"""


async def check_comm_echo(kc: Client) -> None:
    await run(kc, _ECHO)
    messages = kc.subscribe(lambda message: message.msg_type.startswith("comm_"))
    opened = kc.post("comm_open", {"comm_id": "c1", "target_name": "echo", "data": {"n": 0}})
    reply = await find(messages, "comm_msg", opened)
    assert reply.content == {"comm_id": "c1", "data": {"opened": {"n": 0}}}
    info = await soon(kc.comm_info("echo"))
    assert info["comms"]["c1"] == {"target_name": "echo"}
    for i in range(20):
        data = bytes([i]) * (1000 * i)
        sent = kc.post("comm_msg", {"comm_id": "c1", "data": {"i": i}}, buffers=[data, b""])
        echoed = await find(messages, "comm_msg")
        assert echoed.parent_id == sent.msg_id
        assert echoed.content["data"] == {"echo": {"i": i}}
        assert [bytes(buffer) for buffer in echoed.buffers] == [data, b""]
    kc.post("comm_close", {"comm_id": "c1", "data": {}})
    kc.post("comm_msg", {"comm_id": "c1", "data": {}})  # too late: nobody's
    await run(kc, "pass")  # on the thread of the comms: behind them
    assert "c1" not in (await soon(kc.comm_info()))["comms"]
    unknown = kc.post("comm_open", {"comm_id": "c2", "target_name": "nobody", "data": {}})
    assert (await find(messages, "comm_close", unknown)).content["comm_id"] == "c2"
    messages.close()


async def check_comm_reaches_a_cell_that_awaits_it(kc: Client) -> None:
    execution = kc.execute(
        "import asyncio, comm\n"
        "got = asyncio.get_running_loop().create_future()\n"
        "c = comm.create_comm(target_name='asker')\n"
        "c.on_msg(lambda m: got.set_result(m['content']['data']))\n"
        "print('ready')\n"
        "print(await got)"
    )
    messages = kc.subscribe(lambda message: message.msg_type == "comm_open")
    await output(execution, "ready")
    comms = (await soon(kc.comm_info("asker")))["comms"]
    (comm_id,) = comms
    messages.close()
    kc.post("comm_msg", {"comm_id": comm_id, "data": {"hello": 1}})
    assert "{'hello': 1}" in (await soon(execution)).stdout
    await run(kc, "c.close()")


async def check_comm_handler_that_raises(kc: Client) -> None:
    await run(
        kc,
        "def _bad(comm, opened):\n    raise RuntimeError('bad handler')\n"
        "get_ipython().kernel.comm_manager.register_target('bad', _bad)",
    )
    messages = kc.subscribe(lambda message: message.channel is Channel.IOPUB)
    opened = kc.post("comm_open", {"comm_id": "c3", "target_name": "bad", "data": {}})
    assert (await find(messages, "error", opened)).content["evalue"] == "bad handler"
    assert (await find(messages, "comm_close", opened)).content["comm_id"] == "c3"
    messages.close()
    assert (await run(kc, "1")).status == "ok"


# ---- subshells


async def check_subshells(kc: Client) -> None:
    subshell = await soon(kc.create_subshell())
    assert subshell in await soon(kc.list_subshells())
    gate = kc.execute(
        "import asyncio\nsub_go = asyncio.Event()\nsub_name = 5\nprint('ready')\nawait sub_go.wait()"
    )
    await output(gate, "ready")
    result = await run(kc, "sub_name + 1", subshell=subshell)
    assert result.result is not None
    assert result.result["text/plain"] == "6"
    assert "sub_name" in (await soon(kc.complete("sub_n", subshell=subshell)))["matches"]
    assert gate.state is State.RUNNING
    await run(kc, "sub_go.set()", mode="task")
    assert (await soon(gate)).status == "ok"
    failing = await soon(kc.execute("raise ValueError", subshell=subshell))
    assert failing.reply["ename"] == "ValueError"
    await soon(kc.delete_subshell(subshell))
    assert subshell not in await soon(kc.list_subshells())
    gone = await soon(kc.execute("1", subshell=subshell))
    assert gone.status == "error"
    assert "no subshell" in gone.reply["evalue"]


async def check_deleting_a_subshell_ends_its_cells(kc: Client) -> None:
    subshell = await soon(kc.create_subshell())
    running = kc.execute("import asyncio\nprint('ready')\nawait asyncio.sleep(1000)", subshell=subshell)
    queued = kc.execute("1", subshell=subshell)
    await output(running, "ready")
    await soon(kc.delete_subshell(subshell))
    assert (await soon(running)).reply["ename"] == "KeyboardInterrupt"
    assert (await soon(queued)).status == "aborted"


@needs("runs_while_sleeping")
async def check_subshells_run_in_parallel(kc: Client) -> None:
    subshell = await soon(kc.create_subshell())
    main = kc.execute("import threading\nmeet = threading.Event()\nprint('ready')\nmeet.wait(60)")
    await output(main, "ready")
    await run(kc, "meet.set()", subshell=subshell)
    result = await soon(main)
    assert result.result is not None
    assert result.result["text/plain"] == "True"
    await soon(kc.delete_subshell(subshell))


@needs("answers_while_blocking", "runs_while_computing")
async def check_answers_while_a_subshell_computes(kc: Client) -> None:
    subshell = await soon(kc.create_subshell())
    spinning = kc.execute("print('ready')\nwhile True: pass", subshell=subshell)
    await output(spinning, "ready")
    await answers_all(kc, spinning)
    assert (await run(kc, "1 + 1")).result == {"text/plain": "2"}
    await soon(kc.delete_subshell(subshell))
    assert (await soon(spinning)).reply["ename"] == "KeyboardInterrupt"


async def check_modules_come_as_usual_after_pdb(kc: Client) -> None:
    """In a browser one loader serves all of the standard library."""
    await run(kc, "import pdb, sys\nsys.modules.pop('mailbox', None)\nimport mailbox")


# ---- what is not supported, and what is wrong


async def check_unknown_messages(kc: Client) -> None:
    for channel in ("shell", "control"):
        reply = await soon(kc.request("make_coffee_request", {}, channel=channel))
        assert reply.content["status"] == "error"
        assert "make_coffee_request" in reply.content["evalue"]
        kc.post("coffee", {}, channel=channel)
    kc.post("input_reply", {"value": "nobody asked"}, channel="stdin")
    kc.post("input_reply", {"value": 5}, channel="stdin")
    assert (await soon(kc.kernel_info()))["status"] == "ok"


_WRONG: dict[type, object] = {str: 5, int: "5", bool: "yes", dict: [], list: {}}


async def check_malformed_contents(kc: Client) -> None:
    """Every request with every field missing and of the wrong type."""
    for (channel, msg_type), route in ROUTES.items():
        if channel is Channel.STDIN or msg_type == "shutdown_request":
            continue
        good = {name: kind() for name, kind in route.required.items()}
        wrong: list[Any] = [None, [], "text", 5]
        wrong += [{key: value for key, value in good.items() if key != name} for name in route.required]
        wrong += [{**good, name: _WRONG[kind]} for name, kind in {**route.required, **route.optional}.items()]
        for content in wrong:
            if not route.replies:
                kc.post(msg_type, content, channel=channel)
                continue
            reply = await soon(kc.request(msg_type, content, channel=channel))
            assert reply.content["status"] == "error", (msg_type, content)
            assert msg_type in reply.content["evalue"], reply.content
    assert (await soon(kc.kernel_info()))["status"] == "ok"


async def check_strange_values(kc: Client) -> None:
    """Lone surrogates, NaN, deep nesting: in what is sent, and in what user code gives back."""
    deep: Any = 0
    for _ in range(100):
        deep = [deep]
    await run(kc, "'\\ud800'")
    lone = await soon(kc.execute("print(ascii('\ud800'))"))
    assert lone.status in ("ok", "error")
    assert (await soon(kc.complete("'\ud800' + imp")))["status"] in ("ok", "error")
    await run(kc, _ECHO)
    messages = kc.subscribe(lambda message: message.msg_type == "comm_msg")
    kc.post("comm_open", {"comm_id": "c4", "target_name": "echo", "data": {}})
    await find(messages, "comm_msg")
    for value in (deep, "\ud800", float("nan"), float("inf"), 2**70, {"": None}):
        kc.post("comm_msg", {"comm_id": "c4", "data": {"value": value}})
        await find(messages, "comm_msg")
    kc.post("comm_close", {"comm_id": "c4"})
    messages.close()
    printed = await run(kc, "print('\\udc80', chr(0), '\\U0001f600')")
    assert "\U0001f600" in printed.stdout
    assert (await soon(kc.kernel_info()))["status"] == "ok"


async def check_a_kernel_in_a_cell(kc: Client) -> None:
    """It runs on the cell's own loop, and what it has not started goes on when it ends."""
    await run(kc, "import asyncio, laneway\ntask = asyncio.create_task(asyncio.sleep(1000))")
    code = """
async with laneway.in_process() as inner:
    printed = (await inner.execute("import asyncio; name = 'inner'; print(name)")).stdout
printed, "name" in globals(), task.done(), task.cancel()
"""
    result = await run(kc, code)
    assert result.result == {"text/plain": "('inner\\n', False, False, True)"}


CHECKS: list[Check] = [value for name, value in list(globals().items()) if name.startswith("check_")]
"""All of them, but for what ends the kernel."""


async def check_shutdown(kc: Client) -> None:
    """Ends the kernel, so it comes last. Whoever runs it sees that the connection ends."""
    running = kc.execute("import asyncio\nprint('ready')\nawait asyncio.sleep(1000)")
    queued = kc.execute("1")
    await output(running, "ready")
    messages = kc.subscribe(lambda message: message.msg_type == "shutdown_reply")
    await soon(kc.shutdown())
    assert (await find(messages, "shutdown_reply")).content == {"status": "ok", "restart": False}
    assert (await soon(queued)).status == "aborted"
    assert (await soon(running)).reply["ename"] == "KeyboardInterrupt"
