"""JupyterLite in Chromium, driven through `window.jupyterapp`, which the site exposes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Page

from tests.page import ROOT, chromium_page, serving

DIST = ROOT / "site" / "dist"

_WAIT = """async () => {
  while (!window.jupyterapp) await new Promise((resolve) => setTimeout(resolve, 50));
  await window.jupyterapp.started;
  await window.jupyterapp.serviceManager.ready;
}"""

_START = """async () => {
  const { kernels, kernelspecs } = window.jupyterapp.serviceManager;
  await kernelspecs.ready;
  window.kernel = await kernels.startNew({ name: "laneway" });
  await window.kernel.info;
  // what a cell sends, in order; `until` waits for a text among it
  window.run = (code, options = {}) => {
    const future = window.kernel.requestExecute({ code, allow_stdin: false }, false, options.metadata);
    const run = { text: "", outputs: [], done: false, began: 0, waiting: [] };
    future.onIOPub = ({ header, content }) => {
      if (header.msg_type === "stream") run.text += content.text;
      else if (header.msg_type !== "status" && header.msg_type !== "execute_input") run.outputs.push(content);
      else if (content.execution_state === "busy") run.began = performance.now();
      run.waiting = run.waiting.filter(([text, resolve]) => !run.text.includes(text) || resolve());
    };
    run.until = (text) => run.text.includes(text) || new Promise((resolve) => run.waiting.push([text,
    resolve])); run.finished = future.done.then((reply) => {
      run.done = true;
      run.ended = performance.now();
      run.status = reply.content.status;
      run.reply = reply.content;
      return run;
    });
    return run;
  };
}"""

_RUN_NOTEBOOK = """async (path) => {
  const app = window.jupyterapp;
  const panel = await app.commands.execute("docmanager:open", { path, factory: "Notebook" });
  await panel.context.ready;
  await panel.sessionContext.ready;
  await app.commands.execute("notebook:run-all-cells");
  const cells = panel.content.widgets.map((cell) => cell.model).filter((model) => model.type === "code");
  while (cells.some((model) => !model.executionCount)) // it comes with the reply
    await new Promise((resolve) => setTimeout(resolve, 50));
  return cells.map((model) => model.toJSON());
}"""


@asynccontextmanager
async def jupyterlite(
    *options: str, app: str = "lab", kernel: bool = True
) -> AsyncGenerator[tuple[Page, list[str]], None]:
    """A page with JupyterLite, and the addresses outside the site that it has asked for; with a kernel, where
    it is wanted.

    `options` are those of the server.
    """
    with serving(DIST, *options) as address:
        async with chromium_page() as page:
            strangers: list[str] = []

            def requested(url: str) -> None:
                if not url.startswith((address, "data:", "blob:")):
                    strangers.append(url)

            # of the context, so that the workers' requests are seen as well
            page.context.on("request", lambda request: requested(request.url))
            await page.goto(f"{address}lite/{app}/index.html")
            await page.evaluate(_WAIT)
            if kernel:
                await page.evaluate(_START)
            yield page, strangers


async def run_notebook(page: Page, path: str) -> list[dict[str, Any]]:
    """Open a notebook, run it from top to bottom, and return its code cells."""
    return await page.evaluate(_RUN_NOTEBOOK, path)
