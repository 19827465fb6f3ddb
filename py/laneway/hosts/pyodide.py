"""PyodidePlatform: how a kernel on Pyodide goes on while code computes or blocks.

Code that computes is interrupted at safepoints by the signal SIGUSR1, see `safepoints.ts`; that needs memory
shared with the page. Code that blocks (`time.sleep`, `input`, `asyncio.run`, a Condition, Event or Queue)
has its stack put aside where the browser can (JSPI), so that all else goes on; otherwise the worker waits at
one long safepoint, where there are any.

Imported in Pyodide only.
"""

from __future__ import annotations

import asyncio
import gc
import math
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import Context
from typing import Any

# Pyodide's modules are there in Pyodide only, and their stubs are not installed.
# pyright: reportMissingImports=false
import js
import pyodide.ffi
import pyodide.webloop
import pyodide_js

from ..protocol.errors import StdinNotAvailableError
from ..protocol.ports import Waiting

HEADROOM = 500
"""Levels of recursion that a safepoint has, however deep the interrupted code's is."""

SLICE = 1.0
"""Seconds that the worker waits at once for a file of the page, unless something arrives."""

_NO_JSPI = "this browser has no JSPI"
_NOT_HERE = "input() is not available here: this was called while other code runs, and cannot wait."


class PyodidePlatform:
    """See `Platform`. `safepoints` is the worker's `Safepoints`, or None where messages do not reach it while
    code runs; `missing` is what else does not work, as far as the page knows.
    """

    def __init__(self, safepoints: Any, missing: Sequence[str] = ()) -> None:
        self._missing = missing
        self._safepoints = safepoints if safepoints is not None and _work(safepoints) else None
        self._serving = False  # at a safepoint, whose code cannot wait
        self._host: Waiting | None = None
        self._loop: Any = None  # Pyodide's WebLoop
        self._scheduled = 0
        self._collector = _Collector()
        self._sleep = time.sleep
        self._run_sync = pyodide.ffi.run_sync
        self._allocate_lock: Callable[[], Any] = threading._allocate_lock  # pyright: ignore

    @property
    def capabilities(self) -> dict[str, Any]:
        """What kernel_info is to say; `missing` has a sentence for each thing that does not work."""
        interrupts = self._safepoints is not None
        jspi = self._jspi
        missing = [*self._missing]
        if not interrupts:
            missing.append(f"While a cell computes, nothing is answered or interrupted: {self._unshared}.")
        if not jspi:
            missing.append(
                f"asyncio.run() does not work, and nothing runs beside a cell that sleeps: {_NO_JSPI}."
            )
        if not (jspi or interrupts):
            missing += [self._no_wait, self.no_hold or ""]
        return {
            "input": jspi or interrupts,
            "answers_while_blocking": interrupts,
            "interrupts_blocking": interrupts,
            "runs_while_sleeping": jspi,
            "jspi": jspi,
            "cross_origin_isolated": bool(getattr(js, "crossOriginIsolated", False)),
            "missing": missing,
        }

    @property
    def _jspi(self) -> bool:
        return hasattr(js.WebAssembly, "Suspending")

    @property
    def _unshared(self) -> str:
        """Why there are no safepoints."""
        if not getattr(js, "crossOriginIsolated", True):  # Node does not know of it
            return "the page is not isolated and has no service worker"
        if not hasattr(js, "SharedArrayBuffer"):
            return "this browser shares no memory with workers"
        return "this Pyodide cannot be interrupted"

    @property
    def _no_wait(self) -> str:
        return f"input() is not available: {self._unshared}, and {_NO_JSPI}."

    # ---- Platform

    def start(self, host: Waiting) -> None:
        """See `Platform`."""
        self._host = host
        self._loop = asyncio.get_running_loop()
        if self._safepoints is not None:
            self.renew()
            self._safepoints.enable()
        else:
            # WebKit ends a worker only where its code calls JavaScript: so it does when it looks for signals
            pyodide_js.setInterruptBuffer(js.Uint8Array.new(1))
        # who awaits the task that an interrupt ends hears of it; the page's console need not
        self._set_interrupt_handler(lambda: None)
        self._loop.call_at = self._call_at
        self._loop.call_later = self._call_later
        time.sleep = self.sleep
        pyodide.ffi.run_sync = pyodide.webloop.run_sync = self.run_sync
        threading._allocate_lock = self._new_lock  # pyright: ignore

    def stop(self) -> None:
        """See `Platform`."""
        threading._allocate_lock = self._allocate_lock  # pyright: ignore
        pyodide.ffi.run_sync = pyodide.webloop.run_sync = self._run_sync
        time.sleep = self._sleep
        del self._loop.call_at, self._loop.call_later
        self._set_interrupt_handler(None)
        if self._safepoints is not None:
            self._safepoints.disable()
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        else:
            pyodide_js.setInterruptBuffer(None)

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

    def scheduled(self) -> int:
        """See `Platform`."""
        return self._scheduled

    def expect(self, delay: float | None) -> None:
        """See `Platform`."""
        if self._safepoints is not None:
            self._safepoints.expect(math.inf if delay is None else delay * 1000)

    @property
    def no_hold(self) -> str | None:
        """See `Platform`."""
        if self._jspi or self._safepoints is not None:
            return None
        return f"The debugger cannot stop code: {self._unshared}, and {_NO_JSPI}."

    def block(self, future: asyncio.Future[Any], *, still: bool = False) -> None:
        """See `Platform`."""
        assert self._host
        aside = pyodide.ffi.can_run_sync() and not (still and self._safepoints is not None)
        if not self._serving and aside:
            # not for `future` itself: its exception would come back through JavaScript, as another context
            done: asyncio.Future[None] = self._loop.create_future()
            future.add_done_callback(lambda _future: done.set_result(None))
            with self._collector.aside():
                self._run_sync(done)
        elif not self._serving and self._safepoints is not None:
            while not future.done():
                # no safepoint in here: it might be the last that anything brings about
                with self._host.guard:
                    if not future.done():
                        self._safepoints.wait(math.inf)
                self._host.safepoint()
        else:
            waits_elsewhere = self._jspi or self._safepoints is not None
            raise StdinNotAvailableError(_NOT_HERE if waits_elsewhere else self._no_wait)

    # ---- for the interpreter

    def fetch(self, address: str, heard: Callable[[int, int], object], patience: float) -> Any:
        """Have the page fetch a file, and wait for it in code that cannot await: what arrives meanwhile is
        answered, no other code runs, and an interrupt ends it. `heard` is told how many bytes have come, and
        how many there are (0 where that is not known).

        Returns the worker's `PageFile`, with the status 0 where the server does not answer, breaks off, or is
        silent for `patience` seconds. None where files do not come this way.
        """
        safepoints = None if self._serving else self._safepoints
        if safepoints is None or self._host is None or (file := safepoints.fetch(address)) is None:
            return None
        try:
            received, since = -1, time.monotonic()
            while not file.ended:
                heard(file.received, file.total)
                if file.received != received:
                    received, since = file.received, time.monotonic()
                elif time.monotonic() > since + patience:
                    file.status = 0
                    break
                with self._host.guard:
                    safepoints.wait(SLICE * 1000)
                safepoints.drain()
                self._host.safepoint()
            return file
        finally:
            safepoints.fetch()

    def _call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio has it: what is late is called soon. Pyodide's raises a ValueError, which who sets a
        deadline anew, that timers meet a little early, gets now and then.
        """
        return self._loop.call_later(max(0, when - self._loop.time()), callback, *args, context=context)

    def _call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Pyodide's own, by which all comes on the loop, counted."""
        self._scheduled += 1
        return type(self._loop).call_later(self._loop, delay, callback, *args, context=context)

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
        if not self._jspi:
            if asyncio.iscoroutine(awaitable):
                awaitable.close()  # it has not begun, and never will
            raise RuntimeError(f"What is asynchronous must be awaited here, with `await`: {_NO_JSPI}.")
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


class _Collector:
    """Python's garbage collector, while the stacks of some code are put aside.

    That of Python 3.14 looks for objects on all stacks; where one was put aside another may lie in memory by
    now, and Python died of it. A collection that is asked for does not look there. (Python 3.15 has the
    collector of 3.13 again.)
    """

    LOOKS_AT_STACKS = sys.version_info[:2] == (3, 14)

    MANY = 50_000
    """Objects that are new: so many are collected while stacks are aside."""

    def __init__(self) -> None:
        self._aside = 0
        self._enabled = False

    @contextmanager
    def aside(self) -> Generator[None]:
        """Meanwhile a stack is put aside, and it collects nothing by itself."""
        if not self.LOOKS_AT_STACKS:
            yield
            return
        if not self._aside:
            self._enabled = gc.isenabled()
            gc.disable()
        self._aside += 1
        try:
            yield
        finally:
            self._aside -= 1
            if self._enabled and not self._aside:
                gc.enable()
            elif self._enabled and gc.get_count()[0] > self.MANY:
                gc.collect()


class _WaitingLock:
    """A lock that is released once, and acquired by one only."""

    def __init__(self, host: Waiting, released: asyncio.Future[None]) -> None:
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
