"""`in_process`: a kernel and its client on one event loop, in CPython or inside Pyodide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..client.client import Client
from ..protocol.errors import KernelError
from ..protocol.message import Message
from ..protocol.wire import decode_envelope, encode_envelope
from ..transports.encoding import json_codec
from ..transports.event_loops import in_trio
from ..transports.memory import LocalClientTransport
from .callback import start_callback_kernel


def in_process(**options: Any) -> Client:
    """A client of a new kernel on the running event loop; `options` are those of `start_callback_kernel`.

    The kernel starts with the client and ends with it: `async with laneway.in_process() as kc: ...`
    """
    return Client(_InProcessTransport(options))


class _InProcessTransport(LocalClientTransport):
    """Speaks to the kernel through the callback interface, as a page does."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        self._options = options
        self._json = json_codec()
        self._stop: Callable[[], None] | None = None

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        if in_trio():
            raise KernelError(
                "The kernel of in_process() runs on asyncio's event loop; under trio use laneway.launch()."
            )
        await super().start(deliver, lost)
        kernel = await start_callback_kernel(self._receive, self.end, **self._options)
        self._stop = kernel.stop
        self.post = lambda message: kernel.receive(encode_envelope(self._json, message), message.buffers)

    async def close(self) -> None:
        await super().close()
        if self._stop:
            self._stop()

    def _receive(self, envelope: bytes, buffers: Sequence[Any]) -> None:
        self.deliver(decode_envelope(self._json, envelope, buffers))
