"""Execution: one cell that runs somewhere, as its caller sees it. Runs on the client's event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..protocol.client import Pending
from ..protocol.errors import KernelError, KernelTimeoutError
from ..protocol.message import Content, Message

if TYPE_CHECKING:
    from .client import Client

StdinHook = Callable[[str, bool], "str | Awaitable[str]"]
"""`hook(prompt, password)` returns the line that the cell asked for, or an awaitable of it."""

MAX_OUTPUT = 64 * 2**20
"""Bytes of output (roughly) that an execution keeps; what comes after that is counted in `dropped`."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a cell: an iopub message without its headers."""

    msg_type: str
    """`stream`, `display_data`, `update_display_data`, `execute_result`, `error` or `clear_output`."""
    content: Content
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    buffers: Sequence[Any] = ()


OUTPUT_TYPES = frozenset(
    {"stream", "display_data", "update_display_data", "execute_result", "error", "clear_output"}
)


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
    """Outputs that were not kept, see MAX_OUTPUT."""

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
        """All that was written to it."""
        return self._stream("stdout")

    @property
    def stderr(self) -> str:
        """All that was written to it."""
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
            if output.msg_type == "stream" and output.content.get("name") == name
        )


class Execution(Awaitable[ExecResult]):
    """Awaitable (any number of times; cancelling who waits only detaches them) and iterable for outputs as
    they come.
    """

    def __init__(self, client: Client, pending: Pending, stdin: StdinHook | None) -> None:
        self.state = State.QUEUED
        self.outputs: list[Output] = []
        """What has come so far."""
        self.dropped = 0
        """How many outputs were not kept, see MAX_OUTPUT."""
        self.pending = pending
        """The request, as `ClientProtocol` has filed it."""
        self._client = client
        self._stdin = stdin
        self._context = copy_context()
        self._began = time.monotonic()
        self._asking: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._size = 0
        self._more: list[asyncio.Future[None]] = []
        self._done: asyncio.Future[ExecResult] = asyncio.get_running_loop().create_future()
        self._done.add_done_callback(_retrieve)

    @property
    def msg_id(self) -> str:
        """The id of the execute_request."""
        return self.pending.id

    @property
    def phase(self) -> str:
        """What is being waited for."""
        if self._asking:
            return "awaiting stdin"
        return "awaiting idle" if self.pending.reply else self.state

    @property
    def elapsed(self) -> float:
        """Seconds since it was sent."""
        return time.monotonic() - self._began

    @property
    def received(self) -> int:
        """How many outputs have come."""
        return len(self.outputs) + self.dropped

    def __await__(self) -> Generator[Any, Any, ExecResult]:
        return asyncio.shield(self._done).__await__()

    async def __aiter__(self) -> AsyncGenerator[Output, None]:
        """The outputs from the first on; ends, or raises, with the execution."""
        position = 0
        while True:
            while position < len(self.outputs):
                yield self.outputs[position]
                position += 1
            if self._done.done():
                self._done.result()
                return
            more: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._more.append(more)
            await more

    async def cancel(self) -> None:
        """Take it back: queued it never runs, running it is interrupted, and no other cell is touched. Raises
        KernelError where it is queued and the kernel, not being Laneway, could only interrupt another cell.
        Returns when it has ended.
        """
        if self._done.done():
            return
        if self.state is State.QUEUED and not self._client.aims:
            raise KernelError("This kernel cannot take back a cell that is queued; wait until it runs.")
        self.state = State.CANCELLED
        await self._client.interrupt(self.msg_id)
        await asyncio.wait([self._done])

    # ---- fed by the client

    def begin(self) -> None:
        """The kernel has begun with it."""
        if self.state is State.QUEUED:
            self.state = State.RUNNING

    def add(self, message: Message) -> None:
        """An output has come."""
        self._size += _size(message)
        if self._size > MAX_OUTPUT:
            self.dropped += 1
            return
        self.outputs.append(Output(message.msg_type, message.content, message.metadata, message.buffers))
        self._wake()

    def ask(self, question: Message) -> None:
        """Its code asks for a line."""
        task = asyncio.get_running_loop().create_task(self._ask(question), context=self._context)
        self._asking = task

    def abandon(self, error: Exception) -> None:
        """Its time is over: it fails with `error` when it has ended."""
        self._failure = error
        if self._asking:
            self._asking.cancel()
            self._asking = None

    def finish(self) -> None:
        """Reply and idle have come, or the time for the idle is over."""
        assert self.pending.reply is not None
        if self._failure:
            timed_out = isinstance(self._failure, KernelTimeoutError)
            self.fail(self._failure, State.ABANDONED if timed_out else State.FAILED)
            return
        reply = self.pending.reply.content
        if self.state is not State.CANCELLED:
            self.state = State.DONE
        result = ExecResult(
            reply.get("status", "error"), _joined(self.outputs), reply, self.pending.idle, self.dropped
        )
        self._settle(lambda: self._done.set_result(result))

    def fail(self, error: Exception, state: State = State.FAILED) -> None:
        """Nothing more will come."""
        self.state = state
        self._settle(lambda: self._done.set_exception(error))

    def _settle(self, settle: Callable[[], None]) -> None:
        if self._asking:
            self._asking.cancel()
            self._asking = None
        if not self._done.done():
            settle()
        self._wake()

    def _wake(self) -> None:
        more, self._more = self._more, []
        for future in more:
            if not future.done():
                future.set_result(None)

    async def _ask(self, question: Message) -> None:
        prompt, password = question.content.get("prompt", ""), bool(question.content.get("password"))
        try:
            if self._stdin is None:
                raise KernelError("The cell asks for input, and no stdin hook was given to execute().")
            value = self._stdin(prompt, password)
            if not isinstance(value, str):
                value = await value
            self._client.answer(question, value)
        except Exception as error:
            self._failure = error
            await self._client.interrupt(self.msg_id)
        finally:
            if self._asking is asyncio.current_task():
                self._asking = None


def _retrieve(future: asyncio.Future[ExecResult]) -> None:
    """An execution may fail with nobody waiting: that is no mistake."""
    if not future.cancelled():
        future.exception()


def _size(message: Message) -> int:
    text = message.content.get("text")
    if isinstance(text, str):
        return len(text) + 256
    return len(repr(message.content)) + sum(memoryview(buffer).nbytes for buffer in message.buffers)


def _joined(outputs: Sequence[Output]) -> list[Output]:
    joined: list[Output] = []
    texts: list[str] = []

    def flush() -> None:
        if texts:
            last = joined.pop()
            joined.append(Output("stream", {**last.content, "text": "".join(texts)}, last.metadata))
            texts.clear()

    for output in outputs:
        last = joined[-1] if joined else None
        if (
            output.msg_type == "stream"
            and last is not None
            and last.msg_type == "stream"
            and last.content.get("name") == output.content.get("name")
        ):
            if not texts:
                texts.append(last.content["text"])
            texts.append(output.content["text"])
        else:
            flush()
            joined.append(output)
    flush()
    return joined
