"""`time.sleep` on threads that no signal reaches: it ends where the code is interrupted.

CPython raises an exception in another thread only when that thread runs Python again, and nothing wakes its
`time.sleep`. So while such threads serve, it waits for a lock that can be released. Other threads sleep as
ever. The module has no seam for it; the last thread that goes puts Python's own back. Stdlib only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from threading import TIMEOUT_MAX, get_ident

_beds: dict[int, threading.Lock] = {}  # thread -> what it sleeps on: a lock that is held
_lock = threading.Lock()
_sleep = time.sleep


@contextmanager
def can_be_woken() -> Generator[None]:
    """Meanwhile the calling thread's sleep ends by `wake`."""
    bed = threading.Lock()
    bed.acquire()
    global _sleep
    with _lock:
        if not _beds:
            _sleep, time.sleep = time.sleep, sleep
        _beds[get_ident()] = bed
    try:
        yield
    finally:
        with _lock:
            del _beds[get_ident()]
            if not _beds and time.sleep is sleep:
                time.sleep = _sleep


def wake(thread: int) -> None:
    """Let `thread`, if it sleeps, run Python for a moment. It goes on to sleep unless an exception awaits
    it.
    """
    if bed := _beds.get(thread):
        with suppress(RuntimeError):  # it has been woken already
            bed.release()


def sleep(seconds: float, /) -> None:
    """See `time.sleep`."""
    bed = _beds.get(get_ident())
    if bed is None or type(seconds) not in (int, float) or not 0 < seconds <= TIMEOUT_MAX:
        _sleep(seconds)
        return
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        bed.acquire(timeout=rest)  # woken or not, the lock is held again
