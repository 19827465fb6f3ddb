"""The one lock around a host's core, inside which no KeyboardInterrupt arises. Any thread. Stdlib only."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from weakref import WeakSet

_GUARDS: WeakSet[Guard] = WeakSet()


class Guard:
    """A re-entrant lock that knows which threads are in it or wait for it.

    Whoever interrupts a thread is inside and asks `postpone` first: a thread that is inside too, or waits, is
    interrupted when it leaves. A KeyboardInterrupt that was on its way before the thread's note reaches it in
    `acquire` at the latest, which is a call: it has not entered then.
    """

    def __init__(self) -> None:
        self.open()
        _GUARDS.add(self)

    def open(self) -> None:
        """Nobody is inside: this is a new one, or that of a process that was forked off, on whose only thread
        user code was.
        """
        self._lock = threading.RLock()
        self._inside: dict[int, int] = {}
        self._postponed: dict[int, Callable[[], None]] = {}

    def __enter__(self) -> None:
        thread = threading.get_ident()
        self._inside[thread] = self._inside.get(thread, 0) + 1
        try:
            self._lock.acquire()
        except BaseException:
            # CPython raises it before the lock is ours, or just after
            if self._lock._is_owned():  # type: ignore[attr-defined]  # as threading.Condition asks
                self._lock.release()
            self._leave(thread)
            raise

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()
        self._leave(threading.get_ident())

    def _leave(self, thread: int) -> None:
        depth = self._inside[thread] - 1
        if depth:
            self._inside[thread] = depth
            return
        del self._inside[thread]
        if self._postponed and (interrupt := self._postponed.pop(thread, None)):
            interrupt()

    def postpone(self, thread: int, interrupt: Callable[[], None]) -> bool:
        """Whether `thread` is inside; if so it will call `interrupt` when it leaves."""
        if thread not in self._inside:
            return False
        self._postponed[thread] = interrupt
        if thread in self._inside:
            return True
        # it has left meanwhile: either it has found the call, or it never will
        return self._postponed.pop(thread, None) is None


def _after_fork() -> None:
    for guard in _GUARDS:
        guard.open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
