"""A manager and a client for programs that are written against jupyter_client's async classes, for any
kernelspec.

The channels of jupyter_client are sockets that every caller reads, so that concurrent calls take each other's
messages. Here `Router` files every request before it is sent, and gives each message to its owner: to the
call that asked for the reply or the outputs, else into the bounded queue that is the channel. Nothing of
jupyter_client is patched.

On the event loop of whoever calls: on one, then on another, but not on two that run. Needs jupyter_client
(`pip install laneway[jupyter]`).
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextvars import ContextVar
from datetime import datetime
from getpass import getpass
from queue import Empty
from typing import Any, cast
from weakref import WeakSet, ref

from traitlets import DottedObjectName, Type

from ..protocol.errors import KernelDiedError, KernelError, KernelRestartedError, KernelTimeoutError
from ..protocol.message import Channel, Message, Stamp
from ..session import now
from ..transports.connection import Connection
from ..transports.event_loops import in_trio
from ..transports.zmq_client import ZmqClientTransport
from .launch import death
from .router import Router
from .subscription import Backlog

try:
    from jupyter_client.asynchronous.client import AsyncKernelClient
    from jupyter_client.client import KernelClient
    from jupyter_client.manager import AsyncKernelManager, KernelManager
except ImportError:
    raise ImportError(
        "ConcurrentKernelManager and ConcurrentKernelClient need jupyter_client: pip install laneway[jupyter]"
    ) from None

JupyterMessage = dict[str, Any]
"""A message as jupyter_client has it: header, msg_id, msg_type, parent_header, metadata, content, buffers."""

MAX_QUEUED = 10_000
"""Messages of a channel that wait to be pulled, 64 MiB at most; where nobody does, as in a program that uses
`execute_interactive` only, the oldest are dropped, and counted.
"""

DEAD = 3.0
"""Seconds without a heartbeat after which a kernel that no manager watches counts as dead."""

POLL = 0.2
"""Seconds between two looks at the kernel's process."""

_QUESTION: ContextVar[JupyterMessage | None] = ContextVar("laneway_question", default=None)
"""The input_request that a stdin hook is answering, so that `input` knows its parent."""


