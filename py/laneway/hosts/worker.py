"""A worker: one thread and its event loop, on which jobs run.

It drives each job's coroutine itself, step by step, and so knows at every moment whether a job's code is on
the thread's stack. That is how it can interrupt in either state: code on the stack gets a KeyboardInterrupt
where it is, code that awaits gets one at its `await`.

`run` is the thread's own; the rest may be called from any. Imports: stdlib and `protocol/` (anyio
alone would be a tenth of a kernel's start).
"""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from types import FrameType
from typing import Any, cast

from ..protocol.lanes import Job
from ..protocol.message import Content, as_error, error_content
from ..protocol.routes import Family
from . import fair
from .guard import Guard
from .signals import MainSignal, in_user_code

JOB: ContextVar[Job | None] = ContextVar("laneway_job", default=None)
"""The job to which the running code belongs, be it the job itself, or a task or callback that it made."""


class Worker:
    """Runs jobs: awaits `handle(job)` in the context given with the job, and calls `finish(job, reply)`
    exactly once.

    All jobs of a worker interleave at their awaits; what has to wait for what was decided before they were
    started.
    """

    def __init__(
        self,
        guard: Guard,
        handle: Callable[[Job], Coroutine[Any, Any, Content | None]],
        finish: Callable[[Job, Content | None], None],
    ) -> None:
        self._guard = guard
        self._handle = handle
        self._finish = finish
        self._thread = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._base = Context()  # in which the worker's own calls run, whoever asks for them
        self._early: list[Callable[[], object]] = []
        self._new: deque[Job] = deque()  # to be started, in this order
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._steps: dict[Job, _Steps] = {}
        self._stepping: Job | None = None
        self._wanted: set[Job] = set()  # jobs that are to be interrupted and have not been yet
        self._lock = threading.RLock()  # around what an interrupt from another thread, or a signal, looks at
        self.signal = MainSignal(self._lock)
        """For the one on the main thread."""

    # ---- its life

    async def run(self) -> None:
        """Serve on this thread until `stop`; jobs that still run then are cancelled."""
        self._stopped = asyncio.Event()
        self._base = copy_context()
        self._base.run(JOB.set, None)
        with self._guard:
            self._thread = threading.get_ident()
            self._loop = asyncio.get_running_loop()
            for call in self._early:
                self._loop.call_soon(call, context=self._base.copy())
        try:
            await self._stopped.wait()
        finally:
            self._stopped.set()
            for steps in self._steps.values():
                steps.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)
            for job in list(self._steps):
                self._end_unbegun(job)
        if self._failure:
            raise self._failure

    def run_in_thread(self, name: str) -> threading.Thread:
        """Start a daemon thread that runs this worker."""
        thread = threading.Thread(target=lambda: fair.run(self.run()), name=name, daemon=True)
        thread.start()
        return thread

    # ---- from any thread

    def start(self, job: Job, context: Context) -> None:
        """Run `job` in `context`."""
        self._steps[job] = _Steps(self, job, context)
        self._new.append(job)
        if threading.get_ident() == self._thread:
            self._start_new()
        else:
            self._post(self._start_new)

    def interrupt(self, job: Job) -> None:
        """Raise KeyboardInterrupt in the code of `job`, be it on the stack or at an await. Harmless once it
        has ended.
        """
        with self._lock:
            if job not in self._steps:
                return
            self._wanted.add(job)
            if self._stepping is job and self._thread != threading.get_ident():
                self._interrupt_thread(job)
        self._post(self._interrupt_suspended)

    def withdraw(self, job: Job) -> bool:
        """Take back `job`, which will not be finished then; False where it has begun. On this worker's
        thread, at a safepoint.
        """
        if job not in self._steps or self._steps[job].begun:
            return False
        del self._steps[job]
        return True

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """Call `call` on this worker's loop after `delay` seconds."""
        if self._loop is not None and threading.get_ident() == self._thread:
            self._loop.call_later(delay, call, context=self._base.copy())
        else:
            self._post(lambda: asyncio.get_running_loop().call_later(delay, call))

    def stop(self) -> None:
        """Let `run` end."""
        self._post(lambda: self._stopped and self._stopped.set())

    def _post(self, call: Callable[[], object]) -> None:
        """Call `call` on the loop, in order of the calls, and wake the loop: it may be another thread's, or a
        signal may have found it asleep.
        """
        if self._loop is None:
            with self._guard:
                if self._loop is None:
                    self._early.append(call)
                    return
        try:
            self._loop.call_soon_threadsafe(call, context=self._base.copy())
        except RuntimeError:
            if not self._loop.is_closed():  # on a loop that has ended nothing is left to do
                raise

    # ---- interrupts of code that is on the stack

    def on_signal(self, frame: FrameType | None, interrupt: Callable[[], None]) -> None:
        """To be called from a signal's handler, on this worker's thread, which must be the main one.

        Calls `interrupt`, which interrupts jobs, unless it was we who sent the signal, to a certain job.
        Raises KeyboardInterrupt (after the guard was left) where a job that is to be interrupted is on the
        stack, or a task of user code that no job is: `frame` is where the signal came.
        """

        def act() -> None:
            ours = self.signal.taken()
            if not ours:
                interrupt()
            self._interrupt_here()
            if not ours and self._stepping is None and in_user_code(frame):
                raise KeyboardInterrupt

        if not self._guard.postpone(threading.get_ident(), act):
            act()

    def interrupted_here(self) -> bool:
        """Whether a KeyboardInterrupt is to be raised at a safepoint of the code on the stack: it belongs to
        a job that is to be interrupted, or keeps such a job waiting without belonging to another cell.
        """
        owner = JOB.get()
        if owner is None or not self._wanted:
            return False
        if owner is self._stepping and owner in self._wanted:
            self._wanted.discard(owner)
            return True
        # else a task or callback is ended, and then its job where it awaits
        return owner in self._wanted or owner not in self._steps or owner.key.family is not Family.EXECUTE

    @property
    def computes(self) -> bool:
        """Whether code of a cell or of a comm's hook is on the stack."""
        job = JOB.get()
        return job is not None and job.key.family in (Family.EXECUTE, Family.COMM)

    @property
    def on_stack(self) -> tuple[Job | None, bool]:
        """The job to which the code on the stack belongs, and whether it is the job itself: else it is a task
        or a callback.
        """
        job = JOB.get()
        return job, job is not None and job is self._stepping

    @contextmanager
    def aside(self) -> Generator[None]:
        """While the code on the stack waits, its stack is put aside (or is as good as that)."""
        stepping, self._stepping = self._stepping, None
        try:
            yield
        finally:
            self._stepping = stepping

    def _interrupt_thread(self, job: Job) -> None:
        if self._thread == threading.main_thread().ident and sys.platform != "win32":
            self.signal.insist(lambda: self._stepping is job and job in self._wanted)
        elif not self._guard.postpone(self._thread, self._interrupt_here):
            self._wanted.discard(job)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread), ctypes.py_object(KeyboardInterrupt)
            )

    def _interrupt_here(self) -> None:
        job = self._stepping
        if job in self._wanted:
            self._wanted.discard(job)
            raise KeyboardInterrupt

    # ---- on the loop

    def _start_new(self) -> None:
        assert self._stopped
        while self._new:
            job = self._new.popleft()
            if job not in self._steps:
                continue  # withdrawn
            if self._stopped.is_set():
                self._end_unbegun(job)
                continue
            # neither `create_task` nor a task group: what these call when a task is done takes a turn of the
            # loop each, and in a browser a turn costs as much as a tenth of a cell
            task = asyncio.Task(self._run_job(job), loop=self._loop, context=self._base.copy())
            self._tasks.add(task)

    def _end_unbegun(self, job: Job) -> None:
        self._end(job, error_content("KernelError", "The kernel ended before this could run."))

    async def _run_job(self, job: Job) -> None:
        try:
            if (steps := self._steps.get(job)) is not None:
                steps.begun = True
                if job in self._steps:  # not withdrawn, be it at a safepoint between these lines
                    await self._run_steps(job, steps)
        except Exception as error:  # none of user code's, which is in the reply: this worker cannot go on
            self._failure = error
            self.stop()
        finally:
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _run_steps(self, job: Job, steps: _Steps) -> None:
        reply: Content | None = None
        try:
            reply = await steps
        except asyncio.CancelledError as error:
            reply = as_error(error)
            raise
        except (
            BaseException
        ) as error:  # whatever user code raises (SystemExit, say) ends its cell and nothing else
            reply = as_error(error)
        finally:
            self._end(job, reply)

    def _end(self, job: Job, reply: Content | None) -> None:
        with self._lock:
            del self._steps[job]
            self._wanted.discard(job)
        self._finish(job, reply)

    def _interrupt_suspended(self) -> None:
        for job in list(self._wanted):
            if job is not self._stepping and self._steps[job].interrupt():
                self._wanted.discard(job)


