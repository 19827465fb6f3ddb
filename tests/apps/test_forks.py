"""Processes that a cell makes by forking: they end, leave the kernel alone, and say nothing of ours."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from laneway.transports.connection import Connection
from tests.conformance.checks import has_ours

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
TIMEOUT = 60


def until(condition: Callable[[], Any]) -> None:
    """Of something that sends no event."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@dataclass
class Kernel:
    """A kernel process that leads a session, its client, and where its stderr goes."""

    process: subprocess.Popen[bytes]
    client: Any
    stderr: Path

    def run(self, code: str) -> tuple[dict[str, Any], str]:
        """The reply to a cell, and what was printed."""
        texts: list[str] = []

        def take(message: dict[str, Any]) -> None:
            texts.append(message["content"].get("text", ""))

        reply = self.client.execute_interactive(code, output_hook=take, timeout=TIMEOUT, allow_stdin=False)
        return reply["content"], re.sub(r"\x1b\[[0-9;]*m", "", "".join(texts))

    def others(self) -> list[int]:
        """The other processes of its session, zombies included."""
        found: list[int] = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if int(fields[3]) == self.process.pid != int(folder.name):
                found.append(int(folder.name))
        return found

    def end(self) -> None:
        """Shut it down in order."""
        self.client.shutdown()
        assert self.process.wait(TIMEOUT) == 0
        until(lambda: not self.others())
        assert self.stderr.read_text() == ""


def start(folder: Path) -> Kernel:
    file = folder / "connection.json"
    Connection.new().write(file)
    stderr = folder / "stderr"
    with stderr.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "laneway", "-f", str(file)],
            cwd=folder,
            env={**os.environ, "IPYTHONDIR": str(folder)},
            stderr=written,
            start_new_session=True,
        )
    until(lambda: Connection.read(file).shell_port)
    client = BlockingKernelClient(connection_file=str(file))
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=TIMEOUT)
    return Kernel(process, client, stderr)


def close(kernel: Kernel) -> None:
    kernel.process.kill()
    kernel.process.wait()
    kernel.client.stop_channels()
    kernel.client.context.destroy(linger=0)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Generator[Kernel]:
    started = start(tmp_path_factory.mktemp("kernel"))
    try:
        yield started
        started.end()
    finally:
        close(started)


@pytest.fixture
def own_kernel(tmp_path: Path) -> Generator[Kernel]:
    started = start(tmp_path)
    try:
        yield started
    finally:
        close(started)


