"""The client's end over ZMQ: DEALER shell, control and stdin, SUB iopub, and a heartbeat.

Everything runs on the client's event loop, which watches the sockets' descriptors; `bind` moves it to
another. No event loop keeps a transport that was dropped: its sockets are closed with it. Imports: stdlib,
anyio, zmq and `protocol/`. Source: messaging spec 5.5; JEP 65 (iopub_welcome).
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable
from typing import Any
from weakref import finalize

import anyio
import zmq

from ..protocol.errors import ClosedError, KernelError, RemoteProtocolError
from ..protocol.message import Channel, Message
from ..protocol.wire import ZmqCodec
from ..session import new_session
from .connection import Connection
from .encoding import json_codec
from .event_loops import Bell, EventLoop, Timer, in_thread, running_loop, weakly
from .system import watch
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
        self._open: _Open | None = None
        self._dropped: finalize[Any, Any] | None = None
        self._loop: EventLoop | None = None
        self._deliver: Callable[[Message], None] | None = None
        self._scheduled: set[Channel] = set()  # those on which `_receive` will be called
        self._subscribed = False  # something has come on iopub
        self._probed = False  # our question was answered, or that
        self._heard = Bell()  # rings for both

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`. ZMQ connects again by itself, so that nothing is ever `lost`."""
        self.open(deliver)
        await self.ready()

    def open(self, deliver: Callable[[Message], None]) -> None:
        """The first half of `start`: messages may be sent, and wait where the kernel is not there yet. They
        are received from `bind` on.
        """
        self._deliver = deliver
        self._open = _Open(self._connection)
        self._dropped = finalize(self, self._open.drop)

    def bind(self) -> None:
        """Receive on the running event loop from now on."""
        loop = running_loop()
        if self._open is None or loop is self._loop:
            return
        self._open.unwatch()
        self._loop = self._open.loop = loop
        if self.last_beat is not None:
            self.last_beat = loop.time()  # while nobody listened it said nothing
        self._heard = Bell()
        calls = {end.fileno(): weakly(self._receive, name) for name, end in self._open.channels.items()}
        self._open.end_watch = watch(loop, {**calls, self._open.heartbeat.fileno(): weakly(self._hear)})
        self._beat()
        for channel in self._open.channels:
            self._schedule(channel)

    async def ready(self) -> None:
        """The second half of `start`: iopub is heard."""
        self.bind()
        await self._wait_for_iopub()

    def send(self, message: Message) -> None:
        """See `ClientTransport`. Raises ClosedError before `start` and after `close`."""
        if self._open is None:
            raise ClosedError("The connection to the kernel is closed.")
        frames = contiguous(self._codec.encode(message))
        end = self._open.channels[message.channel]
        send_frames(end, frames)
        if message.channel not in self._scheduled and readable(end):
            self._schedule(message.channel)

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
        if context := self.close_sockets():
            # waits `LINGER` at most for what is on its way; also where nobody waits for it any more
            await in_thread(running_loop(), context.term)

    def close_sockets(self) -> zmq.Context[zmq.Socket[bytes]] | None:
        """The first half of `close`. Terminating what is returned waits for what is on its way."""
        opened, self._open = self._open, None
        if opened is None:
            return None
        assert self._dropped
        self._dropped.detach()
        opened.close()
        return opened.context

    # ---- on the event loop

    async def _wait_for_iopub(self) -> None:
        """Any message on iopub shows that our subscription has reached the kernel. Most kernels welcome it;
        the others say that they are busy when we ask them something.
        """
        channel = Channel.CONTROL  # is answered while a cell runs
        while not self._subscribed:
            self._probed = False
            self.send(Message(channel, self._probes.header("kernel_info_request")))
            with anyio.move_on_after(1):
                while not self._probed:  # it has not started, or knows no such channel
                    await self._heard.wait()
            with anyio.move_on_after(0.05):
                while not self._subscribed:
                    await self._heard.wait()
            channel = Channel.SHELL if channel is Channel.CONTROL else Channel.CONTROL

    def _schedule(self, channel: Channel) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._scheduled.add(channel)
            self._loop.call_soon(weakly(self._receive, channel))

    def _receive(self, channel: Channel) -> None:
        """Deliver what has come; the loop has other things to do as well, so not all at once."""
        self._scheduled.discard(channel)
        finished = False
        try:
            finished = self._open is None or self._receive_some(channel, self._open.channels[channel])
        finally:  # whatever arises meanwhile, a KeyboardInterrupt say
            if not finished and channel not in self._scheduled:
                self._schedule(channel)

    def _receive_some(self, channel: Channel, end: zmq.Socket[bytes]) -> bool:
        """Have all been received?"""
        for _ in range(_BATCH):
            if end.closed or not readable(end):
                return True
            self._take(channel, receive_frames(end))
        return False

    def _take(self, channel: Channel, frames: list[Any]) -> None:
        try:
            message = self._codec.decode(channel, frames)
        except RemoteProtocolError:
            self.dropped += 1
            return
        ours = message.parent_header.get("session") == self._probes.session
        if channel is Channel.IOPUB:
            self._subscribed = True
        if ours or channel is Channel.IOPUB:
            self._probed = True
            self._heard.ring()
        if not ours and self._deliver:
            self._deliver(message)

    def _beat(self) -> None:
        if self._open is None or self._loop is None:
            return
        with contextlib.suppress(zmq.Again):
            send_frames(self._open.heartbeat, [b"", b"laneway"])
        self._open.next_beat = self._loop.call_at(self._loop.time() + BEAT, weakly(self._beat))
        self._hear()

    def _hear(self) -> None:
        if self._open is None or self._loop is None:
            return
        while readable(self._open.heartbeat):
            receive_frames(self._open.heartbeat)
            self.last_beat = self._loop.time()


