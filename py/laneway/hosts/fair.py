"""Threads that take turns: an event loop that lets others have theirs, and how long nobody may keep them
waiting.

A cell that computes a little and awaits a little, again and again, makes its loop look for events without
waiting: that releases the interpreter's lock (GIL) for an instant only, too short for another thread to wake
up and take it, and often enough that CPython never forces a switch. The other threads starve; ours are the
ones that answer everything else. So a loop that has been busy for `TURN` seconds rests for an instant that is
long enough. What runs without releasing the GIL is interrupted by CPython itself, after `SWITCH_INTERVAL`.

Stdlib only. Any thread that runs a loop.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Coroutine
from typing import Any

SWITCH_INTERVAL = 0.0005
"""Seconds after which CPython takes the lock away from a thread that computes, where others wait (default
0.005).

A thread that reads files, as the first completion does, waits so long each time: that made seconds.
"""

TURN = 0.002
"""Seconds that a loop may be busy before it rests."""

REST = 0.00005
"""Seconds that it rests: as long as it takes to wake a thread."""


def run(main: Coroutine[Any, Any, None]) -> None:
    """Like `asyncio.run`, on a fair loop, which goes on where a task of user code raises KeyboardInterrupt or
    SystemExit: asyncio lets both end the loop, and the task keeps them.
    """
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        loop = runner.get_loop()
        task = loop.create_task(main)
        while not task.done():
            try:
                loop.run_until_complete(task)
            except (KeyboardInterrupt, SystemExit):
                if task.done():
                    raise


def _new_event_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":  # its loop has no selector
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop(_FairSelector())


class _FairSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self._rested = time.monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0 and time.monotonic() - self._rested < TURN:
            return super().select(timeout)
        if timeout is not None and timeout <= 0:
            time.sleep(REST)
        ready = super().select(timeout)
        self._rested = time.monotonic()
        return ready