def forked(code: str) -> str:
    """A cell whose child runs `code`, and which says how it has ended."""
    child = "\n".join(f"    {line}" for line in code.splitlines())
    return (
        # what Python 3.12 and later say of a fork beside threads would come between
        "import os, sys, warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n"
        "print('before')\nchild = os.fork()\n"
        f"if child == 0:\n{child}\nelse:\n"
        "    print('status', os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )


CHILDREN = {
    "it falls off the end": ("print('child')", "child\n", 0),
    "sys.exit": ("print('child')\nsys.exit(3)", "child\n", 3),
    "sys.exit with a sentence": ("sys.exit('sentence')", "", 1),
    "os._exit": ("os._exit(4)", "", 4),
    "killed": ("import signal\nos.kill(os.getpid(), signal.SIGKILL)", "", -9),
    "terminated": ("import signal\nos.kill(os.getpid(), signal.SIGTERM)\nsignal.pause()", "", -15),
    "by descriptor": ("os.write(1, b'child')\nos.write(2, b'child')", "childchild", 0),
    "execv": ("os.execvp('echo', ['echo', 'program'])", "program\n", 0),
    "display": ("display({'shown': 1})\n'result'\nprint('child')", "{'shown': 1}\nchild\n", 0),
    "logging": ("import logging\nlogging.getLogger('child').warning('logged')", "logged\n", 0),
    "input": (
        "try:\n    input('asked')\nexcept Exception as error:\n    print(type(error).__name__, error)",
        "StdinNotImplementedError input() cannot ask from a process that was forked off the kernel;"
        " ask before the fork.\n",
        0,
    ),
    "history": (
        "print(get_ipython().history_manager.enabled)\nget_ipython().history_manager.writeout_cache()",
        "False\n",
        0,
    ),
    "a thread": (
        "import threading\nthread = threading.Thread(target=print, args=('thread',))\nthread.start()\n"
        "thread.join()",
        "thread\n",
        0,
    ),
    "a daemon thread": (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
        "",
        0,
    ),
    "an event loop": (
        "import asyncio\nfrom asyncio import events\nevents._set_running_loop(None)\n"
        "async def main(): print('in a loop')\nasyncio.run(main())",
        "in a loop\n",
        0,
    ),
    "a child of its own": (
        "grandchild = os.fork()\nif grandchild == 0:\n    print('grandchild')\n"
        "else:\n    os.waitpid(grandchild, 0)",
        "grandchild\n",
        0,
    ),
    "a comm": ("import comm\ncomm.create_comm(target_name='x').close()\nprint('child')", "child\n", 0),
    "a program": ("!echo program", "program", 0),
}


@pytest.mark.parametrize("name", CHILDREN)
def test_a_child_ends_with_its_own_status(kernel: Kernel, name: str) -> None:
    code, printed, status = CHILDREN[name]
    reply, text = kernel.run(forked(code))
    assert reply["status"] == "ok"
    assert text.count("before\n") == 1, text
    assert printed in text.replace("\r\n", "\n")
    assert f"status {status}\n" in text
    assert not has_ours([text])
    assert kernel.others() == []
    assert kernel.run("print('on')")[1] == "on\n"


def test_an_error_in_a_child_is_shown(kernel: Kernel) -> None:
    _, text = kernel.run(forked("def fails(): 1 / 0\nfails()"))
    assert "ZeroDivisionError: division by zero" in text
    assert "status 1\n" in text
    assert not has_ours([text])


def test_a_child_cannot_await(kernel: Kernel) -> None:
    _, text = kernel.run("import asyncio\n" + forked("await asyncio.sleep(0)\nprint('second kernel')"))
    assert "a process that was forked off cannot await; it ends" in text
    assert "status 1\n" in text
    assert "second kernel" not in text


def test_a_signal_to_a_child_is_its_own(kernel: Kernel) -> None:
    """It shares pipes with its parent, and handlers if nobody sees to it."""
    for name, status in (("SIGINT", 1), ("SIGTERM", -15)):
        reply, text = kernel.run(
            "import os, signal, time\nready, go = os.pipe()\nchild = os.fork()\n"
            "if child == 0:\n    os.write(go, b'x')\n    time.sleep(1000)\n"
            f"os.read(ready, 1)\nos.kill(child, signal.{name})\n"
            "status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\ntime.sleep(0.2)\n"
            "os.close(ready); os.close(go)\nprint('status', status)"
        )
        assert reply["status"] == "ok"
        assert f"status {status}\n" in text
        assert not has_ours([text])
    assert kernel.run("print('on')")[1] == "on\n"


def test_a_child_of_a_thread(kernel: Kernel) -> None:
    reply, text = kernel.run(
        "import os, threading\ndef work():\n    child = os.fork()\n"
        "    if child == 0:\n        print('child')\n"
        "        return\n    print('status', os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "thread = threading.Thread(target=work)\nthread.start()\nthread.join()"
    )
    assert reply["status"] == "ok"
    assert "child\n" in text
    assert "status 0\n" in text
    assert kernel.others() == []


METHODS = ("fork", "spawn", "forkserver")


@pytest.mark.parametrize("method", METHODS)
def test_multiprocessing(own_kernel: Kernel, method: str) -> None:
    kernel = own_kernel
    reply, text = kernel.run(
        f"import multiprocessing, sys, time\ncontext = multiprocessing.get_context({method!r})\n"
        "def end(process):\n    process.start()\n    process.join()\n    print('ended', process.exitcode)\n"
        "end(context.Process(target=print, args=('child',)))\n"
        "end(context.Process(target=sys.exit, args=(3,)))\n"
        "sleeping = context.Process(target=time.sleep, args=(1000,))\nsleeping.start()\n"
        "sleeping.terminate()\nsleeping.join()\nprint('ended', sleeping.exitcode)\n"
        "daemon = context.Process(target=time.sleep, args=(1000,), daemon=True)\ndaemon.start()"
    )
    assert reply["status"] == "ok", reply
    assert "child\n" in text
    assert [line for line in text.splitlines() if line.startswith("ended")] == [
        "ended 0",
        "ended 3",
        "ended -15",
    ]
    assert "Traceback" not in text
    kernel.end()  # and with it the daemon, the fork server and the tracker of resources


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_of_processes(own_kernel: Kernel, method: str) -> None:
    kernel = own_kernel
    reply, text = kernel.run(
        "import multiprocessing, os\nfrom concurrent.futures import ProcessPoolExecutor\n"
        f"pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context({method!r}))\n"
        "print(list(pool.map(abs, [-1, -2, -3])), pool.submit(os.getpid).result() != os.getpid())"
    )
    assert reply["status"] == "ok", reply
    assert text == "[1, 2, 3] True\n"
    kernel.end()  # without a shutdown of the pool


def test_an_interrupt_ends_a_pool_and_not_the_kernel(own_kernel: Kernel) -> None:
    kernel = own_kernel
    files = [kernel.stderr.with_name(f"begun{number}") for number in range(2)]
    cell = kernel.client.execute(
        "import multiprocessing, pathlib, time\ndef work(file):\n"
        "    pathlib.Path(file).touch()\n    time.sleep(1000)\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        f"    pool.map(work, {[str(file) for file in files]})"
    )
    # both: a worker that is interrupted in the pool's own code may die with the pool's lock, as anywhere
    until(lambda: all(file.exists() for file in files))
    message = kernel.client.session.msg("interrupt_request", {})
    kernel.client.control_channel.send(message)
    reply = kernel.client.get_shell_msg(timeout=TIMEOUT)
    while reply["parent_header"]["msg_id"] != cell:
        reply = kernel.client.get_shell_msg(timeout=TIMEOUT)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert kernel.run("print('on')")[1].endswith("on\n")
    until(lambda: not kernel.others())
    kernel.end()


def test_the_history_is_the_parents(own_kernel: Kernel) -> None:
    kernel = own_kernel
    kernel.run("remembered = 1")
    kernel.run(forked("remembered_by_child = 1\nget_ipython().run_cell('by_child = 1', store_history=True)"))
    kernel.run("remembered_after = 1")
    kernel.end()
    import sqlite3

    database = sqlite3.connect(kernel.stderr.parent / "profile_default" / "history.sqlite")
    try:
        cells = [cell for (cell,) in database.execute("select source_raw from history")]
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    finally:
        database.close()
    assert cells[0] == "remembered = 1"
    assert cells[-1] == "remembered_after = 1"
    assert "by_child = 1" not in cells


def test_a_descriptor_that_is_gone_keeps_nobody_busy(own_kernel: Kernel) -> None:
    code = "import os\nnull = os.open(os.devnull, os.O_WRONLY)\nos.dup2(null, 1)\nos.dup2(null, 2)"
    assert own_kernel.run(code)[0]["status"] == "ok"
    reply, text = own_kernel.run(
        "import time\nbegan = time.process_time()\ntime.sleep(1)\nprint(time.process_time() - began)"
    )
    assert reply["status"] == "ok"
    assert float(text) < 0.2
    own_kernel.end()