class _Open:
    """What a transport has open: so much that it can be closed when the transport is gone."""

    def __init__(self, connection: Connection) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.channels: dict[Channel, zmq.Socket[bytes]] = {}
        self.loop: EventLoop | None = None
        self.end_watch: Callable[[], object] | None = None
        self.next_beat: Timer | None = None
        identity = uuid.uuid4().bytes  # one for all: a kernel asks on stdin whoever sent the cell on shell
        try:
            for channel in (Channel.CONTROL, Channel.STDIN, Channel.IOPUB, Channel.SHELL):
                kind = zmq.SUB if channel is Channel.IOPUB else zmq.DEALER
                self.channels[channel] = self._connect(connection, channel, kind, identity)
            self.heartbeat = self._connect(connection, "hb", zmq.DEALER, identity)
        except BaseException:
            self.context.destroy(linger=0)
            raise

    def unwatch(self) -> None:
        """No event loop receives any more."""
        if self.next_beat:
            self.next_beat.cancel()
        if self.end_watch:
            self.end_watch()
        self.end_watch = self.next_beat = None

    def close(self) -> None:
        self.unwatch()
        for end in (*self.channels.values(), self.heartbeat):
            end.close()

    def drop(self) -> None:
        """Close, where nobody waits for it: at any moment, on any thread."""
        if self.loop and self.loop.is_running() and self.loop is not _running_loop():
            self.loop.call_soon_threadsafe(self._drop)
        else:
            self._drop()

    def _drop(self) -> None:
        self.close()
        with contextlib.suppress(RuntimeError):  # Python ends, and no thread can be started
            threading.Thread(target=self.context.term, name="laneway-close", daemon=True).start()

    def _connect(self, connection: Connection, name: str, kind: int, identity: bytes) -> zmq.Socket[bytes]:
        end = make_socket(self.context, kind)
        end.reconnect_ivl, end.reconnect_ivl_max = 20, 500  # milliseconds; a kernel that starts is soon there
        if name == "hb":
            end.set_hwm(5)  # a kernel that was stopped for hours has not to answer for them
        if kind == zmq.SUB:
            end.subscribe(b"")
        else:
            end.identity = identity
        if name in ("hb", Channel.IOPUB):
            end.linger = 0  # a kernel that has ended takes neither beats nor subscriptions
        connection.connect(name, end)
        return end


def _running_loop() -> EventLoop | None:
    try:
        return running_loop()
    except RuntimeError:
        return None
