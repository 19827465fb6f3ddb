"""The kernel's end over ZMQ: ROUTER shell, control and stdin, XPUB iopub, and a heartbeat.

Two threads. One waits for the sockets and delivers what comes; who sends does so on its own thread, under the
sockets' lock, so that a reply never waits for a thread to wake up. The other echoes heartbeats inside libzmq,
without Python's lock, so that it answers whatever Python does.

What a client may cost: output that it does not read is bounded, see `zmq_publisher.py`. Replies and questions
are never dropped, and have no bound of ours: a client has as many as it has asked for, and when its
connection ends libzmq forgets them.

Imports: stdlib, zmq and `protocol/`. Source: messaging spec 5.5, "The Wire Protocol"; JEP 65 (iopub_welcome).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq

from .. import console
from ..protocol.message import Channel, Message
from ..protocol.ports import Receiver
from ..protocol.wire import ZmqCodec
from .connection import Connection
from .encoding import json_codec
from .zmq_publisher import Publisher
from .zmq_socket import contiguous, make_socket, readable, receive_frames, send_frames

_BATCH = 50
"""How many messages of a channel are taken in a row while another may have one, an interrupt say."""

_SETTLED = 0.1
"""Seconds after which `settle` calls though more and more comes: who is flooded answers nevertheless."""

_LOOK = 0.1
"""Seconds after which a client that did not read is tried again though libzmq has not said that it reads: the
signal may have been taken away, see `zmq_socket.py`.
"""


class ZmqKernelTransport:
    """Binds the addresses of `connection` at once; messages wait there until `start`.

    Raises SettingsError where an address cannot be used.
    """

    def __init__(self, connection: Connection) -> None:
        self.dropped = 0
        """How many incoming messages were malformed or wrongly signed."""
        self._codec = ZmqCodec(json_codec(), connection.key.encode(), connection.signature_scheme)
        self._context = zmq.Context()
        self._publisher = Publisher(self._context, self.encode)
        self._sockets: dict[Channel, zmq.Socket[bytes]] = {}
        try:
            for channel in (Channel.CONTROL, Channel.STDIN, Channel.IOPUB, Channel.SHELL):
                if channel is Channel.IOPUB:
                    end = self._publisher.socket
                else:
                    end = make_socket(self._context, zmq.ROUTER)
                    end.router_handover = True  # a client that comes back takes its identity over
                self._sockets[channel] = end
                connection = connection.bind(channel, end)
            heartbeat = make_socket(self._context, zmq.ROUTER)
            connection = connection.bind("hb", heartbeat)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self.connection = connection
        """With the ports that were chosen."""
        self._process = os.getpid()
        self._lock = threading.Lock()  # around the sockets
        self._wakened, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._asleep = False
        self._looks_after: float | None = None  # in seconds, where it is asleep and nothing wakes it
        self._closed = False
        self._settling: deque[tuple[float, Callable[[], None]]] = deque()  # since when, and what to call
        self._complaints: set[type[Exception]] = set()
        self._receiver: Receiver | None = None
        self._thread: threading.Thread | None = None
        self._heartbeat = threading.Thread(
            target=_echo, args=(heartbeat,), name="laneway heartbeat", daemon=True
        )
        self._heartbeat.start()

    def start(self, receiver: Receiver) -> None:
        """See `Transport`. Who has subscribed by now is welcomed before it gets anything else."""
        self._receiver = receiver
        self._receive_from(Channel.IOPUB)
        self._thread = threading.Thread(target=self._serve, name="laneway sockets", daemon=True)
        self._thread.start()

    def encode(self, message: Message) -> list[Any]:
        """See `Transport`."""
        return contiguous(self._codec.encode(message))

    def send(self, message: Message, encoded: list[Any]) -> None:
        """See `Transport`. Iopub's topic is the msg_type; a welcome goes to the topic that it is about."""
        end = self._sockets[message.channel]
        if os.getpid() != self._process:
            return  # a process forked by user code: the sockets are its parent's
        with self._lock:
            if self._closed:
                return
            if message.channel is Channel.IOPUB:
                welcome = message.msg_type == "iopub_welcome"
                topic: str = message.content["subscription"] if welcome else message.msg_type
                self._publisher.send(message, topic.encode(errors="surrogateescape"), encoded)
            else:
                send_frames(end, encoded)
            wake = self._asleep and (readable(end) or (self._looks_after is None and self._publisher.waits))
        if wake:
            self._wake()

    def flush(self) -> None:
        """See `Transport`."""

    def settle(self, call: Callable[[], None]) -> None:
        """See `Transport`. Calls on the sockets' thread; after `close` at once."""
        if self._closed:
            call()
        else:
            self._settling.append((time.monotonic(), call))
            self._wake()

    def close(self) -> None:
        """See `Transport`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._wake()
        if self._thread:
            self._thread.join()
        self._publisher.close()
        for end in self._sockets.values():
            end.close()
        self._context.term()  # ends the heartbeat, and waits `LINGER` at most for what is on its way
        self._heartbeat.join()
        self.connection.remove_files()
        self._wakened.close()
        self._waker.close()

    # ---- the sockets' thread

    def _serve(self) -> None:
        try:
            self._serve_until_closed()
        except BaseException as error:
            assert self._receiver is not None
            self._receiver.failed(error)

    def _serve_until_closed(self) -> None:
        channel_of: dict[Any, Channel] = {end: channel for channel, end in self._sockets.items()}
        ends = [(end, zmq.POLLIN) for end in channel_of]
        with selectors.DefaultSelector() as selector:
            for end, channel in channel_of.items():
                selector.register(end, selectors.EVENT_READ, channel)
            selector.register(self._wakened, selectors.EVENT_READ)
            while not self._closed:
                settling = len(self._settling)
                with self._lock:  # nobody takes a signal away between this look and the wait
                    # as `readable` of each, in less than half the time
                    channels = [channel_of[end] for end, _ in zmq.zmq_poll(ends, 0)]
                    self._asleep = not (
                        channels
                        or self._settling
                        or self._publisher.flush()  # after the look, which takes in that a client has read
                    )
                    self._looks_after = _LOOK if self._publisher.waits else None
                if self._asleep:
                    channels = [key.data for key, _ in selector.select(self._looks_after)]
                    self._asleep = False
                for channel in channels:
                    if channel is None:
                        self._wakened.recv(4096)
                    else:
                        self._receive_from(channel)
                self._call_settled(0 if channels else settling)

    def _call_settled(self, count: int) -> None:
        """Call the first `count`, and those that have waited too long."""
        late = time.monotonic() - _SETTLED
        while self._settling and (count > 0 or self._settling[0][0] < late):
            count -= 1
            self._settling.popleft()[1]()

    def _receive_from(self, channel: Channel) -> None:
        """Take what has come on `channel`, up to `_BATCH` messages."""
        end = self._sockets[channel]
        for _ in range(_BATCH):
            with self._lock:
                if self._closed or not readable(end):
                    return
                if channel is Channel.IOPUB:
                    topic, frames = self._publisher.receive(), []
                else:
                    topic, frames = None, receive_frames(end)
            if channel is not Channel.IOPUB:
                self._take(channel, frames)
            elif topic is not None:
                assert self._receiver is not None
                self._receiver.subscribed(topic.decode(errors="surrogateescape"))

    def _take(self, channel: Channel, frames: list[Any]) -> None:
        assert self._receiver is not None
        try:
            message = self._codec.decode(channel, frames)
        except Exception as error:  # a RemoteProtocolError, or there is no memory for it
            self._drop(error)
        else:
            self._receiver.receive(message)

    def _drop(self, error: Exception) -> None:
        self.dropped += 1
        if type(error) not in self._complaints:
            self._complaints.add(type(error))
            console.say(f"laneway: {error} It was dropped; so will others be, silently.")

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it has been told often enough, or has ended
            self._waker.send(b"\0")


def _echo(heartbeat: zmq.Socket[bytes]) -> None:
    """Until the context ends."""
    try:
        zmq.proxy(heartbeat, heartbeat)
    except zmq.ContextTerminated:
        heartbeat.close()
