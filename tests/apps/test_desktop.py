"""`python -m laneway`: a process, seen from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from laneway.transports.connection import Connection
from tests.transports.zmq_peers import RawClient

TIMEOUT = 20


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "laneway", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


@dataclass
class Kernel:
    """A kernel process and a raw client of it."""

    process: subprocess.Popen[str]
    client: RawClient

    def execute(self, code: str) -> str:
        """Send a cell; its id."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        content |= {"allow_stdin": False, "stop_on_error": True}
        return self.client.send(content, msg_type="execute_request")

    def reply(self) -> dict[str, Any]:
        return self.client.receive()["content"]

    def printed(self) -> str:
        """The text of the next stream message."""
        while True:
            message = self.client.receive("iopub")
            if message["header"]["msg_type"] == "stream":
                return message["content"]["text"]

    def shut_down(self) -> None:
        self.client.send({"restart": False}, channel="control", msg_type="shutdown_request")
        assert self.client.receive("control")["content"]["status"] == "ok"

    def code(self) -> int:
        """The exit code, when it has ended."""
        return self.process.wait(TIMEOUT)


@contextmanager
def kernel(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> Generator[Kernel]:
    """A kernel on a connection whose ports it has chosen itself."""
    file = folder / "connection.json"
    Connection.new().write(file)
    process = subprocess.Popen(
        [sys.executable, "-m", "laneway", "-f", str(file), *arguments],
        env={**os.environ, **(env or {})},
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: Connection.read(file).shell_port != 0)
        with RawClient(Connection.read(file)) as client:
            assert client.receive("iopub")["header"]["msg_type"] == "iopub_welcome"
            yield Kernel(process, client)
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Any) -> None:
    """Until a change that sends no event."""
    pause = threading.Event()
    for _ in range(TIMEOUT * 100):
        if condition():
            return
        pause.wait(0.01)
    raise TimeoutError


