"""Ends that are joined by function calls, in one process. Either may live on any thread.

Imports: stdlib and `protocol/`.
"""

from __future__ import annotations

from collections.abc import Callable

from ..protocol.errors import ClosedError, KernelError
from ..protocol.message import Message
from ..protocol.ports import Receiver
from ..protocol.wire import decode_envelope, encode_envelope
from .encoding import json_codec
from .event_loops import EventLoop, running_loop


def memory_pair() -> tuple[MemoryTransport, LocalClientTransport]:
    """A kernel's end and a client's end. Messages cross as they would as bytes: encoded and decoded, never
    shared.
    """
    client = LocalClientTransport()
    kernel = MemoryTransport(client)
    client.post = kernel.receive
    return kernel, client


class MemoryTransport:
    """The kernel's end."""

    def __init__(self, client: LocalClientTransport) -> None:
        self._client = client
        self._json = json_codec()
        self._receiver: Receiver | None = None
        self._early: list[Message] = []

    def start(self, receiver: Receiver) -> None:
        """See `Transport`."""
        self._receiver = receiver
        receiver.subscribed("")
        while self._early:
            receiver.receive(self._early.pop(0))

    def encode(self, message: Message) -> Message:
        """See `Transport`."""
        return self._crossed(message)

    def send(self, message: Message, encoded: Message) -> None:
        """See `Transport`."""
        if self._receiver:
            self._client.deliver(encoded)

    def flush(self) -> None:
        """See `Transport`."""

    def settle(self, call: Callable[[], None]) -> None:
        """See `Transport`."""
        call()

    def close(self) -> None:
        """See `Transport`."""
        if self._receiver:
            self._receiver = None
            self._client.end()

    def receive(self, message: Message) -> None:
        """Take `message` from the client."""
        crossed = self._crossed(message)
        if (receiver := self._receiver) is None:
            self._early.append(crossed)
            return
        try:
            receiver.receive(crossed)
        except BaseException as error:
            receiver.failed(error)

    def _crossed(self, message: Message) -> Message:
        buffers = [bytes(buffer) for buffer in message.buffers]
        return decode_envelope(self._json, encode_envelope(self._json, message), buffers)


class LocalClientTransport:
    """The client's end of a kernel in this process: what it sends goes to `post`; the kernel calls `deliver`
    and `end`.
    """

    def __init__(self) -> None:
        self.post: Callable[[Message], None] | None = None
        """Where messages to the kernel go. Must be set before `send`."""
        self._loop: EventLoop | None = None
        self._deliver: Callable[[Message], None] | None = None
        self._lost: Callable[[Exception], None] | None = None

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`."""
        self._loop, self._deliver, self._lost = running_loop(), deliver, lost

    def send(self, message: Message) -> None:
        """See `ClientTransport`."""
        if self.post is None:
            raise ClosedError("The connection to the kernel is closed.")
        self.post(message)

    silence = 0.0

    async def restart(self) -> None:
        """See `ClientTransport`."""
        raise KernelError("A kernel in this process cannot be restarted; make a new one.")

    async def close(self) -> None:
        """See `ClientTransport`."""
        self.post = self._deliver = self._lost = None

    def deliver(self, message: Message) -> None:
        """Take `message` from the kernel. From any thread; messages from before `start` are nobody's."""
        self._on_loop(lambda: self._deliver and self._deliver(message))

    def end(self) -> None:
        """The kernel has ended. From any thread."""
        self._on_loop(self._end)

    def _end(self) -> None:
        if self._lost:
            lost, self.post, self._lost = self._lost, None, None
            lost(ClosedError("The kernel has ended."))

    def _on_loop(self, call: Callable[[], object]) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            if not self._loop.is_closed():  # the client's loop has ended before the kernel
                raise
