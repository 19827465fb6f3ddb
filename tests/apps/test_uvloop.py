"""A kernel whose cells run on uvloop's event loop, and a client on it. `make soak` runs the whole conformance
suite over both.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import laneway
from laneway.client.client import Client
from tests.conformance.checks import CHECKS, Check, interrupted, missing, output, ready, run, soon
from tests.soak import SOAK

pytest.importorskip("uvloop")
pytestmark = pytest.mark.anyio

_LOOP = "import asyncio, uvloop\nassert isinstance(asyncio.get_running_loop(), uvloop.Loop)"


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """What the client runs on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
async def launched() -> AsyncGenerator[Client, None]:
    """A kernel on it, for a module."""
    async with laneway.launch([*_COMMAND]) as kc:
        yield kc


_COMMAND = [sys.executable, "-m", "laneway", "-f", "{connection_file}", "--loop=uvloop"]


async def test_all_shells_are_on_it(kc: Client) -> None:
    await run(kc, _LOOP)
    await run(kc, _LOOP, mode="task")
    await run(kc, _LOOP, mode="thread")
    subshell = await kc.create_subshell()
    await run(kc, _LOOP, subshell=subshell)
    await kc.delete_subshell(subshell)


@pytest.mark.parametrize(
    "code",
    [
        "import asyncio; print('ready', flush=True); await asyncio.sleep(1000)",
        "import asyncio; print('ready', flush=True)\nwhile True: await asyncio.sleep(0)",
        "import time; print('ready', flush=True); time.sleep(1000)",
        "print('ready', flush=True)\nwhile True: pass",
        "import asyncio\nprogram = await asyncio.create_subprocess_shell('echo ready; sleep 1000')\n"
        "await program.wait()",
    ],
    ids=["awaits", "spins", "sleeps", "computes", "program"],
)
async def test_interrupts(kc: Client, code: str) -> None:
    cell = await ready(kc, code)
    subshell = await kc.create_subshell()
    await run(kc, "1", subshell=subshell)
    await kc.delete_subshell(subshell)
    await soon(kc.interrupt())
    await interrupted(cell)
    await run(kc, "1")


async def test_what_a_cell_has_left_is_interrupted(kc: Client) -> None:
    await run(kc, "import asyncio\ndef computes():\n    print('ready', flush=True)\n    while True: pass")
    for left in ("call_soon(computes)", "call_later(0.001, computes)"):
        cell = kc.execute(f"asyncio.get_running_loop().{left}\nawait asyncio.sleep(1000)")
        await output(cell, "ready")
        await soon(kc.interrupt())
        await interrupted(cell)
    await run(kc, "await asyncio.sleep(0.01)")


_SERVER = """
import asyncio
class Computes(asyncio.Protocol):
    def data_received(self, data):
        print("ready", flush=True)
        while True: pass
server = await asyncio.get_running_loop().create_server(Computes, "127.0.0.1", 0)
_, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
writer.write(b"x")
await asyncio.sleep(1000)
"""


async def test_a_protocol_that_computes_is_interrupted(kc: Client) -> None:
    """uvloop calls it from C, and not as a callback."""
    cell = await ready(kc, _SERVER)
    await soon(kc.interrupt())
    await interrupted(cell)
    await run(kc, "server.close(); await asyncio.sleep(0.01)")


_FORK = """
import asyncio, os
child = os.fork()
if child == 0:
    await asyncio.sleep(0)
    print("second kernel")
else:
    print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


async def test_a_forked_process_is_no_second_kernel(kc: Client) -> None:
    text = (await run(kc, _FORK)).stdout
    assert "status 1\n" in text
    assert "second kernel" not in text
    await run(kc, "await asyncio.sleep(0)")


async def test_trio_is_its_guest(kc: Client) -> None:
    await run(kc, "%%trio\nimport trio\nawait trio.sleep(0.01)")
    cell = await ready(kc, "%%trio\nprint('ready', flush=True)\nawait trio.sleep(1000)")
    await soon(kc.interrupt())
    await interrupted(cell)


async def test_what_it_cannot_do_is_said(kc: Client) -> None:
    pytest.importorskip("_tkinter")
    assert "event loop cannot wait inside a GUI toolkit" in (await run(kc, "%gui tk")).stderr


@pytest.mark.skipif(not SOAK, reason="`make soak` runs it")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
async def test_conformance(kc: Client, check: Check) -> None:
    if lacking := missing(check, kc):
        pytest.skip(f"this kernel lacks: {', '.join(lacking)}")
    await check(kc)


async def test_sigterm_ends_it_in_order_after_interrupts() -> None:
    """uvloop would be told of signals in place of us, each time when it goes on."""
    async with laneway.launch([*_COMMAND]) as kc:
        await run(kc, "import asyncio, os, signal\nasync def raises(): raise KeyboardInterrupt")
        await run(kc, "await asyncio.wait([asyncio.create_task(raises())])\nNone")
        kc.execute("os.kill(os.getpid(), signal.SIGTERM)")  # which may have its reply, or not
        assert "exit" in str(await soon(kc.wait_ended()))