# A worker and its jobs' steps are one thing in two parts.
# pyright: reportPrivateUsage=false
class _Steps(Awaitable[Any]):
    """Awaits a job's coroutine on behalf of its worker, telling it when the job's code is on the stack."""

    def __init__(self, worker: Worker, job: Job, context: Context) -> None:
        self._worker = worker
        self._job = job
        self._context = context
        self._task: asyncio.Task[Any] | None = None
        self._interrupted = False
        self.begun = False

    def interrupt(self) -> bool:
        """Raise KeyboardInterrupt where the coroutine awaits; False where it has not begun."""
        if self._task is None:
            return False
        self._interrupted = True
        return self._task.cancel()

    def cancel(self) -> None:
        """Cancel it, if it has begun."""
        if self._task:
            self._task.cancel()

    def __await__(self) -> Generator[Any, Any, Any]:
        worker, job = self._worker, self._job
        coroutine = worker._handle(job)
        self._context.run(JOB.set, job)
        self._task = asyncio.current_task()
        step, value = coroutine.send, None
        if job in worker._wanted:
            worker._wanted.discard(job)
            step, value = coroutine.throw, KeyboardInterrupt()
        while True:
            outer = worker._stepping  # None but where Pyodide switches stacks
            try:
                try:
                    worker._stepping = job
                    awaited = self._context.run(step, value)
                finally:
                    self._leave(outer)
            except StopIteration as stop:
                return stop.value
            except KeyboardInterrupt:
                worker._stepping = outer
                if inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED:
                    raise
                # it arose between the code's step and our noting its end
                step, value = coroutine.throw, KeyboardInterrupt()
                continue
            try:
                step, value = coroutine.send, (yield awaited)
            except asyncio.CancelledError as error:
                step, value = coroutine.throw, error
                if self._interrupted and self._task is not None:
                    self._interrupted = False
                    self._task.uncancel()
                    value = KeyboardInterrupt()
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                step, value = coroutine.throw, error

    def _leave(self, outer: Job | None) -> None:
        with self._worker._lock:
            self._worker._stepping = outer
