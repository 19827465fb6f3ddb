"""The client's end of a kernel behind a Jupyter server (Kernel Gateway, Enterprise Gateway, JupyterHub): one
WebSocket.

On the client's event loop. The library `websockets` carries it. Imports: `protocol/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from ..protocol.errors import ClosedError, KernelError, RemoteProtocolError
from ..protocol.message import Message
from ..protocol.wire import WEBSOCKET_SUBPROTOCOL, decode_websocket, encode_websocket
from .encoding import json_codec


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
        self._connection: ClientConnection | None = None
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`. Raises KernelError with a sentence where the server cannot be reached or
        refuses.
        """
        try:
            self._connection = await connect(
                self._url,
                subprotocols=[Subprotocol(WEBSOCKET_SUBPROTOCOL)],
                additional_headers=self._headers,
                max_size=None,
            )
        except (OSError, InvalidHandshake) as error:
            raise KernelError(
                f"The server does not let us talk to the kernel at {self._url}: {error}"
            ) from error
        if self._connection.subprotocol != WEBSOCKET_SUBPROTOCOL:
            await self._connection.close()
            raise KernelError(
                f"The server at {self._url} does not speak {WEBSOCKET_SUBPROTOCOL}; it is too old."
            )
        self._tasks = [
            asyncio.create_task(self._read(self._connection, deliver, lost)),
            asyncio.create_task(self._write(self._connection)),
        ]

    def send(self, message: Message) -> None:
        """See `ClientTransport`."""
        if self._connection is None:
            raise ClosedError("The connection to the kernel is closed.")
        self._outbox.put_nowait(encode_websocket(self._json, message))

    silence = 0.0

    async def restart(self) -> None:
        """See `ClientTransport`."""
        raise KernelError("A WebSocket cannot restart its kernel; the server is asked to.")

    async def close(self) -> None:
        """See `ClientTransport`."""
        connection, self._connection = self._connection, None
        if connection:
            await connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(
        self,
        connection: ClientConnection,
        deliver: Callable[[Message], None],
        lost: Callable[[Exception], None],
    ) -> None:
        try:
            async for data in connection:
                try:
                    message = decode_websocket(self._json, data if isinstance(data, bytes) else data.encode())
                except RemoteProtocolError:
                    self.dropped += 1
                else:
                    deliver(message)
        except ConnectionClosed:
            pass
        if self._connection is connection:
            self._connection = None
            reason = connection.close_reason or connection.close_code
            lost(ClosedError(f"The server has closed the connection ({reason})."))

    async def _write(self, connection: ClientConnection) -> None:
        try:
            while True:
                await connection.send(await self._outbox.get())
        except ConnectionClosed:
            pass  # the reader tells of it
