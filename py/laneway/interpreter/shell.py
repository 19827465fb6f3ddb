"""IPython's shell, with its seams joined to messages."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from IPython.core.autocall import ExitAutocall, ZMQExitAutocall
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.payload import PayloadManager
from traitlets import Instance, Type, default
from traitlets.config import Config

from ..protocol.message import Content, error_content
from ..protocol.ports import Context
from .display import LanewayDisplayHook, LanewayDisplayPublisher
from .history import IN_BROWSER, History
from .run import Runs
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


class Shell(InteractiveShell):
    """One shell per kernel. `connect` before it runs code."""

    displayhook_class = Type(LanewayDisplayHook)
    display_pub_class = Type(LanewayDisplayPublisher)
    payload_manager = Instance(PayloadManager)

    exiter = Instance(ExitAutocall)

    runs: Runs
    streams: Streams
    context: Context
    kernel: Any = None
    """What packages find as `get_ipython().kernel`."""

    def __init__(self, context: Context, runs: Runs, streams: Streams, **traits: Any) -> None:
        self.context = context
        self.runs = runs
        self.streams = streams
        super().__init__(**traits)
        self.input_transformers_cleanup.append(_without_mode_line)
        self.set_hook("show_in_pager", self._page, 99)

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

    @default("exiter")
    def _exiter(self) -> ExitAutocall:
        return ZMQExitAutocall(self)  # `exit(True)` keeps the kernel

    def init_payload(self) -> None:
        self.payload_manager = Payloads(self.runs, parent=self)

    def init_history(self) -> None:
        self.history_manager = History(shell=self, parent=self)
        self.configurables.append(self.history_manager)  # pyright: ignore[reportArgumentType]

    def init_virtualenv(self) -> None:
        """A kernel is started in the environment that it is meant to run in."""

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Show an exception up to the user's own line: how we interrupt or ask is no concern of theirs."""
        value = sys.exc_info()[1] if exc_tuple is None else exc_tuple[1]
        if isinstance(value, BaseException):
            value.__traceback__ = _without_our_end(value.__traceback__)
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


def _without_our_end(traceback: TracebackType | None) -> TracebackType | None:
    entries: list[TracebackType] = []
    while traceback:
        entries.append(traceback)
        traceback = traceback.tb_next
    while len(entries) > 1 and entries[-1].tb_frame.f_code.co_filename.startswith(_PACKAGE):
        entries.pop()
    shortened = None
    for entry in reversed(entries):
        shortened = TracebackType(shortened, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return shortened


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
