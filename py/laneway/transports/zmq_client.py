"""The client's end over ZMQ: DEALER shell, control and stdin, SUB iopub, and a heartbeat.

Everything runs on the client's event loop, which watches the sockets' descriptors. Imports: stdlib, zmq and
`protocol/`. Source: messaging spec 5.5; JEP 65 (iopub_welcome).
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from typing import Any

import zmq

from ..protocol.errors import ClosedError, KernelError, RemoteProtocolError
from ..protocol.message import Channel, Message
from ..protocol.wire import ZmqCodec
from ..session import new_session
from .connection import Connection
from .encoding import json_codec
from .zmq_socket import contiguous, make_socket, readable, receive_frames, send_frames

BEAT = 1.0
"""Seconds between two heartbeats."""

_BATCH = 100
"""How many messages of a channel are delivered in one turn of the event loop."""


class ZmqClientTransport:
    """Connects to the kernel at `connection`, which may start later.

    Raises SettingsError where an address is none.
    """

    def __init__(self, connection: Connection) -> None:
        self.dropped = 0
        """How many incoming messages were malformed or wrongly signed."""
        self.last_beat: float | None = None
        """When the kernel last answered a heartbeat (`loop.time()`); None before the first."""
        self._codec = ZmqCodec(json_codec(), connection.key.encode(), connection.signature_scheme)
        self._connection = connection
        self._probes = new_session()
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._sockets: dict[Channel, zmq.Socket[bytes]] = {}
        self._heartbeat: zmq.Socket[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deliver: Callable[[Message], None] | None = None
        self._next_beat: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._subscribed = asyncio.Event()
        self._probed = asyncio.Event()

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`. ZMQ connects again by itself, so that nothing is ever `lost`."""
        self.open(deliver)
        await self.ready()

    def open(self, deliver: Callable[[Message], None]) -> None:
        """The first half of `start`: messages may be sent, and wait where the kernel is not there yet."""
        self._loop, self._deliver = asyncio.get_running_loop(), deliver
        self._open()

    async def ready(self) -> None:
        """The second half of `start`: iopub is heard."""
        await self._wait_for_iopub()

    def send(self, message: Message) -> None:
        """See `ClientTransport`. Raises ClosedError before `start` and after `close`."""
        if not self._sockets:
            raise ClosedError("The connection to the kernel is closed.")
        frames = contiguous(self._codec.encode(message))
        end = self._sockets[message.channel]
        send_frames(end, frames)
        if not self._scheduled and readable(end):
            self._schedule()

    async def restart(self) -> None:
        """See `ClientTransport`."""
        raise KernelError(
            "Only who has started a kernel can restart it; this client has joined a running one."
        )

    @property
    def silence(self) -> float:
        """See `ClientTransport`. A kernel that computes answers heartbeats; one that is paused does not."""
        if self._loop is None or self.last_beat is None:
            return 0
        return self._loop.time() - self.last_beat

    async def close(self) -> None:
        """See `ClientTransport`."""
        if self._context is None or self._loop is None:
            return
        context, self._context = self._context, None
        if self._next_beat:
            self._next_beat.cancel()
        for end in (*self._sockets.values(), *([self._heartbeat] if self._heartbeat else ())):
            self._loop.remove_reader(end.fileno())
            end.close()
        self._sockets, self._heartbeat = {}, None
        await asyncio.to_thread(context.term)  # waits `LINGER` at most for what is on its way

    # ---- on the event loop

    def _open(self) -> None:
        assert self._loop is not None
        self._context = zmq.Context()
        identity = uuid.uuid4().bytes  # one for all: a kernel asks on stdin whoever sent the cell on shell
        for channel in (Channel.CONTROL, Channel.STDIN, Channel.IOPUB, Channel.SHELL):
            end = self._sockets[channel] = self._connect(
                channel, zmq.SUB if channel is Channel.IOPUB else zmq.DEALER, identity
            )
            self._loop.add_reader(end.fileno(), self._receive)
        self._heartbeat = self._connect("hb", zmq.DEALER, identity)
        self._loop.add_reader(self._heartbeat.fileno(), self._hear)
        self._beat()

    def _connect(self, name: str, kind: int, identity: bytes) -> zmq.Socket[bytes]:
        assert self._context is not None
        end = make_socket(self._context, kind)
        end.reconnect_ivl, end.reconnect_ivl_max = 20, 500  # milliseconds; a kernel that starts is soon there
        if name == "hb":
            end.set_hwm(5)  # a kernel that was stopped for hours has not to answer for them
        if kind == zmq.SUB:
            end.subscribe(b"")
        else:
            end.identity = identity
        try:
            self._connection.connect(name, end)
        except BaseException:
            end.close()
            raise
        return end

    async def _wait_for_iopub(self) -> None:
        """Any message on iopub shows that our subscription has reached the kernel. Most kernels welcome it;
        the others say that they are busy when we ask them something.
        """
        channel = Channel.CONTROL  # is answered while a cell runs
        while not self._subscribed.is_set():
            self.send(Message(channel, self._probes.header("kernel_info_request")))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._probed.wait(), 1)  # it has started, or knows no such channel
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._subscribed.wait(), 0.05)
            self._probed.clear()
            channel = Channel.SHELL if channel is Channel.CONTROL else Channel.CONTROL

    def _schedule(self) -> None:
        assert self._loop is not None
        self._scheduled = True
        self._loop.call_soon(self._receive)

    def _receive(self) -> None:
        """Deliver what has come; the loop has other things to do as well, so not all at once."""
        self._scheduled = False
        for channel, end in list(self._sockets.items()):
            for _ in range(_BATCH):
                if end.closed or not readable(end):
                    break
                self._take(channel, receive_frames(end))
            else:
                if not self._scheduled:
                    self._schedule()

    def _take(self, channel: Channel, frames: list[Any]) -> None:
        try:
            message = self._codec.decode(channel, frames)
        except RemoteProtocolError:
            self.dropped += 1
            return
        ours = message.parent_header.get("session") == self._probes.session
        if channel is Channel.IOPUB:
            self._subscribed.set()
        if ours or channel is Channel.IOPUB:
            self._probed.set()
        if not ours and self._deliver:
            self._deliver(message)

    def _beat(self) -> None:
        assert self._loop is not None
        assert self._heartbeat is not None
        with contextlib.suppress(zmq.Again):
            send_frames(self._heartbeat, [b"", b"laneway"])
        self._next_beat = self._loop.call_later(BEAT, self._beat)
        self._hear()

    def _hear(self) -> None:
        assert self._loop is not None
        assert self._heartbeat is not None
        while readable(self._heartbeat):
            receive_frames(self._heartbeat)
            self.last_beat = self._loop.time()
