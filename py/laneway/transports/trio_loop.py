"""trio as an event loop of asyncio's kind, as far as a client needs one: see `EventLoop`.

What it runs are system tasks of trio: a client needs no nursery of its user's, and no cancelled scope reaches
what others wait for. They end when trio's run does. There is one TrioLoop per run.

Imported when a client is used under trio, which is no dependency.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any

import trio
from trio.lowlevel import RunVar, notify_closing, spawn_system_task, wait_readable

LOG = logging.getLogger("laneway")


class TrioLoop:
    """The run of trio that calls."""

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._closed = False
        self._readers: dict[int, trio.CancelScope] = {}
        self._timers: list[tuple[float, int, _Timer]] = []  # a heap
        self._numbers = count()
        self._sleep = trio.CancelScope()
        self.time = trio.lowlevel.current_clock().current_time
        spawn_system_task(self._keep_time, name="laneway timers")

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        LOG.error("%s", context["message"], exc_info=context["exception"])

    # ---- calls

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        self._token.run_sync_soon(self._call, callback)

    call_soon = call_soon_threadsafe

    def call_at(self, when: float, callback: Callable[[], object]) -> _Timer:
        while self._timers and self._timers[0][2].callback is None:  # it was cancelled
            heappop(self._timers)
        timer = _Timer(callback)
        heappush(self._timers, (when, next(self._numbers), timer))
        self._sleep.deadline = min(self._sleep.deadline, when)
        return timer

    async def _keep_time(self) -> None:
        try:
            while True:
                first = self._timers[0][0] if self._timers else math.inf
                with trio.CancelScope(deadline=first) as self._sleep:
                    await trio.sleep_forever()
                now = self.time()
                while self._timers and self._timers[0][0] <= now:
                    if callback := heappop(self._timers)[2].callback:
                        self._call(callback)
        finally:
            self._closed = True

    # ---- descriptors

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        self._readers[fd] = scope = trio.CancelScope()
        spawn_system_task(self._read, fd, callback, scope, name="laneway reader")

    def remove_reader(self, fd: int) -> None:
        if scope := self._readers.pop(fd, None):
            scope.cancel()
            notify_closing(fd)  # at once, for the descriptor may be another's soon

    async def _read(self, fd: int, callback: Callable[[], object], scope: trio.CancelScope) -> None:
        with scope, suppress(trio.ClosedResourceError):
            while not scope.cancel_called:
                await wait_readable(fd)
                self._call(callback)

    # ---- tasks

    def create_task(self, coro: Coroutine[Any, Any, object], *, context: Context | None = None) -> _Task:
        task = _Task(self)
        spawn_system_task(task.run, coro, name="laneway task", context=context or copy_context())
        return task

    def _call(self, callback: Callable[..., object], *args: Any) -> None:
        try:
            callback(*args)
        except BaseException as error:  # trio would end
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """Nobody else is there to hear of it."""
        self.call_exception_handler(
            {"message": "A callback or task of a Laneway client has raised", "exception": error}
        )


class _Timer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class _Task:
    def __init__(self, loop: TrioLoop) -> None:
        self._loop = loop
        self._scope = trio.CancelScope()
        self._callbacks: list[Callable[[_Task], object]] = []

    def cancel(self) -> None:
        self._scope.cancel()

    def add_done_callback(self, callback: Callable[[_Task], object]) -> None:
        self._callbacks.append(callback)

    async def run(self, coro: Coroutine[Any, Any, object]) -> None:
        try:
            with self._scope:
                if self._scope.cancel_called:
                    coro.close()
                else:
                    await coro
        except trio.Cancelled:
            raise
        except BaseException as error:
            self._loop.failed(error)
        finally:
            for callback in self._callbacks:
                callback(self)


_LOOP: RunVar[TrioLoop] = RunVar("laneway")


def trio_loop() -> TrioLoop:
    """That of the run of trio that calls."""
    try:
        return _LOOP.get()
    except LookupError:
        loop = TrioLoop()
        _LOOP.set(loop)
        return loop
