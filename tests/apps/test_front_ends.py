"""Front ends that are not ours, on the installed kernelspec, as they come."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

TIMEOUT = 30


# ---- programs on jupyter_client's blocking client


@contextmanager
def blocking() -> Generator[tuple[KernelManager, Any]]:
    """A kernel, its manager and its client, which is typed in part only."""
    km, kc = start_new_kernel(startup_timeout=TIMEOUT, kernel_name="laneway")
    try:
        yield km, kc
    finally:
        kc.stop_channels()
        km.shutdown_kernel()
        km.context.destroy(linger=0)  # it leaves its sockets open


def test_the_blocking_client() -> None:
    with blocking() as (_, kc):
        outputs: list[dict[str, Any]] = []

        def ask(question: dict[str, Any]) -> None:
            kc.input(f"{question['content']['prompt']}typed")

        code = "print(input('prompt: '))\ndisplay('shown')\n6 * 7"
        reply = kc.execute_interactive(
            code,
            allow_stdin=True,
            stdin_hook=ask,
            output_hook=outputs.append,
            user_expressions={"twice": "_ * 2"},
            timeout=TIMEOUT,
        )
        kinds = [output["msg_type"] for output in outputs]
        assert kinds == ["status", "execute_input", "stream", "display_data", "execute_result", "status"]
        assert outputs[2]["content"]["text"] == "prompt: typed\n"
        assert reply["content"]["user_expressions"]["twice"]["data"]["text/plain"] == "84"
        assert reply["metadata"]["started"]  # nbclient and JupyterLab time cells by it
        for answer, field in (
            (kc.kernel_info(reply=True, timeout=TIMEOUT), "language_info"),
            (kc.complete("prin", reply=True, timeout=TIMEOUT), "matches"),
            (kc.inspect("print", reply=True, timeout=TIMEOUT), "data"),
            (kc.comm_info(reply=True, timeout=TIMEOUT), "comms"),
            # as Qt console asks when it opens
            (kc.history(True, hist_access_type="tail", n=1000, reply=True, timeout=TIMEOUT), "history"),
            (
                kc.history(
                    hist_access_type="search", pattern="*6*", unique=True, reply=True, timeout=TIMEOUT
                ),
                "history",
            ),
        ):
            assert answer["content"]["status"] == "ok"
            assert field in answer["content"]


def test_jupyter_run(tmp_path: Path) -> None:
    """It gives its own arguments to the kernel, too."""
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint('run', 6 * 7)\n%time 1\n")
    command = [sys.executable, "-m", "jupyter_client.runapp", "--kernel=laneway", str(script)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    assert ran.stdout.startswith("run 42\n")
    assert "laneway:" not in ran.stderr


def test_interrupt_and_restart_by_the_manager() -> None:
    with blocking() as (km, kc):
        msg_id = kc.execute("print('ready')\nimport time; time.sleep(1000)")
        while kc.get_iopub_msg(timeout=TIMEOUT)["content"].get("text") != "ready\n":
            pass
        km.interrupt_kernel()
        reply = kc.get_shell_msg(timeout=TIMEOUT)
        assert reply["parent_header"]["msg_id"] == msg_id
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        kc.execute_interactive("kept = 1", timeout=TIMEOUT)
        km.restart_kernel()
        kc.wait_for_ready(timeout=TIMEOUT)
        assert kc.execute_interactive("kept", timeout=TIMEOUT)["content"]["ename"] == "NameError"


def test_a_second_client_sees_what_the_first_does() -> None:
    with blocking() as (km, first):
        second = BlockingKernelClient(connection_file=km.connection_file)
        second.load_connection_file()
        second.start_channels()
        second.wait_for_ready(timeout=TIMEOUT)
        msg_id = first.execute("print('from the first')")
        texts: list[str] = []
        while "from the first\n" not in texts:
            message = second.get_iopub_msg(timeout=TIMEOUT)
            if message["msg_type"] == "stream":
                assert message["parent_header"]["msg_id"] == msg_id
                texts.append(message["content"]["text"])
        seen = second.execute_interactive("print('from the second')", timeout=TIMEOUT)
        assert seen["content"]["status"] == "ok"
        assert first.get_shell_msg(timeout=TIMEOUT)["parent_header"]["msg_id"] == msg_id
        second.stop_channels()
        second.context.destroy(linger=0)


# ---- the console


class Console:
    """`jupyter console`, as somebody types into it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._child: Any = pexpect.spawn(
            sys.executable,
            ["-m", "jupyter_console", "--simple-prompt", *(arguments or ["--kernel=laneway"])],
            env={**os.environ, "TERM": "dumb", "IPYTHONDIR": str(folder)},
            encoding="utf-8",
            timeout=TIMEOUT,
            echo=False,
        )

    def until(self, text: str) -> str:
        """What is printed before `text`."""
        self._child.expect_exact(text)
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self._child.before)

    def type(self, line: str) -> None:
        self._child.sendline(line)

    def interrupt(self) -> None:
        self._child.sendintr()

    def close(self) -> None:
        """Whatever it does."""
        self._child.close(force=True)

    def ended(self) -> int:
        """The exit code, once it has ended."""
        self._child.expect(pexpect.EOF)
        self._child.close()
        return self._child.exitstatus


def test_the_console(tmp_path: Path) -> None:
    console = Console(tmp_path)
    console.until("In [1]: ")
    console.type("print('printed'); 6 * 7")
    assert "printed" in console.until("Out[1]: ")
    assert "42" in console.until("In [2]: ")
    console.type("print('answer', input('question? '))")
    console.until("question? ")
    console.type("yes")
    assert "answer yes" in console.until("In [3]: ")
    console.type("1 / 0")
    assert "ZeroDivisionError" in console.until("In [4]: ")
    console.type("print('asleep', flush=True); import time; time.sleep(1000)")
    console.until("asleep")
    console.interrupt()
    assert "KeyboardInterrupt" in console.until("In [5]: ")
    console.type("len?")
    assert "Return the number of items" in console.until("In [6]: ")
    console.type("!echo from a shell")
    assert "from a shell" in console.until("In [7]: ")
    console.type("exit")
    assert console.ended() == 0
