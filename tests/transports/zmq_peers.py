"""Raw peers for the ZMQ transports: a client made of pyzmq and jupyter_client's Session, and a receiver that
records.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import zmq
from jupyter_client.session import Session

from laneway.protocol.message import Channel, Message
from laneway.transports.connection import Connection
from laneway.transports.zmq_kernel import ZmqKernelTransport
from tests.stopped import stop

TIMEOUT = 20

ENDING = 5
"""Seconds in which the thread that closes a client has ended, after it has told its event loop."""


class Inbox:
    """A `Receiver` that keeps what comes; `answer` is called with each message, on the transport's thread."""

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.subscriptions: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self.answer: Callable[[Message], object] | None = None

    def receive(self, message: Message) -> None:
        self.messages.put(message)
        if self.answer:
            self.answer(message)

    def subscribed(self, topic: str) -> None:
        self.subscriptions.put(topic)

    def failed(self, error: BaseException) -> None:
        self.failures.put(error)

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


@contextmanager
def nothing_left(patience: float = 0) -> Generator[None]:
    """What is done inside leaves no thread and no open file, after `patience` seconds at the latest; but for
    an event loop's executor, which starts threads when it pleases. What an earlier test has left may end
    meanwhile.
    """
    threads, files = set(threading.enumerate()), open_files()
    yield

    def left() -> tuple[list[threading.Thread], list[str]]:
        new = set(threading.enumerate()) - threads
        own = [thread for thread in new if not thread.name.startswith("asyncio_")]
        return own, sorted((open_files() - files).elements())

    end = time.monotonic() + patience
    while any(left()):
        assert time.monotonic() < end, left()
        time.sleep(0.01)


def open_files() -> Counter[str]:
    """Of this process: what each descriptor is open for, how often."""
    descriptors = Path("/proc/self/fd") if Path("/proc").exists() else Path("/dev/fd")
    files: Counter[str] = Counter()
    for descriptor in descriptors.iterdir():
        with suppress(OSError):  # that of this look is closed now
            files[str(descriptor.readlink())] += 1
    return files


class Reader:
    """A process that subscribes to everything and reads; it can be stopped as a whole, and go on."""

    def __init__(self, connection: Connection) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _READER, connection.url("iopub")], stdout=subprocess.PIPE, text=True
        )

    def stop(self) -> None:
        """Stop it in the middle of whatever it does."""
        stop(self._process.pid)

    def go_on(self) -> list[tuple[str, str]]:
        """The type and the text (where there is one) of each message that it has read up to `the end`."""
        self._process.send_signal(signal.SIGCONT)
        assert self._process.stdout
        return [tuple(each) for each in json.loads(self._process.stdout.readline())]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.communicate()


_READER = """
import json, sys, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.subscribe(b"")
socket.connect(sys.argv[1])
read = []
while True:
    _topic, _delimiter, _signature, header, _parent, _metadata, content, *_buffers = socket.recv_multipart()
    read.append((json.loads(header)["msg_type"], json.loads(content).get("text", "")[:200]))
    if read[-1] == ("status", "the end"):
        print(json.dumps(read), flush=True)
        read.clear()
"""
