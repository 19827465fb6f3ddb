"""LoopHost: everything on one event loop, as in Pyodide's worker. What awaits lets the others go on; what
computes or blocks does so too, at safepoints, where the platform has them.

A safepoint is a moment at which code that keeps the loop waiting is interrupted, to go on as if nothing had
been. What has arrived is received there, and so answered where it is the core's to answer; introspection,
information and debug requests are answered by the interpreter's `interject`; cells and comm messages only
join their queue, for they may change what the interrupted code works on.

Code that the debugger holds waits at one long safepoint: the world stands still, and debug requests are
answered on its stack, where safepoints go on, so that what they run can be interrupted, and the code with it.

Imports: stdlib and `protocol/`.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, ContextVar
from typing import Any

from ..protocol.effects import Send
from ..protocol.errors import StdinNotAvailableError
from ..protocol.lanes import Job
from ..protocol.message import Content, as_error
from ..protocol.modes import Mode
from ..protocol.ports import Hold, Interpreter, Platform, Transport
from ..protocol.routes import Family
from .base import Held, Host, Line, Question
from .interrupts import Where
from .worker import Worker

TURN = 0.02
"""Seconds that a safepoint may take for introspection; then the interrupted code has its turn, as long. A
request that arrives between the loop's turns has as long to be answered there, where it is answered best.
"""

_WAITING: ContextVar[Job | None] = ContextVar("waiting", default=None)
"""The job whose code is in `LoopHost.wait`, in that code's own context."""

Timer = tuple[float, Callable[[], object]]
"""When, in terms of `time.monotonic`, and what to call."""


