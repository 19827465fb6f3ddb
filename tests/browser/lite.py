"""JupyterLite in Chromium, driven through `window.jupyterapp`, which the site exposes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from playwright.async_api import Frame, Locator, Page

from tests.page import ROOT, asked_outside, chromium_page, loaded, serving

DIST = ROOT / "site" / "dist"

START = 90
"""Seconds in which JupyterLite, and then a kernel, starts on a busy machine."""

WAIT = """async () => {
  while (!window.jupyterapp) await new Promise((resolve) => setTimeout(resolve, 50));
  await window.jupyterapp.started;
  await window.jupyterapp.serviceManager.ready;
}"""

NEW_KERNEL = """async () => {
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

_RUN_NOTEBOOK = """async ([path, seconds]) => {
  const { commands } = window.jupyterapp;
  let step = "opened", panel, cells = [];
  const run = async () => {
    panel = await commands.execute("docmanager:open", { path, factory: "Notebook" });
    await panel.context.ready;
    step = "given a kernel";
    await panel.sessionContext.ready;
    step = "run";
    cells = panel.content.widgets.map((cell) => cell.model).filter((model) => model.type === "code");
    await commands.execute("notebook:run-all-cells"); // which ends at the first error, wanted or not
    const isDead = () => /dead|unknown|Error/i.test(panel.sessionContext.kernelDisplayStatus);
    while (cells.some((model) => !model.executionCount) && !isDead())
      await new Promise((resolve) => setTimeout(resolve, 50));
    return cells.map((model) => model.toJSON());
  };
  const late = new Promise((_resolve, reject) => setTimeout(() => {
    const counts = cells.map((model) => model.executionCount ?? "-");
    const shown = document.querySelectorAll(".jp-Dialog-content, .Toastify__toast-body");
    const texts = Array.from(shown, (element) => JSON.stringify(element.textContent));
    reject(new Error(
      `${path} was not ${step} in ${seconds} seconds. ` +
        `Its kernel is ${panel?.sessionContext.kernelDisplayStatus}, its cells were counted ${counts}; ` +
        `on the screen: ${texts.join(", ") || "no notice"}.`,
    ));
  }, seconds * 1000));
  return await Promise.race([run(), late]);
}"""

_NEW_NOTEBOOK = """async () => {
  const { commands } = window.jupyterapp;
  window.stops = 0;
  commands.commandExecuted.connect((_, { id }) => (window.stops += id === "notebook:interrupt-kernel"));
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
                await page.route("**/register.*.js", lambda route: route.abort())
            await page.goto(f"{address}lite/{app}/index.html")
            if isolate:
                await loaded(page)
            await _wait(page, WAIT, "JupyterLite")
            if kernel:
                await start_kernel(page)
            yield page, strangers


async def start_kernel(page: Page | Frame) -> None:
    """Start `window.kernel` in a page with JupyterLite; `window.run` runs cells in it."""
    await _wait(page, WAIT, "JupyterLite")
    await _wait(page, NEW_KERNEL, "The kernel")


async def _wait(page: Page | Frame, script: str, name: str) -> None:
    try:
        with anyio.fail_after(START):
            await page.evaluate(script)
    except TimeoutError:
        with anyio.fail_after(START):
            shown = await page.evaluate("document.body.innerText")
        raise AssertionError(f"{name} has not started in {START} s; on the page: {shown!r}") from None


async def run_notebook(page: Page, path: str, seconds: int = 300) -> list[dict[str, Any]]:
    """Open a notebook, run it from top to bottom, and return its code cells. Fails with a sentence that says
    how far it has come, where that takes longer than so many seconds.
    """
    return await page.evaluate(_RUN_NOTEBOOK, [path, seconds])


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
        """Click the stop button. JupyterLab renders its toolbar anew when it likes to, and a click in that
        moment falls into nothing: its user clicks once more. What it has understood it does once.
        """
        stops: int = await self.page.evaluate("window.stops")
        for patience in (5_000, 30_000):
            await self.page.locator("[data-jp-item-name='interrupt']:visible").click()
            with suppress(TimeoutError):
                await self.page.wait_for_function(
                    "(stops) => window.stops > stops", arg=stops, timeout=patience
                )
                return
        raise AssertionError("JupyterLab has not noticed two clicks on its stop button.")

    async def choose(self, menu: str, item: str) -> None:
        """Choose from the menu bar."""
        await self.page.locator(".lm-MenuBar-item").get_by_text(menu, exact=True).click()
        await self.page.locator(".lm-Menu-item").filter(has_text=item).first.click()

    async def accept(self) -> None:
        """Press the button of the open dialog that does what was asked for."""
        await self.page.locator(".jp-Dialog button.jp-mod-accept").click()
