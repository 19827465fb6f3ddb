"""The kernel's end over ZMQ: ROUTER shell, control and stdin, XPUB iopub, and a heartbeat.

Two threads. One waits for the sockets and delivers what comes; who sends does so on its own thread, under the
sockets' lock, so that a reply never waits for a thread to wake up. The other echoes heartbeats inside libzmq,
without Python's lock, so that it answers whatever Python does. Imports: stdlib, zmq and `protocol/`.
Source: messaging spec 5.5, "The Wire Protocol"; JEP 65 (iopub_welcome).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq

from .. import console
from ..protocol.errors import RemoteProtocolError
from ..protocol.message import Channel, Message
from ..protocol.ports import Receiver
from ..protocol.wire import ZmqCodec
from .connection import Connection
from .encoding import json_codec
from .zmq_socket import contiguous, make_socket, readable, receive_frames, send_frames

_BATCH = 50
"""How many messages of a channel are taken in a row while another may have one, an interrupt say."""


class ZmqKernelTransport:
    """Binds the addresses of `connection` at once; messages wait there until `start`.

    Raises SettingsError where an address cannot be used.
    """

    def __init__(self, connection: Connection) -> None:
        self.dropped = 0
        """How many incoming messages were malformed or wrongly signed."""
        self._codec = ZmqCodec(json_codec(), connection.key.encode(), connection.signature_scheme)
        self._context = zmq.Context()
        self._sockets: dict[Channel, zmq.Socket[bytes]] = {}
        try:
            for channel in (Channel.CONTROL, Channel.STDIN, Channel.IOPUB, Channel.SHELL):
                end = make_socket(self._context, zmq.XPUB if channel is Channel.IOPUB else zmq.ROUTER)
                if channel is Channel.IOPUB:
                    end.xpub_verbose = True  # a subscription that is there already is welcomed, too
                else:
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
        self._closed = False
        self._settling: deque[Callable[[], None]] = deque()
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

    def send(self, message: Message) -> None:
        """See `Transport`. Iopub's topic is the msg_type; a welcome goes to the topic that it is about."""
        frames = contiguous(self._codec.encode(message))
        if message.channel is Channel.IOPUB:
            topic = (
                message.content["subscription"] if message.msg_type == "iopub_welcome" else message.msg_type
            )
            frames.insert(0, topic.encode(errors="surrogateescape"))
        end = self._sockets[message.channel]
        if os.getpid() != self._process:
            return  # a process forked by user code: the sockets are its parent's
        with self._lock:
            if self._closed:
                return
            send_frames(end, frames)
            wake = self._asleep and readable(end)
        if wake:
            self._wake()

    def settle(self, call: Callable[[], None]) -> None:
        """See `Transport`. Calls on the sockets' thread; after `close` at once."""
        if self._closed:
            call()
        else:
            self._settling.append(call)
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
        for end in self._sockets.values():
            end.close()
        self._context.term()  # ends the heartbeat, and waits `LINGER` at most for what is on its way
        self._heartbeat.join()
        self.connection.remove_files()
        self._wakened.close()
        self._waker.close()

    # ---- the sockets' thread

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for end in (*self._sockets.values(), self._wakened):
                selector.register(end, selectors.EVENT_READ)
            while not self._closed:
                settling = len(self._settling)
                if self._receive():
                    continue
                for _ in range(settling):
                    self._settling.popleft()()
                with self._lock:  # nobody takes a signal away between this look and the wait
                    self._asleep = not (self._settling or any(map(readable, self._sockets.values())))
                if self._asleep:
                    if any(key.fileobj is self._wakened for key, _ in selector.select()):
                        self._wakened.recv(4096)
                    self._asleep = False

    def _receive(self) -> bool:
        """Take what has come on every channel; whether there was any."""
        return sum(map(self._receive_from, self._sockets)) > 0

    def _receive_from(self, channel: Channel) -> int:
        end = self._sockets[channel]
        for count in range(_BATCH):
            with self._lock:
                if self._closed or not readable(end):
                    return count
                frames = receive_frames(end)
            self._take(channel, frames)
        return _BATCH

    def _take(self, channel: Channel, frames: list[Any]) -> None:
        assert self._receiver is not None
        if channel is Channel.IOPUB:
            subscription = bytes(frames[0])
            if subscription.startswith(b"\x01"):
                self._receiver.subscribed(subscription[1:].decode(errors="surrogateescape"))
            return
        try:
            message = self._codec.decode(channel, frames)
        except RemoteProtocolError as error:
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
