"""What runs with ipykernel runs here too: what no notebook of `test_comparison.py` can show."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncGenerator

import pytest

import laneway
from laneway.client.client import Client
from laneway.protocol.errors import KernelDiedError
from laneway.protocol.message import Channel, Content, Message
from tests.conformance.checks import find, run, soon

pytestmark = pytest.mark.anyio


@pytest.fixture
async def kc() -> AsyncGenerator[Client, None]:
    async with laneway.launch([sys.executable, "-m", "laneway", "-f", "{connection_file}"]) as kc:
        yield kc


@pytest.mark.parametrize("code", ["import pdb; pdb.set_trace()", "breakpoint()\n1", "%debug print(1)"])
async def test_an_interrupt_ends_the_debugger_and_the_next_cell_runs(kc: Client, code: str) -> None:
    """Else it asks again, for ever. The cell goes on without it, as with ipykernel."""
    asked: list[str] = []

    async def interrupt(prompt: str, _password: bool) -> str:
        asked.append(prompt)
        await kc.interrupt()
        return "c"

    debugged = kc.execute(code, stdin=interrupt)
    following = kc.execute("import sys; 6 * 7 if sys.gettrace() is None else 'traced'")
    assert "--KeyboardInterrupt--" in (await soon(debugged)).stdout
    (shown,) = (await soon(following)).outputs
    assert shown.content["data"]["text/plain"] == "42"
    assert asked == ["ipdb> "]


async def test_a_cell_that_terminates_its_kernel_has_no_reply(kc: Client) -> None:
    """As with ipykernel, so that nbclient says that the kernel has died, and not that the cell has failed."""
    code = (
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n    import time; time.sleep(60)\n"
        "finally:\n    print('in order', flush=True)"
    )
    with pytest.raises(KernelDiedError) as died:
        await soon(kc.execute(code))
    assert died.value.exit_code == 128 + signal.SIGTERM
    assert any("in order" in output.content.get("text", "") for output in died.value.outputs)


async def test_connect_request(kc: Client) -> None:
    reply = (await soon(kc.request("connect_request", {}))).content
    assert reply.pop("status") == "ok"
    assert sorted(reply) == ["control_port", "hb_port", "iopub_port", "shell_port", "stdin_port"]
    assert all(reply.values())


async def test_a_result_that_cannot_be_shown_is_an_error(kc: Client) -> None:
    code = "class Bad:\n    def __repr__(self): raise ValueError('no')\n"
    await run(kc, f"{code}display(Bad())")
    failing = kc.execute("Bad()")
    aborted = kc.execute("1")
    result = await soon(failing)
    assert (result.status, result.reply["ename"], result.reply["evalue"]) == ("error", "ValueError", "no")
    assert [output.msg_type for output in result.outputs] == ["error"]
    assert (await soon(aborted)).status == "aborted"


async def test_a_traceback_of_rich_shows_the_cell(kc: Client) -> None:
    code = "from rich import print\nfrom rich.traceback import install\ninstall(width=100)\n1 / 0  # here"
    failed = await soon(kc.execute(code))
    assert failed.status == "error"
    shown = "".join(str(output.content) for output in failed.outputs)
    assert "# here" in shown


ASKING = """
import asyncio, comm, threading
asking = comm.create_comm(target_name="any")
thread = threading.current_thread()
"""
AWAITS = """
answer = asyncio.get_running_loop().create_future()
def answered(message):
    answer.set_result((message["content"]["data"], threading.current_thread() is thread))
asking.on_msg(answered)
asking.send({"number": 1})
await asyncio.wait_for(answer, 60)
"""
BLOCKS = """
answer = threading.Event()
def answered(message):
    print(message["content"]["data"], threading.current_thread() is thread, flush=True)
    if message["content"]["data"]["last"]:
        answer.set()
asking.on_msg(answered)
asking.send({"number": 1})
answer.wait(60)
"""


def post(kc: Client, content: Content, subshell: str | None) -> Message:
    """Send a comm_msg to a subshell, as JupyterLab does."""
    message = kc._router.protocol.message("comm_msg", content, subshell_id=subshell)  # pyright: ignore[reportPrivateUsage]
    kc._transport.send(message)  # pyright: ignore[reportPrivateUsage]
    return message


async def test_an_answer_on_a_comm_comes_to_the_shell_whose_cell_awaits_it(kc: Client) -> None:
    """Wherever the front end sends it: asyncio's futures belong to one thread."""
    subshells = [await soon(kc.create_subshell()) for _ in range(2)]
    for asks, answers in ((None, subshells[0]), (subshells[0], None), (subshells[0], subshells[1])):
        sent = kc.subscribe(lambda message: message.msg_type == "comm_msg")
        cell = kc.execute(ASKING + AWAITS, subshell=asks)
        question = await find(sent, "comm_msg")
        post(kc, {"comm_id": question.content["comm_id"], "data": {"n": 1}}, answers)
        (shown,) = [out for out in (await soon(cell)).outputs if out.msg_type == "execute_result"]
        assert shown.content["data"]["text/plain"] == "({'n': 1}, True)"


async def test_a_cell_that_blocks_is_answered_on_the_subshell(kc: Client) -> None:
    subshell = await soon(kc.create_subshell())
    sent = kc.subscribe(lambda message: message.channel is Channel.IOPUB)
    cell = kc.execute(ASKING + BLOCKS)
    comm_id = (await find(sent, "comm_msg")).content["comm_id"]
    for last in (False, False, True):
        posted = post(kc, {"comm_id": comm_id, "data": {"last": last}}, subshell)
        output = await find(sent, "stream", posted)
        assert output.content["text"] == f"{{'last': {last}}} False\n"
    assert (await soon(cell)).status == "ok"
    cell = kc.execute(ASKING + AWAITS)
    comm_id = (await find(sent, "comm_msg", cell.msg_id)).content["comm_id"]
    post(kc, {"comm_id": comm_id, "data": {}}, subshell)
    (shown,) = [out for out in (await soon(cell)).outputs if out.msg_type == "execute_result"]
    assert shown.content["data"]["text/plain"] == "({}, True)", "it is asked again"


SERVES = """
import queue, sys, threading, time
work = queue.Queue()
main = threading.get_ident()
def serve():
    while True:
        text, waits, done = work.get()
        while waits and sys._current_frames()[main].f_code.co_name not in waits:
            pass
        print(text, flush=True)
        done.set()
threading.Thread(target=serve, daemon=True).start()
done = threading.Event()
"""


async def test_whom_a_thread_that_outlives_its_cell_prints_for(kc: Client) -> None:
    """For its own cell, unless a later one waits for threads, and so for it."""
    sent = kc.subscribe(lambda message: message.msg_type == "stream")
    own = kc.execute(SERVES)
    assert (await soon(own)).status == "ok"
    for name, where, code in (
        ("computes", [], "while not done.is_set(): pass"),
        ("sleeps", [], "while not done.is_set(): time.sleep(0.001)"),
        ("awaits", [], "import asyncio\nwhile not done.is_set(): await asyncio.sleep(0.001)"),
        ("waits", ["wait"], "done.wait()"),
        (
            "joins",
            ["join", "_wait_for_tstate_lock"],
            "t = threading.Thread(target=done.wait); t.start(); t.join()",
        ),
    ):
        other = kc.execute(f"done.clear()\nwork.put(({name!r}, {where}, done))\n{code}")
        printed = await find(sent, "stream")
        assert printed.content["text"] == f"{name}\n"
        assert printed.parent_id == (other if where else own).msg_id, name
        assert (await soon(other)).status == "ok"
