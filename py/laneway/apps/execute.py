"""`laneway exec`: a program runs on a kernel, and what it outputs is shown as it comes.

All cells are sent at once, so that task cells run beside the others and one that raises aborts those behind
it, as in a notebook. Text goes where a script's would go: streams to the stream of their name, results to
stdout, tracebacks to stderr. With `--json` stdout has an object per line:

    {"event": "output", "cell": 1, "msg_type": "stream", "content": {...}, "metadata": {}, "buffers": []}
    {"event": "cell", "cell": 1, "status": "ok", "execution_count": 1, "dropped": 0}
    {"event": "cell", "cell": 2, "status": "error", ..., "ename": "...", "evalue": "..."}
    {"event": "end", "exit_code": 1, "reason": null}

`cell` counts from 1; `msg_type`, `content` and `metadata` are the messaging spec's, `buffers` are in Base64;
`dropped` says how many outputs the client has not kept. The last line is always there; its `reason` is the
sentence that is on stderr. Joins the client with a terminal.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import getpass
import json
import os
import re
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import click
import nbformat
from jupyter_client.connect import find_connection_file
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from ..client.client import Client
from ..client.execution import ExecResult, Execution, State
from ..client.launch import connect, launch
from ..client.outputs import Output
from ..client.server import connect_server
from ..protocol.errors import KernelError, SettingsError
from ..protocol.message import Content
from .cli import say
from .settings import KernelSettings

RAISED, UNREACHED, TIMED_OUT = 1, 3, 124

PATIENCE = 5.0
"""Seconds in which cells that are interrupted may end."""


@dataclass(frozen=True)
class Cell:
    """One to run."""

    code: str
    tags: Sequence[str] = ()
    """As of a notebook: `task`, `raises-exception`, ..."""


@dataclass(frozen=True)
class Program:
    """Cells, and how they are run."""

    cells: Sequence[Cell]
    keep_going: bool = False
    """Also after one that has raised."""
    reads_stdin: bool = True
    """Do `input()` and `getpass()` read what we are given?"""


@dataclass(frozen=True)
class Target:
    """The kernel that is meant: see the options of `laneway exec`."""

    existing: str | None = None
    kernel: str | None = None
    url: str | None = None
    token: str | None = None
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    settings: KernelSettings = field(default_factory=KernelSettings)

    def client(self) -> Client:
        """A client of it. Raises SettingsError where the options do not go together, or name what is not
        there.
        """
        said = {"--cwd": self.cwd, "--env": self.env, "settings": self.settings.arguments()}
        for option in (option for option, value in said.items() if value):
            if self.existing or self.url or (self.kernel and option == "settings"):
                raise SettingsError(
                    f"With {option} a new kernel of Laneway's own is needed, and another is named."
                )
        if self.existing and (self.url or self.kernel):
            raise SettingsError("Say one of --existing, --kernel and --url.")
        if self.token and not self.url:
            raise SettingsError("A --token is for a server; say its --url.")
        if self.existing:
            return connect(_connection_file(self.existing))
        if self.url:
            if not self.url.startswith(("http://", "https://")):
                raise SettingsError(f"The --url must begin with http:// or https://, not be {self.url!r}.")
            return connect_server(self.url, self.token, self.kernel or "laneway")
        if self.cwd and not Path(self.cwd).is_dir():
            raise SettingsError(f"There is no folder {self.cwd}.")
        argv, env = _command(self.kernel) if self.kernel else (None, {})
        if argv is None:
            argv = [sys.executable, "-m", "laneway", "-f", "{connection_file}", *self.settings.arguments()]
        return launch(argv, cwd=self.cwd, env={**os.environ, **env, **self.env})


def read_cells(path: str) -> list[Cell]:
    """The cells of a notebook (`.ipynb`), or the one that any other file is; `-` is stdin. Raises
    SettingsError where it cannot be read.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        if not path.endswith(".ipynb"):
            return [Cell(text)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what nbformat mends
            notebook: Any = nbformat.reads(text, as_version=4)
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    except Exception as error:  # nbformat's are of many kinds
        raise SettingsError(f"{path} is no notebook: {str(error).partition(chr(10))[0]}.") from None
    return [
        Cell(cell.source, cell.metadata.get("tags", ()))
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.source.strip()
    ]


def _connection_file(name: str) -> str:
    try:
        return find_connection_file(name)
    except OSError:
        raise SettingsError(
            f"There is no connection file {name!r}, here or among Jupyter's kernels."
        ) from None


def _command(name: str) -> tuple[list[str], Mapping[str, str]]:
    """The command of a kernelspec, as `jupyter_client` makes it, and its environment."""
    try:
        spec: Any = KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        raise SettingsError(
            f"There is no kernelspec {name!r}; `jupyter kernelspec list` has them all."
        ) from None
    argv = [part.replace("{resource_dir}", spec.resource_dir) for part in spec.argv]
    major, minor = sys.version_info[:2]
    if argv[0] in ("python", f"python{major}", f"python{major}.{minor}"):
        argv[0] = sys.executable
    return argv, spec.env


async def execute(client: Client, program: Program, timeout: float | None, *, as_json: bool) -> int:
    """Run the program, show what it outputs, and return the exit code. The cells that run are interrupted
    where the time is over, or who waits is cancelled (Ctrl-C).
    """
    view: _View = _JsonLines() if as_json else _Text(_Progress(len(program.cells)))
    code, reason = UNREACHED, None
    limit = asyncio.timeout(timeout)
    try:
        async with limit, client as kc:
            code = await _run(kc, program, view)
    except _NoMoreInputError as error:
        code, reason = RAISED, str(error)
    except KernelError as error:
        reason = str(error)
    except TimeoutError:
        if not limit.expired():
            raise
        code, reason = TIMED_OUT, f"The program has not ended after {timeout:g} s."
    except asyncio.CancelledError:
        code, reason = 130, "Interrupted."
        raise
    finally:
        view.end(code, reason)
    return code


async def _run(kc: Client, program: Program, view: _View) -> int:
    hook = _Stdin() if program.reads_stdin else None
    may_raise = ["raises-exception" in cell.tags or program.keep_going for cell in program.cells]
    runs = [
        kc.execute(
            cell.code,
            stop_on_error=not tolerated,
            stdin=hook,
            metadata={"tags": list(cell.tags)} if cell.tags else {},
        )
        for cell, tolerated in zip(program.cells, may_raise, strict=True)
    ]
    try:
        results = await asyncio.gather(*(_follow(at, run, view) for at, run in enumerate(runs, 1)))
    except asyncio.CancelledError:
        await _interrupt(runs)
        raise
    tolerated = ["raises-exception" in cell.tags for cell in program.cells]
    failed = [
        result for fine, result in zip(tolerated, results, strict=True) if not fine and result.status != "ok"
    ]
    codes = [_code_of(result.error) for result in failed if result.error]
    # a cell that has failed is not outweighed by another that calls `sys.exit(0)`; what is aborted is so by
    # one of them, or else by one of another client
    return next(filter(None, codes), RAISED if failed and not codes else 0)


def _code_of(error: Content) -> int:
    """That of a program which ends so; one that calls `sys.exit` chooses it."""
    if error.get("ename") != "SystemExit":
        return RAISED
    code = _exit_code(error["evalue"])
    return RAISED if code is None else code


def _exit_code(said: str) -> int | None:
    """What the argument of `sys.exit` means, as text; None where it is a message."""
    if said in ("", "None"):
        return 0
    return int(said) & 0xFF if re.fullmatch(r"-?\d+", said) else None


async def _follow(number: int, run: Execution, view: _View) -> ExecResult:
    exits = False
    async for output in run:
        exits = exits or (output.msg_type == "error" and output.content["ename"] == "SystemExit")
        advised = exits and output.msg_type == "stream"
        view.output(number, _without_advice(output) if advised else output)
    result = await run
    view.ended(number, result)
    return result


_ADVICE = re.compile(
    r"^.*: UserWarning: To exit: use 'exit', 'quit', or Ctrl-D\.\n(  warn\(.*\n)?", re.MULTILINE
)


def _without_advice(stream: Output) -> Output:
    """Without what IPython, in whatever kernel, says after `sys.exit` to people at a prompt."""
    return replace(stream, content={**stream.content, "text": _ADVICE.sub("", stream.content["text"])})


async def _interrupt(runs: Sequence[Execution]) -> None:
    """On a kernel that is not ours they would go on. The last first: none is to begin meanwhile."""
    left = [run for run in reversed(runs) if run.state in (State.QUEUED, State.RUNNING)]
    cancelling = [asyncio.ensure_future(run.cancel()) for run in left]
    if cancelling:
        _, late = await asyncio.wait(cancelling, timeout=PATIENCE)
        for task in late:
            task.cancel()
    for task in cancelling:
        with contextlib.suppress(KernelError, asyncio.CancelledError):
            await task


class _NoMoreInputError(Exception):
    """Of the program, not of the kernel."""


class _Stdin:
    """Answers what cells ask with the lines of our stdin. One asks at a time."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def __call__(self, prompt: str, password: bool) -> str:
        async with self._one:
            loop = asyncio.get_running_loop()
            line: asyncio.Future[str | None] = loop.create_future()

            def read() -> None:
                text = _read_line(prompt, password)
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for it any more
                    loop.call_soon_threadsafe(lambda: line.done() or line.set_result(text))

            # asyncio's own threads are waited for at the end, and nobody may ever type a line
            threading.Thread(target=read, name="laneway stdin", daemon=True).start()
            answer = await line
            if answer is None:
                raise _NoMoreInputError("A cell asks for input, and stdin has no more.")
            return answer


def _read_line(prompt: str, password: bool) -> str | None:
    if password and sys.stdin.isatty():
        return getpass.getpass(prompt)
    click.echo(prompt, nl=False, err=True)  # stdout is the program's
    line = b""
    while not line.endswith(b"\n"):  # unbuffered: a thread that waits must not hold the lock of `sys.stdin`
        if not (byte := os.read(0, 1)):
            return line.decode(errors="replace") if line else None
        line += byte
    return line.decode(errors="replace").rstrip("\r\n")


class _View(Protocol):
    """Shows a program that runs."""

    def output(self, number: int, output: Output) -> None: ...
    def ended(self, number: int, result: ExecResult) -> None: ...
    def end(self, code: int, reason: str | None) -> None: ...


class _Text:
    """As a script's output."""

    def __init__(self, progress: _Progress) -> None:
        self._progress = progress

    def output(self, number: int, output: Output) -> None:
        content = output.content
        match output.msg_type:
            case "stream":
                self._write(content["text"], err=content["name"] == "stderr")
            case "error" if content["ename"] == "SystemExit":
                if _exit_code(content["evalue"]) is None:
                    self._write(content["evalue"] + "\n", err=True)
            case "error":
                self._write("\n".join(content["traceback"]) + "\n", err=True)
            case "execute_result" | "display_data" | "update_display_data":
                self._write(f"{content['data'].get('text/plain', '')}\n")
            case _:
                pass  # clear_output: what is printed is printed

    def ended(self, number: int, result: ExecResult) -> None:
        self._progress.advance()
        if result.dropped:
            self._write(f"laneway: {result.dropped} outputs were too much and are missing.\n", err=True)

    def end(self, code: int, reason: str | None) -> None:
        self._progress.close()
        if reason:
            say(reason)

    def _write(self, text: str, err: bool = False) -> None:
        self._progress.make_room(sys.stderr.isatty() if err else sys.stdout.isatty())
        click.echo(text, nl=False, err=err)


class _JsonLines:
    def output(self, number: int, output: Output) -> None:
        buffers = [base64.b64encode(buffer).decode() for buffer in output.buffers]
        fields = {"msg_type": output.msg_type, "content": output.content, "metadata": output.metadata}
        self._write("output", cell=number, **fields, buffers=buffers)

    def ended(self, number: int, result: ExecResult) -> None:
        error = result.error or {}
        why = {name: error[name] for name in ("ename", "evalue") if name in error}
        self._write(
            "cell",
            cell=number,
            status=result.status,
            execution_count=result.execution_count,
            dropped=result.dropped,
            **why,
        )

    def end(self, code: int, reason: str | None) -> None:
        self._write("end", exit_code=code, reason=reason)
        if reason:
            say(reason)

    def _write(self, event: str, **fields: Any) -> None:
        click.echo(json.dumps({"event": event, **fields}))


class _Progress:
    """A bar in the last line of the terminal, where stderr is one, until the cell that runs outputs something
    there. It comes back with the next cell.
    """

    def __init__(self, total: int) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("cells"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(
            *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
        )
        self._task = self._bar.add_task("", total=total)
        self._bar.start()

    def advance(self) -> None:
        self._bar.advance(self._task)
        if not self._bar.finished:
            self._bar.start()

    def make_room(self, in_terminal: bool) -> None:
        """Something is written, perhaps where the bar is."""
        if in_terminal:
            self._bar.stop()

    def close(self) -> None:
        self._bar.stop()
