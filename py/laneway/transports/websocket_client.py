"""The client's end of a kernel behind a Jupyter server (Kernel Gateway, Enterprise Gateway, JupyterHub): one
WebSocket.

On the client's event loop; the connection lives in one task, as trio wants it. The library `websockets`
carries it. Imports: anyio and `protocol/`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
from websockets.asyncio.client import connect as connect_asyncio
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from ..protocol.errors import ClosedError, KernelError, RemoteProtocolError
from ..protocol.message import Message
from ..protocol.wire import WEBSOCKET_SUBPROTOCOL, decode_websocket, encode_websocket
from .encoding import json_codec
from .event_loops import Bell, Future, Task, in_trio, running_loop


class WebSocketClientTransport:
    """Speaks to the kernel at `url` (`ws://…/api/kernels/<id>/channels?session_id=…`), with `headers` for the
    server's authentication.
    """

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.dropped = 0
        """How many messages of the server were malformed."""
        self._url = url
        self._headers = headers
        self._json = json_codec()
        self._open = False
        self._outbox: deque[bytes] = deque()
        self._filled = Bell()
        self._talking: Task | None = None
        self._reading = anyio.CancelScope()
        self._ended: Future[None] = Future()

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`. Raises KernelError with a sentence where the server cannot be reached or
        refuses.
        """
        opened: Future[None] = Future()
        self._talking = running_loop().create_task(self._talk(_connect(), opened, deliver, lost))
        await opened

    def send(self, message: Message) -> None:
        """See `ClientTransport`."""
        if not self._open:
            raise ClosedError("The connection to the kernel is closed.")
        self._outbox.append(encode_websocket(self._json, message))
        self._filled.ring()

    silence = 0.0

    async def restart(self) -> None:
        """See `ClientTransport`."""
        raise KernelError("A WebSocket cannot restart its kernel; the server is asked to.")

    async def close(self) -> None:
        """See `ClientTransport`. The server is told, unless nobody waits for that."""
        if self._talking is None:
            return
        try:
            if self._open:
                self._open = False
                self._reading.cancel()
                await self._ended.wait()
        finally:
            self._talking.cancel()

    async def _talk(
        self,
        connect: Any,
        opened: Future[None],
        deliver: Callable[[Message], None],
        lost: Callable[[Exception], None],
    ) -> None:
        try:
            async with connect(
                self._url,
                subprotocols=[Subprotocol(WEBSOCKET_SUBPROTOCOL)],
                additional_headers=self._headers,
                max_size=None,
            ) as connection:
                if connection.subprotocol != WEBSOCKET_SUBPROTOCOL:
                    raise KernelError(
                        f"The server at {self._url} does not speak {WEBSOCKET_SUBPROTOCOL}; it is too old."
                    )
                self._open = True
                opened.set_result(None)
                writing = running_loop().create_task(self._write(connection))
                try:
                    with self._reading, suppress(ConnectionClosed):
                        await self._read(connection, deliver)
                finally:
                    writing.cancel()
                    if self._open:
                        self._open = False
                        reason = connection.close_reason or connection.close_code
                        lost(ClosedError(f"The server has closed the connection ({reason})."))
        except (OSError, InvalidHandshake) as error:
            opened.set_exception(
                KernelError(f"The server does not let us talk to the kernel at {self._url}: {error}")
            )
        except Exception as error:
            opened.set_exception(error)
        finally:
            self._ended.set_result(None)

    async def _read(self, connection: Any, deliver: Callable[[Message], None]) -> None:
        async for data in connection:
            try:
                message = decode_websocket(self._json, data if isinstance(data, bytes) else data.encode())
            except RemoteProtocolError:
                self.dropped += 1
            else:
                deliver(message)

    async def _write(self, connection: Any) -> None:
        with suppress(ConnectionClosed):  # the reader tells of it
            while True:
                while self._outbox:
                    await connection.send(self._outbox.popleft())
                await self._filled.wait()


def _connect() -> Any:
    """How `websockets` connects: a context manager of the event loop's library."""
    if not in_trio():
        return connect_asyncio
    try:
        from websockets.trio.client import connect
    except ImportError:
        raise KernelError(
            "Under trio a kernel behind a server takes a newer websockets: pip install -U websockets"
        ) from None
    return connect
