"""The table of `hosts/interrupts.py`, driven by real kernels: whom an interrupt means x where that code is.

What cells do by themselves (loops, sleeps, awaits, questions, programs) is also in test_peers.py; in a
browser, in tests/conformance, tests/browser and tests/safepoints.
"""

from __future__ import annotations

import asyncio
import os
import signal
import textwrap

import pytest

from laneway.client.client import Client
from laneway.client.execution import Execution
from laneway.protocol.errors import KernelTimeoutError
from tests.conformance.checks import interrupted, ready, run, soon
from tests.soak import rounds

pytestmark = pytest.mark.anyio

HOWS = ["message", "signal"]
"""The stop button: by an interrupt_request, or by SIGINT to the kernel and its children."""


@pytest.fixture
async def group(kc: Client) -> int:
    """The group of the kernel's process."""
    return int(await value(kc.execute("import os; os.getpgrp()")) or 0)


async def stop(kc: Client, how: str, group: int) -> None:
    """Whatever runs."""
    if how == "signal":
        os.killpg(group, signal.SIGINT)
    else:
        await soon(kc.interrupt())


async def value(execution: Execution) -> str | None:
    """What its last expression shows."""
    result = (await soon(execution)).result
    return result and result["text/plain"]


_SLEEP = "import time; print('ready', flush=True); time.sleep(1000)"
_LOOP = "print('ready', flush=True)\nwhile True: pass"
_AWAIT = "import asyncio; print('ready', flush=True); await asyncio.sleep(1000)"
_PROGRAM = "import subprocess; subprocess.run('echo ready; exec sleep 1000', shell=True)"
_SYSTEM = "import os; os.system('echo ready; sleep 1000; true')"
_PLACES = {"sleep": _SLEEP, "loop": _LOOP, "await": _AWAIT, "program": _PROGRAM, "system": _SYSTEM}


@pytest.mark.parametrize("place", _PLACES)
@pytest.mark.parametrize("shell", ["main", "subshell"])
async def test_aimed_at_a_cell_whatever_it_does(kc: Client, shell: str, place: str) -> None:
    """What runs in the other shell, a program of its too, and what is queued behind, go on."""
    subshells = [await kc.create_subshell(), await kc.create_subshell()]
    mine = None if shell == "main" else subshells[0]
    code = "import subprocess; print(subprocess.run('echo ready; sleep 0.6; echo end', shell=True))"
    other = await ready(kc, code, subshell=subshells[1])
    execution = await ready(kc, _PLACES[place], subshell=mine)
    queued = kc.execute("'went on'", subshell=mine)
    await soon(kc.interrupt(execution.msg_id))
    if place == "system":  # as without a kernel: the program has ended, Python goes on
        result = await soon(execution)
        assert result.status == "ok" or result.reply["ename"] == "KeyboardInterrupt", result.reply
    else:
        await interrupted(execution)
    assert await value(queued) == "'went on'"
    result = await soon(other)
    assert "end" in result.stdout, result.stdout
    assert "returncode=0" in result.stdout
    for subshell in subshells:
        await kc.delete_subshell(subshell)


@pytest.mark.parametrize(
    ("place", "how"),
    # while C's `system` runs, on any thread, a SIGINT from outside reaches its program alone
    [(place, how) for place in _PLACES for how in HOWS if (place, how) != ("system", "signal")],
)
async def test_the_stop_button_reaches_every_shell(kc: Client, place: str, how: str, group: int) -> None:
    subshell = await kc.create_subshell()
    main = await ready(kc, _LOOP)
    beside = await ready(kc, _PLACES[place], subshell=subshell)
    await stop(kc, how, group)
    await interrupted(main)
    result = await soon(beside)
    # or its program has ended first, and so has the cell
    ended = result.status == "ok" and place in ("program", "system")
    assert ended or result.reply["ename"] == "KeyboardInterrupt", result.reply
    await kc.delete_subshell(subshell)


_HOOK = """
import comm
def hook(message):
    {0}
opened = comm.create_comm(target_name="test", data={{}})
opened.on_msg(hook)
opened.comm_id
"""


@pytest.mark.parametrize("how", HOWS)
async def test_a_hook_is_interrupted_and_the_cell_behind_it_is_not(kc: Client, how: str, group: int) -> None:
    opened = await run(kc, _HOOK.format("print('ready', flush=True)\n    while True: pass"))
    shown = aiter(kc.subscribe(lambda message: message.msg_type in ("stream", "error")))
    comm_id = opened.result["text/plain"].strip("'") if opened.result else ""
    kc.post("comm_msg", {"comm_id": comm_id, "data": {}})
    assert (await soon(anext(shown))).content["text"] == "ready\n"
    behind = kc.execute("'went on'")
    await stop(kc, how, group)
    assert (await soon(anext(shown))).content["ename"] == "KeyboardInterrupt"
    assert await value(behind) == "'went on'"


