"""The event loop of a client: asyncio's, or one in its place (uvloop), or trio's.

asyncio's loops are used as they are; `trio_loop.py` has as much of one as a client needs, over trio. Code
that waits does so with anyio, and with what is here. Imports: stdlib, and trio where it calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from functools import partial
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakMethod

T = TypeVar("T")


class Timer(Protocol):
    """What `EventLoop.call_at` returns."""

    def cancel(self) -> None:
        """Do not call."""
        ...


class Task(Protocol):
    """What `EventLoop.create_task` returns."""

    def cancel(self) -> object:
        """End it."""
        ...

    def add_done_callback(self, callback: Callable[[Any], object], /) -> object:
        """Call with the task when it has ended."""
        ...


class EventLoop(Protocol):
    """What a client needs of an event loop, as asyncio documents it. What calls and tasks raise goes to
    `call_exception_handler`.
    """

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer: ...
    def call_soon(self, callback: Callable[[], object], /) -> object: ...
    def call_soon_threadsafe(self, callback: Callable[[], object], /) -> object: ...
    def create_task(
        self, coro: Coroutine[Any, Any, object], /, *, context: Context | None = None
    ) -> Task: ...
    def add_reader(self, fd: int, callback: Callable[[], object], /) -> None: ...
    def remove_reader(self, fd: int, /) -> object: ...
    def is_running(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def call_exception_handler(self, context: dict[str, Any], /) -> None: ...


def in_trio() -> bool:
    """Is it trio that calls? It says so itself, also where it is a guest of asyncio's loop."""
    sniffio = sys.modules.get("sniffio")  # trio imports it
    return sniffio is not None and sniffio.thread_local.name == "trio"


def running_loop() -> EventLoop:
    """The event loop that runs the code that calls. Raises RuntimeError where none does."""
    if in_trio():
        from .trio_loop import trio_loop  # trio is no dependency

        return trio_loop()
    return asyncio.get_running_loop()


class _Event(Protocol):
    def set(self) -> None: ...
    async def wait(self) -> object: ...


def _new_event() -> _Event:
    """anyio's looks for its library each time, which takes as long as all else that a request awaits."""
    if in_trio():
        import trio  # no dependency

        return trio.Event()
    return asyncio.Event()


class Bell:
    """Wakes all who wait, again and again. On one event loop."""

    def __init__(self) -> None:
        self._rings: _Event | None = None

    async def wait(self) -> None:
        """Until it rings the next time."""
        if self._rings is None:
            self._rings = _new_event()
        await self._rings.wait()

    def ring(self) -> None:
        """Wake those who wait now."""
        rings, self._rings = self._rings, None
        if rings is not None:
            rings.set()


class Future(Generic[T]):
    """A result that will be there. Any number may await it; cancelling one who does only detaches them. On
    one event loop.
    """

    def __init__(self) -> None:
        self.done = False
        """Is it there? Only the first one counts."""
        self._value: T
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._settled = Bell()

    def set_result(self, value: T) -> None:
        """Here it is."""
        if not self.done:
            self._value, self.done = value, True
            self._settled.ring()

    def set_exception(self, error: BaseException) -> None:
        """There is none: who awaits it has this raised."""
        if not self.done:
            self._error, self._traceback, self.done = error, error.__traceback__, True
            self._settled.ring()

    def result(self) -> T:
        """The result, or raises what there is instead. To be called when it is done."""
        if self._error is not None:
            raise self._error.with_traceback(self._traceback)  # without those of others who await it
        return self._value

    async def wait(self) -> None:
        """Until it is done, whatever comes of it."""
        if not self.done:
            await self._settled.wait()

    def __await__(self) -> Generator[Any, Any, T]:
        if not self.done:
            yield from self._settled.wait().__await__()
        return self.result()


def in_thread(loop: EventLoop, call: Callable[[], T]) -> Future[T]:
    """Call on a thread of its own, which begins at once and goes on where nobody waits for it any more."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            settle = partial(future.set_result, call())
        except BaseException as error:
            settle = partial(future.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=run, name="laneway-client", daemon=True).start()
    return future


def weakly(method: Callable[..., None], *args: object) -> Callable[[], None]:
    """Calls `method` with `args`, without keeping whose it is."""
    reference = WeakMethod(method)

    def call() -> None:
        if alive := reference():
            alive(*args)

    return call
