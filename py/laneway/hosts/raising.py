"""An exception in another thread, by CPython's own means, where and when it does no harm. Stdlib only.

Python takes the locks of imports in Python, and what arises between `acquire` and the `try` behind it leaves
one of them locked: nothing could be imported any more, on any other thread. That is no rare place: of threads
that import at the same time, one waits there.

Before 3.13, threads share the flag that makes CPython look for such exceptions. Who finds its own takes the
flag away, and another's arises at some later moment, where nobody has looked. So there is one at a time.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from types import FrameType

_IMPORTLIB = "<frozen importlib._bootstrap>"
_LOCKS = frozenset(
    {
        *("_get_module_lock", "_lock_unlock_module", "cb"),
        *("acquire", "release", "has_deadlock", "_has_deadlocked", "__enter__", "__exit__"),
    }
)

_ARRIVES = 0.005
"""Seconds within which an exception has arisen, as good as always."""


def handles_import_lock(frame: FrameType) -> bool:
    """Is a thread that is at `frame` in such code? It will not be for long."""
    return frame.f_code.co_filename == _IMPORTLIB and frame.f_code.co_name in _LOCKS


class Turn:
    """Whether a thread may have an exception now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0

    def take(self) -> bool:
        """If it is free, have it: nobody else does for a moment."""
        if sys.version_info >= (3, 13):
            return True
        with self._lock:
            now = time.monotonic()
            free = now >= self._next
            if free:
                self._next = now + _ARRIVES
            return free


TURN = Turn()


def raise_in_thread(thread: int, error: type[BaseException]) -> None:
    """Have `error` arise in the Python code that `thread` runs."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
