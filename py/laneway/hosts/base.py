"""What both hosts share: the guarded core, its effects, and the context that an interpreter sees.

The contract with the core: (1) each Start gets exactly one `finished`; (2) Cancel is valid from Start on; (3)
effects are performed in order, and a nested call only appends while the outermost performs; (4) feeding a
message never waits for a handler.

Any thread, inside the guard. Imports: stdlib and `protocol/`.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context, copy_context
from typing import Any, Protocol, assert_never

from ..protocol.effects import Answer, Cancel, CloseSubshell, Effect, OpenSubshell, Send, Start, Stop
from ..protocol.kernel import KernelProtocol
from ..protocol.lanes import Job, Mode
from ..protocol.message import Channel, Content, Message, as_error
from ..protocol.ports import Interpreter, Transport
from ..protocol.routes import Family
from ..session import new_session
from .guard import Guard
from .worker import Worker

GRACE = 1.0
"""Seconds that interrupted cells have to end by themselves when the kernel stops, before they are cancelled.
"""


MODES = (Mode.QUEUE, Mode.TASK)
"""The run modes that a host can carry out, and says so in kernel_info."""


class Question(Protocol):
    """Where the code that called `input()` waits."""

    def wait(self) -> str | None:
        """Wait for the answer; None says that the cell was interrupted."""
        ...

    def answer(self, value: str | None) -> None:
        """End the wait. From any thread; more than once is harmless."""
        ...


class Host(ABC):
    """Runs a kernel: the `Receiver` of its transport and the `Context` of its interpreter.

    kernel_info says under `laneway` what this host can do: `host`, its kind; `modes`, the run modes; `input`,
    whether code can ask; whether it `answers_while_blocking` (introspection during `time.sleep` or a
    computation) and `interrupts_blocking`; whether subshells go on while another's cell sleeps or computes,
    `runs_while_sleeping` and `runs_while_computing`; more from `capabilities`.
    """

    kind: str
    """Its name in kernel_info."""

    def __init__(self, interpreter: Interpreter, *, capabilities: Mapping[str, Any] | None = None) -> None:
        self.guard = Guard()
        self.started = asyncio.Event()
        """Set when messages are served."""
        self.restart = False
        """Whether the shutdown_request that ended the kernel announced a restart."""
        info = {
            **interpreter.info,
            "supported_features": ["kernel subshells"],
            "laneway": {"host": self.kind, "modes": list(MODES), **(capabilities or {})},
        }
        self._core = KernelProtocol(info, new_session(), modes=frozenset(MODES))
        self._interpreter = interpreter
        self._transport: Transport | None = None
        self._performing = False
        self._contexts: dict[tuple[Channel, str | None], Context] = {}
        self._questions: dict[
            str, tuple[str | None, Question]
        ] = {}  # ask_id -> the cell that asks, its question
        self._main = Worker(self.guard, self._handle, self._finish)
        self._base_context = copy_context()
        self._refused: TypeError | None = None
        self._stopping = False

    # ---- its life

    async def serve(self, transport: Transport) -> None:
        """Run the kernel on `transport`, on this thread, until it is shut down."""
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
                self._interpreter.stop()
            finally:
                transport.close()

    def interrupt(self) -> None:
        """Interrupt every running cell."""
        with self.guard:
            self._core.interrupt()
            self._perform()

    # ---- Receiver

    def receive(self, message: Message) -> None:
        """See `Receiver`."""
        with self.guard:
            self._core.receive(message)
            self._perform()

    def subscribed(self, topic: str) -> None:
        """See `Receiver`."""
        with self.guard:
            self._core.subscribed(topic)
            self._perform()

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
        with self.guard:
            self._core.publish(parent, msg_type, content, metadata=metadata, buffers=buffers)
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
        if value is None:
            raise KeyboardInterrupt
        return value

    @abstractmethod
    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """See `Context`."""

    def stop(self) -> None:
        """See `Context`."""
        with self.guard:
            self._core.stop()
            self._perform()

    # ---- what differs

    @abstractmethod
    def _worker(self, job: Job) -> Worker:
        """Who runs `job`."""

    @abstractmethod
    def _question(self) -> Question:
        """A question that the calling thread can wait on; StdinNotAvailableError where it cannot wait."""

    @abstractmethod
    def _close_subshell(self, subshell_id: str) -> None:
        """No more jobs of it will come."""

    @abstractmethod
    def _begin_to_stop(self) -> None:
        """What runs has been interrupted and is to end now."""

    # ---- jobs

    def _start(self, job: Job, context: Context) -> None:
        self._worker(job).start(job, context)

    async def _handle(self, job: Job) -> Content | None:
        reply = self._interpreter.handle(job.request)
        return await reply if inspect.isawaitable(reply) else reply

    def _finish(self, job: Job, reply: Content | None) -> None:
        if self._transport and job.key.family is Family.EXECUTE and reply and reply.get("status") == "error":
            # an error aborts what its sender had queued behind it, so let that arrive first
            self._transport.settle(lambda: self._finished(job, reply))
        else:
            self._finished(job, reply)

    def _finished(self, job: Job, reply: Content | None) -> None:
        with self.guard:
            self._core.finished(job, reply)
            self._perform()
            if self._stopping and not self._core.running:
                self._main.stop()

    def _context(self, job: Job) -> Context:
        """Queued cells of one shell share a context, so that what a cell sets (decimal's precision, say) is
        there in the next.
        """
        key = (job.key.channel, job.key.subshell_id)
        if key not in self._contexts:
            self._contexts[key] = self._base_context.copy()
        context = self._contexts[key]
        queued = job.key.family is Family.EXECUTE and job.mode is Mode.QUEUE
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
        finally:
            self._performing = False
        if self._refused:
            refused, self._refused = self._refused, None
            raise refused

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send(message):
                self._send(message)
            case Start(job):
                self._start(job, self._context(job))
            case Cancel(job):
                self._cancel(job)
            case Answer(ask_id, value):
                if ask_id in self._questions:
                    self._questions[ask_id][1].answer(value)
            case OpenSubshell():
                pass  # what it needs is made when its first job comes
            case CloseSubshell(subshell_id):
                self._contexts.pop((Channel.SHELL, subshell_id), None)
                self._close_subshell(subshell_id)
            case Stop(restart):
                self.restart = restart
                self._stopping = True
                self._begin_to_stop()
                if self._core.running:
                    self._main.call_later(GRACE, self._main.stop)
                else:
                    self._main.stop()
            case _:
                assert_never(effect)

    def _send(self, message: Message) -> None:
        assert self._transport is not None
        try:
            self._transport.send(message)
        except TypeError as error:  # no JSON form
            if message.channel is Channel.IOPUB:
                self._refused = error  # whoever published it is told
            else:
                message.content = as_error(error)
                self._transport.send(message)

    def _cancel(self, job: Job) -> None:
        questions = [question for msg_id, question in self._questions.values() if msg_id == job.id]
        for question in questions:
            question.answer(None)
        if not questions:
            self._worker(job).interrupt(job)
