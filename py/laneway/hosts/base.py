"""What both hosts share: the guarded core, its effects, and the context that an interpreter sees.

The contract with the core: (1) each Start gets exactly one `finished`; (2) Interrupt is valid from Start on;
(3) effects are performed in order, and a nested call only appends while the outermost performs; (4) feeding a
message never waits for a handler; (5) what a message holds is encoded before the guard is taken, for objects
of users may run code then.

What fails is one of two things. What has to do with one message costs that message: its reply says so.
Anything else is `failed`: the kernel ends at once, and says why.

Any thread, inside the guard. Imports: stdlib and `protocol/`.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from math import inf
from typing import Any, Protocol, assert_never

from ..protocol.backends import Backend
from ..protocol.effects import (
    Answer,
    CancelTask,
    CloseSubshell,
    Effect,
    Ended,
    Interrupt,
    OpenSubshell,
    Send,
    Start,
    Stop,
)
from ..protocol.errors import KernelError
from ..protocol.jobs import JobInfo
from ..protocol.kernel import KernelProtocol
from ..protocol.lanes import Job
from ..protocol.message import Channel, Content, Message, as_error
from ..protocol.modes import Mode
from ..protocol.ports import Hold, Interpreter, Transport, Waiter
from ..protocol.routes import Family
from ..session import new_session
from . import fair
from .calls import Call
from .guard import Guard
from .interrupts import AGAIN, Act, Where, act
from .unraisable import raised_again_by
from .worker import JOB, WORKER, Worker

GRACE = 1.0
"""Seconds that interrupted cells have to end by themselves when the kernel stops, before they are cancelled.
"""

Line = str | type[BaseException]
"""What ends the wait of `input()`: a line, or what interrupts the cell."""


class Question(Protocol):
    """Where the code that called `input()` waits."""

    def wait(self) -> Line:
        """Wait for the answer."""
        ...

    def answer(self, value: Line) -> None:
        """End the wait. From any thread; more than once is harmless."""
        ...


class Held(ABC):
    """See `Hold`. What a host without threads waits for differs from what others do."""

    def __init__(self, host: Host, alone: bool) -> None:
        self.alone = alone
        self.job = JOB.get()
        """To which the code belongs, if to any; it may have ended."""
        self._host = host
        self._calls: deque[Callable[[], None]] = deque()
        self._released = False
        self._interrupted: type[BaseException] | None = None

    def stay(self) -> None:
        """See `Hold`."""
        if not self._host.holding(self):
            return
        try:
            while not self._released:
                if self._calls:
                    self._calls.popleft()()
                else:
                    self._wait()
                if self._interrupted:
                    raise self._interrupted
        finally:
            self._host.held(self)
            while self._calls:  # who has posted them waits for an answer
                self._calls.popleft()()

    def post(self, call: Callable[[], None]) -> None:
        """See `Hold`."""
        self._calls.append(call)
        self._wake()

    def release(self) -> None:
        """See `Hold`."""
        self._released = True
        self._wake()

    def interrupt(self, error: type[BaseException]) -> None:
        """See `Hold`."""
        self._interrupted = error
        self._wake()

    @abstractmethod
    def _wait(self) -> None:
        """Wait for `_wake`, be it that it was called before."""

    @abstractmethod
    def _wake(self) -> None: ...


class Host(ABC):
    """Runs a kernel: the `Receiver` of its transport and the `Context` of its interpreter.

    kernel_info says under `laneway` what this host can do: `host`, its kind; `modes`, the run modes; `input`,
    whether code can ask; whether it `answers_while_blocking` (introspection during `time.sleep` or a
    computation) and `interrupts_blocking`; whether subshells go on while another's cell sleeps or computes,
    `runs_while_sleeping` and `runs_while_computing`; whether code can be stopped and looked at, `debugger`;
    more from `capabilities`.
    """

    kind: str
    """Its name in kernel_info."""
    modes: Sequence[Mode]
    """The run modes that it can carry out."""
    backends: Sequence[Backend] = (Backend.ASYNCIO,)
    """What cells can await; the first where they do not say it."""

    def __init__(self, interpreter: Interpreter, *, capabilities: Mapping[str, Any] | None = None) -> None:
        self.guard = Guard()
        self.started = asyncio.Event()
        """Set when messages are served."""
        self.restart = False
        """Whether the shutdown_request that ended the kernel announced a restart."""
        debugger = bool(interpreter.info.get("debugger")) and self.no_hold is None
        info = {
            **interpreter.info,
            "debugger": debugger,
            "supported_features": ["kernel subshells", *(["debugger"] if debugger else [])],
            "laneway": {
                "host": self.kind,
                "modes": list(self.modes),
                "backends": list(self.backends),
                "debugger": debugger,
                **(capabilities or {}),
            },
        }
        self._core = KernelProtocol(
            info,
            new_session(),
            modes=frozenset(self.modes),
            backends=self.backends,
            tasks=self._tasks,
        )
        self._interpreter = interpreter
        self._transport: Transport | None = None
        self._performing = False
        self._alarm = inf  # when `_tick` is called next, in terms of `time.monotonic`
        self._contexts: dict[tuple[Channel, str | None, str | None], Context] = {}
        self._questions: dict[
            str, tuple[str | None, Question]
        ] = {}  # ask_id -> the cell that asks, its question
        self._held: list[Held] = []
        self._main = self._new_worker()
        self._base_context = copy_context()
        self._calls: set[Call] = set()
        self._stopping = False

    # ---- its life

    async def serve(self, transport: Transport) -> None:
        """Run the kernel on `transport`, on this thread, until it is shut down.

        It ends in this order, see `life.py`: nothing new runs, what runs is interrupted, what is left on any
        loop is cancelled, the interpreter stops, the transport closes. Raises what has `failed`.
        """
        with raised_again_by(self._interrupt_again):
            await self._serve_on(transport)

    async def _serve_on(self, transport: Transport) -> None:
        self._transport = transport
        self._base_context = copy_context()
        self._interpreter.start(self)
        try:
            transport.start(self)
            self.started.set()
            with self.guard:
                self._core.starting()
                self._perform()
            await self._main.run()
        finally:
            try:
                self._end_calls()
                self._end_workers()
                self._interpreter.stop()
            finally:
                transport.close()

    def _end_calls(self) -> None:
        with self.guard:
            self._stopping = True
            for call in self._calls:
                call.end(KernelError("The kernel ended before this could end."))

    def interrupt(self) -> None:
        """Interrupt whatever runs."""
        with self.guard:
            self._core.interrupt()
            self._perform()

    def _interrupt_again(self, error: type[BaseException]) -> bool:
        """Raise `error` in a moment in the job that calls this: Python could not, see `unraisable.py`."""
        job = JOB.get()
        if job is None or WORKER.get() not in self._all_workers() or not self._worker(job).on_stack[1]:
            return False

        def again() -> None:
            with self.guard:
                self._interrupt(job, True, error)

        self.call_later(AGAIN, again)
        return True

    # ---- Receiver

    def receive(self, message: Message) -> None:
        """See `Receiver`."""
        self._feed(self._core.receive, message, time.monotonic())

    def subscribed(self, topic: str) -> None:
        """See `Receiver`."""
        self._feed(self._core.subscribed, topic)

    def _feed(self, take: Callable[..., None], *what: object) -> None:
        try:
            with self.guard:
                take(*what)
                self._perform()
        except Exception as error:  # the core never raises, whatever a message holds: it is broken
            self.failed(error)

    def failed(self, error: BaseException) -> None:
        """See `Receiver`. `serve` raises `error`, as soon as it can."""
        self._main.fail(error)

    # ---- Context

    def publish(
        self,
        parent: Message | None,
        msg_type: str,
        content: Content,
        *,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> None:
        """See `Context`."""
        assert self._transport is not None
        message = self._core.output(parent, msg_type, content, metadata=metadata, buffers=buffers)
        encoded = self._transport.encode(message)
        with self.guard:
            self._core.send(message, encoded)
            self._perform()

    def ask(self, parent: Message | None, prompt: str, password: bool) -> str:
        """See `Context`."""
        ask_id = ""
        question = self._question()
        try:
            with self.guard:
                ask_id = self._core.ask(parent, prompt, password)
                self._questions[ask_id] = (parent and parent.msg_id, question)
                self._perform()
            value = question.wait()
        finally:
            with self.guard:
                self._questions.pop(ask_id, None)
                self._core.withdraw(ask_id)
        if not isinstance(value, str):
            raise value
        return value

    def call(self, parent: Message | None, function: Callable[[], Any], *, awaits: bool) -> Any:
        """See `Context`."""
        if self._main.is_here:
            raise RuntimeError(
                "This is the shell's own thread, which would wait for itself: "
                + ("await the function in place of laneway.run." if awaits else "call the function directly.")
            )
        job = JOB.get()
        own = parent is not None and job is not None and job.id == parent.msg_id and self._worker(job).is_here
        call = Call(function, awaits=awaits, owner=parent and parent.msg_id, own=own)
        with self.guard:
            if self._stopping:
                raise KernelError("The kernel ends, or has ended.")
            self._calls.add(call)
            self._main.call(call, self._core.backend)
        try:
            return call.wait()
        finally:
            with self.guard:
                self._calls.discard(call)

    def jobs(self) -> Sequence[JobInfo]:
        """See `Context`."""
        with self.guard:
            return self._core.jobs(time.monotonic())

    def job(self, job_id: str) -> JobInfo | None:
        """See `Context`."""
        with self.guard:
            return self._core.job(job_id, time.monotonic())

    def cancel_job(self, job_id: str) -> bool:
        """See `Context`."""
        with self.guard:
            found = self._core.cancel(job_id, time.monotonic())
            self._perform()
            return found

    def spare_job(self, job_id: str) -> None:
        """See `Context`."""
        with self.guard:
            self._core.spare(job_id, time.monotonic())

    def when_job_ended(self, job_id: str, call: Callable[[], object]) -> None:
        """See `Context`."""
        with self.guard:
            if self._core.when_ended(job_id, call):
                return
            for worker in self._all_workers():
                if any(task.id == job_id for task in worker.tasks()):
                    worker.when_task_ended(job_id, call)
                    return
        call()

    @abstractmethod
    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """See `Context`."""

    @property
    def backend(self) -> Backend:
        """See `Context`."""
        return self._core.backend

    @backend.setter
    def backend(self, backend: Backend) -> None:
        if backend not in self.backends:
            raise ValueError(f"This kernel has no backend {backend.value!r}.")
        self._core.backend = backend

    def enable_gui(self, make: Callable[[], Waiter] | None) -> None:
        """See `Context`."""
        if not self._main.is_here:
            raise RuntimeError("A GUI's event loop runs in the main shell: use %gui in a cell of that.")
        fair.enable_gui(asyncio.get_running_loop(), make)

    def stop(self) -> None:
        """See `Context`."""
        with self.guard:
            self._core.stop()
            self._perform()

    def holding(self, hold: Held) -> bool:
        """Code begins to stay in `hold`; False where it is not to, since the kernel ends."""
        with self.guard:
            if self._stopping:
                return False
            self._held.append(hold)
            if hold.job is not None:
                self._core.stopped(hold.job, time.monotonic())
                self._perform()
            return True

    def held(self, hold: Held) -> None:
        """It goes on."""
        with self.guard:
            self._held.remove(hold)
            if hold.job is not None:
                self._core.went_on(hold.job, time.monotonic())
                self._perform()

    @property
    @abstractmethod
    def no_hold(self) -> str | None:
        """See `Context`. Known before anything else is."""

    @abstractmethod
    def hold(self) -> Hold:
        """See `Context`."""

    # ---- what differs

    @abstractmethod
    def _worker(self, job: Job) -> Worker:
        """Who runs `job`."""

    @abstractmethod
    def _question(self) -> Question:
        """A question that the calling thread can wait on; StdinNotAvailableError where it cannot wait."""

    @abstractmethod
    def _workers_but_main(self) -> Sequence[Worker]:
        """Those that have been started beside the main shell's."""

    @abstractmethod
    def _end_workers(self) -> None:
        """End those, within a bounded time. No more jobs will come."""

    @abstractmethod
    def _close_subshell(self, subshell_id: str) -> None:
        """No more jobs of it will come."""

    @abstractmethod
    def _begin_to_stop(self) -> None:
        """What runs has been interrupted and is to end now."""

    # ---- jobs

    def _all_workers(self) -> Sequence[Worker]:
        return (self._main, *self._workers_but_main())

    def _tasks(self) -> list[JobInfo]:
        return [task for worker in self._all_workers() for task in worker.tasks()]

    def _start(self, job: Job, context: Context) -> None:
        self._worker(job).start(job, context)

    def _new_worker(self) -> Worker:
        return Worker(self.guard, self._handle, self._finish, self.failed)

    async def _handle(self, job: Job) -> Send | None:
        """Run `job`. Its reply is encoded as a part of it: that may be interrupted, and may fail."""
        content = self._interpreter.handle(job.request)
        if inspect.isawaitable(content):
            content = await content
        if job.overdue and content and content.get("status") == "ok":  # its code has caught what arose
            self.publish(job.request, "error", _without_status(self._core.overdue_error(job)))
        return self._encoded(job, content)

    def _encoded(self, job: Job, content: Content | None) -> Send | None:
        assert self._transport is not None
        reply = self._core.reply(job, content)
        return reply and Send(reply, self._transport.encode(reply))

    def _finish(self, job: Job, reply: Send | Content | BaseException | None) -> None:
        """`job` has ended, with this reply, or with an error that nobody has shown: an interrupt, say, that
        came before its code began.
        """
        if isinstance(reply, BaseException):
            reply = self._core.overdue_error(job) if job.overdue else as_error(reply)
            if job.key.family is Family.EXECUTE and not job.request.content.get("silent"):
                self.publish(job.request, "error", _without_status(reply))
        if not isinstance(reply, Send):
            message = self._core.reply(job, reply)
            reply = message and Send(message)
        failed = reply and reply.message.content.get("status") == "error"
        if self._transport and job.key.family is Family.EXECUTE and failed:
            # an error aborts what its sender had queued behind it, so let that arrive first
            self._transport.settle(lambda: self._finished(job, reply))
        else:
            self._finished(job, reply)

    def _finished(self, job: Job, reply: Send | None) -> None:
        with self.guard:
            self._core.finished(job, *(reply or (None, None)), time.monotonic())
            self._perform()
            if self._stopping and not self._core.running:
                self._main.stop()

    def _context(self, job: Job) -> Context:
        """Queued cells of one shell share a context, so that what a cell sets (decimal's precision, say) is
        there in the next.
        """
        key = (job.key.channel, job.key.subshell_id, job.key.thread)
        if key not in self._contexts:
            self._contexts[key] = self._base_context.copy()
        context = self._contexts[key]
        queued = job.key.family is Family.EXECUTE and job.queues
        return context if queued else context.copy()

    # ---- effects

    def _perform(self) -> None:
        if self._performing:
            return
        self._performing = True
        try:
            while effects := self._core.effects():
                for effect in effects:
                    self._do(effect)
                self._flush()
            self._set_alarm()
        finally:
            self._performing = False

    def _flush(self) -> None:
        try:
            if self._transport:
                self._transport.flush()
        except Exception as error:
            self.failed(error)

    def _set_alarm(self) -> None:
        due = self._core.next_deadline()
        if due is not None and due < self._alarm:
            self._alarm = due
            self.call_later(max(0, due - time.monotonic()), self._tick)

    def _tick(self) -> None:
        with self.guard:
            self._alarm = inf
            self._core.tick(time.monotonic())
            self._perform()

    def _do(self, effect: Effect) -> None:
        """Perform `effect`. Never raises: the others are none of its matter."""
        try:
            match effect:
                case Send(message, encoded):
                    self._send(message, encoded)
                case Start(job):
                    self._try_to_start(job)
                case _:
                    self._do_else(effect)
        except Exception as error:
            self.failed(error)

    def _do_else(self, effect: Effect) -> None:
        match effect:
            case Interrupt(job, aimed, error):
                self._interrupt(job, aimed, error)
            case CancelTask(job_id):
                for worker in self._all_workers():
                    worker.cancel_task(job_id)
            case Ended(calls):
                for call in calls:
                    call()
            case Answer(ask_id, value):
                if ask_id in self._questions:
                    self._questions[ask_id][1].answer(value)
            case OpenSubshell():
                pass  # what it needs is made when its first job comes
            case CloseSubshell(subshell_id):
                self._contexts.pop((Channel.SHELL, subshell_id, None), None)
                self._close_subshell(subshell_id)
            case Stop(restart):
                self.restart = restart
                self._end_calls()
                for hold in self._held:
                    hold.release()
                self._begin_to_stop()
                if self._core.running:
                    self._main.call_later(GRACE, self._main.stop)
                else:
                    self._main.stop()
            case Send() | Start():
                raise AssertionError("This is done elsewhere.")
            case _:
                assert_never(effect)

    def _send(self, message: Message, encoded: Any) -> None:
        assert self._transport is not None
        if encoded is None:  # it is ours, all of it
            encoded = self._transport.encode(message)
        self._transport.send(message, encoded)

    def _try_to_start(self, job: Job) -> None:
        try:
            self._start(job, self._context(job))
        except Exception as error:  # there are no more threads, say
            reply = self._core.reply(job, as_error(error))
            self._finished(job, reply and Send(reply))

    def _interrupt(self, job: Job | None, aimed: bool, error: type[BaseException]) -> None:
        for call in self._calls:
            if not call.own and (job.id == call.owner if job else call.owner not in self._core.running_ids):
                call.end(error())
        if job is None:
            for worker in self._all_workers():
                worker.interrupt_left()
            return
        worker = self._worker(job)
        where = Where.WAIT if self._waits(job) else worker.where(job)
        if (what := act(where, aimed=aimed)) is Act.WAIT:
            self._end_waits(job, error)
        else:
            worker.interrupt(job, what, error, aimed=aimed)

    def _waits(self, job: Job) -> bool:
        """Whether the code of `job` itself waits for an answer."""
        calls = any(call.own and call.owner == job.id for call in self._calls)
        return calls or any(msg_id == job.id for msg_id, _question in self._questions.values())

    def _end_waits(self, job: Job, error: type[BaseException]) -> None:
        for msg_id, question in self._questions.values():
            if msg_id == job.id:
                question.answer(error)
        for call in self._calls:
            if call.own and call.owner == job.id:
                call.end(error())


def _without_status(error: Content) -> Content:
    """An error in a reply, as the content of a message `error`."""
    return {name: value for name, value in error.items() if name != "status"}
