"""Cells that await trio's functions, in a kernel whose backend it is, and beside asyncio's."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator

import pytest

import laneway
from laneway.client.client import Client
from tests.conformance.checks import find, interrupted, ready, run, soon
from tests.soak import rounds

pytestmark = pytest.mark.anyio

SPAWNS = "async with trio.open_nursery() as tasks:\n    while True: tasks.start_soon(trio.sleep, 0)"


@pytest.fixture(scope="module")
async def launched() -> AsyncGenerator[Client, None]:
    """A kernel whose backend is trio, for a module."""
    argv = [sys.executable, "-m", "laneway", "-f", "{connection_file}", "--backend=trio"]
    imports = "--InteractiveShellApp.exec_lines=['import trio']"  # and again where a failed test restarts it
    async with laneway.launch([*argv, imports]) as kc:
        yield kc


async def test_what_cells_await(kc: Client) -> None:
    await run(kc, "await trio.sleep(0)")
    await run(kc, "# task\nawait trio.sleep(0)")
    await run(kc, "%%asyncio\nimport asyncio\nawait asyncio.sleep(0)")
    await run(kc, "%%task\n%%asyncio\nawait asyncio.sleep(0)")
    await run(kc, "%%trio\n%%time\nawait trio.sleep(0)")
    result = await soon(kc.execute("%%asyncio\n\nawait trio.sleep(0)"))
    assert result.status == "error"
    assert "line 3" in "".join(result.reply["traceback"])
    subshell = await kc.create_subshell()
    await run(kc, "await trio.sleep(0)", subshell=subshell)
    await kc.delete_subshell(subshell)


async def test_autoawait_tells_the_truth(kc: Client) -> None:
    assert (await run(kc, "%autoawait")).stdout == "IPython autoawait is `on`, and set to use `trio`\n"
    await run(kc, "%autoawait asyncio")
    await run(kc, "import asyncio\nawait asyncio.sleep(0)")
    assert "`asyncio`" in (await run(kc, "%autoawait")).stdout
    await run(kc, "%%trio\nawait trio.sleep(0)")
    await run(kc, "%autoawait trio")
    await run(kc, "await trio.sleep(0)")
    assert (await soon(kc.execute("%autoawait curio"))).reply["ename"] == "UsageError"


async def test_a_nursery_lasts_from_cell_to_cell(kc: Client) -> None:
    await run(kc, "manager = trio.open_nursery()\nnursery = await manager.__aenter__()\nended = trio.Event()")
    await run(kc, "async def child():\n    await trio.sleep(0)\n    ended.set()\nnursery.start_soon(child)")
    await run(kc, "await ended.wait()")
    await run(kc, "await manager.__aexit__(None, None, None)")
    # one whose child fails cancels what awaits in it, until it is closed
    await run(kc, "manager = trio.open_nursery()\nnursery = await manager.__aenter__()")
    await run(kc, "async def fails():\n    raise ValueError('on purpose')\nnursery.start_soon(fails)")
    result = await soon(kc.execute("await trio.sleep(1000)"))
    assert result.reply["ename"] == "Cancelled"
    result = await soon(kc.execute("await manager.__aexit__(None, None, None)"))
    assert "on purpose" in "".join(result.reply["traceback"])
    await run(kc, "await trio.sleep(0)")


async def test_a_nursery_that_a_task_leaves_open_ends_with_it(kc: Client) -> None:
    await run(kc, "kept = trio.open_nursery()\nchildren = await kept.__aenter__()\nended = trio.Event()")
    await run(kc, "async def child():\n    await ended.wait()\nchildren.start_soon(child)")
    await run(kc, "async def fails():\n    raise ValueError('on purpose')")
    left = "left = trio.open_nursery()\n(await left.__aenter__()).start_soon(fails)\n"
    await run(kc, f"# task\n{left}")
    await run(
        kc,
        "import laneway\nasync def leaves():\n    left = trio.open_nursery()\n    await left.__aenter__()\n"
        "await trio.to_thread.run_sync(laneway.run, leaves)",
    )
    await run(kc, "await trio.sleep(0.01)")
    await run(kc, "# task\nawait trio.sleep(0.01)")
    await run(kc, "ended.set()\nawait kept.__aexit__(None, None, None)")


async def test_jobs_are_awaited(kc: Client) -> None:
    await run(kc, "import laneway\ngo = trio.Event()")
    own = await ready(kc, "# task\nprint('ready')\nawait go.wait()", msg_id="own")
    other = await ready(
        kc, "# task\n%%asyncio\nimport asyncio\nprint('ready')\nawait asyncio.sleep(1000)", msg_id="other"
    )
    code = (
        "listed = {job.id: job for job in laneway.jobs()}\ngo.set()\nlisted['other'].cancel()\n"
        "await listed['own']\nawait listed['other']\nprint([job.id for job in laneway.jobs()][1:])"
    )
    assert (await run(kc, code)).stdout == "[]\n"
    assert (await soon(own)).status == "ok"
    assert (await soon(other)).reply["ename"] == "KeyboardInterrupt"


@pytest.mark.parametrize(
    "code",
    [
        "await trio.sleep(1000)",
        "while True: pass",
        "while True: await trio.sleep(0)",
        "import time; time.sleep(1000)",
        "async with trio.open_nursery() as tasks:\n    tasks.start_soon(trio.sleep, 1000)",
        SPAWNS,
        "async def spins():\n    print('ready', flush=True)\n    while True: pass\n"
        "async with trio.open_nursery() as tasks:\n    tasks.start_soon(spins)",
        "with trio.CancelScope(shield=True):\n    await trio.sleep(1000)",
        "import anyio\nasync with anyio.create_task_group() as tg:\n    tg.start_soon(anyio.sleep, 1000)",
    ],
)
@pytest.mark.parametrize("mode", ["queue", "task"])
async def test_interrupts(kc: Client, code: str, mode: str) -> None:
    says = "" if "ready" in code else "print('ready', flush=True)\n"
    execution = await ready(kc, says + code, mode=mode)
    await soon(kc.interrupt())
    await interrupted(execution)
    await run(kc, "await trio.sleep(0.001)")


@pytest.mark.parametrize("code", ["while True: await trio.sleep(0)", SPAWNS])
@pytest.mark.parametrize("on", ["main", "subshell"])
async def test_an_interrupt_never_breaks_trio(kc: Client, code: str, on: str) -> None:
    """Most of the time trio's own code is on the stack. Where it did not say so, about 1 of 10 nurseries was
    left with a child that never began.
    """
    subshell = await kc.create_subshell() if on == "subshell" else None
    for _ in range(rounds(20, 1000)):
        execution = await ready(kc, f"print('ready', flush=True)\n{code}", subshell=subshell)
        await soon(execution.cancel())
        await interrupted(execution)
    if subshell:
        await kc.delete_subshell(subshell)


async def test_an_interrupt_waits_for_code_that_trio_protects(kc: Client) -> None:
    code = """
