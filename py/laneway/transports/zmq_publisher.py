"""The kernel's iopub socket: an XPUB in which each subscriber has a queue of its own that is ours.

libzmq has such queues too, but either it bounds them by dropping whatever comes, a status as well as a print,
or not at all, and it tells nobody which one is full. What helps is XPUB_MANUAL: it lets us subscribe a
connection to a topic of our choice, and we choose one that nobody else has. So each message is sent once per
subscriber; and with XPUB_NODROP, EAGAIN means that this very subscriber has `HWM` messages that it has not
taken. What it gets from then on waits in its `Backlog`, which knows what may be left out.

    the client subscribes to    we subscribe it to     and it gets, as the first frame,
    ""                          "#7."                  "#7.status", "#7.stream", ...
    "stream"                    "stream#7."            "stream#7.stream"

A frame begins with what the client has subscribed to, which its own socket checks again.

Under its owner's lock, whatever the thread. Imports: stdlib, zmq and `protocol/`.
Source: zmq_setsockopt(3), ZMQ_XPUB_MANUAL, ZMQ_XPUB_NODROP; messaging spec 5.5, "The Wire Protocol".
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import zmq

from .. import console
from ..protocol.backlog import Backlog, Packet, packet
from ..protocol.message import Message
from .zmq_socket import LINGER, make_socket, send_frames

HWM = 64
"""How many messages libzmq may hold for one subscriber."""

_BATCH = 50
"""How many waiting messages of a subscriber are sent in a row while others wait for the lock."""


class Publisher:
    """Sends each message to the subscribers of its name. `encode` makes the frames of a message."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], encode: Callable[[Message], list[Any]]
    ) -> None:
        self.socket = make_socket(context, zmq.XPUB)
        self.socket.sndhwm = HWM
        self.socket.xpub_manual = True
        self.socket.xpub_nodrop = True
        self._encode = encode
        self._subscribers: list[_Subscriber] = []
        self._numbers = count(1)

    def receive(self) -> bytes | None:
        """Take what has come to the socket, which is readable: the topic of a new subscription, or None."""
        frame = self.socket.recv(zmq.NOBLOCK, copy=False)
        data = frame.bytes
        more = frame.more
        while more:  # from something that is no subscriber
            more = self.socket.recv(zmq.NOBLOCK, copy=False).more
        if data[:1] not in (b"\0", b"\1"):
            return None
        topic = data[1:]
        connection = _connection_of(frame)
        if data[:1] == b"\1":
            self._subscribe(connection, topic)
            return topic
        self._unsubscribe(connection, topic)
        return None

    def send(self, message: Message, name: bytes, frames: list[Any]) -> None:
        """Send `frames`, those of `message`, to whoever has subscribed to `name`. Never waits."""
        waiting: Packet | None = None
        for subscriber in self._subscribers:
            topic = subscriber.topic(name)
            if topic is None:
                continue
            if subscriber.backlog:
                self._flush(subscriber)
            if subscriber.backlog or not self._try([topic, *frames]):
                waiting = waiting or packet(frames)
                self._hold_back(subscriber, message, Packet([topic, *waiting.frames], waiting.size))

    @property
    def waits(self) -> bool:
        """Does something wait for a subscriber to read?"""
        return any(subscriber.backlog for subscriber in self._subscribers)

    def flush(self) -> bool:
        """Send what waits, a part of it only; True where the rest could be sent, too."""
        return sum(map(self._flush, self._subscribers)) > 0

    def close(self) -> None:
        """Deliver what waits, within `LINGER` milliseconds, and end."""
        end = time.monotonic() + LINGER / 1000
        while self.waits and time.monotonic() < end:
            if not self.flush():
                self.socket.poll(5)
        self.socket.close()

    # ---- messages

    def _try(self, frames: list[Any]) -> bool:
        try:
            send_frames(self.socket, frames)
        except zmq.Again:
            return False
        return True

    def _flush(self, subscriber: _Subscriber) -> bool:
        backlog = subscriber.backlog
        for _ in range(_BATCH):
            if not backlog or not self._try(backlog.first.frames):
                return False
            backlog.pop()
        return bool(backlog)

    def _hold_back(self, subscriber: _Subscriber, message: Message, waiting: Packet) -> None:
        backlog = subscriber.backlog
        first = not backlog.left_out
        backlog.put(message, waiting)
        if first and backlog.left_out:
            console.say("laneway: a client does not read its output; some is left out, for it alone.")

    # ---- subscribers

    def _subscribe(self, connection: _Connection | None, topic: bytes) -> None:
        self._forget_the_gone()
        for subscriber in self._subscribers:
            if connection and subscriber.connection == connection:
                break
        else:
            subscriber = self._new_subscriber(connection)
        if topic not in subscriber.topics:
            subscriber.topics.append(topic)
        self.socket.setsockopt(zmq.SUBSCRIBE, topic + subscriber.mark)

    def _new_subscriber(self, connection: _Connection | None) -> _Subscriber:
        mark = b"#%d." % next(self._numbers)

        def encode(message: Message) -> Packet:
            topic = subscriber.topic(message.msg_type.encode()) or b""
            return packet([topic, *self._encode(message)])

        subscriber = _Subscriber(connection, mark, Backlog(encode))
        self._subscribers.append(subscriber)
        return subscriber

    def _unsubscribe(self, connection: _Connection | None, topic: bytes) -> None:
        for subscriber in self._subscribers:
            if connection and subscriber.connection == connection and topic in subscriber.topics:
                subscriber.topics.remove(topic)
                self.socket.setsockopt(zmq.UNSUBSCRIBE, topic + subscriber.mark)
        self._forget_the_gone()

    def _forget_the_gone(self) -> None:
        """Who was overlooked costs a little time until the next look: what is sent to it goes nowhere."""
        self._subscribers = [each for each in self._subscribers if each.topics and not each.gone]


_Connection = tuple[int, object]
"""A file descriptor, and what tells its connection from a later one."""


@dataclass(slots=True, eq=False, repr=False)
class _Subscriber:
    """A connection, and what it wants."""

    connection: _Connection | None
    mark: bytes
    backlog: Backlog
    topics: list[bytes] = field(default_factory=list[bytes])

    def topic(self, name: bytes) -> bytes | None:
        """The first frame of a message of this name; None where it has not subscribed to it."""
        for topic in self.topics:
            if name.startswith(topic):
                return topic + self.mark + name
        return None

    @property
    def gone(self) -> bool:
        """Has its connection ended?"""
        return self.connection is not None and _connection(self.connection[0]) != self.connection


def _connection_of(frame: zmq.Frame) -> _Connection | None:
    """Whence `frame` came; None where libzmq cannot tell, as when a connection has ended."""
    try:
        descriptor = frame.get(zmq.SRCFD)  # pyright: ignore[reportArgumentType], as its documentation has it
    except zmq.ZMQError:
        return None
    return _connection(int(descriptor))


def _connection(descriptor: int) -> _Connection | None:
    try:
        return descriptor, tuple(_signs(descriptor))
    except OSError:
        return None


def _signs(descriptor: int) -> Iterator[object]:
    if sys.platform != "win32":  # there it is a handle, and no other sign is needed
        yield os.fstat(descriptor).st_ino
    connection = socket.socket(fileno=descriptor)
    try:
        yield connection.getpeername()
    finally:
        connection.detach()
