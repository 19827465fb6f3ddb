"""SIGINT that we send to the process's main thread, and how it is told from one that somebody else sends.

A signal ends blocking system calls of the main thread, and where this process leads its group (as Jupyter
starts it), the programs that a cell waits for. Stdlib only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from types import FrameType

_INTERVAL = 0.01
"""Seconds after which a signal that had no effect is sent again."""

_ECHO = 0.005
"""Seconds within which one that was sent a moment too late arrives."""

_OURS = str(Path(__file__).parents[1])
_ASYNCIO = str(Path(asyncio.__file__).parent)


class OwnSignal:
    """The signal of one worker, which runs on the main thread. `lock` is around what both sides look at."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._pending = False
        self._sent = -inf

    def insist(self, wanted: Callable[[], bool]) -> None:
        """Send it, and again as long as it is `wanted`: one that comes just before a system call does not end
        it, and `os.system` ignores it.
        """
        self._send()

        def repeat() -> None:
            while True:
                time.sleep(_INTERVAL)
                with self._lock:
                    if not wanted():
                        self._pending = False
                        return
                    self._send()

        threading.Thread(target=repeat, name="laneway interrupt", daemon=True).start()

    def taken(self) -> bool:
        """A signal has come: is it ours?"""
        with self._lock:
            ours = self._pending or time.monotonic() - self._sent < _ECHO
            self._pending = False
            return ours

    def _send(self) -> None:
        self._pending = True
        self._sent = time.monotonic()
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGINT)
        else:
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
