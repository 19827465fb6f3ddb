"""How a kernel's process ends, whatever runs in it and whoever ends it (see `hosts/life.py`), and what it
says when it fails.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from laneway.transports.connection import Connection
from tests.soak import SOAK
from tests.transports.zmq_peers import RawClient

from .test_desktop import Kernel, kernel, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX")

PATIENCE = 4.0
"""Seconds in which a kernel that was told to end has ended; a machine that is busy has as many more."""

_HOLDS = {
    "nothing": "print('ready', flush=True)",
    "a loop": "print('ready', flush=True)\nwhile True: pass",
    "a cell that swallows KeyboardInterrupt": """
print("ready", flush=True)
while True:
    try:
        while True: pass
    except KeyboardInterrupt:
        pass
""",
    "a task that swallows CancelledError": """
import asyncio
async def stubborn():
    print("ready", flush=True)
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass
task = asyncio.ensure_future(stubborn())
""",
    "a cell that swallows CancelledError": """
import asyncio
print("ready", flush=True)
while True:
    try:
        await asyncio.sleep(1000)
    except (asyncio.CancelledError, KeyboardInterrupt):
        pass
""",
    "a thread of the executor": """
import asyncio, time
print("ready", flush=True)
await asyncio.to_thread(time.sleep, 1000)
""",
    "a thread of the user's": """
import threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
print("ready", flush=True)
""",
    "C": """
import hashlib
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000_000)
""",
    "an endless finally": """
print("ready", flush=True)
try:
    while True: pass
finally:
    while True: pass
""",
    "an exit handler": """
import atexit, time
atexit.register(time.sleep, 1000)
print("ready", flush=True)
""",
    "an asynchronous generator": """
import asyncio
async def generate():
    try:
        yield 1
    finally:
        await asyncio.sleep(1000)
generator = generate()
await anext(generator)
print("ready", flush=True)
""",
}


def said(running: Kernel) -> str:
    """What it has said on stderr."""
    assert running.process.stderr
    return running.process.stderr.read()


def _shutdown(running: Kernel) -> None:
    running.shut_down()


def _terminate(running: Kernel) -> None:
    running.process.terminate()


_WAYS = {"shutdown_request": _shutdown, "SIGTERM": _terminate}


_EACH = [(holds, way) for holds in _HOLDS for way in _WAYS]


@pytest.mark.parametrize(("holds", "way"), _EACH if SOAK else _EACH[::3])
def test_it_ends_in_time_whatever_runs(tmp_path: Path, holds: str, way: str) -> None:
    with kernel(tmp_path) as running:
        running.execute(_HOLDS[holds])
        assert running.printed() == "ready\n"
        began = time.monotonic()
        _WAYS[way](running)
        code = running.code()
        assert time.monotonic() - began < 2 * PATIENCE
        assert code in ({0, 1} if way == "shutdown_request" else {143, 0, 1})
        err = said(running)
        assert "Traceback" not in err, err


@pytest.mark.parametrize("how", ["shutdown_request", "SIGTERM", "exit", "parent"])
def test_what_is_cancelled_sees_its_namespace(tmp_path: Path, how: str) -> None:
    """A task's `finally` is user code as any other: its names are there, and it may print and await."""
    cell = """
import asyncio
from pathlib import Path
done = Path("done")
async def work():
    try:
        print("ready", flush=True)
        await asyncio.sleep(1000)
    finally:
        await asyncio.sleep(0.01)
        done.write_text("yes")
task = asyncio.ensure_future(work())
"""
    parent = subprocess.Popen(["sleep", "1000"])
    try:
        with kernel(tmp_path, env={"JPY_PARENT_PID": str(parent.pid)}) as running:
            running.execute(cell)
            assert running.printed() == "ready\n"
            match how:
                case "exit":
                    running.execute("exit")
                case "parent":
                    parent.kill()
                    parent.wait()
                case _:
                    _WAYS[how](running)
            assert running.code() == (143 if how == "SIGTERM" else 0)
        assert (tmp_path / "done").read_text() == "yes"
    finally:
        parent.kill()
        parent.wait()


