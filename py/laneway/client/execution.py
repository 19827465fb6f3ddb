"""Execution: one cell that runs somewhere, as its caller sees it. Runs on the client's event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..protocol.client import Pending
from ..protocol.errors import KernelError, KernelTimeoutError
from ..protocol.message import Content, Message
from ..transports.event_loops import Bell, Future, Task
from .outputs import Output, Outputs, as_output, joined

if TYPE_CHECKING:
    from .client import Client

StdinHook = Callable[[str, bool], "str | Awaitable[str]"]
"""`hook(prompt, password)` returns the line that the cell asked for, or an awaitable of it."""


class State(StrEnum):
    """Where an execution is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What has come of a cell. An error of its code is a result too."""

    status: str
    """`ok`, `error` or `aborted`."""
    outputs: Sequence[Output]
    """In order; neighbouring pieces of one stream are joined."""
    reply: Content
    """The content of the execute_reply."""
    complete: bool = True
    """False where the kernel never said that it was idle again: outputs may be missing."""
    dropped: int = 0
    """Outputs that were not kept, see `Outputs`."""

    @property
    def execution_count(self) -> int | None:
        """The number of the cell."""
        return self.reply.get("execution_count")

    @property
    def user_expressions(self) -> dict[str, Any]:
        """What the user_expressions gave, as in the messaging spec."""
        return self.reply.get("user_expressions", {})

    @property
    def error(self) -> Content | None:
        """`ename`, `evalue` and `traceback` where `status` is `error`."""
        return self.reply if self.status == "error" else None

    @property
    def stdout(self) -> str:
        """All that was written to it, but for what was cleared (`clear_output`) or dropped."""
        return self._stream("stdout")

    @property
    def stderr(self) -> str:
        """The same of the other stream."""
        return self._stream("stderr")

    @property
    def result(self) -> dict[str, Any] | None:
        """The MIME bundle of the last expression's value."""
        results = [output for output in self.outputs if output.msg_type == "execute_result"]
        return results[-1].content["data"] if results else None

    def _stream(self, name: str) -> str:
        return "".join(
            output.content["text"]
            for output in self.outputs
            if output.msg_type == "stream" and output.content["name"] == name
        )


class Execution(Awaitable[ExecResult]):
    """Awaitable (any number of times; cancelling who waits only detaches them) and iterable for outputs as
    they come.

    What the cell causes after its end (a task that it has started prints, a widget of it answers) is its
    output still, as long as somebody has the execution, or until `release`: in `outputs`, and for those who
    `follow` it.
    """

    def __init__(self, client: Client, pending: Pending, stdin: StdinHook | None) -> None:
        self.state = State.QUEUED
        self.pending = pending
        """The request, as `ClientProtocol` has filed it."""
        self._client = client
        self._stdin = stdin
        self._context = copy_context()
        self._outputs = Outputs()
        self._asking: Task | None = None
        self._given_up = State.ABANDONED  # its state, where it fails after it was interrupted
        self._released = False
        self._followers = 0
        self._more = Bell()
        self._settled: Future[ExecResult] = Future()

    @property
    def msg_id(self) -> str:
        """The id of the execute_request."""
        return self.pending.id

    @property
    def outputs(self) -> list[Output]:
        """What has come so far and is kept, see `Outputs`."""
        return self._outputs.kept

    @property
    def dropped(self) -> int:
        """How many outputs were not kept, see `Outputs`."""
        return self._outputs.dropped

    @property
    def phase(self) -> str:
        """What is being waited for."""
        return self.pending.phase

    def __await__(self) -> Generator[Any, Any, ExecResult]:
        return self._settled.__await__()

    def __aiter__(self) -> AsyncIterator[Output]:
        """The outputs from the first on; ends, or raises, with the execution."""
        return _Reader(self, late=False)

    async def follow(self) -> AsyncGenerator[Output, None]:
        """The outputs from the first on, and those that come late; ends with `release`, or the kernel."""
        self._client.follow(self)
        self._followers += 1
        try:
            async for output in _Reader(self, late=True):
                yield output
        finally:
            self._followers -= 1
            if not self._followers:
                self._client.unfollow(self)

    def release(self) -> None:
        """What comes late is not wanted any more. Harmless if repeated."""
        self._released = True
        self._client.release(self)
        self._more.ring()

    async def cancel(self) -> None:
        """Take it back: queued it never runs, running it is interrupted, and no other cell is touched. Raises
        KernelError where it is queued and the kernel, not being Laneway, could only interrupt another cell.
        Returns when it has ended.
        """
        if self._settled.done:
            return
        if self.state is State.QUEUED and not self._client.aims:
            raise KernelError("This kernel cannot take back a cell that is queued; wait until it runs.")
        self.state = State.CANCELLED
        await self._client.interrupt(self.msg_id)
        await self._settled.wait()

    async def read(self, position: int, *, late: bool) -> tuple[Output | None, int]:
        """The next output from this position on, or None at the end, and the position behind it."""
        while True:
            while position < self._outputs.count:
                output = self._outputs.at(position)
                position += 1
                if output:
                    return output, position
            if self._settled.done:
                self._settled.result()
                if not late or self._released:
                    return None, position
            await self._more.wait()

    # ---- fed by the client: see `Owner`

    def begun(self) -> None:
        if self.state is State.QUEUED:
            self.state = State.RUNNING

    def published(self, message: Message) -> None:
        """An output has come, perhaps late."""
        if output := as_output(message):
            self._outputs.add(output)
            self._more.ring()

    def asked(self, question: Message) -> bool:
        self._asking = self._client.spawn(self._ask(question), self._context)
        return True

    def replied(self, reply: Message) -> None:
        pass

    def overdue(self) -> None:
        self._end_question()
        self._client.interrupt_soon(self.msg_id)

    def done(self) -> None:
        assert self.pending.reply is not None
        reply = self.pending.reply.content
        if self.state is not State.CANCELLED:
            self.state = State.DONE
        result = ExecResult(
            reply.get("status", "error"), joined(self.outputs), reply, self.pending.idle, self.dropped
        )
        self._settle(lambda: self._settled.set_result(result))

    def failed(self, error: Exception) -> None:
        given_up = isinstance(error, KernelTimeoutError) or error is self.pending.failure
        self.state = self._given_up if given_up else State.FAILED
        told = error.with_outputs(self.outputs) if isinstance(error, KernelTimeoutError) else error
        self._settle(lambda: self._settled.set_exception(told))

    # ---- within

    def _settle(self, settle: Callable[[], None]) -> None:
        self._end_question()
        settle()
        self._more.ring()

    def _end_question(self) -> None:
        if self._asking:
            self._asking.cancel()
            self._asking = None

    async def _ask(self, question: Message) -> None:
        prompt, password = question.content.get("prompt", ""), bool(question.content.get("password"))
        try:
            if self._stdin is None:
                raise KernelError("The cell asks for input, and no stdin hook was given to execute().")
            value = self._stdin(prompt, password)
            if not isinstance(value, str):
                value = await value
            if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance], who knows
                raise KernelError("A stdin hook must return a string.")
            self._client.answer(question, value)
        except Exception as error:
            self._given_up = State.FAILED
            self._client.take_back(self, error)


class _Reader(AsyncIterator[Output]):
    """Of the outputs of an execution. No generator: who stops reading need not close it."""

    def __init__(self, execution: Execution, *, late: bool) -> None:
        self._execution = execution
        self._late = late
        self._position = 0

    async def __anext__(self) -> Output:
        output, self._position = await self._execution.read(self._position, late=self._late)
        if output is None:
            raise StopAsyncIteration
        return output
