"""A kernel's end that does what a test says, in the order that the test says: real transport, real client, no
kernel.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from laneway.client.client import Client
from laneway.protocol.message import Channel, Content, Message, Stamp
from laneway.transports.event_loops import Bell, Future, running_loop
from laneway.transports.memory import LocalClientTransport


class ScriptedKernel:
    """Keeps what the client sends in `received`, and sends what it is told to."""

    def __init__(self) -> None:
        self.transport = LocalClientTransport()
        self.transport.post = self._take
        self.received: list[Message] = []
        numbers = itertools.count()
        self._stamp = Stamp("kernel", lambda: f"k{next(numbers)}", lambda: "2026-01-01T00:00:00+00:00")
        self._arrived = Bell()
        self.answers = True
        """Does it answer kernel_info_requests on shell by itself?"""

    def _take(self, message: Message) -> None:
        if message.msg_type == "kernel_info_request" and message.channel is Channel.SHELL and self.answers:
            self.reply(message, {"status": "ok", "laneway": {}})
            return
        self.received.append(message)
        self._arrived.ring()

    async def next(self, msg_type: str) -> Message:
        """The first message of this type that has not been asked for."""
        while True:
            for message in self.received:
                if message.msg_type == msg_type:
                    self.received.remove(message)
                    return message
            await self._arrived.wait()

    def send(self, channel: Channel, msg_type: str, content: Any, parent: Message | None = None) -> None:
        """Send any message."""
        header = self._stamp.header(msg_type)
        self.transport.deliver(Message(channel, header, parent.header if parent else {}, {}, content))

    def reply(self, request: Message, content: Content | None = None) -> None:
        """Send the reply to `request`."""
        msg_type = request.msg_type.replace("_request", "_reply")
        self.send(request.channel, msg_type, content or {"status": "ok"}, request)

    def publish(self, parent: Message | None, msg_type: str, content: Content) -> None:
        """Send on iopub."""
        self.send(Channel.IOPUB, msg_type, content, parent)

    def status(self, parent: Message, state: str) -> None:
        """Send a status."""
        self.publish(parent, "status", {"execution_state": state})

    def stream(self, parent: Message | None, text: str) -> None:
        """Send a piece of stdout."""
        self.publish(parent, "stream", {"name": "stdout", "text": text})

    async def settled(self) -> None:
        """Let the client take what was sent."""
        done: Future[None] = Future()
        running_loop().call_soon(lambda: done.set_result(None))
        await done


@asynccontextmanager
async def scripted() -> AsyncGenerator[tuple[Client, ScriptedKernel], None]:
    """A client of a scripted kernel."""
    kernel = ScriptedKernel()
    async with Client(kernel.transport) as kc:
        yield kc, kernel
