"""PyodidePlatform: how a kernel on Pyodide goes on while code computes or blocks.

Code that computes is interrupted at safepoints by the signal SIGUSR1, see `safepoints.ts`; that needs memory
shared with the page. Code that blocks (`time.sleep`, `input`, `asyncio.run`, a Condition, Event or Queue)
has its stack put aside where the browser can (JSPI), so that all else goes on; otherwise the worker waits at
one long safepoint, where there are any.

Imported in Pyodide only.
"""

from __future__ import annotations

import asyncio
import math
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

# Pyodide's modules are there in Pyodide only, and their stubs are not installed.
# pyright: reportMissingImports=false
import js
import pyodide.ffi
import pyodide.webloop

from ..hosts.loop import LoopHost
from ..protocol.errors import StdinNotAvailableError

HEADROOM = 500
"""Levels of recursion that a safepoint has, however deep the interrupted code's is."""

_NO_WAIT = "input() is not available here: it needs a cross-origin isolated page or a browser with JSPI."
_NO_SAFEPOINTS = (
    "While a cell computes, nothing is answered or interrupted: this page is not cross-origin isolated."
)


class PyodidePlatform:
    """See `Platform`. `safepoints` is the worker's `Safepoints`, or None where it shares no memory."""

    def __init__(self, safepoints: Any) -> None:
        self._safepoints = safepoints if safepoints is not None and _work(safepoints) else None
        self._serving = False  # at a safepoint, whose code cannot wait
        self._host: LoopHost | None = None
        self._loop: Any = None  # Pyodide's WebLoop
        self._sleep = time.sleep
        self._run_sync = pyodide.ffi.run_sync
        self._allocate_lock: Callable[[], Any] = threading._allocate_lock  # pyright: ignore

    @property
    def capabilities(self) -> dict[str, Any]:
        """What kernel_info is to say; `missing` has a sentence for each thing that does not work."""
        jspi = hasattr(js.WebAssembly, "Suspending")
        interrupts = self._safepoints is not None
        waits = jspi or interrupts
        return {
            "input": waits,
            "answers_while_blocking": interrupts,
            "interrupts_blocking": interrupts,
            "runs_while_sleeping": jspi,
            "jspi": jspi,
            "missing": [*([] if interrupts else [_NO_SAFEPOINTS]), *([] if waits else [_NO_WAIT])],
        }

    # ---- Platform

    def start(self, host: LoopHost) -> None:
        """See `Platform`."""
        self._host = host
        self._loop = asyncio.get_running_loop()
        if self._safepoints is not None:
            self.renew()
            self._safepoints.enable()
        # who awaits the task that an interrupt ends hears of it; the page's console need not
        self._set_interrupt_handler(lambda: None)
        time.sleep = self.sleep
        pyodide.ffi.run_sync = pyodide.webloop.run_sync = self.run_sync
        threading._allocate_lock = self._new_lock  # pyright: ignore

    def stop(self) -> None:
        """See `Platform`."""
        threading._allocate_lock = self._allocate_lock  # pyright: ignore
        pyodide.ffi.run_sync = pyodide.webloop.run_sync = self._run_sync
        time.sleep = self._sleep
        self._set_interrupt_handler(None)
        if self._safepoints is not None:
            self._safepoints.disable()
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)

    def renew(self) -> None:
        """See `Platform`."""
        if self._safepoints is not None:
            signal.signal(signal.SIGUSR1, self._on_signal)

    def poll(self) -> None:
        """See `Platform`."""
        if self._safepoints is not None:
            self._safepoints.drain()

    def serve(self, action: Callable[[], None]) -> None:
        """See `Platform`."""
        if self._safepoints is None or self._serving:
            return
        limit = sys.getrecursionlimit()
        try:
            _call(_call, int)  # below the limit, so that it can be set back
        except RecursionError:
            return  # the interrupted code is at its deepest; there will be another safepoint
        sys.setrecursionlimit(limit + HEADROOM)
        self._serving = True
        try:
            self._safepoints.serve(action)
        finally:
            self._serving = False
            sys.setrecursionlimit(limit)

    def expect(self, delay: float | None) -> None:
        """See `Platform`."""
        if self._safepoints is not None:
            self._safepoints.expect(math.inf if delay is None else delay * 1000)

    def block(self, future: asyncio.Future[Any]) -> None:
        """See `Platform`."""
        assert self._host
        if not self._serving and pyodide.ffi.can_run_sync():
            # not for `future` itself: its exception would come back through JavaScript, as another context
            done: asyncio.Future[None] = self._loop.create_future()
            future.add_done_callback(lambda _future: done.set_result(None))
            self._run_sync(done)
        elif not self._serving and self._safepoints is not None:
            while not future.done():
                self._safepoints.wait(math.inf)
                self._host.safepoint()
        else:
            raise StdinNotAvailableError(_NO_WAIT)

    def _set_interrupt_handler(self, handler: Callable[[], None] | None) -> None:
        self._loop._keyboard_interrupt_handler = handler  # its own seam

    # ---- in place of Python's own

    def sleep(self, seconds: float) -> None:
        """`time.sleep`."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        if self._can_wait and self._host:
            end = time.monotonic() + seconds
            self._host.wait(self._loop.create_future(), seconds)
            while (rest := end - time.monotonic()) > 0:  # Pyodide's loop takes a few milliseconds for none
                self._host.wait(self._loop.create_future(), rest)
        else:
            self._sleep(seconds)

    def run_sync(self, awaitable: Awaitable[Any]) -> Any:
        """`pyodide.ffi.run_sync`, which `asyncio.run` and `run_until_complete` use."""
        if not (pyodide.ffi.can_run_sync() and self._host):
            return self._run_sync(awaitable)
        task = asyncio.ensure_future(_awaited(awaitable))
        future: asyncio.Future[None] = self._loop.create_future()
        task.add_done_callback(lambda _task: future.done() or future.set_result(None))
        try:
            self._host.wait(future)
        finally:
            task.cancel()
        return task.result()

    def _new_lock(self) -> Any:
        """What `threading.Condition.wait` waits for, and so Event, Semaphore, Barrier and queue.Queue do."""
        if self._can_wait and self._host:
            return _WaitingLock(self._host, self._loop.create_future())
        return self._allocate_lock()

    @property
    def _can_wait(self) -> bool:
        return not self._serving and (self._safepoints is not None or pyodide.ffi.can_run_sync())

    def _on_signal(self, _signum: int, _frame: object) -> None:
        assert self._host
        try:  # noqa: SIM105 - `suppress` would be one more call, where there is no room for it
            self._host.safepoint()
        except RecursionError:
            pass  # as in `serve`


class _WaitingLock:
    """A lock that is released once, and acquired by one only."""

    def __init__(self, host: LoopHost, released: asyncio.Future[None]) -> None:
        self._host = host
        self._held = False
        self._released = released

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """See `threading.Lock`."""
        if self._held and blocking:
            self._host.wait(self._released, None if timeout < 0 else timeout)
        acquired = not self._held
        self._held = True
        return acquired

    def release(self) -> None:
        """See `threading.Lock`."""
        self._held = False
        if not self._released.done():
            self._released.set_result(None)


def _call(function: Callable[..., Any], *args: Any) -> None:
    function(*args)


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _work(safepoints: Any) -> bool:
    """Whether this Pyodide calls the handler at safepoints: how that is done is nowhere promised."""
    called = False

    def handler(_signum: int, _frame: object) -> None:
        nonlocal called
        called = True
        safepoints.serve(lambda: safepoints.expect(math.inf))

    previous = signal.signal(signal.SIGUSR1, handler)
    safepoints.enable()
    safepoints.expect(0)
    for _ in range(10_000):
        if called:
            break
    safepoints.disable()
    signal.signal(signal.SIGUSR1, previous)
    return called
