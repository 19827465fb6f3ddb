"""Raw peers for the ZMQ transports: a client made of pyzmq and jupyter_client's Session, and a receiver that
records.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import zmq
from jupyter_client.session import Session

from laneway.protocol.message import Channel, Message
from laneway.transports.connection import Connection
from laneway.transports.zmq_kernel import ZmqKernelTransport

TIMEOUT = 20


class Inbox:
    """A `Receiver` that keeps what comes; `answer` is called with each message, on the transport's thread."""

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.subscriptions: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.answer: Callable[[Message], object] | None = None

    def receive(self, message: Message) -> None:
        self.messages.put(message)
        if self.answer:
            self.answer(message)

    def subscribed(self, topic: str) -> None:
        self.subscriptions.put(topic)

    def next(self) -> Message:
        return self.messages.get(timeout=TIMEOUT)


@contextmanager
def kernel(connection: Connection | None = None) -> Generator[tuple[ZmqKernelTransport, Inbox]]:
    """A started transport and what it delivers to."""
    transport, inbox = ZmqKernelTransport(connection or Connection.new()), Inbox()
    try:
        transport.start(inbox)
        yield transport, inbox
    finally:
        transport.close()


def reply(request: Message, content: dict[str, Any], buffers: Sequence[Any] = ()) -> Message:
    """A reply to `request`."""
    header = {**request.header, "msg_id": f"re {request.msg_id}", "msg_type": "test_reply"}
    return Message(request.channel, header, request.header, {}, content, buffers, request.route)


def output(number: int) -> Message:
    """An iopub message."""
    header = {"msg_id": str(number), "msg_type": "stream", "session": "s", "username": "u", "version": "5.5"}
    return Message(Channel.IOPUB, header, content={"name": "stdout", "text": str(number)})


class RawClient:
    """Blocking sockets; every wait has an end."""

    def __init__(self, connection: Connection, topic: bytes = b"") -> None:
        self.session = Session(key=connection.key.encode(), signature_scheme=connection.signature_scheme)
        self._context = zmq.Context()
        identity = os.urandom(8)
        self.sockets: dict[str, zmq.Socket[bytes]] = {}
        for name in ("shell", "control", "stdin", "hb", "iopub"):
            socket = self._context.socket(zmq.SUB if name == "iopub" else zmq.DEALER)
            socket.set_hwm(0)
            socket.linger = 0
            socket.rcvtimeo = TIMEOUT * 1000
            if name == "iopub":
                socket.subscribe(topic)
            else:
                socket.identity = identity
            connection.connect(name, socket)
            self.sockets[name] = socket

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._context.destroy(linger=0)

    def send(
        self,
        content: Any,
        *,
        channel: str = "shell",
        buffers: Sequence[Any] = (),
        msg_type: str = "test_request",
    ) -> str:
        """Send a message and return its id."""
        message = self.session.send(self.sockets[channel], msg_type, content, buffers=list(buffers))
        assert message is not None
        return message["header"]["msg_id"]

    def receive(self, channel: str = "shell") -> dict[str, Any]:
        """The next message of a channel."""
        _identities, message = self.session.recv(self.sockets[channel], mode=0, copy=False)
        assert message is not None
        return message

    def ping(self, data: bytes) -> bytes:
        """What comes back from the heartbeat."""
        self.sockets["hb"].send_multipart([b"", data])
        return self.sockets["hb"].recv_multipart()[1]


def threads_and_files() -> tuple[int, int]:
    """How many threads and open files this process has."""
    files = Path("/proc/self/fd") if Path("/proc").exists() else Path("/dev/fd")
    return threading.active_count(), len(list(files.iterdir()))
