"""ThreadHost: user code on a thread per shell, and nothing else waits for it.

    main thread              the main shell: cells, task cells, comm messages
    one thread per subshell  its cells and comm messages
    control thread           execute_request on the control channel
    one per name             the cells of `# thread name=...`, one after the other; kept to the kernel's end
    some without a name      a cell of `# thread` each; kept for the next one, up to IDLE_THREADS
    introspection thread     completion, inspection, history; timers (so that prints appear while a cell
    blocks)
    debugger's thread        debug_request; what is about the frames of code that it has stopped is done on
    the thread of that code, which stays where it is

Which thread a job runs on is decided in `_worker`, and nowhere else. Imports: stdlib and `protocol/`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from types import FrameType
from typing import Any

from ..protocol.backends import Backend
from ..protocol.effects import Send
from ..protocol.errors import KernelError
from ..protocol.lanes import Job
from ..protocol.message import Channel, Content
from ..protocol.modes import Mode
from ..protocol.ports import Hold, Interpreter, Transport
from ..protocol.routes import Family
from . import fair, forks
from .base import Held, Host, Line, Question
from .life import Process
from .worker import GRACE, JOB, Worker

IDLE_THREADS = 8
"""How many threads without a name wait for the next cell."""

STUCK = (
    "This cell is to end, but is in a call that no interrupt ends: it waits for a lock, say. "
    "It ends as soon as that call returns.\n"
)


class ThreadHost(Host):
    """Runs a kernel on the thread that made it, and on some more that are started when they are needed.

    `process` is told of the kernel's end, and of failures, where the process is the kernel's own: it ends
    then, also where a cell swallows KeyboardInterrupt or is stuck in C. In a thread there is nothing that can
    be done. SIGTERM ends the kernel then, and `terminated` says so.
    """

    kind = "threads"
    modes = (Mode.QUEUE, Mode.TASK, Mode.THREAD)

    def __init__(
        self,
        interpreter: Interpreter,
        *,
        process: Process | None = None,
        backend: Backend = Backend.ASYNCIO,
        new_loop: Callable[[], asyncio.AbstractEventLoop] = fair.new_event_loop,
        capabilities: Mapping[str, Any] | None = None,
    ) -> None:
        self.backends = sorted(Backend, key=lambda each: each is not backend)
        own = {
            "input": True,
            "answers_while_blocking": True,
            "interrupts_blocking": _in_main_thread(),
            "runs_while_sleeping": True,
            "runs_while_computing": True,
        }
        super().__init__(interpreter, capabilities={**own, **(capabilities or {})})
        self._own_process = process
        self._new_loop = new_loop
        self._process = os.getpid()
        self._workers: dict[str, tuple[Worker, threading.Thread]] = {}
        self._borrowed: dict[Job, str] = {}  # the names, within this host, of threads that have none
        self._idle: list[str] = []
        self._said_stuck: set[Job] = set()
        self._numbers = itertools.count(1)
        self._ended = False
        self.terminated = False
        """Was it SIGTERM that ended the kernel?"""

    def run(self, transport: Transport) -> None:
        """`serve` on an event loop of its own, until the kernel has ended."""
        fair.run(self.serve(transport), self._new_loop)

    async def serve(self, transport: Transport) -> None:
        """Run the kernel on `transport`, on this thread, until it is shut down.

        Meanwhile Python's threads take turns more often, see `fair.py`, and on the process's main thread
        SIGINT is ours: it interrupts what runs.
        """
        on_main_thread = _in_main_thread()
        if on_main_thread:
            terminate = self._terminate if self._own_process else None
            self._main.signals.install(self._on_sigint, terminate, self._main.wake)
        try:
            with fair.TURNS.shorter():
                await super().serve(transport)
        finally:
            if on_main_thread:
                self._main.signals.uninstall()

    def failed(self, error: BaseException) -> None:
        """See `Receiver`. In a process of its own the kernel does not return from here."""
        if self._own_process:
            self._own_process.failed(error)
        super().failed(error)

    def _terminate(self) -> None:
        self.terminated = True
        with self.guard:
            self._core.stop(terminated=True)
            self._perform()

    def _on_sigint(self, _signum: int, frame: FrameType | None) -> None:
        self._main.on_signal(frame, self.interrupt)

    async def _handle(self, job: Job) -> Send | None:
        if job.key.family is Family.EXECUTE and _in_main_thread():
            self._main.signals.renew()
        return await super()._handle(job)

    def _encoded(self, job: Job, content: Content | None) -> Send | None:
        if os.getpid() != self._process:
            forks.end_child(content)
        return super()._encoded(job, content)

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """See `Context`. At the kernel's end nothing is called any more."""
        with suppress(KernelError):
            self._named_worker(_INTROSPECTION, user_code=False).call_later(delay, call)

    def _worker(self, job: Job) -> Worker:
        channel, family, subshell_id, thread = job.key
        if family in (Family.INTROSPECTION, Family.INFORMATION):
            return self._named_worker(_INTROSPECTION, user_code=False)
        if family is Family.DEBUG:
            return self._named_worker(_DEBUGGER, user_code=False)
        if thread is not None:
            return self._named_worker(f"thread {thread}")
        if job.mode is Mode.THREAD:
            name = self._borrowed.get(job)
            return self._named_worker(name) if name else self._main  # it has ended, and is nowhere
        if channel is Channel.CONTROL:
            return self._named_worker("control")
        return self._main if subshell_id is None else self._named_worker(f"subshell {subshell_id}")

    def _named_worker(self, name: str, *, user_code: bool = True) -> Worker:
        with self.guard:
            if name not in self._workers:
                if self._ended:
                    raise KernelError("The kernel has ended.")
                worker = self._new_worker()
                thread = worker.run_in_thread(f"laneway {name}", self._new_loop, user_code=user_code)
                self._workers[name] = (worker, thread)
            return self._workers[name][0]

    def _start(self, job: Job, context: Context) -> None:
        if job.mode is Mode.THREAD and job.key.thread is None:
            self._borrowed[job] = self._idle.pop() if self._idle else f"thread #{next(self._numbers)}"
        super()._start(job, context)

    def _finished(self, job: Job, reply: Send | None) -> None:
        super()._finished(job, reply)
        self._said_stuck.discard(job)
        if job not in self._borrowed:
            return
        with self.guard:
            name = self._borrowed.pop(job)
            if name in self._workers:
                self._workers[name][0].when_free(lambda: self._give_back(name))

    def _give_back(self, name: str) -> None:
        with self.guard:
            if len(self._idle) < IDLE_THREADS:
                self._idle.append(name)
            elif freed := self._workers.pop(name, None):
                freed[0].stop()

    def _workers_but_main(self) -> Sequence[Worker]:
        return [worker for worker, _thread in self._workers.values()]

    def _close_subshell(self, subshell_id: str) -> None:
        if closed := self._workers.pop(f"subshell {subshell_id}", None):
            closed[0].stop()

    def _end_workers(self) -> None:
        with self.guard:
            self._ended = True
            workers = list(self._workers.values())
        for worker, _thread in workers:
            worker.stop()
        until = time.monotonic() + 2 * GRACE
        for worker, thread in workers:
            thread.join(max(0, until - time.monotonic()))
            worker.abandon()

    def _question(self) -> Question:
        return _QueueQuestion()

    @property
    def no_hold(self) -> str | None:
        """See `Context`."""
        return None

    def hold(self) -> Hold:
        """See `Context`."""
        job = JOB.get()
        return _ThreadHold(self, own=job is not None and self._worker(job).on_stack[1])

    def _interrupt(self, job: Job | None, aimed: bool, error: type[BaseException]) -> None:
        for hold in self._held:  # the code of tasks and callbacks; for the job's own see `_waits`
            if isinstance(hold, _ThreadHold) and hold.job and not hold.own and job in (None, hold.job):
                hold.interrupt(error)
        super()._interrupt(job, aimed, error)
        if job and job.ending and self._worker(job).is_stuck(job) and job not in self._said_stuck:
            self._said_stuck.add(job)
            self.publish(job.request, "stream", {"name": "stderr", "text": STUCK})

    def _waits(self, job: Job) -> bool:
        return any(hold.waits for hold in self._held_of(job)) or super()._waits(job)

    def _end_waits(self, job: Job, error: type[BaseException]) -> None:
        for hold in self._held_of(job):
            hold.interrupt(error)
        super()._end_waits(job, error)

    def _held_of(self, job: Job) -> list[_ThreadHold]:
        return [h for h in self._held if isinstance(h, _ThreadHold) and h.job is job and h.own]

    def _begin_to_stop(self) -> None:
        if self._own_process:
            self._own_process.ending()


_INTROSPECTION = "introspection"
_DEBUGGER = "debugger"


def _in_main_thread() -> bool:
    """Only there can a signal end a blocking call."""
    return threading.current_thread() is threading.main_thread()


class _QueueQuestion:
    def __init__(self) -> None:
        self._answers: queue.SimpleQueue[Line] = queue.SimpleQueue()

    def wait(self) -> Line:
        return self._answers.get()

    def answer(self, value: Line) -> None:
        self._answers.put(value)


class _ThreadHold(Held):
    """Is the code the job's `own`, or that of a task or callback?"""

    def __init__(self, host: ThreadHost, own: bool) -> None:
        super().__init__(host, alone=False)
        self.own = own
        self.waits = False
        """Else it makes a call, which an interrupt ends."""
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def _wait(self) -> None:
        self.waits = True
        try:
            self._woken.get()
        finally:
            self.waits = False

    def _wake(self) -> None:
        self._woken.put(None)
