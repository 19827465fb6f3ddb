"""A client's end of the kernel in a worker in Chromium, through `WorkerTransport` of @laneway/kernel."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from laneway.protocol.errors import ClosedError
from laneway.protocol.message import Message
from laneway.protocol.wire import decode_envelope, encode_envelope
from laneway.transports.encoding import json_codec
from tests.page import chromium_page, serving_kernel

from .node import PACKAGES

_BRIDGE = """async ([indexURL, packages]) => {
  const { createWorker, WorkerTransport } = await import("/lib/browser/index.js");
  const { encode } = await import("/lib/common/index.js");
  const text = (bytes) => {
    let binary = "";
    for (let at = 0; at < bytes.length; at += 32768) {
      binary += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return btoa(binary);
  };
  const bytes = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  // one call of Python for what has gathered meanwhile
  let gathered = [];
  let calling = false;
  const flush = async () => {
    if (calling) return;
    calling = true;
    while (gathered.length > 0) {
      const batch = gathered;
      gathered = [];
      await window.lanewayReceive(batch);
    }
    calling = false;
  };
  const transport = new WorkerTransport(createWorker(), { indexURL, packages }, {
    onMessage: (message) => {
      const { message: envelope, buffers } = encode(message);
      gathered.push([envelope, ...buffers.map((buffer) => new Uint8Array(buffer))].map(text));
      void flush();
    },
    onStatus: (status, error) => void window.lanewayStatus(status, error ?? ""),
  });
  window.lanewaySend = (batch) => {
    for (const [envelope, ...buffers] of batch) {
      const message = JSON.parse(new TextDecoder().decode(bytes(envelope)));
      transport.send({ ...message, buffers: buffers.map((buffer) => bytes(buffer).buffer) });
    }
  };
  await transport.ready;
}"""


class ChromiumTransport:
    """Opens a page and starts a kernel in it; closing it closes the page. `isolated`: whether the page is
    cross-origin isolated, and so shares memory with the kernel's worker.
    """

    def __init__(self, *, isolated: bool = True) -> None:
        self._isolated = isolated
        self._json = json_codec()
        self._stack = AsyncExitStack()
        self._page: Page | None = None
        self._outbox: asyncio.Queue[list[str]] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`."""
        options = () if self._isolated else ("--no-isolation",)
        html = "<!doctype html><title>conformance</title>"
        address = self._stack.enter_context(serving_kernel(html, *options))
        page = self._page = await self._stack.enter_async_context(chromium_page())

        def receive(batch: list[list[str]]) -> None:
            for parts in batch:
                envelope, *buffers = [base64.b64decode(part) for part in parts]
                deliver(decode_envelope(self._json, envelope, buffers))

        def status(state: str, error: str) -> None:
            if state in ("failed", "stopped"):
                self._page = None
                lost(ClosedError(error or "The kernel in Chromium has ended."))

        await page.expose_function("lanewayReceive", receive)
        await page.expose_function("lanewayStatus", status)
        await page.goto(address)
        await page.evaluate(_BRIDGE, [f"{address}pyodide/", PACKAGES])
        self._writer = asyncio.create_task(self._write(page, lost))

    def send(self, message: Message) -> None:
        """See `ClientTransport`."""
        if self._page is None:
            raise ClosedError("The kernel in Chromium has ended.")
        parts: list[Any] = [encode_envelope(self._json, message), *message.buffers]
        self._outbox.put_nowait([base64.b64encode(part).decode() for part in parts])

    silence = 0.0

    async def restart(self) -> None:
        """See `ClientTransport`."""
        raise NotImplementedError

    async def close(self) -> None:
        """See `ClientTransport`."""
        self._page = None
        if self._writer:
            self._writer.cancel()
        await self._stack.aclose()

    async def _write(self, page: Page, lost: Callable[[Exception], None]) -> None:
        while True:
            batch = [await self._outbox.get()]
            while not self._outbox.empty():
                batch.append(self._outbox.get_nowait())
            try:
                await page.evaluate("(batch) => window.lanewaySend(batch)", batch)
            except PlaywrightError as error:
                lost(error)
                return