class LoopHost(Host):
    """Runs a kernel on the running event loop. Without a `platform` nothing goes on while code computes or
    blocks, and nobody can be asked.
    """

    kind = "loop"
    modes = (Mode.QUEUE, Mode.TASK)

    def __init__(
        self,
        interpreter: Interpreter,
        *,
        platform: Platform | None = None,
        capabilities: Mapping[str, Any] | None = None,
    ) -> None:
        self._platform = platform
        own = {
            "input": False,
            "answers_while_blocking": False,
            "interrupts_blocking": False,
            "runs_while_sleeping": False,
            "runs_while_computing": False,
        }
        super().__init__(interpreter, capabilities={**own, **(capabilities or {})})
        # jobs that can be answered at a safepoint and have not begun; when they will, and their contexts
        self._prompt: dict[Job, tuple[float, Context]] = {}
        self._timers: list[Timer] = []
        self._waiting: dict[asyncio.Future[Any], tuple[Job | None, bool]] = {}
        """Who waits: the job to which the code belongs, and whether it is the job itself (or a task of its).
        """
        self._late: dict[asyncio.Future[Any], type[BaseException]] = {}
        """What has interrupted those whose wait was over, but who had not gone on."""

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

    def wait(self, future: asyncio.Future[Any], timeout: float | None = None, *, still: bool = False) -> Any:
        """Wait for `future` in synchronous code, while all else goes on as far as the platform lets it; if
        `still`, while no other code does, as far as that can be had.

        Returns its result, or None after `timeout` seconds. Raises what the future does, what
        interrupts the cell to which the code belongs, and StdinNotAvailableError, with a sentence
        that says what is missing, where code cannot wait.
        """
        if self._platform is None:
            raise StdinNotAvailableError("This kernel runs on one event loop, which cannot wait.")
        job, _own = self._waiting[future] = self._main.on_stack
        before = _WAITING.get()
        _WAITING.set(job)
        timer = None
        if timeout is not None:
            timer = self._set_timer(timeout, lambda: future.done() or future.set_result(None))
        try:
            with self._main.aside():
                self._platform.block(future, still=still)
        finally:
            _WAITING.set(before)
            del self._waiting[future]
            late = self._late.pop(future, None)
            if timer in self._timers:
                self._timers.remove(timer)
        if late:
            raise late
        return future.result()

    def safepoint(self) -> None:
        """Answer what has arrived. Raises where the interrupted code is to be interrupted for good."""
        if self.guard.postpone(threading.get_ident(), self.safepoint):
            return
        assert self._platform
        self._platform.serve(self._serve)
        error = self._main.interrupted_here()
        if error and not self._is_about_to_wait:
            if self._held:  # a request is being answered there; not only that one ends
                self._held[-1].interrupt(error)
            raise error

    @property
    def _is_about_to_wait(self) -> bool:
        """Whether the code on the stack is in `wait`. Its future ends it: what arises here, before its stack
        is put aside, could get lost in JavaScript.
        """
        job = _WAITING.get()
        return job is not None and job is self._main.on_stack[0]

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
            content = self._prompt[job][1].run(self._interpreter.interject, job.request)
            reply = None if content is None else self._encoded(job, content)
        except BaseException as error:
            reply = as_error(error)
        if reply is None:
            return False
        del self._prompt[job]
        if self._main.withdraw(job):
            self._finish(job, reply)
        return True

    def _answer_held(self, job: Job) -> None:
        """Answer a debug_request on the stack of the code that is held, in its context."""
        try:
            content = self._interpreter.interject(job.request)
            reply: Send | Content | None = self._encoded(job, content)
        except BaseException as error:
            reply = as_error(error)
        self._finish(job, reply)

    async def _handle(self, job: Job) -> Send | None:
        self._prompt.pop(job, None)
        if self._platform and job.key.family is Family.EXECUTE:
            self._platform.renew()
        return await super()._handle(job)

    def _finish(self, job: Job, reply: Send | Content | BaseException | None) -> None:
        if self._platform and job.key.family is Family.EXECUTE:
            self._platform.poll()  # what was sent while the cell ran has arrived before its end
        super()._finish(job, reply)

    def _new_worker(self) -> Worker:
        # before Python 3.12 no task begins at once
        scheduled = self._platform.scheduled if self._platform and sys.version_info >= (3, 12) else None
        return Worker(self.guard, self._handle, self._finish, self.failed, scheduled)

    def _flush(self) -> None:
        job = self._main.follower
        if job and job.key.family is Family.EXECUTE and not job.request.content.get("silent"):
            return  # it begins at once, and says so first of all: what there is goes with that
        super()._flush()

    def _worker(self, job: Job) -> Worker:
        return self._main

    def _start(self, job: Job, context: Context) -> None:
        if job.key.family is Family.DEBUG and self._held:
            self._held[-1].post(lambda: self._answer_held(job))
            return
        super()._start(job, context)
        if job.key.family in (Family.INTROSPECTION, Family.INFORMATION, Family.DEBUG):
            self._prompt[job] = (time.monotonic() + (0 if self._main.computes else TURN), context)
            self._expect()

    def _interrupt(self, job: Job | None, aimed: bool, error: type[BaseException]) -> None:
        if job is not None:  # what it has left waits in its name, and is ended with it
            self._end_waits_of(job, error, own=False)
        else:
            for left in {owner for owner, _own in self._waiting.values() if owner is not None}:
                if self._main.where(left) is Where.ENDED:
                    self._end_waits_of(left, error, own=False)
        super()._interrupt(job, aimed, error)

    def _waits(self, job: Job) -> bool:
        return (job, True) in self._waiting.values() or super()._waits(job)

    def _end_waits(self, job: Job, error: type[BaseException]) -> None:
        self._end_waits_of(job, error, own=True)
        super()._end_waits(job, error)

    def _end_waits_of(self, job: Job, error: type[BaseException], *, own: bool) -> None:
        for future, waits in self._waiting.items():
            if waits != (job, own):
                continue
            if future.done():
                self._late[future] = error
            else:
                future.set_exception(error())

    # ---- what differs

    @property
    def no_hold(self) -> str | None:
        """See `Context`."""
        if self._platform is None:
            return "The debugger cannot stop code: this kernel runs on one event loop, which cannot wait."
        return self._platform.no_hold

    def hold(self) -> Hold:
        """See `Context`."""
        return _FutureHold(self)

    def _workers_but_main(self) -> Sequence[Worker]:
        return ()

    def _end_workers(self) -> None:
        pass

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
        self._future: asyncio.Future[Line] = asyncio.get_running_loop().create_future()

    def wait(self) -> Line:
        return self._host.wait(self._future)

    def answer(self, value: Line) -> None:
        if not self._future.done():
            self._future.set_result(value)


class _FutureHold(Held):
    def __init__(self, host: LoopHost) -> None:
        super().__init__(host, alone=True)
        self._loop_host = host
        self._future: asyncio.Future[None] | None = None

    def _wait(self) -> None:
        self._future = asyncio.get_running_loop().create_future()
        # what has come at a safepoint between the lines has found no future to wake
        if self._calls or self._released:
            return
        self._loop_host.wait(self._future, still=True)

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
