"""trio as a guest of a worker's asyncio loop: cells that await what trio's functions return.

    asyncio's loop            trio
    a job is to begin  --->   its lane's task runs it; a job without a queue has a task of its own
    a tick of trio     <---   something is to be done

The tasks of lanes live as long as the worker: a nursery that a cell opens can be closed by a later one. Every
other task ends in a nursery of its own: one that leaves a nursery open breaks it, and nothing else. All calls
from asyncio's side go by trio's token, for only that wakes it.

An interrupt is trio's own: a task that waits is aborted once, and may await while it cleans up (a cancelled
scope would not let it). On the stack it arises where trio allows it, and not in trio's own code.

Imported when the first job begins that needs it: trio is no dependency. The worker's thread.
"""

from __future__ import annotations

import asyncio
import math
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import outcome
import trio
from trio._core._ki import ki_protection_enabled  # what `currently_ki_protected` asks, of any frame
from trio._core._run import GLOBAL_RUN_CONTEXT, Runner
from trio.lowlevel import Task, current_task

from ..protocol.lanes import Job, LaneKey
from .calls import Call
from .signals import FOREIGN_LOOPS

_CHECKPOINT = trio.lowlevel.checkpoint.__code__
_SPAWN = Runner.spawn_impl.__code__


class Guest:
    """The run of trio on the running asyncio loop. `run` runs a job, and raises nothing but what trio's end
    asks for; `failed` hears where trio itself ends before `stop`.
    """

    def __init__(
        self, run: Callable[[Job], Awaitable[None]], failed: Callable[[BaseException], None]
    ) -> None:
        self._run = run
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._stopping = False
        self._ticks = False
        self._lanes: dict[LaneKey, trio.MemorySendChannel[Job]] = {}
        self._nursery: trio.Nursery | None = None
        self._early: list[Callable[[], object]] = []
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._call_soon_threadsafe,
            run_sync_soon_not_threadsafe=lambda tick: self._loop.call_soon(self._tick, tick),
            done_callback=self._done,
            host_uses_signal_set_wakeup_fd=True,
        )
        self._token = trio.lowlevel.current_trio_token()
        self._running = GLOBAL_RUN_CONTEXT.__dict__  # this thread's

    # ---- from any thread

    def post(self, call: Callable[[], object]) -> None:
        """Call `call` inside trio."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(call)

    # ---- on the loop

    def start(self, job: Job, *, lane: bool) -> None:
        """Run `job`: in the task of its lane, or in one of its own."""
        self.post(lambda: self._start_in_lane(job) if lane else self._spawn(_contained, self._run, job))

    def call(self, call: Call) -> None:
        """Run `call`, in its context."""
        self.post(lambda: call.context.run(self._spawn, _contained, call.run_in_trio, self.post))

    def task(self) -> Task:
        """The task that runs."""
        return current_task()

    def abort(self, task: Any, raise_error: Callable[..., NoReturn]) -> None:
        """Inside trio: let `raise_error` raise where `task` waits, if it does and can."""
        if task._abort_func is not None:  # private attributes, as trio interrupts its own main task
            task._attempt_abort(raise_error)

    def may_raise_in(self, coroutine: Coroutine[Any, Any, Any]) -> bool:
        """Can an error be thrown into a coroutine that goes on? Not where it has waited for a value, which
        would be lost. (A loop of `sleep(0)` is never seen waiting.)
        """
        awaited: Any = coroutine
        while awaited is not None:
            if getattr(awaited, "cr_code", None) is _CHECKPOINT:
                return True
            awaited = getattr(awaited, "cr_await", None)
        return False

    def protects(self, frame: FrameType) -> bool:
        """Would a KeyboardInterrupt at `frame`, where the worker's thread is, break trio? From any thread.

        trio says so of its own code, but for what makes a task: once that is its nursery's child, and does
        not run yet, it never would, and the nursery would wait for it for ever.
        """
        if not self._ticks:
            return False
        calling = GLOBAL_RUN_CONTEXT.__dict__  # the calling thread's, in which trio looks for the task
        own = dict(calling)
        calling.update(self._running)
        try:
            if ki_protection_enabled(frame):
                return True
        finally:
            if calling is not self._running:
                calling.clear()
                calling.update(own)
        spawning: FrameType | None = frame
        while spawning and spawning.f_code is not _SPAWN:
            spawning = spawning.f_back
        return spawning is not None and "task" in spawning.f_locals

    async def stop(self, grace: float) -> None:
        """End the run: what is left is cancelled."""
        self._stopping = True
        self.post(self._cancel_all)
        try:
            await asyncio.wait_for(self._ended.wait(), grace)
        except TimeoutError:  # user code would not end, or has left its nurseries open: it goes with the loop
            warnings.filterwarnings("ignore", "Trio guest run got abandoned", RuntimeWarning)

    # ---- inside trio

    async def _main(self) -> None:
        async with trio.open_nursery() as self._nursery:
            for call in self._early:
                call()
            await trio.sleep_forever()

    def _spawn(self, function: Callable[..., Awaitable[object]], *args: Any) -> None:
        if self._nursery is None:
            self._early.append(partial(copy_context().run, self._spawn, function, *args))
        else:
            self._nursery.start_soon(function, *args)

    def _start_in_lane(self, job: Job) -> None:
        if job.key not in self._lanes:
            self._lanes[job.key], jobs = trio.open_memory_channel[Job](math.inf)
            self._spawn(self._serve_lane, jobs)
        self._lanes[job.key].send_nowait(job)

    async def _serve_lane(self, jobs: trio.MemoryReceiveChannel[Job]) -> None:
        with suppress(trio.EndOfChannel):
            while True:
                await self._run(await _next(jobs))

    def _cancel_all(self) -> None:
        for lane in self._lanes.values():
            lane.close()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    # ---- between both

    def _call_soon_threadsafe(self, tick: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop has ended: nothing is left to do
            self._loop.call_soon_threadsafe(self._tick, tick)

    def _tick(self, tick: Callable[[], object]) -> None:
        self._ticks = True
        try:
            tick()
        finally:
            self._ticks = False

    def _done(self, ended: outcome.Outcome[None]) -> None:
        self._ended.set()
        error = getattr(ended, "error", None)
        if not self._stopping and error is not None:
            self._failed(error)


async def _contained(function: Callable[..., Awaitable[object]], *args: Any) -> None:
    """`function` says itself what goes wrong in it. What is left is trio's complaint of a nursery or a scope
    that its task has not closed, and what had been started there.
    """
    with suppress(Exception):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(function, *args)


async def _next(jobs: trio.MemoryReceiveChannel[Job]) -> Job:
    with trio.CancelScope(shield=True):  # a cell may have left a scope open that is cancelled
        return await jobs.receive()
    raise trio.EndOfChannel


FOREIGN_LOOPS[Guest._tick.__code__] = tuple(  # pyright: ignore[reportPrivateUsage]
    str(Path(module.__file__ or "").parent) for module in (trio, outcome)
)