def test_a_cell_that_is_abandoned_is_answered_first(tmp_path: Path) -> None:
    with kernel(tmp_path) as running:
        running.execute(_HOLDS["a cell that swallows CancelledError"])
        assert running.printed() == "ready\n"
        running.shut_down()
        assert running.reply()["status"] == "error"
        assert running.code() == 0


def test_a_failure_of_our_own_ends_the_process_at_once_and_says_why(tmp_path: Path) -> None:
    """A kernel that hears nothing must not look alive: front ends start another when it has gone."""
    with kernel(tmp_path) as running:
        running.execute(
            "import gc\n"
            "from laneway.hosts.threads import ThreadHost\n"
            "host, = [thing for thing in gc.get_objects() if type(thing) is ThreadHost]\n"
            "def fail(*_): raise RuntimeError('injected')\n"
            "host._core._enqueue = fail\n"
        )
        assert running.reply()["status"] == "ok"
        running.execute("1")
        assert running.code() == 1
        err = said(running)
        assert "injected" in err
        assert "Traceback" in err


def test_no_more_threads_cost_what_needs_one(tmp_path: Path) -> None:
    """The system gives no thread for a subshell: its cell says so, and all else goes on."""
    with kernel(tmp_path) as running:
        running.execute(
            "import threading\n"
            "start = threading.Thread.start\n"
            "def refuse(thread):\n"
            "    if thread.name.startswith('laneway sub'): raise RuntimeError(\"can't start new thread\")\n"
            "    start(thread)\n"
            "threading.Thread.start = refuse\n"
        )
        assert running.reply()["status"] == "ok"
        running.client.send({}, channel="control", msg_type="create_subshell_request")
        subshell = running.client.receive("control")["content"]["subshell_id"]
        content = {"code": "1", "silent": False, "store_history": True, "user_expressions": {}}
        header = {**running.client.session.msg_header("execute_request"), "subshell_id": subshell}
        running.client.session.send(
            running.client.sockets["shell"], "execute_request", content, header=header
        )
        assert "can't start new thread" in running.reply()["evalue"]
        running.execute("1 + 1")
        assert running.reply()["status"] == "ok"


_ENDLESS = """
from IPython.display import publish_display_data
class Endless:
    def __iter__(self):
        print("ready", flush=True)
        while True: yield 1
publish_display_data({"application/json": Endless()})
"""


def test_an_endless_value_can_be_interrupted(tmp_path: Path) -> None:
    """It is encoded as a part of the cell, while all else goes on."""
    with kernel(tmp_path) as running:
        running.execute(_ENDLESS)
        assert running.printed() == "ready\n"
        running.client.send({}, channel="control", msg_type="interrupt_request")
        assert running.client.receive("control")["content"]["status"] == "ok"
        assert running.reply()["ename"] == "KeyboardInterrupt"
        running.execute("1 + 1")
        assert running.reply()["status"] == "ok"


def test_a_value_that_fails_costs_its_message(tmp_path: Path) -> None:
    cell = """
class Broken:
    def __iter__(self): raise ValueError("broken")
get_ipython().payload_manager.write_payload({"source": "page", "data": Broken(), "start": 0})
"""
    with kernel(tmp_path) as running:
        running.execute(cell)
        reply = running.reply()
        assert reply["status"] == "error"
        assert "broken" in reply["evalue"]
        running.execute("1 + 1")
        assert running.reply()["status"] == "ok"
        assert running.process.poll() is None


def test_interrupts_during_the_start_and_the_end_disturb_neither(tmp_path: Path) -> None:
    over = threading.Event()

    def interrupt(process: int) -> None:
        while not over.wait(0.02):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGINT)

    file = tmp_path / "connection.json"
    Connection.new().write(file)
    command = [sys.executable, "-m", "laneway", "-f", str(file)]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    thread = threading.Thread(target=interrupt, args=(process.pid,))
    try:
        wait_for(lambda: Connection.read(file).shell_port != 0)  # before that it is Python's start
        thread.start()
        with RawClient(Connection.read(file)) as client:
            running = Kernel(process, client)
            client.send({}, msg_type="kernel_info_request")
            assert running.reply()["status"] == "ok"
            running.shut_down()
            assert running.code() == 0
        assert said(running) == ""
    finally:
        over.set()
        thread.join()
        process.kill()
        process.communicate()