import time

@trio.lowlevel.enable_ki_protection
def protected():
    print("ready", flush=True)
    until = time.monotonic() + 1
    while time.monotonic() < until: pass
    print("whole")

protected()
await trio.sleep(1000)
"""
    execution = await ready(kc, code)
    await soon(execution.cancel())
    await interrupted(execution)
    assert (await soon(execution)).stdout == "ready\nwhole\n"


async def test_cleanup_may_await(kc: Client) -> None:
    clean = "finally:\n    await trio.sleep(0.01)\n    print('clean')"
    execution = await ready(kc, f"print('ready')\ntry:\n    await trio.sleep(1000)\n{clean}")
    await soon(execution.cancel())
    await interrupted(execution)
    assert "clean" in (await soon(execution)).stdout


async def test_a_deadline(kc: Client) -> None:
    for code in ("await trio.sleep(1000)", "while True: await trio.sleep(0)"):
        result = await soon(kc.execute(f"# task timeout=0.1\n{code}"))
        assert result.reply["ename"] == "CellTimeoutError", result.reply


async def test_from_threads_and_hooks(kc: Client) -> None:
    code = """
import comm, laneway
event = trio.Event()
async def double(number):
    await trio.sleep(0)
    return 2 * number
def work():
    print(laneway.run(double, 2), trio.from_thread.run(double, 3), laneway.call(int))
await trio.to_thread.run_sync(work)
def target(comm, message):
    comm.on_msg(lambda message: event.set())
comm.get_comm_manager().register_target("sets", target)
"""
    assert (await run(kc, code)).stdout == "4 6 0\n"
    waits = await ready(kc, "print('ready')\nawait event.wait()")
    opened = kc.comms.open("sets")
    opened.send({})
    assert (await soon(waits)).status == "ok"
    opened.close()


async def test_outputs_belong_to_their_cell(kc: Client) -> None:
    printed = kc.subscribe(lambda message: message.msg_type == "stream")
    code = "async def tells():\n    await go.wait()\n    print('child')\ngo = trio.Event()\n"
    await run(kc, f"{code}manager = trio.open_nursery()\nnursery = await manager.__aenter__()")
    starts = kc.execute("nursery.start_soon(tells)")
    await soon(starts)
    await run(kc, "go.set()\nawait manager.__aexit__(None, None, None)")
    message = await find(printed, "stream")
    assert (message.content["text"], message.parent_id) == ("child\n", starts.msg_id)
    printed.close()


async def test_a_kernel_ends_in_spite_of_what_is_left() -> None:
    async with laneway.launch() as kc:
        await run(kc, "%%trio\nimport trio\nnursery = await trio.open_nursery().__aenter__()")
        await run(kc, "%%trio\nnursery.start_soon(trio.sleep_forever)")
        kc.execute("%%trio\nawait trio.sleep(1000)")
        await soon(kc.shutdown())
        await soon(kc.wait_ended())
