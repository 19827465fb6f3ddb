"""A worker: one thread and its event loop, on which jobs run.

`run` is the thread's own; the rest may be called from any. What interrupts do is in the table of
`interrupts.py`. Imports: stdlib and `protocol/` (anyio alone would be a tenth of a kernel's start).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, nullcontext
from contextvars import Context, ContextVar, copy_context
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..protocol.backends import Backend
from ..protocol.errors import KernelError
from ..protocol.jobs import JobInfo, lane_name
from ..protocol.lanes import Job
from ..protocol.message import error_content
from ..protocol.modes import Mode
from ..protocol.routes import Family
from . import fair, sleep
from .calls import Call
from .children import interrupt_children
from .guard import Guard
from .interrupts import AGAIN, INTERRUPTS, Act, Where
from .raising import enters_with, give_import_lock_back, handles_import_lock, keep, raise_in_thread
from .signals import MainSignals, in_user_code
from .steps import GuestSteps, Stack, Steps

if TYPE_CHECKING:
    from .guest import Guest

JOB: ContextVar[Job | None] = ContextVar("laneway_job", default=None)
"""The job to which the running code belongs, be it the job itself, or a task or callback that it made."""

WORKER: ContextVar[Worker | None] = ContextVar("laneway_worker", default=None)
"""The worker of that job. A cell may run a kernel of its own on its loop, whose worker is another one."""

GRACE = 1.0
"""Seconds that what is cancelled at the end has to end by itself."""

SHARE = 0.005
"""Seconds for which jobs that follow one another may share a turn of the loop."""


class Worker:
    """Runs jobs: awaits `handle(job)` in the context given with the job, and calls `finish(job, reply)`
    exactly once, where `reply` is what `handle` returned, or the content of an error reply. `failed` hears of
    what is no job's failure: the worker has ended then.

    All jobs of a worker interleave at their awaits; what has to wait for what was decided before they were
    started.

    Each begins in a turn of the loop. Where a turn costs much, `scheduled` is given: how many calls have been
    put on the loop so far. Jobs that follow one another share a turn then, while nothing else waits for one.
    """

    def __init__(
        self,
        guard: Guard,
        handle: Callable[[Job], Coroutine[Any, Any, Any]],
        finish: Callable[[Job, Any], None],
        failed: Callable[[BaseException], None],
        scheduled: Callable[[], int] | None = None,
    ) -> None:
        self._guard = guard
        self._handle = handle
        self._finish = finish
        self._failed = failed
        self._scheduled = scheduled
        self._planned: int | None = None  # the next turn is the last of so many calls on the loop
        self._turn = 0, 0.0  # the same of this one, and when there is no room in it any more
        self._begins: Job | None = None  # in this turn
        self._ends = False  # does that one end, without having awaited?
        self.follower: Job | None = None
        """What begins in the same turn as soon as the job that ends has ended."""
        self._thread = 0
        self._native = 0
        self._has_left = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._base = Context()  # in which the worker's own calls run, whoever asks for them
        self._early: list[Callable[[], object]] = []
        self._new: deque[Job] = deque()  # to be started, in this order
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped: asyncio.Event | None = None
        self._runner: asyncio.Task[Any] | None = None
        self._owns_loop = False
        self._failure: BaseException | None = None
        self._steps: dict[Job, Steps] = {}
        self._guest: Guest | None = None
        self._stack = Stack(guard)
        self._seen: tuple[FrameType, int] | None = None  # see `is_stuck`
        self._stray = False  # is what jobs have left on the stack to be interrupted?
        self.signals = MainSignals(guard)
        """For the one on the main thread."""

    # ---- its life

    async def run(self) -> None:
        """Serve on this thread until `stop`. What still runs then is cancelled, jobs and what they have left;
        what goes on all the same after `GRACE` seconds is abandoned.
        """
        self._stopped = asyncio.Event()
        self._runner = asyncio.current_task()
        self._owns_loop = fair.is_ours(asyncio.get_running_loop()) and JOB.get() is None
        self._base = copy_context()
        self._base.run(JOB.set, None)
        with self._guard:
            self._thread = threading.get_ident()
            self._native = getattr(threading, "get_native_id", int)()  # Pyodide has none
            self._loop = asyncio.get_running_loop()
            for call in self._early:
                self._loop.call_soon(call, context=self._base.copy())
        try:
            await self._stopped.wait()
        finally:
            self._stopped.set()
            await self._cancel_all()
            self.abandon()
            self._leave_thread()
        if self._failure:
            raise self._failure

    def run_in_thread(
        self, name: str, new_loop: Callable[[], asyncio.AbstractEventLoop], *, user_code: bool
    ) -> threading.Thread:
        """Start a daemon thread that runs this worker, on a loop that `new_loop` makes. On one for
        `user_code`, `time.sleep` can be interrupted.

        Raises RuntimeError where the system gives no more threads.
        """

        def work() -> None:
            try:
                with sleep.can_be_woken() if user_code else nullcontext():
                    fair.run(self.run(), new_loop)
            except BaseException as error:
                self._failed(error)

        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread

    def _leave_thread(self) -> None:
        """From now on nothing of ours arises on this thread, which does something else then; and when it has
        ended another one may get its number.
        """
        while not self._has_left:
            with contextlib.suppress(*INTERRUPTS), self._guard:  # one may be on its way
                self._has_left = True

    async def _cancel_all(self) -> None:
        for steps in list(self._steps.values()):  # other threads may start jobs
            steps.cancel()
        loop = asyncio.get_running_loop()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        owned = self._owns_loop
        if not owned:
            tasks = {task for task in tasks if task in self._tasks or self._maker(task)}
        for task in tasks - self._tasks:
            task.cancel()
        if tasks:
            _ended, left = await asyncio.wait(tasks, timeout=GRACE)
            for task in left if owned else ():
                # the loop goes: to collect the task would run its code once more, in a namespace that is
                # empty
                keep(task)
        if self._guest is not None:
            await self._guest.stop(GRACE)
        if owned:
            with contextlib.suppress(Exception):  # user code's generators
                await asyncio.wait_for(loop.shutdown_asyncgens(), GRACE)

    def _maker(self, task: asyncio.Task[Any]) -> Job | None:
        """The job of this worker that has made `task`."""
        context = _context_of(task)
        return context.get(JOB) if context.get(WORKER) is self else None

    # ---- from any thread

    def start(self, job: Job, context: Context) -> None:
        """Run `job` in `context`."""
        self._steps[job] = self._make_steps(job, context)
        if self._ends and self.follower is None and self._has_room():
            self.follower = job
            return
        self._new.append(job)
        if self._scheduled is not None:
            self._plan_turn(self._scheduled)
        elif threading.get_ident() == self._thread:
            self._start_new()
        else:
            self._post(self._start_new)

    def _make_steps(self, job: Job, context: Context) -> Steps:
        if job.backend is not Backend.TRIO:
            return Steps(self._stack, job, context)
        if find_spec("trio") is None:
            raise KernelError("This cell needs trio, which is not installed: pip install trio.")
        return GuestSteps(self._stack, job, context, self._started_guest)

    def _started_guest(self) -> Guest:
        """trio on this loop. On this worker's thread."""
        if self._guest is None:
            from .guest import Guest

            self._guest = Guest(self._run_job, self.fail)
        return self._guest

    def where(self, job: Job) -> Where:
        """Where the code of `job` is. In the guard."""
        steps = self._steps.get(job)
        if steps is None:
            return Where.ENDED
        if job is self._stack.stepping:
            return Where.STACK
        if steps.begun:
            return Where.AWAIT
        return Where.BEHIND if self._stack.stepping or self._runs_what_is_left() else Where.UNBEGUN

    def interrupt(self, job: Job, act: Act, error: type[BaseException], *, aimed: bool) -> None:
        """Raise `error` in the code of `job`. In the guard."""
        if act is Act.NOTHING:
            return
        self._stack.wanted[job] = error
        if act is Act.LINE and self._thread != threading.get_ident():
            self._interrupt_line(
                lambda: self._stack.stepping is job and job in self._stack.wanted, aimed=aimed
            )
        self._post(self._interrupt_suspended)

    def is_stuck(self, job: Job) -> bool:
        """Is the code of `job` where it was when this was asked last, in a call that has not returned?

        Where no signal reaches its thread, no exception arises in code that waits for a lock. In the guard.
        """
        seen, self._seen = self._seen, None
        if job is self._stack.stepping and self._thread != threading.get_ident():
            frame = sys._current_frames().get(self._thread)  # pyright: ignore[reportPrivateUsage]
            self._seen = frame and (frame, frame.f_lasti)
        return self._seen is not None and self._seen == seen

    def interrupt_left(self) -> None:
        """Raise KeyboardInterrupt in what a job has left on the stack, if there is something. In the
        guard.
        """
        if self._thread == threading.get_ident():
            self._stray = self._runs_what_is_left()  # whoever has interrupted this thread looks
        elif self._runs_what_is_left():
            self._stray = True
            self._interrupt_line(lambda: self._stray and self._runs_what_is_left(), aimed=False)

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

    @property
    def is_here(self) -> bool:
        """Is the calling thread this worker's?"""
        return self._thread == threading.get_ident()

    def call(self, call: Call, backend: Backend) -> None:
        """Run `call` on this worker's loop, in the context of who calls."""
        in_trio = backend is Backend.TRIO
        self._post(lambda: self._started_guest().call(call) if in_trio else call.start())

    def when_free(self, call: Callable[[], object]) -> None:
        """Call `call`, on this worker's loop, once no job runs there and no task that one has left."""

        def look() -> None:
            left = asyncio.all_tasks() - {self._runner}
            if left:
                left.pop().add_done_callback(lambda _task: look(), context=self._base.copy())
            else:
                call()

        self._post(look)

    def wake(self) -> None:
        """Let the loop have a turn. From any thread."""
        self._post(lambda: None)

    def tasks(self) -> list[JobInfo]:
        """The tasks that jobs have made and that go on."""
        return [
            JobInfo(
                _job_id(task, owner),
                "task",
                Mode.TASK.value,
                lane_name(owner.key.channel, owner.mode, owner.key.thread, owner.key.subshell_id),
                "ending" if task.cancelling() else "running",
                code=_function(task),
            )
            for task, owner in self._made_by_jobs()
        ]

    def cancel_task(self, job_id: str) -> None:
        """Cancel the task that is listed so."""
        self._post(lambda: [task.cancel() for task in self._find_tasks(job_id)])

    def when_task_ended(self, job_id: str, call: Callable[[], object]) -> None:
        """Call `call` when the task that is listed so has ended, or where it has."""

        def watch() -> None:
            tasks = self._find_tasks(job_id)
            if not tasks:
                call()
            for task in tasks[:1]:
                task.add_done_callback(lambda _task: call(), context=self._base.copy())

        self._post(watch)

    def _find_tasks(self, job_id: str) -> list[asyncio.Task[Any]]:
        return [task for task, owner in self._made_by_jobs() if _job_id(task, owner) == job_id]

    def _made_by_jobs(self) -> list[tuple[asyncio.Task[Any], Job]]:
        if self._loop is None:
            return []
        owned = ((task, self._maker(task)) for task in asyncio.all_tasks(self._loop) - self._tasks)
        return [(task, owner) for task, owner in owned if owner]

    def stop(self) -> None:
        """End `run`."""
        self._post(lambda: self._stopped and self._stopped.set())

    def abandon(self) -> None:
        """Answer for the jobs that have not ended. What their code says afterwards is not heard."""
        for job in list(self._steps):
            self._end_unfinished(job)

    def fail(self, error: BaseException) -> None:
        """End `run`, which raises `error`."""
        self._failure = self._failure or error
        self.stop()

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
        """To be called from the handler of SIGINT, on this worker's thread, which must be the main one.

        Calls `interrupt`, which interrupts whatever runs, unless it was we who sent the signal. Raises (after
        the guard was left) where what is on the stack is to be interrupted: `frame`
        is where the signal came.
        """

        def act() -> None:
            if not self.signals.taken():
                interrupt()
                self._stray = True
            self._interrupt_here(frame)

        if not self._guard.postpone(threading.get_ident(), act):
            act()

    def interrupted_here(self) -> type[BaseException] | None:
        """What is to be raised at a safepoint of the code on the stack: it is to be interrupted itself, or
        keeps a job waiting that is, without belonging to another cell.
        """
        stack, owner = self._stack, JOB.get()
        stray, self._stray = self._stray, False
        if owner is None or not (stack.wanted or stray):
            return None
        if owner is stack.stepping:
            return stack.wanted.pop(owner, None)
        # else a task or callback is ended, and then its job where it awaits
        if (
            stray
            or owner in stack.wanted
            or owner not in self._steps
            or owner.key.family is not Family.EXECUTE
        ):
            return stack.wanted.get(owner, KeyboardInterrupt)
        return None

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
        return job, job is not None and job is self._stack.stepping

    @contextmanager
    def aside(self) -> Generator[None]:
        """While the code on the stack waits, its stack is put aside (or is as good as that)."""
        stepping, self._stack.stepping = self._stack.stepping, None
        try:
            yield
        finally:
            self._stack.stepping = stepping

    def _interrupt_line(self, wanted: Callable[[], bool], *, aimed: bool) -> None:
        """What is wanted, at the line where this worker's thread is; it is another one that asks."""
        if self._has_left:
            pass
        elif self._has_signals():
            self.signals.insist(wanted, aimed=aimed)
        elif self._guard.postpone(self._thread, self._interrupt_here):
            pass
        elif self._must_go_on():
            self._interrupt_line_later(wanted, aimed=aimed)
        else:
            raise_in_thread(self._thread, self._forget_line())
            sleep.wake(self._thread)
            if sys.platform != "win32":
                interrupt_children(self._native)

    def _interrupt_line_later(self, wanted: Callable[[], bool], *, aimed: bool) -> None:
        """The same a moment later, and not where the code is protected. From any thread."""

        def again() -> None:
            with self._guard:
                if wanted():
                    self._interrupt_line(wanted, aimed=aimed)

        if self._has_signals():
            self.signals.send_later(wanted, aimed=aimed)
        else:
            timer = threading.Timer(AGAIN, again)
            timer.daemon = True
            timer.start()

    def _has_signals(self) -> bool:
        return self._thread == threading.main_thread().ident and sys.platform != "win32"

    def _must_go_on(self) -> bool:
        """Is this worker's thread just now where another one must not raise an exception?"""
        frame = sys._current_frames().get(self._thread)  # pyright: ignore[reportPrivateUsage]
        return self._is_protected(frame) or (frame is not None and enters_with(frame))

    def _is_protected(self, frame: FrameType | None) -> bool:
        """Would an exception break more there than what is to be interrupted?"""
        if frame is None:
            return False
        return handles_import_lock(frame) or (self._guest is not None and self._guest.protects(frame))

    def _interrupt_here(self, frame: FrameType | None = None) -> None:
        here = frame or sys._getframe()  # pyright: ignore[reportPrivateUsage]
        if self._is_protected(here):
            wanted = self._stack.wanted
            self._interrupt_line_later(lambda: self._stray or self._stack.stepping in wanted, aimed=True)
            return
        stray = self._stray and self._stack.stepping is None and in_user_code(here)
        if stray or self._stack.stepping in self._stack.wanted:
            raise self._forget_line()
        self._stray = False

    def _forget_line(self) -> type[BaseException]:
        """What was wanted there."""
        self._stray = False
        job = self._stack.stepping
        return KeyboardInterrupt if job is None else self._stack.wanted.pop(job, KeyboardInterrupt)

    def _runs_what_is_left(self) -> bool:
        """Whether a task or callback of user code, and no job, is on this worker's stack."""
        if self._stack.stepping is not None:
            return False
        if self._thread == threading.get_ident():
            return JOB.get() is not None
        return in_user_code(sys._current_frames().get(self._thread))  # pyright: ignore[reportPrivateUsage]

    # ---- on the loop

    def _start_new(self) -> None:
        while self._new:
            self._begin(self._new.popleft())

    def _begin(self, job: Job, **options: Any) -> None:
        assert self._stopped
        if job not in self._steps:
            return  # withdrawn
        if self._stopped.is_set():
            self._end_unfinished(job)
        elif job.backend is Backend.TRIO:
            self._started_guest().start(job, lane=job.queues)
        else:
            # neither `create_task` nor a task group: what these call when a task is done takes a turn of the
            # loop each, and in a browser a turn costs as much as a tenth of a cell
            task = asyncio.Task(self._run_job(job), loop=self._loop, context=self._base.copy(), **options)
            if not task.done():
                self._tasks.add(task)

    def _plan_turn(self, scheduled: Callable[[], int]) -> None:
        if self._planned is None:
            self._post(self._share_turn)
            self._planned = scheduled()

    def _has_room(self) -> bool:
        """Whether another job may begin in this turn: not where something else has been put on the loop since
        the turn was, or after `SHARE` seconds.
        """
        planned, end = self._turn
        return self._scheduled is not None and self._scheduled() == planned and time.monotonic() < end

    def _share_turn(self) -> None:
        """Begin the first that is new, followed at once by the next in its lane if it ends before it awaits,
        and so on. The others have a turn of their own: the stack of this one may be put aside.
        """
        assert self._scheduled
        self._turn = self._planned or 0, time.monotonic() + SHARE
        self._planned = None
        if not self._new:
            return  # a safepoint has planned a turn where one was being planned
        self.follower = self._new.popleft()
        if self._new:
            self._plan_turn(self._scheduled)
        try:
            while self.follower is not None:
                self._begins, self.follower = self.follower, None
                self._begin(self._begins, eager_start=True)
        finally:
            self._begins = None
            if self.follower is not None:  # an interrupt has come between
                self._new.append(self.follower)
                self.follower = None
                self._plan_turn(self._scheduled)

    def _end_unfinished(self, job: Job) -> None:
        self._end(job, error_content("KernelError", "The kernel ended before this could end."))

    async def _run_job(self, job: Job) -> None:
        task = asyncio.current_task()  # in trio there is none
        if task is not None:
            self._tasks.add(task)
        try:
            if (steps := self._steps.get(job)) is not None:
                steps.begun = True
                if job in self._steps:  # not withdrawn, be it at a safepoint between these lines
                    await self._run_steps(job, steps)
        except Exception as error:  # none of user code's, which is in the reply: this worker cannot go on
            self.fail(error)
        finally:
            if task is not None:
                self._tasks.discard(task)

    async def _run_steps(self, job: Job, steps: Steps) -> None:
        reply: Any = None
        try:
            steps.coroutine = self._handle(job)
            steps.context.run(JOB.set, job)
            steps.context.run(WORKER.set, self)
            reply = await steps
        except BaseException as error:
            reply = error
            if isinstance(error, asyncio.CancelledError) and not isinstance(error, INTERRUPTS):
                raise
            # trio's own cancellation is the cell's: a nursery that it has kept open has failed, say
            # whatever else user code raises (SystemExit, say) ends its cell and nothing else
        finally:
            self._ends = self._begins is job
            try:
                self._end(job, reply)
            finally:
                self._ends = False
            reply = None  # the error has this frame, too

    def _end(self, job: Job, reply: Any) -> None:
        give_import_lock_back()
        with self._guard:
            ended = self._steps.pop(job, None) is None
            self._seen = None
            self._stack.wanted.pop(job, None)
        if not ended:  # else it was abandoned at the kernel's end
            self._finish(job, reply)

    def _interrupt_suspended(self) -> None:
        for job, error in list(self._stack.wanted.items()):
            if job is not self._stack.stepping and self._steps[job].interrupt(error):
                self._stack.wanted.pop(job, None)


def _context_of(task: asyncio.Task[Any]) -> Context:
    """Before Python 3.12 only the garbage collector is told."""
    if sys.version_info >= (3, 12):
        return task.get_context()
    contexts = (held for held in gc.get_referents(task) if isinstance(held, Context))
    return next(contexts, Context())  # its own; those of its callbacks follow


def _job_id(task: asyncio.Task[Any], owner: Job) -> str:
    return f"{owner.id}/{task.get_name()}"


def _function(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", "")
