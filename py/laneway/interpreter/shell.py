"""IPython's shell, with its seams joined to messages."""

from __future__ import annotations

import ast
import os
import re
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import CalledProcessError
from types import TracebackType
from typing import Any

from IPython.core.autocall import ExitAutocall, ZMQExitAutocall
from IPython.core.compilerop import CachingCompiler, code_name
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.payload import PayloadManager
from IPython.utils.capture import CapturedIO
from traitlets import CBool, Instance, Type, default
from traitlets.config import Config

from ..protocol.message import Content, error_content
from ..protocol.ports import Context
from . import processes
from .capture import Capture
from .display import LanewayDisplayFormatter, LanewayDisplayHook, LanewayDisplayPublisher
from .history import IN_BROWSER, History
from .kernel_magics import KernelMagics
from .magics import AwaitedMagics
from .run import RUN, Run, Runs
from .streams import Streams


def default_config() -> Config:
    """Where no thread can be had, history is kept in memory. Elsewhere it is written in batches, not once per
    cell.
    """
    config = Config()
    if IN_BROWSER:
        config.HistoryAccessor.hist_file = ":memory:"
    else:
        config.HistoryManager.db_cache_size = 1_000_000  # never by itself: `Session` says when
    return config


class Payloads(PayloadManager):
    """The payload of a reply, kept per run."""

    def __init__(self, runs: Runs, **traits: Any) -> None:
        super().__init__(**traits)
        self._runs = runs

    @property
    def _payload(self) -> list[Content]:  # pyright: ignore[reportIncompatibleVariableOverride]
        run = self._runs.current
        return run.payload if run else []


_ENVIRONMENT = {
    "TERM": "xterm-color",
    "CLICOLOR": "1",
    "CLICOLOR_FORCE": "1",
    "FORCE_COLOR": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
}
"""As in ipykernel: programs that a cell starts have colours, and no pager that waits for a key."""


_RESERVE = 8 << 20 if IN_BROWSER else 0
"""Bytes that are kept for the answer to a cell that has used up all memory, which a browser bounds. (A
desktop kills the process instead.)
"""


class Compiler(CachingCompiler):
    """Keeps the source of cells that are the same once, so that a cell run for ever needs no more memory.
    Puts an `await` before the magics that want one, where there are magics: a tree that is walked through for
    each cell would take as long as it takes to compile it.
    """

    await_magics: ast.NodeTransformer | None = None

    def ast_parse(self, source: str, filename: str = "<unknown>", symbol: str = "exec") -> ast.AST:
        tree = super().ast_parse(source, filename, symbol)
        if self.await_magics and "get_ipython().run_" in source:
            tree = self.await_magics.visit(tree)
        return tree

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return code_name(transformed_code)


