"""The one lock around a host's core, inside which no KeyboardInterrupt arises. Any thread. Stdlib only."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Guard:
    """A re-entrant lock that knows which threads are in it or wait for it.

    Whoever interrupts a thread asks `postpone` first: a thread that is inside is interrupted when it leaves.
    `__enter__` notes the thread before it takes the lock, and nothing but a function's first instruction
    precedes that note, so that no interrupt can fall in between.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._inside: dict[int, int] = {}
        self._postponed: dict[int, Callable[[], None]] = {}

    def __enter__(self) -> None:
        thread = threading.get_ident()
        self._inside[thread] = self._inside.get(thread, 0) + 1
        self._lock.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()
        thread = threading.get_ident()
        depth = self._inside[thread] - 1
        if depth:
            self._inside[thread] = depth
            return
        del self._inside[thread]
        if self._postponed and (interrupt := self._postponed.pop(thread, None)):
            interrupt()

    def postpone(self, thread: int, interrupt: Callable[[], None]) -> bool:
        """Whether `thread` is inside; if so it will call `interrupt` when it leaves."""
        inside = thread in self._inside
        if inside:
            self._postponed[thread] = interrupt
        return inside