def test_version_and_help() -> None:
    assert run("--version").stdout.startswith("laneway ")
    assert "--connection-file" in run("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--shell=x"], "laneway: The field 'shell_port' must be a port number, not 'x'."),
        (["--InteractiveShell.cache_size=x"], "laneway: The configuration cannot be used: "),
        (["-f"], "laneway: Argument -f/--f/--connection-file: expected one argument."),
        (["-f", "missing.json"], "laneway: The connection file missing.json cannot be read"),
        (["--f={}"], "laneway: The connection file {} cannot be read"),
        (["--profile=a/b"], "laneway: The setting 'profile' must be without '/', not 'a/b'."),
        (["--profile="], "laneway: The setting 'profile' must be a text, not ''."),
    ],
)
def test_what_cannot_be_used_is_one_sentence(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(said)
    assert result.stderr.count("\n") == 1


def test_a_bad_connection_file_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    for text in ("{", '{"shell_port": 1}'):
        file.write_text(text)
        result = run("--connection-file", str(file))
        assert (result.returncode, result.stderr.count("\n")) == (2, 1)


def test_what_it_does_not_know_on_its_command_line_is_a_warning(tmp_path: Path) -> None:
    with kernel(
        tmp_path, "--bogus", "--more=1", "script.py", "--HistoryManager.hist_file=:memory:"
    ) as served:
        served.execute("print(get_ipython().history_manager.hist_file)")
        assert served.printed() == ":memory:\n"
        served.shut_down()
        assert served.code() == 0
        assert served.process.stderr is not None
        assert served.process.stderr.read() == (
            "laneway: There is no argument --bogus; it has no effect.\n"
            "laneway: There is no argument --more; it has no effect.\n"
        )


def test_it_runs_a_cell_and_shuts_down(tmp_path: Path) -> None:
    with kernel(tmp_path) as served:
        served.execute("import sys; print('' in sys.path, __name__)")
        assert served.printed() == "True __main__\n"
        assert served.reply()["status"] == "ok"
        served.shut_down()
        assert served.code() == 0
        assert served.process.stderr is not None
        assert served.process.stderr.read() == ""
    assert json.loads((tmp_path / "connection.json").read_text())["shell_port"] > 0


def test_a_file_beside_the_notebook_shadows_no_module_of_the_kernel(tmp_path: Path) -> None:
    for name in ("random", "queue", "colorsys"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('shadowed')")
    (tmp_path / "helper.py").write_text("value = 42")
    with kernel(tmp_path) as served:
        served.execute("import random, colorsys, helper; print(helper.value)")
        assert served.printed() == "42\n"


def test_heartbeat_while_a_cell_holds_the_interpreter(tmp_path: Path) -> None:
    with kernel(tmp_path) as served:
        served.execute("import ctypes; print('now', flush=True); ctypes.PyDLL(None).sleep(2)")
        assert served.printed() == "now\n"
        for _ in range(100):
            assert served.client.ping(b"beat") == b"beat"
        assert not served.client.sockets["shell"].poll(0)
        assert served.reply()["status"] == "ok"


def test_sigint_interrupts_the_cell_and_only_the_cell(tmp_path: Path) -> None:
    with kernel(tmp_path) as served:
        served.execute("import time\nprint('now', flush=True)\ntime.sleep(60)")
        assert served.printed() == "now\n"
        served.process.send_signal(signal.SIGINT)
        assert served.reply()["ename"] == "KeyboardInterrupt"
        served.execute("print('on')")
        assert served.printed() == "on\n"


def test_sigint_when_idle_ends_nothing(tmp_path: Path) -> None:
    with kernel(tmp_path) as served:
        served.process.send_signal(signal.SIGINT)
        served.execute("1")
        served.reply()  # the signal may be seen only now, and then it is this cell's
        served.execute("print('on')")
        assert served.printed() == "on\n"


_ENDLESS = {
    "in C": "import ctypes; ctypes.CDLL(None).sleep(60)",
    "swallows": """
while True:
    try:
        while True:
            pass
    except KeyboardInterrupt:
        pass
""",
    "leaves a thread": "import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()",
}


@pytest.mark.parametrize("name", _ENDLESS)
def test_a_cell_that_does_not_end_does_not_keep_the_process(tmp_path: Path, name: str) -> None:
    with kernel(tmp_path) as served:
        served.execute(f"print('now', flush=True)\n{_ENDLESS[name]}")
        assert served.printed() == "now\n"
        served.shut_down()
        assert served.code() == 0


def test_exit_handlers_of_user_code_run(tmp_path: Path) -> None:
    with kernel(tmp_path) as served:
        served.execute("import atexit, pathlib\natexit.register(pathlib.Path('ended').touch)\nprint('now')")
        assert served.printed() == "now\n"
        served.shut_down()
        assert served.code() == 0
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize("code", ["pass", "import time\ntime.sleep(60)"], ids=["idle", "busy"])
def test_it_ends_with_the_program_that_started_it(tmp_path: Path, code: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with kernel(tmp_path, env={"JPY_PARENT_PID": str(parent.pid)}) as served:
        served.execute(f"print('now', flush=True)\n{code}")
        assert served.printed() == "now\n"
        parent.communicate(b"\n", TIMEOUT)
        assert served.code() == 0


def test_bad_messages_do_not_end_it(tmp_path: Path) -> None:
    with kernel(tmp_path) as served:
        shell = served.client.sockets["shell"]
        for bad in ([b""], [b"<IDS|MSG>"], [b"<IDS|MSG>", b"0" * 64, b"{}", b"{}", b"{}", b"{}"]):
            shell.send_multipart(bad)
        for content in ([], 1, {"code": 1}, {"code": "1", "silent": 0}):
            served.client.send(json.dumps(content), msg_type="execute_request")
            assert served.reply()["status"] == "error"
        served.execute("print('on')")
        assert served.printed() == "on\n"


def test_without_a_connection_file_it_makes_one_and_says_how_to_connect(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "laneway"],
        env={**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        file = Path(process.stdout.readline().removeprefix("Connection file:").strip())
        assert f"jupyter console --existing {file.name}" in process.stdout.readline()
        wait_for(file.exists)
        with RawClient(Connection.read(file)) as client:
            served = Kernel(process, client)
            served.shut_down()
            assert served.code() == 0
        assert not file.exists()
    finally:
        process.kill()
        process.communicate()
