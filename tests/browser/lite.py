"""JupyterLite in Chromium, driven through `window.jupyterapp`, which the site exposes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Frame, Locator, Page

from tests.page import ROOT, asked_outside, chromium_page, loaded, serving

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
    run.until = (text) =>
      run.text.includes(text) || new Promise((resolve) => run.waiting.push([text, resolve]));
    run.finished = future.done.then((reply) => {
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

_NEW_NOTEBOOK = """async () => {
  const { commands } = window.jupyterapp;
  window.notebook = await commands.execute("notebook:create-new", { kernelName: "laneway" });
  await window.notebook.context.ready;
  await window.notebook.sessionContext.ready;
}"""

_RUN_CELLS = """async (sources) => {
  await window.running; // the cells before
  const { sharedModel } = window.notebook.content.model;
  const cells = sources.map((source) => ({ cell_type: "code", source }));
  sharedModel.transact(() => {
    sharedModel.deleteCellRange(0, sharedModel.cells.length);
    sharedModel.insertCells(0, cells);
  });
  window.running = window.jupyterapp.commands.execute("notebook:run-all-cells").catch(() => undefined);
}"""


@asynccontextmanager
async def jupyterlite(
    *options: str,
    site: Path = DIST,
    app: str = "lab",
    kernel: bool = True,
    isolate: bool = True,
    service_workers: bool = True,
) -> AsyncGenerator[tuple[Page, list[str]], None]:
    """A page with JupyterLite, and the addresses outside the site that it has asked for; with a kernel, where
    it is wanted.

    `options` are those of the server. `isolate` says whether the site's service worker may isolate the page,
    `service_workers` whether the browser has any.
    """
    with serving(site, *options) as address:
        async with chromium_page(service_workers=service_workers) as page:
            strangers = asked_outside(page, address)
            if not isolate:
                await page.route("**/isolate.js", lambda route: route.abort())
            await page.goto(f"{address}lite/{app}/index.html")
            if isolate:
                await loaded(page)
            await page.evaluate(_WAIT)
            if kernel:
                await start_kernel(page)
            yield page, strangers


async def start_kernel(page: Page | Frame) -> None:
    """Start `window.kernel` in a page with JupyterLite; `window.run` runs cells in it."""
    await page.evaluate(_WAIT)
    await page.evaluate(_START)


async def run_notebook(page: Page, path: str) -> list[dict[str, Any]]:
    """Open a notebook, run it from top to bottom, and return its code cells."""
    return await page.evaluate(_RUN_NOTEBOOK, path)


@dataclass
class Notebook:
    """A notebook that is open in JupyterLab, as its users see it."""

    page: Page

    @classmethod
    async def new(cls, page: Page) -> Notebook:
        """Make one, with a kernel that runs."""
        await page.evaluate(_NEW_NOTEBOOK)
        return cls(page)

    async def run(self, *sources: str) -> list[Locator]:
        """Replace the cells of the notebook, when these have run, and start to run all; returns them."""
        await self.page.evaluate(_RUN_CELLS, sources)
        return [self.cells.nth(at) for at in range(len(sources))]

    @property
    def cells(self) -> Locator:
        """All of them."""
        return self.page.locator(".jp-Notebook:visible .jp-CodeCell")

    async def interrupt(self) -> None:
        """Click the stop button."""
        await self.page.locator("[data-jp-item-name='interrupt']:visible").click()

    async def choose(self, menu: str, item: str) -> None:
        """Choose from the menu bar."""
        await self.page.locator(".lm-MenuBar-item").get_by_text(menu, exact=True).click()
        await self.page.locator(".lm-Menu-item").filter(has_text=item).first.click()

    async def accept(self) -> None:
        """Press the button of the open dialog that does what was asked for."""
        await self.page.locator(".jp-Dialog button.jp-mod-accept").click()
