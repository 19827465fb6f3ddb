"""Client: many requests outstanding, every reply and every output to its owner; the same class on every
transport.

`protocol/client.py` decides whose a message is; this gives it to its owner. No call touches a socket, and no
user code is awaited by who reads. Everything runs on the event loop on which the client was started.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from ..protocol.client import Busy, ClientProtocol, Done, InputRequested, Pending, Published, Replied
from ..protocol.errors import (
    ClientClosedError,
    KernelDiedError,
    KernelError,
    KernelRestartedError,
    KernelTimeoutError,
)
from ..protocol.message import Channel, Content, Message
from ..protocol.ports import ClientTransport
from ..session import new_session
from .comms import Comms
from .execution import OUTPUT_TYPES, ExecResult, Execution, State, StdinHook

if TYPE_CHECKING:
    from .sync import SyncClient

__all__ = ["Client", "ExecResult", "Execution"]

UNRESPONSIVE = 3.0
"""Seconds without a heartbeat after which a kernel is called unresponsive."""

INTERRUPT_GRACE = 2.0
"""Seconds that a cell which was interrupted for its timeout has to end, before it is abandoned."""

IDLE_GRACE = 2.0
"""Seconds after a reply, or an output that comes later, that a missing idle is waited for."""


class Client:
    """A connection to one kernel. Use it as an async context manager, or `start` and `aclose` it."""

    def __init__(self, transport: ClientTransport) -> None:
        stamp = new_session()
        self.session = stamp.session
        """The session id in the headers of all that this client sends."""
        self.info: Content = {}
        """The kernel's kernel_info_reply content."""
        self.comms = Comms(self)
        """Open comms here, and register targets."""
        self._protocol = ClientProtocol(stamp)
        self._transport = transport
        self._executions: dict[str, Execution] = {}
        self._requests: dict[str, asyncio.Future[Message]] = {}
        self._subscriptions: set[Subscription] = set()
        self._busy: set[str] = set()  # the cells, of any client, that run
        self._restarting = False
        self._ended: Exception | None = None
        self._has_ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    # ---- its life

    async def start(self, timeout: float = 60) -> Self:
        """Connect and wait until the kernel answers. Raises KernelTimeoutError after `timeout` seconds."""
        began = time.monotonic()
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                await self._transport.start(self._deliver, self._lost)
                self.info = await self.kernel_info()
        except BaseException as error:
            await self.aclose()
            if isinstance(error, TimeoutError) and not isinstance(error, KernelTimeoutError):
                raise KernelTimeoutError("kernel_info_request", "queued", time.monotonic() - began) from None
            raise
        return self

    async def aclose(self) -> None:
        """Disconnect; the kernel goes on. Calls that are pending raise ClientClosedError."""
        self._end(lambda _outputs: ClientClosedError("The client was closed."))
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return await self.start() if not self.info else self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    @property
    def alive(self) -> bool:
        """Can calls be made?"""
        return self._ended is None

    async def wait_ended(self) -> Exception:
        """Wait until the kernel has died or the client was closed, and return the error that calls raise
        since then.
        """
        await self._has_ended.wait()
        assert self._ended is not None
        return self._ended

    @property
    def state(self) -> str:
        """`starting`, `idle`, `busy`, `unresponsive` (a paused process, say; it may come back), `restarting`,
        `dead` or `closed`.
        """
        if self._ended:
            return "closed" if isinstance(self._ended, ClientClosedError) else "dead"
        if self._restarting or not self.info:
            return "restarting" if self._restarting else "starting"
        if self._transport.silence > UNRESPONSIVE:
            return "unresponsive"
        return "busy" if self._busy else "idle"

    @property
    def aims(self) -> bool:
        """Can the kernel interrupt one cell, and no other? Laneway's can."""
        return "laneway" in self.info

    @property
    def pending(self) -> int:
        """How many requests are under way."""
        return len(self._protocol.pending)

    @property
    def sync(self) -> SyncClient:
        """The same calls, blocking, for other threads than this client's."""
        from .sync import SyncClient  # it is made of this class

        assert self._loop is not None, "Start the client first."
        return SyncClient(self, self._loop)

    async def restart(self, timeout: float = 60) -> None:
        """Put a fresh kernel in the place of this one, and go on with it. Calls that are pending raise
        KernelRestartedError.

        Raises KernelError where this client has not started the kernel.
        """
        self._check()
        self._restarting = True
        self._fail(lambda outputs: KernelRestartedError("The kernel was restarted.", outputs=outputs))
        try:
            async with asyncio.timeout(timeout):
                await self._transport.restart()
                self.info = await self.kernel_info()
        finally:
            self._restarting = False

    # ---- cells

    def execute(
        self,
        code: str,
        *,
        silent: bool = False,
        store_history: bool = True,
        user_expressions: Mapping[str, str] | None = None,
        stop_on_error: bool = True,
        mode: Literal["queue", "task", "thread"] | None = None,
        stdin: StdinHook | None = None,
        subshell: str | None = None,
        channel: Channel = Channel.SHELL,
        msg_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        on_timeout: Literal["abandon", "interrupt"] = "abandon",
    ) -> Execution:
        """Send a cell, at once; await what is returned for its result.

        `stdin` answers what the cell asks (without it `input()` raises in the cell). `timeout` is in seconds
        from now: then the execution fails with KernelTimeoutError, and with `on_timeout="interrupt"` the cell
        is interrupted as well.

        Raises ValueError where `msg_id` is pending already, TypeError where something has no JSON form, and
        what ended the client where it has ended.
        """
        content: Content = {
            "code": code,
            "silent": silent,
            "store_history": store_history,
            "user_expressions": dict(user_expressions or {}),
            "allow_stdin": stdin is not None,
            "stop_on_error": stop_on_error,
        }
        sent_metadata = dict(metadata or {})
        if mode is not None:
            sent_metadata["laneway"] = {**sent_metadata.get("laneway", {}), "mode": mode}
        pending = self._file(
            "execute_request",
            content,
            channel=channel,
            msg_id=msg_id,
            subshell_id=subshell,
            metadata=sent_metadata,
        )
        execution = self._executions[pending.id] = Execution(self, pending, stdin)
        self._send(pending)
        if timeout is not None:
            asyncio.get_running_loop().call_later(timeout, self._expire, execution, on_timeout)
        return execution

    async def interrupt(self, msg_id: str | None = None, *, timeout: float | None = None) -> None:
        """Interrupt what runs; with `msg_id` only that cell, also one that is queued."""
        metadata = {"laneway": {"msg_id": msg_id}} if msg_id else {}
        await self.request(
            "interrupt_request", {}, channel=Channel.CONTROL, metadata=metadata, timeout=timeout
        )

    # ---- requests

    async def request(
        self,
        msg_type: str,
        content: Content,
        *,
        channel: Channel | str = Channel.SHELL,
        subshell: str | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
        timeout: float | None = None,
    ) -> Message:
        """Send any request and return its reply. Raises KernelTimeoutError after `timeout` seconds."""
        pending = self._file(
            msg_type,
            content,
            channel=Channel(channel),
            subshell_id=subshell,
            metadata=metadata,
            buffers=buffers,
        )
        future = self._requests[pending.id] = asyncio.get_running_loop().create_future()
        began = time.monotonic()
        try:
            self._send(pending)
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise KernelTimeoutError(
                msg_type, "running" if pending.busy else "queued", time.monotonic() - began
            ) from None
        finally:
            del self._requests[pending.id]
            self._protocol.forget(pending)

    async def kernel_info(self, **options: Any) -> Content:
        """The content of kernel_info_reply."""
        return (await self.request("kernel_info_request", {}, **options)).content

    async def complete(self, code: str, cursor_pos: int | None = None, **options: Any) -> Content:
        """The content of complete_reply; `cursor_pos` (in code points) is by default the end of `code`."""
        position = len(code) if cursor_pos is None else cursor_pos
        content = {"code": code, "cursor_pos": position}
        return (await self.request("complete_request", content, **options)).content

    async def inspect(
        self, code: str, cursor_pos: int | None = None, detail_level: int = 0, **options: Any
    ) -> Content:
        """The content of inspect_reply."""
        position = len(code) if cursor_pos is None else cursor_pos
        content = {"code": code, "cursor_pos": position, "detail_level": detail_level}
        return (await self.request("inspect_request", content, **options)).content

    async def is_complete(self, code: str, **options: Any) -> Content:
        """The content of is_complete_reply."""
        return (await self.request("is_complete_request", {"code": code}, **options)).content

    async def history(
        self,
        hist_access_type: Literal["range", "tail", "search"] = "tail",
        *,
        raw: bool = True,
        output: bool = False,
        timeout: float | None = None,
        **fields: Any,
    ) -> Content:
        """The content of history_reply; `fields` as in the spec: session, start, stop, n, pattern, unique."""
        content = {"hist_access_type": hist_access_type, "raw": raw, "output": output, **fields}
        return (await self.request("history_request", content, timeout=timeout)).content

    async def comm_info(self, target_name: str | None = None, **options: Any) -> Content:
        """The content of comm_info_reply."""
        content = {} if target_name is None else {"target_name": target_name}
        return (await self.request("comm_info_request", content, **options)).content

    async def debug(self, request: Content, **options: Any) -> Content:
        """The content of debug_reply to a Debug Adapter Protocol request."""
        return (await self.request("debug_request", request, channel=Channel.CONTROL, **options)).content

    async def create_subshell(self, **options: Any) -> str:
        """Open a subshell (JEP 91) and return its id, for `execute(subshell=...)`. Raises KernelError where
        the kernel has none.
        """
        reply = await self.request("create_subshell_request", {}, channel=Channel.CONTROL, **options)
        return _ok(reply.content)["subshell_id"]

    async def delete_subshell(self, subshell_id: str, **options: Any) -> None:
        """Close a subshell; a cell that runs there is interrupted."""
        content = {"subshell_id": subshell_id}
        reply = await self.request("delete_subshell_request", content, channel=Channel.CONTROL, **options)
        _ok(reply.content)

    async def list_subshells(self, **options: Any) -> list[str]:
        """The ids of the open subshells."""
        reply = await self.request("list_subshell_request", {}, channel=Channel.CONTROL, **options)
        return _ok(reply.content)["subshell_id"]

    async def shutdown(self, *, restart: bool = False, timeout: float | None = None) -> None:
        """Ask the kernel to end, and wait for its answer."""
        await self.request("shutdown_request", {"restart": restart}, channel=Channel.CONTROL, timeout=timeout)

    # ---- messages

    def post(
        self,
        msg_type: str,
        content: Content,
        *,
        channel: Channel | str = Channel.SHELL,
        buffers: Sequence[Any] = (),
    ) -> Message:
        """Send a message that gets no reply (comm messages) and return it."""
        self._check()
        message = self._protocol.message(msg_type, content, channel=Channel(channel), buffers=buffers)
        self._transport.send(message)
        return message

    def answer(self, question: Message, value: str) -> None:
        """Send the input_reply to an input_request."""
        self._transport.send(self._protocol.answer(question, value))

    def subscribe(
        self, wanted: Callable[[Message], bool] | None = None, maxsize: int = 10_000
    ) -> Subscription:
        """A copy of what the kernel sends from now on (all channels), where `wanted(message)`; independent of
        everything else.
        """
        subscription = Subscription(wanted, maxsize, self._subscriptions.discard)
        self._subscriptions.add(subscription)
        return subscription

    # ---- from the transport

    def _deliver(self, message: Message) -> None:
        if message.msg_type == "status":
            self._note_status(message)
        for subscription in self._subscriptions:
            subscription.offer(message)
        for event in self._protocol.receive(message):
            match event:
                case Busy(pending):
                    if execution := self._executions.get(pending.id):
                        execution.begin()
                case Published(pending, published):
                    execution = self._executions.get(pending.id) if pending else None
                    if execution and published.msg_type in OUTPUT_TYPES:
                        execution.add(published)
                    elif published.msg_type.startswith("comm_"):
                        self.comms.receive(published)
                case InputRequested(pending, question):
                    if execution := self._executions.get(pending.id):
                        execution.ask(question)
                case Replied(pending):
                    if (future := self._requests.get(pending.id)) and not future.done():
                        future.set_result(message)
                    elif not pending.done and (execution := self._executions.get(pending.id)):
                        self._await_idle(execution)
                case Done(pending):
                    if execution := self._executions.pop(pending.id, None):
                        execution.finish()

    def _note_status(self, message: Message) -> None:
        """Cells make a kernel busy, what is answered beside them does not. A server says `restarting`,
        `dead`.
        """
        parent_id, content = message.parent_id, message.content
        if not isinstance(content, dict):  # pyright: ignore[reportUnnecessaryIsInstance], it is as it was sent
            return
        state = content.get("execution_state")
        if state in ("restarting", "autorestarting") and not self._restarting:
            self._fail(lambda outputs: KernelRestartedError("The kernel was restarted.", outputs=outputs))
        elif state == "dead":
            self._lost(KernelDiedError("The kernel has died; its server does not say why."))
        elif parent_id and message.parent_header.get("msg_type") == "execute_request":
            if state == "busy":
                self._busy.add(parent_id)
            else:
                self._busy.discard(parent_id)

    def _lost(self, error: Exception) -> None:
        died = (
            error if isinstance(error, KernelDiedError) else KernelDiedError(f"The kernel has died: {error}")
        )
        self._end(died.with_outputs)

    # ---- within

    def _file(self, msg_type: str, content: Content, **options: Any) -> Pending:
        self._check()
        return self._protocol.request(msg_type, content, **options)

    def _send(self, pending: Pending) -> None:
        try:
            self._transport.send(pending.request)
        except BaseException:
            self._protocol.forget(pending)
            self._executions.pop(pending.id, None)
            raise

    def _check(self) -> None:
        if self._ended:
            raise self._ended

    def _await_idle(self, execution: Execution) -> None:
        asyncio.get_running_loop().call_later(IDLE_GRACE, self._no_idle, execution, execution.received)

    def _no_idle(self, execution: Execution, received: int) -> None:
        if self._executions.get(execution.msg_id) is not execution:
            return
        if execution.received > received:  # the reply has overtaken outputs: the idle may come after them
            self._await_idle(execution)
            return
        del self._executions[execution.msg_id]
        self._protocol.forget(execution.pending)
        execution.finish()

    def _expire(self, execution: Execution, on_timeout: str) -> None:
        if self._executions.get(execution.msg_id) is not execution:
            return
        error = KernelTimeoutError(
            "execute_request", execution.phase, execution.elapsed, tuple(execution.outputs)
        )
        if on_timeout == "interrupt" and (self.aims or execution.state is not State.QUEUED):
            # its failure is told when it has ended, so that what the caller sends next is not aborted with it
            execution.abandon(error)
            task = asyncio.ensure_future(self.interrupt(execution.msg_id))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            asyncio.get_running_loop().call_later(INTERRUPT_GRACE, self._give_up, execution, error)
        else:
            self._give_up(execution, error)

    def _give_up(self, execution: Execution, error: Exception) -> None:
        if self._executions.get(execution.msg_id) is execution:
            del self._executions[execution.msg_id]
            self._protocol.forget(execution.pending)
            execution.fail(error, State.ABANDONED)

    def _end(self, error: Callable[[Sequence[Any]], Exception]) -> None:
        if self._ended:
            return
        self._ended = error(())
        self._has_ended.set()
        self._fail(error)
        for subscription in list(self._subscriptions):
            subscription.close()

    def _fail(self, error: Callable[[Sequence[Any]], Exception]) -> None:
        """Fail all that is pending."""
        self._busy.clear()
        executions, self._executions = self._executions, {}
        for execution in executions.values():
            execution.fail(error(tuple(execution.outputs)))
        for future in self._requests.values():
            if not future.done():
                future.set_exception(error(()))
        for pending in self._protocol.pending:
            self._protocol.forget(pending)
        self.comms.end()


class Subscription(AsyncIterator[Message]):
    """A bounded copy of a client's messages. Iterate it; it ends with the client, or with `close`."""

    def __init__(
        self, wanted: Callable[[Message], bool] | None, maxsize: int, closed: Callable[[Subscription], None]
    ) -> None:
        self.dropped = 0
        """How many messages came while it was full; they are lost to this subscription only."""
        self._wanted = wanted
        self._closed = closed
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self._maxsize = maxsize

    def offer(self, message: Message) -> None:
        """Take `message` if it is wanted and there is room."""
        if self._wanted is not None and not self._wanted(message):
            return
        if self._queue.qsize() >= self._maxsize:
            self.dropped += 1
        else:
            self._queue.put_nowait(message)

    def close(self) -> None:
        """End it; what it holds can still be read."""
        self._closed(self)
        self._queue.put_nowait(None)

    async def __anext__(self) -> Message:
        message = await self._queue.get()
        if message is None:
            self._queue.put_nowait(None)
            raise StopAsyncIteration
        return message


def _ok(content: Content) -> Content:
    if content.get("status") != "ok":
        raise KernelError(str(content.get("evalue") or "The kernel refused, without saying why."))
    return content
