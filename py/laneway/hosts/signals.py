"""SIGINT on the process's main thread: sent by us to interrupt a job there, or by somebody else.

A signal ends blocking system calls of the main thread, and where this process leads its group (as Jupyter
starts it), the programs that a cell waits for. But one that comes just before a system call does not end it:
CPython only notes it then. So what has been noted and not been handled is sent again. Stdlib only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from types import FrameType

_INTERVAL = 0.01
"""Seconds after which a signal that had no effect is sent again; each time they double."""

_ECHO = 0.005
"""Seconds within which one that was sent a moment too late arrives."""

_OURS = str(Path(__file__).parents[1])
_ASYNCIO = str(Path(asyncio.__file__).parent)


Handler = Callable[[int, "FrameType | None"], object]
"""What Python calls on a signal, with its number and where the main thread is."""


class MainSignal:
    """SIGINT for a worker on the main thread. `lock` is the worker's, re-entrant."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._own = False  # on its way, and sent by us
        self._sent = -inf
        self._noted = False  # by CPython, and not handled yet
        self._wanted: Callable[[], bool] | None = None
        self._reader = self._writer = -1
        self._handler: Handler | None = None

    # ---- from any thread

    def insist(self, wanted: Callable[[], bool]) -> None:
        """Send it, and again as long as it is `wanted`: `os.system` ignores it, and ends its program only."""
        with self._lock:
            self._wanted = wanted
            self._send()
        with contextlib.suppress(BlockingIOError):  # it has been woken often enough
            os.write(self._writer, b"\0")  # the watching thread goes on with it

    def _send(self) -> None:
        self._own = True
        self._sent = time.monotonic()
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGINT)
        else:
            _nudge()

    # ---- on the main thread

    def install(self, handler: Handler) -> Callable[[], None]:
        """Make `handler` that of SIGINT, and watch what CPython notes; returns what undoes that."""
        previous_handler = signal.signal(signal.SIGINT, handler)
        self._handler = handler
        if sys.platform == "win32":
            return lambda: signal.signal(signal.SIGINT, previous_handler)
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        stop, stopper = os.pipe()
        previous = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        thread = threading.Thread(target=self._watch, args=(stop,), name="laneway signals", daemon=True)
        thread.start()

        def uninstall() -> None:
            signal.set_wakeup_fd(previous)
            signal.signal(signal.SIGINT, previous_handler)
            os.close(stopper)
            thread.join()
            for descriptor in (self._reader, self._writer, stop):
                os.close(descriptor)
            self._reader = self._writer = -1

        return uninstall

    def renew(self) -> None:
        """SIGINT is ours again, if code has made it its own."""
        if self._handler and not self._handled_by_us:
            signal.signal(signal.SIGINT, self._handler)

    def taken(self) -> bool:
        """To be called by the handler. Is it ours?"""
        with self._lock:
            self._read()
            self._noted = False
            ours = self._own or time.monotonic() - self._sent < _ECHO
            self._own = False
            return ours

    @property
    def _handled_by_us(self) -> bool:
        return signal.getsignal(signal.SIGINT) == self._handler

    # ---- the watching thread

    def _watch(self, stop: int) -> None:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        poll.register(stop)
        while not any(ready == stop for ready, _ in poll.poll()):
            pause = _INTERVAL
            while self._rest(pause):
                pause = min(2 * pause, 1)

    def _rest(self, pause: float) -> bool:
        """Let the signal have its effect, and send it again if it has none."""
        with self._lock:
            self._noted = signal.SIGINT in self._read() or self._noted
        time.sleep(pause)
        with self._lock:
            if self._wanted and self._wanted() and self._handled_by_us:
                self._send()
                return True
            if self._wanted:
                self._wanted = None
                self._own = False
            self._noted = self._noted and self._handled_by_us
            if self._noted:
                _nudge()
            return self._noted

    def _read(self) -> bytes:
        """The signals noted since the last time: those of the process, not only SIGINT."""
        with contextlib.suppress(BlockingIOError):
            if self._reader >= 0:
                return os.read(self._reader, 4096)
        return b""


def _nudge() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def in_user_code(frame: FrameType | None) -> bool:
    """Was the event loop, when a signal came at `frame`, in a task or callback that is neither asyncio's nor
    ours?
    """
    called: list[str] = []
    while frame and frame.f_code is not asyncio.Handle._run.__code__:  # pyright: ignore
        called.append(frame.f_code.co_filename)
        frame = frame.f_back
    while called and called[-1].startswith(_ASYNCIO):
        called.pop()
    return frame is not None and bool(called) and not called[-1].startswith(_OURS)
