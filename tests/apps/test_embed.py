"""`laneway.embed`: a kernel inside a running program."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import laneway
from laneway.client.client import Client
from laneway.protocol.errors import SettingsError

from .test_front_ends import Console

pytestmark = pytest.mark.anyio
TIMEOUT = 60


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the user's history and connection files alone."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))


async def printed(kc: Client, code: str) -> str:
    result = await kc.execute(code)
    assert result.status == "ok", result.reply
    return result.stdout


async def test_a_program_and_its_kernel() -> None:
    namespace: dict[str, Any] = {"value": 41, "__name__": "program"}
    out = io.StringIO()
    with redirect_stdout(out):
        with laneway.embed(namespace) as kernel:
            print("the program's")
            namespace["say"] = lambda: print("said by", threading.current_thread() is threading.main_thread())
            async with laneway.connect(kernel.connection_file) as kc:
                assert await printed(kc, "value += 1\nsay()\nprint(value)") == "said by False\n42\n"
                namespace["say"]()
                namespace["value"] = "changed"
                assert await printed(kc, "print(value)") == "changed\n"
                completed = await kc.complete("val")
                assert "value" in completed["matches"]
            assert not kernel.wait(0)
            assert "runs" in repr(kernel)
        assert kernel.wait(0)
        assert not kernel.connection_file.exists()
        kernel.stop()
    assert out.getvalue() == "the program's\nsaid by True\n"
    assert set(namespace) == {"value", "say", "__name__", "__builtins__"}
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("laneway", "IPython"))]


async def test_several_in_one_program() -> None:
    one, other = {"name": "one"}, {"name": "other"}
    with laneway.embed(one) as first, laneway.embed(other) as second:
        async with (
            laneway.connect(first.connection_file) as kc,
            laneway.connect(second.connection_file) as kc2,
            laneway.in_process() as kc3,
        ):
            code = "for i in range(2000): print(name)\nimport IPython\nIPython.get_ipython() is get_ipython()"
            running = [client.execute(code) for client in (kc, kc2)]
            assert await printed(kc3, "name = 'third'\nprint(name)") == "third\n"
            for execution, name in zip(running, ("one", "other"), strict=True):
                result = await execution
                assert result.stdout == f"{name}\n" * 2000
                assert result.outputs[-1].content["data"]["text/plain"] == "True"
        first.stop()
        async with laneway.connect(second.connection_file) as kc2:
            assert await printed(kc2, "print(name)") == "other\n"


async def test_it_ends_when_a_client_says_so() -> None:
    with laneway.embed() as kernel:
        async with laneway.connect(kernel.connection_file) as kc:
            assert await printed(kc, "print(sorted(name for name in dir() if name[0] != '_')[:3])")
            await kc.shutdown()
        assert kernel.wait(TIMEOUT)
    with laneway.embed() as kernel:
        async with laneway.connect(kernel.connection_file) as kc:
            assert (await kc.execute("exit")).status == "ok"
            assert kernel.wait(TIMEOUT)


async def test_a_cell_that_computes_is_interrupted() -> None:
    namespace: dict[str, Any] = {"begun": threading.Event()}
    with laneway.embed(namespace) as kernel:
        async with laneway.connect(kernel.connection_file) as kc:
            kc.execute("begun.set()\nwhile True: pass")
            assert namespace["begun"].wait(TIMEOUT)
            kernel.stop()


async def test_a_cell_that_does_not_end_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, Any] = {"begun": threading.Event(), "go": threading.Lock()}
    with namespace["go"]:
        kernel = laneway.embed(namespace)
        async with laneway.connect(kernel.connection_file) as kc:
            kc.execute("begun.set()\ngo.acquire()")
            assert namespace["begun"].wait(TIMEOUT)
            monkeypatch.setattr("laneway.apps.embed.PATIENCE", 0.1)
            with pytest.raises(TimeoutError, match="does not stop"):
                kernel.stop()
    assert kernel.wait(TIMEOUT)


async def test_the_connection_file(tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    with laneway.embed(connection_file=file) as kernel:
        first = json.loads(file.read_text())
        assert kernel.connection_file == file
        assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert not file.exists()
    file.write_text(json.dumps(first))
    with laneway.embed(connection_file=file):
        async with laneway.connect(file) as kc:
            assert json.loads(file.read_text())["key"] == first["key"]
            where = "get_ipython().config.IPKernelApp.connection_file"
            assert await printed(kc, f"print({where})") == f"{file}\n"
    assert file.exists(), "It was there before."
    file.write_text("{")
    with pytest.raises(SettingsError, match="is not JSON"):
        laneway.embed(connection_file=file)


PROGRAM = """
import sys, threading, laneway
value = 5
kernel = laneway.embed(globals())
print(kernel.connection_file, flush=True)
for line in sys.stdin:
    print("program:", line.strip(), value, flush=True)
"""


def start(code: str = PROGRAM, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_the_console_connects_and_the_program_goes_on(tmp_path: Path) -> None:
    with start() as program:
        assert program.stdout
        assert program.stdin
        file = program.stdout.readline().strip()
        console = Console(tmp_path, "--existing", file)
        console.until("In [1]: ")
        console.type("value = value + 1; print('cell:', value)")
        assert "cell: 6" in console.until("In [2]: ")
        program.stdin.write("line\n")
        program.stdin.flush()
        assert program.stdout.readline() == "program: line 6\n"
        console.type("print('answer', input('question? '))")
        console.until("question? ")
        console.type("yes")
        assert "answer yes" in console.until("In [3]: ")
        out, err = program.communicate(timeout=TIMEOUT)  # its end is the kernel's
        assert (out, err, program.returncode) == ("", "", 0)
        assert not Path(file).exists()
        console.close()


FORKS = """
import os, sys, warnings, laneway
warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: there are threads
namespace = {"os": os}
kernel = laneway.embed(namespace)
child = os.fork()
if child == 0:
    print("child", flush=True)
    kernel.stop()
    print(kernel.connection_file.exists(), flush=True)
    with laneway.embed(namespace) as own:
        print(own.connection_file != kernel.connection_file, flush=True)
    sys.exit(3)
print("exit", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), kernel.connection_file.exists())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX only")
def test_a_program_that_forks() -> None:
    with start(FORKS) as program:
        out, err = program.communicate(timeout=TIMEOUT)
    assert (out, err, program.returncode) == ("child\nTrue\nTrue\nexit 3 True\n", "", 0)


IN_A_TERMINAL = """
import laneway, asyncio
kernel = laneway.embed(globals())
value = "shared"
code = "print(type(get_ipython()).__name__, value)\\n%who_ls str\\nmade = 5; 6"
async def ask():
    async with laneway.connect(kernel.connection_file) as kc:
        result = await kc.execute(code)
        print(result.status, result.stdout, end="")
        result = await kc.execute("exit")

asyncio.run(ask())
kernel.wait()
type(get_ipython()).__name__
value, made, [6 in Out.values()]
exit
y
"""


def test_in_ipythons_terminal() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--simple-prompt", "--colors=NoColor"],
        input=IN_A_TERMINAL.lstrip(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    assert "Traceback" not in result.stdout + result.stderr, result.stdout
    assert "ok ZMQInteractiveShell shared\n" in result.stdout
    assert "'TerminalInteractiveShell'" in result.stdout
    assert "('shared', 5, [False])" in result.stdout
