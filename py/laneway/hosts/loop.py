"""LoopHost: everything on one event loop, as in Pyodide's worker. What awaits lets the others go on; what
computes or blocks does so too, at safepoints, where the platform has them.

A safepoint is a moment at which code that keeps the loop waiting is interrupted, to go on as if nothing had
been. What has arrived is received there, and so answered where it is the core's to answer; introspection and
information requests are answered by the interpreter's `interject`; cells and comm messages only join their
queue, for they may change what the interrupted code works on.

Imports: stdlib and `protocol/`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any, Protocol

from ..protocol.errors import StdinNotAvailableError
from ..protocol.lanes import Job
from ..protocol.message import Content, as_error
from ..protocol.ports import Interpreter, Transport
from ..protocol.routes import Family
from .base import Host, Question
from .worker import Worker

TURN = 0.02
"""Seconds that a safepoint may take for introspection; then the interrupted code has its turn, as long. A
request that arrives between the loop's turns has as long to be answered there, where it is answered best.
"""

Timer = tuple[float, Callable[[], object]]
"""When, in terms of `time.monotonic`, and what to call."""


class Platform(Protocol):
    """What lets a host without threads go on while code computes or blocks: `apps/pyodide.py` has it from
    Pyodide's worker.
    """

    def start(self, host: LoopHost) -> None:
        """Begin to call `host.safepoint` on the stack of code that computes: when a message has arrived, and
        when `expect` says so. Python's blocking functions wait by `host.wait`.
        """
        ...

    def stop(self) -> None:
        """Undo `start`."""
        ...

    def renew(self) -> None:
        """A cell begins. User code may have undone what `start` did."""
        ...

    def poll(self) -> None:
        """Receive what has arrived. Messages may come without it, too."""
        ...

    def serve(self, action: Callable[[], None]) -> None:
        """Call `action`, without a safepoint in it, whatever it raises."""
        ...

    def expect(self, delay: float | None) -> None:
        """Have a safepoint in `delay` seconds, or none but for messages."""
        ...

    def block(self, future: asyncio.Future[Any]) -> None:
        """Wait until `future` is done while everything else goes on, as far as it can.

        Raises StdinNotAvailableError, with a sentence that says what is missing, where that cannot be done.
        """
        ...


class LoopHost(Host):
    """Runs a kernel on the running event loop. Without a `platform` nothing goes on while code computes or
    blocks, and nobody can be asked.
    """

    kind = "loop"

    def __init__(
        self,
        interpreter: Interpreter,
        *,
        platform: Platform | None = None,
        capabilities: Mapping[str, Any] | None = None,
    ) -> None:
        own = {
            "input": False,
            "answers_while_blocking": False,
            "interrupts_blocking": False,
            "runs_while_sleeping": False,
            "runs_while_computing": False,
        }
        super().__init__(interpreter, capabilities={**own, **(capabilities or {})})
        self._platform = platform
        # jobs that can be answered at a safepoint and have not begun; when they will, and their contexts
        self._prompt: dict[Job, tuple[float, Context]] = {}
        self._timers: list[Timer] = []
        self._waits: dict[asyncio.Future[Any], tuple[Job | None, bool]] = {}
        """Who waits: the job to which the code belongs, and whether it is the job itself (or a task of its).
        """

    async def serve(self, transport: Transport) -> None:
        """Run the kernel on `transport`, on this thread, until it is shut down."""
        if self._platform is None:
            await super().serve(transport)
            return
        self._platform.start(self)
        try:
            await super().serve(transport)
        finally:
            self._platform.stop()

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """See `Context`. While code computes, it is called at a safepoint."""
        self._set_timer(delay, call)

    def wait(self, future: asyncio.Future[Any], timeout: float | None = None) -> Any:
        """Wait for `future` in synchronous code, while all else goes on as far as the platform lets it.

        Returns its result, or None after `timeout` seconds. Raises what the future does, KeyboardInterrupt
        when the cell to which the code belongs is interrupted, and StdinNotAvailableError, with a sentence
        that says what is missing, where code cannot wait.
        """
        if self._platform is None:
            raise StdinNotAvailableError("This kernel runs on one event loop, which cannot wait.")
        self._waits[future] = self._main.on_stack
        timer = None
        if timeout is not None:
            timer = self._set_timer(timeout, lambda: future.done() or future.set_result(None))
        try:
            with self._main.aside():
                self._platform.block(future)
        finally:
            del self._waits[future]
            if timer in self._timers:
                self._timers.remove(timer)
        return future.result()

    def safepoint(self) -> None:
        """Answer what has arrived. Raises KeyboardInterrupt where the interrupted code is to be."""
        if self.guard.postpone(threading.get_ident(), self.safepoint):
            return
        assert self._platform
        self._platform.serve(self._serve)
        if self._main.interrupted_here():
            raise KeyboardInterrupt

    def _serve(self) -> None:
        assert self._platform
        self._platform.poll()
        now = time.monotonic()
        for timer in [timer for timer in self._timers if timer[0] <= now]:
            self._ring(timer)
        while time.monotonic() < now + TURN:
            if not any(
                self._interject(job)
                for job, (when, _context) in self._prompt.items()
                if when <= time.monotonic()
            ):
                break
        self._expect(TURN)

    def _expect(self, rest: float = 0) -> None:
        """Have the next safepoint when it is needed, and not before `rest` seconds."""
        if self._platform:
            times = [when for when, _ in (*self._timers, *self._prompt.values())]
            self._platform.expect(max(rest, min(times) - time.monotonic()) if times else None)

    def _set_timer(self, delay: float, call: Callable[[], object]) -> Timer:
        timer = (time.monotonic() + delay, call)
        self._timers.append(timer)
        self._main.call_later(delay, lambda: self._ring(timer))
        self._expect()
        return timer

    def _ring(self, timer: Timer) -> None:
        if timer in self._timers:
            self._timers.remove(timer)
            timer[1]()

    # ---- jobs

    def _interject(self, job: Job) -> bool:
        """Answer `job` in the middle of other code, unless it has just begun; False where that must wait."""
        try:
            reply = self._prompt[job][1].run(self._interpreter.interject, job.request)
        except BaseException as error:
            reply = as_error(error)
        if reply is None:
            return False
        del self._prompt[job]
        if self._main.withdraw(job):
            self._finish(job, reply)
        return True

    async def _handle(self, job: Job) -> Content | None:
        self._prompt.pop(job, None)
        if self._platform and job.key.family is Family.EXECUTE:
            self._platform.renew()
        return await super()._handle(job)

    def _finish(self, job: Job, reply: Content | None) -> None:
        if self._platform and job.key.family is Family.EXECUTE:
            self._platform.poll()  # what was sent while the cell ran has arrived before its end
        super()._finish(job, reply)

    def _worker(self, job: Job) -> Worker:
        return self._main

    def _start(self, job: Job, context: Context) -> None:
        super()._start(job, context)
        if job.key.family in (Family.INTROSPECTION, Family.INFORMATION):
            self._prompt[job] = (time.monotonic() + (0 if self._main.computes else TURN), context)
            self._expect()

    def _cancel(self, job: Job) -> None:
        waits = [(future, own) for future, (owner, own) in self._waits.items() if owner is job]
        for future, _own in waits:
            if not future.done():
                future.set_exception(KeyboardInterrupt())
        if not any(own for _future, own in waits):
            super()._cancel(job)

    # ---- what differs

    def _close_subshell(self, subshell_id: str) -> None:
        pass

    def _begin_to_stop(self) -> None:
        pass

    def _question(self) -> Question:
        if self._platform is None:
            raise StdinNotAvailableError(
                "input() is not available: this kernel runs on one event loop, which cannot wait."
            )
        return _FutureQuestion(self)


class _FutureQuestion:
    def __init__(self, host: LoopHost) -> None:
        self._host = host
        self._future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def wait(self) -> str | None:
        return self._host.wait(self._future)

    def answer(self, value: str | None) -> None:
        if not self._future.done():
            self._future.set_result(value)