class RoutedChannel:
    """What `kc.shell_channel` and its like are: a queue that the router feeds, with the methods of
    jupyter_client's channels.
    """

    def __init__(self, client: ConcurrentKernelClient, channel: Channel) -> None:
        self.session = client.session
        self._client = client
        self._channel = channel
        self._messages: Backlog[JupyterMessage] = Backlog(None, MAX_QUEUED)
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def dropped(self) -> int:
        """How many messages nobody has pulled in time."""
        return self._messages.dropped

    def start(self) -> None:
        """The channels of a client start together, see `start_channels`."""

    def stop(self) -> None:
        """They stop together as well."""

    close = stop

    def is_alive(self) -> bool:
        """Are the channels running?"""
        return self._client.running

    def send(self, msg: JupyterMessage) -> None:
        """Send a message that `Session.msg` has made."""
        self._client.route(self._channel, msg)

    async def get_msg(self, timeout: float | None = None) -> JupyterMessage:
        """The next message that belongs to no call. Raises queue.Empty after `timeout` seconds, and
        RuntimeError where the channels are not running.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._client.follow_loop()
        await asyncio.sleep(0)  # lets the router see what has arrived
        while not self._messages:
            if not self._client.running:
                raise _not_running()
            arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(arrived)
            try:
                left = None if deadline is None else deadline - time.monotonic()
                async with asyncio.timeout(left):
                    await arrived
            except TimeoutError:
                if not self._messages:
                    raise Empty from None
            except asyncio.CancelledError:
                if arrived.done() and not arrived.cancelled():
                    self._wake()  # the message is for the next who waits
                raise
        return self._messages.take()

    async def get_msgs(self) -> list[JupyterMessage]:
        """All messages that are there."""
        self._client.follow_loop()
        await asyncio.sleep(0)
        return self._messages.take_all()

    async def msg_ready(self) -> bool:
        """Is there a message?"""
        self._client.follow_loop()
        await asyncio.sleep(0)
        return bool(self._messages)

    def put(self, message: Message, converted: JupyterMessage) -> None:
        """One has come that belongs to no call."""
        self._messages.put(message, converted)
        self._wake()

    def wake_all(self) -> None:
        """Let everyone who waits see that the channels were stopped."""
        while self._waiting:
            self._wake()

    def _wake(self) -> None:
        while self._waiting:
            arrived = self._waiting.popleft()
            if not arrived.done() and not arrived.get_loop().is_closed():
                arrived.set_result(None)
                break


class RoutedHeartbeat:
    """What `kc.hb_channel` is: the transport's heartbeat, with the methods of jupyter_client's."""

    def __init__(self, client: ConcurrentKernelClient) -> None:
        self._client = client

    def start(self) -> None:
        """It starts with the channels."""

    def stop(self) -> None:
        """It stops with them."""

    close = pause = unpause = stop

    def is_alive(self) -> bool:
        """Are the channels running?"""
        return self._client.running

    def is_beating(self) -> bool:
        """Does the kernel answer it?"""
        return self._client.running and self._client.silence < DEAD


class _Call:
    """Someone who waits for a reply, and perhaps for what comes before it: see `Owner`."""

    def __init__(self, timeout: float | None = None, *, interactive: bool = False) -> None:
        self.timeout = timeout
        self.reply: asyncio.Future[JupyterMessage] = asyncio.get_running_loop().create_future()
        self.reply.add_done_callback(lambda reply: reply.cancelled() or reply.exception())
        self.events: asyncio.Queue[tuple[Channel, JupyterMessage] | None] | None = None
        self.limit = asyncio.timeout(None)
        """Ends the hooks of an interactive call that has failed."""
        if interactive:
            self.events = asyncio.Queue()

    def begun(self) -> None:
        pass

    def asked(self, question: Message) -> bool:
        if self.events:
            self.events.put_nowait((Channel.STDIN, _as_jupyter(question)))
        return self.events is not None

    def replied(self, reply: Message) -> None:
        if self._waits():
            self.reply.set_result(_as_jupyter(reply))

    def overdue(self) -> None:
        pass

    def done(self) -> None:
        if self.events:
            self.events.put_nowait(None)

    def failed(self, error: Exception) -> None:
        if self._waits():
            self.reply.set_exception(error)
        if self.events and not self.reply.get_loop().is_closed():
            self.reply.get_loop().call_soon(self._end_hooks)

    def _waits(self) -> bool:
        return not self.reply.done() and not self.reply.get_loop().is_closed()

    def _end_hooks(self) -> None:
        if self.limit.when() is None and not self.limit.expired():
            self.limit.reschedule(0)


class _Reply(Awaitable[JupyterMessage]):
    """The reply of a call with `reply=True`. The time runs from the call on."""

    def __init__(self, call: _Call) -> None:
        self._call = call

    def __await__(self) -> Generator[Any, Any, JupyterMessage]:
        return self._wait().__await__()

    async def _wait(self) -> JupyterMessage:
        try:
            return await asyncio.shield(self._call.reply)
        except KernelTimeoutError:
            raise TimeoutError("Timeout waiting for reply") from None


class _Started(Awaitable["ConcurrentKernelClient"]):
    """What `start_channels` returns: await it for a client that is ready, or do not."""

    def __init__(self, client: ConcurrentKernelClient) -> None:
        self._client = client

    def __await__(self) -> Generator[Any, Any, ConcurrentKernelClient]:
        return self._wait().__await__()

    async def _wait(self) -> ConcurrentKernelClient:
        await self._client.ready()
        return self._client


class _Stopped(Awaitable[None]):
    """What `stop_channels` returns: await it until the sockets are closed, or do not."""

    def __init__(self, closing: Sequence[asyncio.Task[None]]) -> None:
        self._closing = closing

    def __await__(self) -> Generator[Any, Any, None]:
        for task in self._closing:
            yield from asyncio.shield(task).__await__()


def _routed(method: Callable[..., str]) -> Callable[..., Any]:
    """A request method of jupyter_client, with `reply=True` and `timeout` as AsyncKernelClient has them."""

    def request(
        self: ConcurrentKernelClient,
        *args: Any,
        reply: bool = False,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        if not reply:
            return method(self, *args, **kwargs)
        call = _Call(timeout)
        self.send_for(call, lambda: method(self, *args, **kwargs))
        return _Reply(call)

    request.__doc__ = method.__doc__
    return request


class ConcurrentKernelClient(AsyncKernelClient):
    """AsyncKernelClient for many calls at once. What is not said here is as jupyter_client documents it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._heartbeat = RoutedHeartbeat(self)
        self._hb_channel = self._heartbeat  # where the base looks for it
        self._router: Router | None = None
        self._transport: ZmqClientTransport | None = None
        self._channels: dict[Channel, RoutedChannel] = {}
        self._next_call: _Call | None = None
        self._ended: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        if isinstance(self.parent, ConcurrentKernelManager):
            self.parent.clients.add(self)

    # ---- channels

    def start_channels(  # pyright: ignore[reportIncompatibleMethodOverride], it returns more than None
        self,
        shell: bool = True,
        iopub: bool = True,
        stdin: bool = True,
        hb: bool = True,
        control: bool = True,
    ) -> Awaitable[ConcurrentKernelClient]:
        """Start all channels, at once; harmless if repeated. Await what is returned for a client that is
        ready.

        Without a running event loop messages are received once there is one. `stdin` says whether cells may
        ask.
        """
        if self._transport is None:
            self.allow_stdin = stdin
            self._ended = None
            session = self.session
            stamp = Stamp(session.session, lambda: session.msg_id, now, session.username)
            self._router = Router(stamp, lambda _message, _owner: None)
            self._connect()
        return _Started(self)

    def _connect(self) -> None:
        if in_trio():
            raise RuntimeError(
                "jupyter_client's classes are asyncio's, as this one is; under trio use laneway.connect()."
            )
        self._transport = ZmqClientTransport(self._connection())
        self._transport.open(self._deliver)
        self._loop = None
        self.follow_loop()

    def follow_loop(self) -> None:
        """From now on this client lives on the event loop that calls. Raises RuntimeError where it lives on
        another one that runs.
        """
        loop = _running_loop()
        if loop is None or loop is self._loop or self._transport is None or self._router is None:
            return
        if self._loop is not None and self._loop.is_running():
            raise RuntimeError(
                "This client is in use on another event loop, which runs; use a client for each loop."
            )
        self._end_tasks()
        self._loop = loop
        self._transport.bind()
        self._router.bind(loop)
        self._starting = loop.create_task(self._transport.ready())
        self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        if isinstance(self.parent, KernelManager):
            self._watching = loop.create_task(_watch(ref(self), self.parent))

    def _end_tasks(self) -> None:
        for task in (self._starting, self._watching):
            if task and not task.get_loop().is_closed():
                task.cancel()
        self._starting = self._watching = None

    def _disconnect(self) -> None:
        self._end_tasks()
        transport, self._transport = self._transport, None
        if transport and (context := transport.close_sockets()):
            # either waits for what is on its way, one second at most
            if _running_loop():
                closing = asyncio.ensure_future(asyncio.to_thread(context.term))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
            else:
                threading.Thread(target=context.term, name="laneway-close", daemon=True).start()

    def stop_channels(self) -> Awaitable[None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Stop all channels, at once; calls that are pending fail. What is returned can be awaited until the
        sockets are closed.
        """
        self._disconnect()
        self._fail(KernelError("The channels were stopped."))
        for channel in self._channels.values():
            channel.wake_all()
        if self._created_context and not self.context.closed:
            self.context.destroy(linger=100)
        return _Stopped(tuple(self._closing))

    @property
    def running(self) -> bool:
        """Are the channels started?"""
        return self._transport is not None

    @property
    def channels_running(self) -> bool:
        """Are the channels started?"""
        return self.running

    @property
    def silence(self) -> float:
        """For how many seconds the kernel has not answered a heartbeat."""
        return self._transport.silence if self._transport else 0

    @property
    def hb_channel(self) -> RoutedHeartbeat:
        """The heartbeat."""
        return self._heartbeat

    def _routed_channel(self, channel: Channel) -> RoutedChannel:
        if channel not in self._channels:
            self._channels[channel] = RoutedChannel(self, channel)
        return self._channels[channel]

    @property
    def shell_channel(self) -> RoutedChannel:
        """Replies that no call waits for."""
        return self._routed_channel(Channel.SHELL)

    @property
    def control_channel(self) -> RoutedChannel:
        """Replies that no call waits for."""
        return self._routed_channel(Channel.CONTROL)

    @property
    def stdin_channel(self) -> RoutedChannel:
        """Questions of cells that were not sent by `execute_interactive`."""
        return self._routed_channel(Channel.STDIN)

    @property
    def iopub_channel(self) -> RoutedChannel:
        """All that the kernel publishes."""
        return self._routed_channel(Channel.IOPUB)

    async def ready(self) -> None:
        """Wait until the kernel hears and is heard. Raises KernelDiedError where it has died instead."""
        self.follow_loop()
        starting = self._starting
        if starting is None:
            raise _not_running()
        waiting = [starting, *([self._watching] if self._watching else [])]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if self._ended:
            raise self._ended
        if starting.cancelled():
            raise KernelError("The channels were stopped, or the kernel was restarted, during the start.")
        await asyncio.shield(starting)

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers. RuntimeError where it has died, or after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self.ready()
                self._handle_kernel_info_reply(await self._answer())
        except TimeoutError:
            raise RuntimeError(f"Kernel didn't respond in {timeout:g} seconds") from None
        except KernelDiedError as error:
            raise RuntimeError(f"Kernel died before replying to kernel_info: {error}") from error
        for channel in (self.shell_channel, self.iopub_channel):
            await channel.get_msgs()

    async def _answer(self) -> JupyterMessage:
        """A kernel_info_reply. Asked for again and again: ipykernel may overlook a request that comes while
        it replies to another one, until the next comes (ipykernel#1554).
        """
        replies: list[asyncio.Future[JupyterMessage]] = []
        patience = 1.0  # seconds
        while True:
            call = _Call()
            self.send_for(call, lambda: KernelClient.kernel_info(self))
            replies.append(call.reply)
            done, _ = await asyncio.wait(replies, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for reply in done:
                return reply.result()
            patience *= 2

    # ---- requests

    execute: Callable[..., Any] = _routed(KernelClient.execute)
    history: Callable[..., Any] = _routed(KernelClient.history)
    complete: Callable[..., Any] = _routed(KernelClient.complete)
    is_complete: Callable[..., Any] = _routed(KernelClient.is_complete)
    inspect: Callable[..., Any] = _routed(KernelClient.inspect)
    kernel_info: Callable[..., Any] = _routed(KernelClient.kernel_info)
    comm_info: Callable[..., Any] = _routed(KernelClient.comm_info)
    shutdown: Callable[..., Any] = _routed(KernelClient.shutdown)

    def input(self, string: str) -> None:
        """Answer a question; in a stdin hook, the one that the hook was given."""
        message = self.session.msg("input_reply", {"value": string}, parent=_QUESTION.get())
        self.stdin_channel.send(message)

    async def execute_interactive(
        self,
        code: str,
        silent: bool = False,
        store_history: bool = True,
        user_expressions: dict[str, Any] | None = None,
        allow_stdin: bool | None = None,
        stop_on_error: bool = True,
        timeout: float | None = None,
        output_hook: Callable[[JupyterMessage], Any] | None = None,
        stdin_hook: Callable[[JupyterMessage], Any] | None = None,
    ) -> JupyterMessage:
        """Run a cell, give its outputs and questions to the hooks, and return its reply. Any number of them
        at once.

        Raises TimeoutError after `timeout` seconds; what a hook raises is raised here, and nowhere else.
        """
        call = _Call(timeout, interactive=True)
        assert call.events
        on_output = output_hook or self._output_hook_default
        on_question = stdin_hook or self._stdin_hook_default
        msg_id = self.send_for(
            call,
            lambda: KernelClient.execute(
                self, code, silent, store_history, user_expressions, allow_stdin, stop_on_error
            ),
        )
        try:
            async with call.limit:
                while (event := await call.events.get()) is not None:
                    channel, message = event
                    token = _QUESTION.set(message if channel is Channel.STDIN else None)
                    try:
                        result = (on_question if channel is Channel.STDIN else on_output)(message)
                        if inspect.isawaitable(result):
                            await result
                    finally:
                        _QUESTION.reset(token)
                return await call.reply
        except TimeoutError:
            if not call.limit.expired():
                raise  # a hook's own
        finally:
            self.abandon(msg_id)
        try:
            return await call.reply
        except KernelTimeoutError:
            raise TimeoutError("Timeout waiting for output") from None

    async def _stdin_hook_default(self, msg: JupyterMessage) -> None:
        """Ask whoever sits at the terminal, while the router goes on."""
        content = msg["content"]
        ask = getpass if content.get("password") else input
        try:
            line = await asyncio.to_thread(lambda: ask(content["prompt"]))
        except EOFError:
            line = "\x04"
        self.input(line)

    # ---- the router

    def send_for(self, call: _Call, send: Callable[[], str]) -> str:
        """Let `send` send a request on behalf of `call`; returns its msg_id."""
        if self._ended:
            raise self._ended
        self._next_call = call
        try:
            return send()
        finally:
            self._next_call = None

    def route(self, channel: Channel, msg: JupyterMessage) -> None:
        """File a message, and send it. Raises RuntimeError where the channels are not running."""
        if self._transport is None or self._router is None:
            raise _not_running()
        self.follow_loop()
        message = Message(
            channel,
            msg["header"],
            msg["parent_header"],
            msg["metadata"],
            msg["content"],
            msg.get("buffers", ()),
        )
        call, self._next_call = self._next_call, None
        if message.msg_type.endswith("_request"):
            timeout = call.timeout if call else None
            pending = self._router.protocol.file(message, now=self._router.now, timeout=timeout)
            if call:
                self._router.own(pending, call)
        try:
            self._transport.send(message)
        except BaseException:
            self.abandon(message.msg_id)
            raise

    def abandon(self, msg_id: str) -> None:
        """Nobody waits for this request any more."""
        if self._router and (pending := self._router.pending(msg_id)):
            self._router.forget(pending)

    def kernel_restarts(self) -> None:
        """The manager is about to put another kernel in the place of this one."""
        self._fail(KernelRestartedError("The kernel was restarted."))

    def kernel_restarted(self, info: Any) -> None:
        """Another kernel has been put in its place, and listens as `info` says: connect anew, since what
        the old sockets hold, and their subscription, may be lost with the old kernel.
        """
        self.kernel_restarts()  # what was sent meanwhile
        self.load_connection_info(info)
        for name in (name for name in info if name.endswith("_port")):
            setattr(self, name, info[name])  # which the line above leaves alone where there are some
        self._ended = None
        if self.running:
            self._disconnect()
            self._connect()

    def _deliver(self, message: Message) -> None:
        assert self._router
        if message.channel is Channel.IOPUB:
            converted = _as_jupyter(message)
            self.iopub_channel.put(message, converted)
            call = self._router.owner(message.parent_id or "")
            if isinstance(call, _Call) and call.events:
                call.events.put_nowait((Channel.IOPUB, converted))
            self._router.deliver(message)
        elif not self._router.deliver(message):
            self._routed_channel(message.channel).put(message, _as_jupyter(message))

    def _fail(self, error: Exception) -> None:
        if self._router:
            self._router.fail(lambda _owner: error)

    async def look_at(self, manager: KernelManager) -> bool:
        """See the kernel's process end, which no socket tells. True where it will never be ready."""
        provisioner = manager.provisioner
        if provisioner is None or getattr(manager, "restarting", False):
            return False
        code = await provisioner.poll()
        if code is None:
            self._ended = None
        elif self._ended is None:
            self._ended = death(code)
            self._fail(self._ended)
            return self._starting is not None and not self._starting.done()
        return False

    def _connection(self) -> Connection:
        info = cast(dict[str, Any], self.get_connection_info())
        keys = {name: _text(info[name]) for name in ("curve_publickey", "curve_secretkey") if info.get(name)}
        return Connection.parse(
            {
                **{name: info[name] for name in info if name.endswith("_port")},
                "transport": info["transport"],
                "ip": info["ip"],
                "key": _text(info["key"]),
                "signature_scheme": info["signature_scheme"],
                **keys,
            }
        )


class ConcurrentKernelManager(AsyncKernelManager):
    """AsyncKernelManager whose clients are concurrent, and know when it restarts their kernel."""

    client_class = DottedObjectName(f"{__name__}.ConcurrentKernelClient", config=True)
    client_factory = Type(ConcurrentKernelClient, config=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.clients: WeakSet[ConcurrentKernelClient] = WeakSet()
        self.restarting = False
        """Is a kernel being put in the place of another?"""
        super().__init__(*args, **kwargs)

    def client(self, **kwargs: Any) -> ConcurrentKernelClient:
        """A client of this manager's kernel."""
        return cast(ConcurrentKernelClient, super().client(**kwargs))

    async def restart_kernel(self, now: bool = False, newports: bool = False, **kw: Any) -> None:
        """As in jupyter_client; pending calls fail with KernelRestartedError, and the clients go on."""
        self.restarting = True
        try:
            for client in list(self.clients):
                client.kernel_restarts()
            await self._async_restart_kernel(now=now, newports=newports, **kw)
        finally:
            self.restarting = False
        info = self.get_connection_info()
        for client in list(self.clients):
            client.kernel_restarted(info)


async def _watch(client: ref[ConcurrentKernelClient], manager: KernelManager) -> None:
    """Look now and then, as long as somebody has the client."""
    while True:
        await asyncio.sleep(POLL)
        looking = client()
        if looking is None or await looking.look_at(manager):
            return
        del looking


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _as_jupyter(message: Message) -> JupyterMessage:
    return {
        "header": _with_date(message.header),
        "msg_id": message.msg_id,
        "msg_type": message.msg_type,
        "parent_header": _with_date(message.parent_header),
        "metadata": message.metadata,
        "content": message.content,
        "buffers": [memoryview(buffer) for buffer in message.buffers],
    }


def _with_date(header: dict[str, Any]) -> dict[str, Any]:
    """jupyter_client gives dates as datetimes."""
    date = header.get("date")
    if isinstance(date, str):
        try:
            return {**header, "date": datetime.fromisoformat(date)}
        except ValueError:
            pass
    return header


def _not_running() -> RuntimeError:
    return RuntimeError("The channels are not running; call start_channels() first.")


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
