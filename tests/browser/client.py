"""A page with the client of @laneway/kernel, of a kernel in its worker or behind a Jupyter server."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from playwright.async_api import Page

from tests.client.server import TOKEN, jupyter_server
from tests.page import chromium_page, serving_kernel

PAGE = """<!doctype html>
<title>The client</title>
<link rel="icon" href="data:," />
<script type="importmap">
  { "imports": { "@laneway/kernel/browser": "/lib/browser/index.js" } }
</script>
<script type="module">
  import * as common from "/lib/common/index.js";
  import * as browser from "/lib/browser/index.js";

  Object.assign(window, common, browser);

  // wait until a cell has printed this
  window.until = async (run, text) => {
    let printed = "";
    for await (const { content } of run) {
      printed += content.text ?? "";
      if (printed.includes(text)) return;
    }
    throw new Error(`${JSON.stringify(text)} was not printed, but ${JSON.stringify(printed)}.`);
  };

  // what a call fails with
  window.failure = async (call) => {
    const began = performance.now();
    try {
      await (call.done ?? call);
    } catch (error) {
      const { name, message, phase, outputs = [] } = error;
      const texts = outputs.map(({ content }) => content.text);
      return { name, message, phase, texts, state: call.state, milliseconds: performance.now() - began };
    }
    throw new Error("It did not fail.");
  };

  window.sockets = [];
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      window.sockets.push(this);
    }
  };
</script>
"""

WORKER = """async (kernelURL) => {
  window.connect = (options = {}) => launch({ kernelURL, ...options });
  window.kc = await connect().start();
}"""

SERVER = """async ([url, token]) => {
  window.serverAddress = [url, token];
  window.connect = (options = {}) => connectServer({ url, token, ...options });
  window.kc = await connect().start();
}"""


@dataclass
class Connected:
    """A page in which `window.kc` is a started client and `connect()` makes another."""

    kind: str
    page: Page
    url: str = ""
    """The Jupyter server, where there is one."""
    process: Popen[str] | None = None
    """Its process."""

    async def run(self, script: str, argument: Any = None) -> Any:
        """What an async function in the page returns; `argument` is what it takes."""
        return await self.page.evaluate(script, argument)


@asynccontextmanager
async def connected(kind: str, *options: str) -> AsyncGenerator[Connected, None]:
    """A client of a kernel in a `worker` or behind a `server`; `options` are those of the site's server."""
    async with AsyncExitStack() as stack:
        address = stack.enter_context(serving_kernel(PAGE, *options))
        page = await stack.enter_async_context(chromium_page())
        await page.goto(address)
        if kind == "worker":
            await page.evaluate(WORKER, "kernel/")
            yield Connected(kind, page)
            return
        files = stack.enter_context(tempfile.TemporaryDirectory())
        url, process = stack.enter_context(
            jupyter_server(
                Path(files),
                f"--ServerApp.allow_origin={address.rstrip('/')}",
                "--ServerApp.tornado_settings={'websocket_max_message_size': 100_000_000}",
                "--ZMQChannelsWebsocketConnection.limit_rate=False",
            )
        )
        await page.evaluate(SERVER, [url, TOKEN])
        yield Connected(kind, page, url, process)
