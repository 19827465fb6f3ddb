"""uvloop's event loop, for a kernel that is asked to use it.

What asyncio's loop does in its selector (see `fair.py`), where uvloop has none, is done around each callback:
threads take turns, and a process that user code forks off ends here. What uvloop calls by itself, a
protocol's `data_received` say, it calls as it is: the next callback sees to it. An interrupt ends that, too;
uvloop closes the transport then. It cannot wait inside a GUI toolkit.

Imported where it is asked for: uvloop is no dependency. Any thread that runs a loop.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import time
from collections.abc import Callable
from contextvars import Context
from typing import Any

from . import forks
from .fair import REST, TURN, run
from .signals import CALLBACKS

_uvloop: Any = importlib.import_module("uvloop")  # types are checked also where it is not: on Windows


class FairUvloop(_uvloop.Loop):
    """A loop that lets others have their turn."""

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()
        self._left = self._rested = time.monotonic()

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon(self._call, callback, *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return super().call_soon_threadsafe(self._call, callback, *args, context=context)

    def call_later(  # and `call_at`, which uvloop makes of it
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_later(delay, self._call, callback, *args, context=context)

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:
        super().add_reader(fd, self._call, callback, *args)

    def add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:
        super().add_writer(fd, self._call, callback, *args)

    def _call(self, callback: Callable[..., Any], *args: Any) -> None:
        if os.getpid() != self._process:
            forks.end_child_on_loop()
        now = time.monotonic()
        if now - self._left > REST:  # it has waited, or others have had their turn
            self._rested = now
        elif now - self._rested > TURN:
            time.sleep(REST)
            self._rested = time.monotonic()
        try:
            callback(*args)
        except (KeyboardInterrupt, SystemExit):  # the task has it
            # they would end uvloop's run, whose end and beginning change who is told of signals
            pass
        finally:
            self._left = time.monotonic()


CALLBACKS.add(FairUvloop._call.__code__)  # pyright: ignore[reportPrivateUsage]
CALLBACKS.add(run.__code__)  # uvloop has no frames of its own: here it is what calls a protocol