_LEFT = {
    "task": """
import asyncio
async def f():
    await asyncio.sleep(0.01)
    print("ready", flush=True)
    while True: pass
t = asyncio.ensure_future(f())
""",
    "callback": """
import asyncio
def f():
    print("ready", flush=True)
    while True: pass
asyncio.get_running_loop().call_later(0.01, f) and None
""",
    "sleeps": """
import asyncio, time
def f():
    print("ready", flush=True)
    time.sleep(1000)
asyncio.get_running_loop().call_later(0.01, f) and None
""",
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("shell", ["main", "subshell"])
@pytest.mark.parametrize("left", _LEFT)
async def test_what_a_cell_has_left_is_interrupted(
    kc: Client, left: str, shell: str, how: str, group: int
) -> None:
    subshell = None if shell == "main" else await kc.create_subshell()
    printed = aiter(kc.subscribe(lambda message: message.content.get("name") == "stdout"))
    await run(kc, _LEFT[left], subshell=subshell)
    assert (await soon(anext(printed))).content["text"] == "ready\n"
    behind = kc.execute("'went on'", subshell=subshell)
    await stop(kc, how, group)
    assert await value(behind) == "'went on'"
    if subshell:
        await kc.delete_subshell(subshell)


async def test_a_timeout_aborts_nothing_behind_its_cell(kc: Client) -> None:
    execution = kc.execute("import time; time.sleep(1000)", timeout=0.2, on_timeout="interrupt")
    behind = kc.execute("'went on'")
    with pytest.raises(KernelTimeoutError):
        await execution
    assert await value(behind) == "'went on'"


async def test_the_stop_button_aborts_what_is_queued(kc: Client, group: int) -> None:
    execution = await ready(kc, _SLEEP)
    behind = kc.execute("'went on'")
    await stop(kc, "message", group)
    await interrupted(execution)
    assert (await soon(behind)).status == "aborted"


@pytest.mark.parametrize("how", HOWS)
async def test_twice_in_a_row_is_once(kc: Client, how: str, group: int) -> None:
    code = """
import time
try:
    print("ready", flush=True)
    time.sleep(1000)
except KeyboardInterrupt:
    time.sleep(0.3)
"""
    execution = await ready(kc, code)
    await asyncio.gather(stop(kc, how, group), stop(kc, "message", group))
    result = await soon(execution)
    assert result.status == "ok" or result.reply["ename"] == "KeyboardInterrupt", result.reply
    assert await value(kc.execute("'alive'")) == "'alive'"


async def test_aimed_interrupts_touch_nothing_else(kc: Client) -> None:
    subshell = await kc.create_subshell()
    count = rounds(10, 200)
    code = """
import subprocess
program = subprocess.Popen(["sleep", "1000"])
print("ready", flush=True)
program.wait()
"""
    beside = await ready(kc, code, subshell=subshell)
    for number in range(count):
        execution = await ready(kc, (_SLEEP, _LOOP, _AWAIT)[number % 3])
        await soon(kc.interrupt(execution.msg_id))
        await interrupted(execution)
    assert await value(kc.execute("program.poll() is None")) == "True"
    await soon(kc.interrupt(beside.msg_id))
    await interrupted(beside)
    assert await value(kc.execute("program.poll() is None")) == "False"
    await kc.delete_subshell(subshell)


# ---- processes that user code has forked off

_FORK = """
import os, signal, sys, time
child = os.fork()
if child == 0:
    {0}
"""


async def test_sigint_to_a_forked_child_is_the_childs(kc: Client) -> None:
    code = _FORK.format("time.sleep(1000)") + (
        "print('ready', flush=True)\ntime.sleep(0.1)\nos.kill(child, signal.SIGINT)\n"
        "status = os.waitpid(child, 0)[1]\ntime.sleep(0.2)\nos.waitstatus_to_exitcode(status)"
    )
    assert await value(kc.execute(code)) == "1"


async def test_terminate_ends_a_child_as_python_does(kc: Client) -> None:
    code = (
        "import multiprocessing, time\n"
        "process = multiprocessing.get_context('fork').Process(target=time.sleep, args=(1000,))\n"
        "process.start(); process.terminate(); process.join(); process.exitcode"
    )
    result = await run(kc, code)
    assert result.result == {"text/plain": "-15"}
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.parametrize(
    ("child", "status"),
    [
        ("pass", 0),
        ("raise ValueError('from the child')", 1),
        ("sys.exit(3)", 3),
        ("sys.exit()", 0),
        ("os._exit(4)", 4),
        ("import asyncio; await asyncio.sleep(0)", 1),
    ],
)
async def test_a_child_whose_code_ends_is_no_second_kernel(kc: Client, child: str, status: int) -> None:
    code = _FORK.format(child) + "else:\n    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    result = await soon(kc.execute(code))
    assert result.status == "ok", result.reply
    assert str(status) in result.stdout.split(), result.stdout
    assert await value(kc.execute("1 + 1")) == "2"


async def test_a_cancelled_cell_has_time_to_show_its_error(kc: Client) -> None:
    slow = """
    class Slow(Exception):
        def _render_traceback_(self):
            until = time.monotonic() + 1.5  # seconds: a cancel insists after one
            while time.monotonic() < until:
                pass
            return ["shown"]
    """
    await run(kc, f"import asyncio, time\n{textwrap.dedent(slow)}")
    execution = await ready(
        kc,
        "try:\n    print('ready')\n    await asyncio.sleep(1000)\nexcept KeyboardInterrupt:\n    raise Slow",
    )
    await kc.cancel(execution.msg_id)
    assert (await soon(execution)).reply["traceback"] == ["shown"]
