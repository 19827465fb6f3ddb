"""Client: many requests outstanding, every reply and every output to its owner; the same class on every
transport.

`protocol/client.py` decides whose a message is; this gives it to its owner. No call touches a socket, and no
user code is awaited by who reads. Everything runs on the event loop on which the client was started,
asyncio's or trio's.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, Literal, Self

import anyio

from ..protocol.client import Pending
from ..protocol.errors import (
    ClientClosedError,
    KernelDiedError,
    KernelError,
    KernelRestartedError,
    KernelTimeoutError,
    LocalProtocolError,
)
from ..protocol.jobs import JobInfo
from ..protocol.message import Channel, Content, Message
from ..protocol.ports import ClientTransport
from ..session import new_session
from ..transports.event_loops import EventLoop, Future, Task, running_loop
from .comms import Comms
from .debugger import Debugger
from .execution import ExecResult, Execution, StdinHook
from .router import Owner, Router, guarded
from .subscription import Subscription

if TYPE_CHECKING:
    from .sync import SyncClient

__all__ = ["Client", "ExecResult", "Execution"]

UNRESPONSIVE = 3.0
"""Seconds without a heartbeat after which a kernel is called unresponsive."""


class Client:
    """A connection to one kernel: `async with laneway.launch() as kc`, or `kc = await laneway.launch()` and
    `aclose`. Starting it raises KernelTimeoutError where the kernel does not answer in `timeout` seconds.
    """

    def __init__(self, transport: ClientTransport, *, timeout: float = 60) -> None:
        stamp = new_session()
        self.session = stamp.session
        """The session id in the headers of all that this client sends."""
        self.info: Content = {}
        """The kernel's kernel_info_reply content."""
        self.comms = Comms(self)
        """Open comms here, and register targets."""
        self.debugger = Debugger(self)
        """Breakpoints, and what has stopped there."""
        self._router = Router(stamp, self._published)
        self._transport = transport
        self._timeout = timeout
        self._subscriptions: set[Subscription] = set()
        self._followed: set[Execution] = set()
        self._tasks: set[Task] = set()
        self._busy: set[str] = set()  # the cells, of any client, that run
        self._watching = 0
        self._restarting = False
        self._ended: Exception | None = None
        self._has_ended: Future[Exception] = Future()
        self._loop: EventLoop | None = None

    # ---- its life

    async def start(self) -> Self:
        """Connect and wait until the kernel answers. Harmless if repeated."""
        self._check()
        if self.info:
            return self
        began = time.monotonic()
        self._loop = running_loop()
        self._router.bind(self._loop)
        try:
            with anyio.fail_after(self._timeout):
                await self._transport.start(self._deliver, self._lost)
                await self._introduce()
        except BaseException as error:
            await self.aclose()
            if isinstance(error, TimeoutError) and not isinstance(error, KernelTimeoutError):
                raise KernelTimeoutError("kernel_info_request", "queued", time.monotonic() - began) from None
            raise
        return self

    def __await__(self) -> Generator[Any, Any, Self]:
        return self.start().__await__()

    async def aclose(self) -> None:
        """Disconnect; the kernel goes on. Calls that are pending raise ClientClosedError."""
        self._end(lambda _outputs: ClientClosedError("The client was closed."))
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return await self.start()

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
        return await self._has_ended

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
        return self._router.protocol.aims

    @property
    def pending(self) -> int:
        """How many requests are under way."""
        return len(self._router.protocol.pending)

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
            with anyio.fail_after(timeout):
                await self._transport.restart()
                await self._introduce()
        except BaseException as error:
            self._restart_failed(error)
            raise
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
        thread: str | None = None,
        deadline: float | None = None,
        stdin: StdinHook | None = None,
        subshell: str | None = None,
        channel: Channel = Channel.SHELL,
        msg_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        on_timeout: Literal["abandon", "interrupt"] = "abandon",
    ) -> Execution:
        """Send a cell, at once; await what is returned for its result.

        `mode`: see the README, "Cells that do not wait"; `thread` names the thread. After `deadline` seconds,
        from the cell's start on, the kernel ends it: its result is an error, with CellTimeoutError. (For the
        kernel both are options of the mode: `name` and `timeout`.)

        `stdin` answers what the cell asks (without it `input()` raises in the cell). `timeout` is in seconds
        from now: then the execution fails with KernelTimeoutError, and with `on_timeout="interrupt"` the cell
        is interrupted as well.

        Raises ValueError where `msg_id` is pending already or `timeout` is no time, TypeError where something
        has no JSON form, and what ended the client where it has ended.
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
        options = {"mode": mode, "name": thread, "timeout": deadline}
        if options := {name: value for name, value in options.items() if value is not None}:
            sent_metadata["laneway"] = {**sent_metadata.get("laneway", {}), **options}
        pending = self._file(
            "execute_request",
            content,
            channel=channel,
            msg_id=msg_id,
            subshell_id=subshell,
            metadata=sent_metadata,
            timeout=timeout,
            interrupt=on_timeout == "interrupt",
        )
        execution = Execution(self, pending, stdin)
        self._send(pending, execution)
        return execution

    async def interrupt(self, msg_id: str | None = None, *, timeout: float | None = None) -> None:
        """Interrupt what runs; with `msg_id` only that cell, also one that is queued."""
        metadata = {"laneway": {"msg_id": msg_id}} if msg_id else {}
        await self._arrived(msg_id, timeout)
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
            timeout=timeout,
        )
        call = _Call()
        self._send(pending, call)
        try:
            return await call.reply
        finally:
            self._router.forget(pending)

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
        """The content of debug_reply to a Debug Adapter Protocol request; see `debugger` for its commands."""
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

    async def jobs(self, *, watch: bool | None = None, timeout: float | None = None) -> list[JobInfo]:
        """What runs and what is queued in the kernel, of whatever client. With `watch` the kernel publishes
        `job_event` from now on, or not any more; see `watch_jobs`.
        """
        content = {} if watch is None else {"watch": watch}
        reply = await self.request("list_jobs_request", content, channel=Channel.CONTROL, timeout=timeout)
        return [JobInfo.parse(job) for job in _ok(reply.content)["jobs"]]

    async def cancel(self, job_id: str, *, timeout: float | None = None) -> None:
        """End this job (a cell's is its `msg_id`), and no other, and insist on it. Raises KernelError where
        there is none.
        """
        content = {"job_id": job_id}
        await self._arrived(job_id, timeout)
        reply = await self.request("cancel_job_request", content, channel=Channel.CONTROL, timeout=timeout)
        _ok(reply.content)

    async def watch_jobs(self) -> AsyncGenerator[JobInfo, None]:
        """The jobs that there are, then each cell and hook whenever its state changes, `ended` included."""
        changes = self.subscribe(lambda message: message.msg_type == "job_event")
        self._watching += 1
        try:
            for job in await self.jobs(watch=True):
                yield job
            async for message in changes:
                yield JobInfo.parse(message.content)
        finally:
            changes.close()
            self._watching -= 1
            if self.alive and not self._watching:
                await self.jobs(watch=False)

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
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
        owner: str | None = None,
    ) -> Message:
        """Send a message that gets no reply (comm messages) and return it. `owner` is the msg_id of the
        execution to which belongs what it causes.
        """
        self._check()
        message = self._router.protocol.message(
            msg_type, content, channel=Channel(channel), owner=owner, metadata=metadata, buffers=buffers
        )
        self._transport.send(message)
        return message

    def answer(self, question: Message, value: str) -> None:
        """Send the input_reply to an input_request."""
        self._transport.send(self._router.protocol.answer(question, value))

    def subscribe(
        self, wanted: Callable[[Message], bool] | None = None, maxsize: int = 10_000
    ) -> Subscription:
        """A copy of what the kernel sends from now on (all channels), where `wanted(message)`; independent of
        everything else. What `wanted` raises ends it, and is raised to who reads it.

        Where it is not read in time, it keeps `maxsize` messages, 64 MiB at most: the oldest are dropped, and
        counted, but never replies, questions, statuses and errors.
        """
        subscription = Subscription(wanted, maxsize, self._subscriptions.discard)
        self._subscriptions.add(subscription)
        return subscription

    # ---- for executions and comms

    def spawn(self, coroutine: Coroutine[Any, Any, None], context: Context | None = None) -> Task:
        """Run it beside everything else. What it raises is told to the event loop."""
        task = running_loop().create_task(coroutine, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def interrupt_soon(self, msg_id: str) -> None:
        """Interrupt this cell, and do not wait for it."""

        async def interrupt() -> None:
            with suppress(KernelError):
                await self.interrupt(msg_id)

        self.spawn(interrupt())

    def take_back(self, execution: Execution, error: Exception) -> None:
        """Interrupt the cell; the execution fails with `error` when it has ended, or after a grace."""
        if self._router.pending(execution.msg_id) is execution.pending:
            self._router.abandon(execution.pending, error)
            self.interrupt_soon(execution.msg_id)

    def follow(self, execution: Execution) -> None:
        """Keep it, also where nobody else has it."""
        self._followed.add(execution)

    def unfollow(self, execution: Execution) -> None:
        """Nobody follows it any more."""
        self._followed.discard(execution)

    def release(self, execution: Execution) -> None:
        """What comes late is not wanted any more."""
        if self._router.owner(execution.msg_id) is execution:
            self._router.release(execution.msg_id)

    # ---- from the transport

    def _deliver(self, message: Message) -> None:
        if message.msg_type == "status":
            guarded(self._note_status, message)
        for subscription in list(self._subscriptions):
            subscription.offer(message)
        self._router.deliver(message)

    def _published(self, message: Message, owner: Owner | None) -> None:
        execution = owner if isinstance(owner, Execution) else None
        if message.msg_type.startswith("comm_"):
            self.comms.receive(message, execution)
        elif message.msg_type == "debug_event":
            self.debugger.receive(message)
        elif execution:
            execution.published(message)

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

    async def _arrived(self, msg_id: str | None, timeout: float | None) -> None:
        """Wait until the kernel has this request: what is sent on control may overtake it. An answer on shell
        tells, where order is kept, and Laneway answers at once.
        """
        pending = self._router.pending(msg_id) if msg_id else None
        if self.aims and pending and not pending.busy and pending.request.channel is Channel.SHELL:
            await self.kernel_info(timeout=timeout)

    async def _introduce(self) -> None:
        self.info = await self.kernel_info()
        self._router.protocol.aims = "laneway" in self.info

    def _restart_failed(self, error: BaseException) -> None:
        """There is no kernel any more."""
        if not isinstance(error, KernelError) or isinstance(error, KernelDiedError):
            self._lost(KernelDiedError(f"The kernel was not restarted: {error or type(error).__name__}"))

    def _file(self, msg_type: str, content: Content, **options: Any) -> Pending:
        self._check()
        return self._router.protocol.request(msg_type, content, now=self._router.now, **options)

    def _send(self, pending: Pending, owner: Owner) -> None:
        self._router.own(pending, owner)
        try:
            self._transport.send(pending.request)
        except BaseException:
            self._router.forget(pending)
            raise

    def _check(self) -> None:
        if self._ended:
            raise self._ended
        if self._loop is not None and running_loop() is not self._loop:
            raise LocalProtocolError(
                "This client belongs to another event loop; there, and from other threads, use kc.sync."
            )

    def _end(self, error: Callable[[Sequence[Any]], Exception]) -> None:
        if self._ended:
            return
        self._ended = error(())
        self._has_ended.set_result(self._ended)
        self._fail(error)
        for subscription in list(self._subscriptions):
            subscription.close()

    def _fail(self, error: Callable[[Sequence[Any]], Exception]) -> None:
        """Fail all that is pending."""
        self._busy.clear()
        self._router.fail(lambda owner: error(owner.outputs if isinstance(owner, Execution) else ()))
        for execution in list(self._followed):
            execution.release()
        self.comms.end()
        self.debugger.end()


class _Call:
    """Who waits for a reply."""

    def __init__(self) -> None:
        self.reply: Future[Message] = Future()

    def begun(self) -> None:
        pass

    def asked(self, question: Message) -> bool:
        return False

    def replied(self, reply: Message) -> None:
        self.reply.set_result(reply)

    def overdue(self) -> None:
        pass

    def done(self) -> None:
        pass

    def failed(self, error: Exception) -> None:
        self.reply.set_exception(error)


def _ok(content: Content) -> Content:
    if content.get("status") != "ok":
        raise KernelError(str(content.get("evalue") or "The kernel refused, without saying why."))
    return content