class ZMQInteractiveShell(InteractiveShell):
    """One shell per kernel. Many programs know by this name of the class that they run in a kernel."""

    compile: Compiler
    compiler_class = Type(Compiler)
    displayhook_class = Type(LanewayDisplayHook)
    display_pub_class = Type(LanewayDisplayPublisher)
    payload_manager = Instance(PayloadManager)

    exiter = Instance(ExitAutocall)
    autoindent = CBool(False)

    runs: Runs
    streams: Streams
    context: Context
    kernel: Any = None
    """What packages find as `get_ipython().kernel`."""

    def __init__(
        self, context: Context, runs: Runs, streams: Streams, *, own_process: bool = False, **traits: Any
    ) -> None:
        self.context = context
        self.runs = runs
        self.streams = streams
        self._own_process = own_process
        self._count = 1
        self._counting = threading.Lock()
        self._reserve = bytearray(_RESERVE)
        super().__init__(**traits)
        self.awaited_magics = AwaitedMagics(self)
        self.compile.await_magics = self.awaited_magics.transformer
        self.input_transformers_cleanup.append(_without_mode_line)
        self.set_hook("show_in_pager", self._page, 99)

    # ---- execution counts: each run has its own, given out when it begins

    @property
    def execution_count(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """IPython has one for all; cells that overlap, on several threads too, need one each."""
        run = RUN.get()
        return self._count if run is None or run.next_count is None else run.next_count

    @execution_count.setter
    def execution_count(self, count: int) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        run = RUN.get()
        if run is None or run.next_count is None:
            self._count = count
        else:
            run.next_count = count

    def begin(self, run: Run, *, counted: bool) -> None:
        """`run`, a cell, begins. If it is `counted`, the next one has another count."""
        with self._counting:
            run.execution_count = run.next_count = self._count
            self._count += counted
        self.runs.begin(run)

    def end(self, run: Run) -> None:
        """`run` has ended. What its code has made of the count holds for those that come."""
        self.runs.end(run)
        if len(self._reserve) < _RESERVE:
            with suppress(MemoryError):
                self._reserve = bytearray(_RESERVE)
        if run.next_count not in (None, run.execution_count, (run.execution_count or 0) + 1):
            self._count = run.next_count

    # ---- output

    def publish(
        self,
        msg_type: str,
        content: Content,
        *,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> None:
        """Send output in the name of the current run, after what it has printed."""
        self.streams.flush()
        self.context.publish(self.runs.parent, msg_type, content, metadata=metadata, buffers=buffers)

    @contextmanager
    def capture(self, **wanted: bool) -> Generator[CapturedIO]:
        """Keep the output of the current run; `wanted` are arguments of `Capture`."""
        capture = Capture(**wanted)
        run = self.runs.current
        self.streams.flush()
        if run:
            run.captures.append(capture)
        try:
            yield CapturedIO(capture.stdout, capture.stderr, capture.outputs)
        finally:
            self.streams.drain()
            if run:
                run.captures.remove(capture)

    async def await_magic(self, name: str, line: str, cell: str | None = None) -> Any:
        """What a magic that awaits becomes, see `magics.py`."""
        return await self.awaited_magics.run(name, line, cell)

    # ---- IPython's seams

    @default("exiter")
    def _exiter(self) -> ExitAutocall:
        return ZMQExitAutocall(self)  # `exit(True)` keeps the kernel

    def init_display_formatter(self) -> None:
        self.display_formatter = LanewayDisplayFormatter(parent=self)
        self.configurables.append(self.display_formatter)  # pyright: ignore[reportArgumentType]

    def init_payload(self) -> None:
        self.payload_manager = Payloads(self.runs, parent=self)

    def init_history(self) -> None:
        self.history_manager = History(shell=self, parent=self)
        self.configurables.append(self.history_manager)  # pyright: ignore[reportArgumentType]

    def init_environment(self) -> None:
        if self._own_process:
            os.environ.update(_ENVIRONMENT)
        if self._own_process or IN_BROWSER:
            os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")

    def init_magics(self) -> None:
        super().init_magics()
        self.register_magics(KernelMagics)
        self.magics_manager.register_alias("ed", "edit")
        self.magics_manager.register_lazy("store", "IPython.extensions.storemagic", "line")

    def system_piped(self, cmd: str) -> None:
        """As IPython's, but that an interrupt ends the cell; the exit code becomes `_exit_code`."""
        if os.name != "posix" or IN_BROWSER or cmd.rstrip().endswith("&"):
            super().system_piped(cmd)
            return
        code = processes.system(self.var_expand(cmd, depth=1))
        self.user_ns["_exit_code"] = code
        if self.system_raise_on_error and code != 0:
            raise CalledProcessError(code, cmd)

    system = system_piped

    def get_parent(self) -> dict[str, Any]:
        """The request of the running cell, as ipykernel's shell says it."""
        return self.kernel.get_parent()

    @property
    def parent_header(self) -> dict[str, Any]:
        """The same."""
        return self.kernel.get_parent()

    def init_virtualenv(self) -> None:
        """A kernel is started in the environment that it is meant to run in."""

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Show an exception without our own frames: how a cell is run, interrupted or asked is no concern of
        its.
        """
        value = sys.exc_info()[1] if exc_tuple is None else exc_tuple[1]
        if isinstance(value, MemoryError):
            self._reserve.clear()
        if isinstance(value, BaseException):
            _hide_ours(value)
            exc_tuple = (type(value), value, value.__traceback__)
        super().showtraceback(exc_tuple, *args, **kwargs)

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        # IPython's seam for the display of errors, whatever its name says
        error = error_content(getattr(etype, "__name__", str(etype)), _text(evalue), stb)
        if run := self.runs.current:
            run.error = error
        self.publish("error", {key: value for key, value in error.items() if key != "status"})

    def set_next_input(self, text: str, replace: bool = False) -> None:
        """Offer `text` as the next cell, or in place of this one."""
        payload = {"source": "set_next_input", "text": text, "replace": replace}
        self.payload_manager.write_payload(payload)

    def ask_exit(self) -> None:
        """End the kernel, once this cell has been answered."""
        keep = self.keepkernel_on_exit is True
        self.exit_now = not keep
        self.payload_manager.write_payload({"source": "ask_exit", "keepkernel": keep})

    keepkernel_on_exit: bool | None = None
    """IPython's `exit` sets it."""

    def enable_gui(self, gui: str | None = None) -> None:
        """GUI event loops are not integrated yet; `inline` needs none."""
        if gui not in (None, "inline"):
            from IPython.core.error import UsageError  # only when it is needed

            raise UsageError(f"Laneway does not run the event loop of {gui!r} yet; %matplotlib inline works.")

    def _page(
        self, _shell: Any, data: str | dict[str, Any], start: int = 0, *_args: Any, **_kwargs: Any
    ) -> None:
        bundle = data if isinstance(data, dict) else {"text/plain": data}
        self.payload_manager.write_payload({"source": "page", "data": bundle, "start": max(0, start)})


_PACKAGE = str(Path(__file__).parents[1])


def _hide_ours(value: BaseException | None) -> None:
    """Take our frames out of the traceback of `value` and of those that it comes from."""
    seen: set[int] = set()
    while value is not None and id(value) not in seen:
        seen.add(id(value))
        value.__traceback__ = _without_ours(value.__traceback__)
        value = value.__cause__ or value.__context__


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    entries: list[TracebackType] = []
    while traceback:
        entries.append(traceback)
        traceback = traceback.tb_next
    if not entries:
        return None
    # the first one IPython takes away by itself
    first, *rest = entries
    shortened = None
    for entry in reversed([first, *(entry for entry in rest if not _is_ours(entry))]):
        shortened = TracebackType(shortened, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return shortened


def _is_ours(entry: TracebackType) -> bool:
    return entry.tb_frame.f_code.co_filename.startswith(_PACKAGE)


_MODE_LINE = re.compile(r"%%(queue|task|thread)[ \t]*\n?$")


def _without_mode_line(lines: list[str]) -> list[str]:
    """`%%task` has been read by the core. It becomes a comment, so that lines keep their numbers, or goes
    where a cell magic follows.
    """
    if lines and _MODE_LINE.match(lines[0]):
        rest = lines[1:]
        return rest if rest and rest[0].startswith("%%") else ["#\n", *rest]
    return lines


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"<its str() raised {type(error).__name__}>"
