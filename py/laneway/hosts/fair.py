"""Threads that take turns: an event loop that lets others have theirs, and how long nobody may keep them
waiting.

A cell that computes a little and awaits a little, again and again, makes its loop look for events without
waiting: that releases the interpreter's lock (GIL) for an instant only, too short for another thread to wake
up and take it, and often enough that CPython never forces a switch. The other threads starve; ours are the
ones that answer everything else. So a loop that has been busy for `TURN` seconds rests for an instant that is
long enough. What runs without releasing the GIL is interrupted by CPython itself, after `SWITCH_INTERVAL`.

A loop that serves a GUI toolkit, too, waits inside it, see `Waiter`: the toolkit watches the selector's own
file descriptor.

Stdlib and `protocol/` only. Any thread that runs a loop.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from ..protocol.ports import Waiter
from . import forks

SWITCH_INTERVAL = 0.0005
"""Seconds after which CPython takes the lock away from a thread that computes, where others wait (default
0.005).

A thread that reads files, as the first completion does, waits so long each time: that made seconds.
"""

TURN = 0.002
"""Seconds that a loop may be busy before it rests."""

POLL = 0.005
"""Seconds from one look at a toolkit's events to the next, by a loop that is busy."""

REST = 0.00005
"""Seconds that it rests: as long as it takes to wake a thread."""


class _Turns:
    """How many kernels serve, and the interval of before the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kernels = 0
        self._interval = 0.0

    @contextmanager
    def shorter(self) -> Generator[None]:
        """Meanwhile CPython takes the lock away sooner. The last kernel that ends puts the interval back."""
        with self._lock:
            if not self._kernels:
                self._interval = sys.getswitchinterval()
                sys.setswitchinterval(min(self._interval, SWITCH_INTERVAL))
            self._kernels += 1
        try:
            yield
        finally:
            with self._lock:
                self._kernels -= 1
                if not self._kernels:
                    sys.setswitchinterval(self._interval)


TURNS = _Turns()


def run(main: Coroutine[Any, Any, None], new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Run `main` on the fair loop that `new_loop` makes. It goes on where a task of user code raises
    KeyboardInterrupt or SystemExit: asyncio lets both end the loop, and the task keeps them. And where user
    code stops the loop.

    Unlike `asyncio.run` it waits at the end for nothing that user code could hold up: no task, which `main`
    has cancelled, and no thread of the loop's executor.
    """
    loop = new_loop()
    _ours.add(loop)
    task = loop.create_task(main)
    task.add_done_callback(lambda _task: loop.stop())
    try:
        while not task.done():
            with suppress(KeyboardInterrupt, SystemExit):
                loop.run_forever()
        task.result()
    finally:
        loop.set_exception_handler(lambda _loop, _context: None)  # tasks that would not end are no news
        loop.close()


def enable_gui(loop: asyncio.AbstractEventLoop, make: Callable[[], Waiter] | None) -> None:
    """From now on `loop` waits inside the toolkit that `make` returns, or by itself again.

    Raises RuntimeError where the loop is not ours.
    """
    selector = _selectors.get(loop)
    if selector is not None:
        selector.waiter = make and make()
    elif make is not None:
        raise RuntimeError(
            "This kernel's event loop cannot wait inside a GUI toolkit;"
            " asyncio's own can, where a kernel runs it."
        )


_ours: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
_selectors: WeakKeyDictionary[asyncio.AbstractEventLoop, _FairSelector] = WeakKeyDictionary()


def is_ours(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether `loop` runs by `run`, for a kernel alone: all its tasks are the kernel's, or user code's (a
    kernel that a cell runs there is user code).
    """
    return loop in _ours


def new_event_loop() -> asyncio.AbstractEventLoop:
    """asyncio's, made fair. `uv.py` has another."""
    if sys.platform == "win32":  # its loop has no selector
        return asyncio.new_event_loop()
    selector = _FairSelector()
    loop = asyncio.SelectorEventLoop(selector)
    _selectors[loop] = selector
    return loop


class _FairSelector(selectors.DefaultSelector):
    """A process that user code forks off ends here: the loop is its parent's."""

    def __init__(self) -> None:
        super().__init__()
        self._rested = time.monotonic()
        self._polled = 0.0
        self._process = os.getpid()
        self.waiter: Waiter | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if os.getpid() != self._process:
            forks.end_child_on_loop()
        if timeout is not None and timeout <= 0 and time.monotonic() - self._rested < TURN:
            return super().select(timeout)
        if timeout is not None and timeout <= 0:
            time.sleep(REST)
        if self.waiter is None:
            ready = super().select(timeout)
        elif not (ready := super().select(0)) or time.monotonic() - self._polled > POLL:
            self._serve(self.waiter, 0 if ready else timeout)
            ready = super().select(0)
        self._rested = time.monotonic()
        return ready

    def _serve(self, waiter: Waiter, timeout: float | None) -> None:
        """Serve the toolkit's events, and wait for some at most `timeout` seconds. Callbacks of the toolkit
        put calls on the loop without waking it: after some events it has its turn.
        """
        try:
            if timeout is None or timeout > 0:
                waiter.wait(self.fileno(), timeout)
            elif time.monotonic() - self._polled > POLL:
                waiter.poll()
            else:
                return
            self._polled = time.monotonic()
        except Exception:  # it is broken; the kernel is not
            self.waiter = None
            print("The GUI's event loop has failed, and is not served any more.", file=sys.stderr)
            traceback.print_exc()


WAIT_IN_TOOLKIT = _FairSelector._serve.__code__  # pyright: ignore[reportPrivateUsage]
"""The code inside which a toolkit's callbacks run."""
