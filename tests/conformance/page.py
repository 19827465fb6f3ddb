"""A client's end of the kernel in a worker of a page, in a browser of any engine.

The page has `launch` of @laneway/kernel carry the messages, and passes them on over a WebSocket, encoded as
Jupyter servers do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from laneway.protocol.errors import ClosedError, KernelDiedError
from laneway.protocol.message import Message
from laneway.protocol.wire import Json, decode_websocket, encode_envelope, encode_websocket
from laneway.transports.encoding import json_codec
from tests.engines import browsing
from tests.page import serving_kernel

PAGE = """<!doctype html>
<title>conformance</title>
<link rel="icon" href="data:," />
<script type="module">
  import { WorkerTransport } from "/lib/browser/index.js";
  import { decodeWebSocket, encodeWebSocket } from "/lib/common/index.js";

  const socket = new WebSocket("%s");
  socket.binaryType = "arraybuffer";
  const end = (why) => socket.close(4000, why.slice(0, 100)); // as much as the protocol allows
  window.addEventListener("error", ({ message }) => end(message));
  const transport = new WorkerTransport({ kernelURL: new URL("kernel/", location).href }).claim({
    onMessage: (message) => socket.send(encodeWebSocket(message)),
    onStatus: (status, error) => (status === "ready" ? socket.send("ready") : end(error ?? status)),
  });
  // text is a message without buffers, which need not be a correct one
  socket.onmessage = ({ data }) =>
    transport.send(typeof data === "string" ? { ...JSON.parse(data), buffers: [] } : decodeWebSocket(data));
</script>
"""

PATIENCE = 180
"""Seconds that a browser and its kernel may take to start."""


class PageTransport:
    """Starts a browser with a kernel in its page; closing it ends the browser. `isolated`: whether the
    server isolates the page.
    """

    def __init__(self, engine: str, *, isolated: bool = True) -> None:
        self._engine = engine
        self._isolated = isolated
        self._json = json_codec()
        self._stack = AsyncExitStack()
        self._page: ServerConnection | None = None
        self._outbox: asyncio.Queue[bytes | str] = asyncio.Queue()

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`."""
        ready = asyncio.get_running_loop().create_future()

        async def talk(page: ServerConnection) -> None:
            self._page = page
            writer = asyncio.create_task(self._write(page))
            try:
                async for data in page:
                    if isinstance(data, bytes):
                        deliver(decode_websocket(self._json, data))
                    else:
                        ready.set_result(None)
            except ConnectionClosed:
                pass
            finally:
                writer.cancel()
                self._page = None
            ended = KernelDiedError(f"The kernel in {self._engine} has ended ({page.close_reason}).")
            if ready.done():
                lost(ended)
            else:
                ready.set_exception(ended)

        server = await self._stack.enter_async_context(serve(talk, "127.0.0.1", 0, max_size=None))
        (_host, port), *_ = (socket.getsockname() for socket in server.sockets)
        html = PAGE % f"ws://127.0.0.1:{port}/"
        options = () if self._isolated else ("--no-isolation",)
        address = self._stack.enter_context(serving_kernel(html, *options))
        said = self._stack.enter_context(browsing(self._engine, address))
        try:
            async with asyncio.timeout(PATIENCE):
                await ready
        except TimeoutError:
            raise AssertionError(
                f"{self._engine} did not start a kernel, and said:\n{said.read_text()}"
            ) from None

    def send(self, message: Message) -> None:
        """See `ClientTransport`."""
        if self._page is None:
            raise ClosedError(f"The kernel in {self._engine} has ended.")
        encoded = encode_websocket if message.buffers else _text
        self._outbox.put_nowait(encoded(self._json, message))

    silence = 0.0

    async def restart(self) -> None:
        """See `ClientTransport`."""
        raise NotImplementedError

    async def close(self) -> None:
        """See `ClientTransport`."""
        await self._stack.aclose()

    async def _write(self, page: ServerConnection) -> None:
        while True:
            await page.send(await self._outbox.get())


def _text(json: Json, message: Message) -> str:
    return encode_envelope(json, message).decode()
