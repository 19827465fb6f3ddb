"""The kernel's end of a callback interface: bytes in by a method, bytes out by a function. This is how a
page's worker talks to Python.

Each message is handed over at once, and nothing waits here. What it costs that nobody reads is for
the holder of the callback to bound, who alone knows.

Imports: stdlib and `protocol/`. All on the kernel's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from .. import console
from ..protocol.message import Message
from ..protocol.ports import Receiver
from ..protocol.wire import decode_envelope, encode_envelope
from .encoding import json_codec

SendCallback = Callable[[bytes, list[Any]], object]
"""`send(message, buffers)`: takes one envelope (UTF-8 JSON) and its binary buffers (bytes-like). Must not
wait.
"""


class CallbackTransport:
    """Sends through `send` and receives through `receive`. `flush`, if there is one, is called after one or
    more calls of `send`, which may have kept what they were given until then.
    """

    def __init__(self, send: SendCallback, flush: Callable[[], object] | None = None) -> None:
        self.dropped = 0
        """How many incoming messages were malformed."""
        self._send: SendCallback | None = send
        self._flush = flush
        self._json = json_codec()
        self._receiver: Receiver | None = None

    def start(self, receiver: Receiver) -> None:
        """See `Transport`. Who holds the callback hears everything from the start."""
        self._receiver = receiver
        receiver.subscribed("")

    def receive(self, message: bytes | str, buffers: Sequence[Any] = ()) -> None:
        """Take one envelope. Returns at once and never raises: what is malformed is counted, and said on
        stderr; what fails otherwise ends the kernel.
        """
        try:
            data = message.encode() if isinstance(message, str) else bytes(message)
            decoded = decode_envelope(self._json, data, buffers)
        except Exception as error:  # a RemoteProtocolError; what is no text, or no bytes
            self.dropped += 1
            console.say(f"laneway: a message was dropped: {error}")
            return
        if receiver := self._receiver:
            try:
                receiver.receive(decoded)
            except BaseException as error:
                receiver.failed(error)

    def encode(self, message: Message) -> bytes:
        """See `Transport`."""
        return encode_envelope(self._json, message)

    def send(self, message: Message, encoded: bytes) -> None:
        """See `Transport`."""
        if self._send:
            self._send(encoded, list(message.buffers))

    def flush(self) -> None:
        """See `Transport`."""
        if self._flush:
            self._flush()

    def settle(self, call: Callable[[], None]) -> None:
        """See `Transport`. What the page has posted meanwhile arrives in the turns of the loop that come
        first.
        """
        asyncio.get_running_loop().call_later(0, call)

    def close(self) -> None:
        """See `Transport`."""
        self._send = self._receiver = None
