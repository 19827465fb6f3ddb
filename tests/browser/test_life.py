"""Stopping, restarting and closing in JupyterLite, by the buttons and menus that its users have."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from playwright.async_api import Locator, Page, expect

from .busy import BUSY
from .lite import Notebook, jupyterlite

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def page() -> AsyncGenerator[Page, None]:
    async with jupyterlite(kernel=False) as (page, _strangers):
        yield page


@pytest.fixture(scope="module")
async def notebook(page: Page) -> Notebook:
    return await Notebook.new(page)


async def busy(cell: Locator) -> None:
    """The cell has printed, or asks."""
    await expect(cell.get_by_text("ready")).to_be_visible()


@pytest.mark.parametrize("how", ["button", "menu"])
@pytest.mark.parametrize(
    "code",
    [
        *BUSY.values(),
        "input('ready')",
        "# task\nimport asyncio\nprint('ready')\nawait asyncio.sleep(1000)",
    ],
    ids=["await", "sleep", "loop", "input", "task cell"],
)
async def test_stopping(notebook: Notebook, code: str, how: str) -> None:
    await notebook.run("kept = 'kept'")
    (cell,) = await notebook.run(code)
    await busy(cell.locator(".jp-OutputArea"))
    if how == "button":
        await notebook.interrupt()
    else:
        await notebook.choose("Kernel", "Interrupt Kernel")
    await expect(cell.locator(".jp-OutputArea")).to_contain_text("KeyboardInterrupt")
    assert (await cell.locator(".jp-OutputArea").inner_text()).count("Traceback") == 1
    (after,) = await notebook.run("print(kept)")
    await expect(after.locator(".jp-OutputArea-output")).to_have_text("kept\n")


async def test_an_interrupt_request_stops_the_cell_that_it_names(page: Page, notebook: Notebook) -> None:
    ended = await page.evaluate(
        """async () => {
          const { kernel } = window.notebook.sessionContext.session;
          const code = "# task\\nimport asyncio\\nprint('ready')\\nawait asyncio.sleep(1000)";
          const cells = await Promise.all(["first", "second"].map((name) => new Promise((resolve) => {
            const future = kernel.requestExecute({ code });
            const ended = future.done.then(({ content }) => `${name}: ${content.ename}`);
            future.onIOPub = ({ header }) => {
              if (header.msg_type === "stream") resolve({ msg_id: future.msg.header.msg_id, ended });
            };
          })));
          const interrupt = (metadata) => {
            const { header } = kernel.requestExecute({ code: "" }).msg;
            return kernel.sendControlMessage({
              channel: "control",
              header: { ...header, msg_id: `${header.msg_id}-interrupt`, msg_type: "interrupt_request" },
              parent_header: {},
              metadata,
              content: {},
              buffers: [],
            }, true).done;
          };
          await interrupt({ laneway: { msg_id: cells[1].msg_id } });
          const ended = [await Promise.race(cells.map((cell) => cell.ended))];
          await interrupt({ laneway: { msg_id: cells[0].msg_id } });
          return [...ended, await cells[0].ended];
        }"""
    )
    assert ended == ["second: KeyboardInterrupt", "first: KeyboardInterrupt"]


async def test_restarting(page: Page, notebook: Notebook) -> None:
    """While a cell runs; there is one worker afterwards, as before."""
    (before,) = await notebook.run("import asyncio\nforgotten = 1\nprint('ready')\nawait asyncio.sleep(1000)")
    await busy(before.locator(".jp-OutputArea"))
    workers = len(page.workers)
    await notebook.choose("Kernel", "Restart Kernel…")
    await notebook.accept()
    (after,) = await notebook.run("'forgotten' in globals()")
    await expect(after.locator(".jp-OutputArea-output")).to_have_text("False")
    assert len(page.workers) == workers


@pytest.mark.parametrize(
    "death",
    [
        "import os\nos._exit(3)",
        "import ctypes\nctypes.string_at(0xFFFFFFF0, 100)",
        "import asyncio, js\njs.eval('setTimeout(close)')\nawait asyncio.sleep(1000)",
    ],
    ids=["exit", "trap", "end of the worker"],
)
async def test_dying(page: Page, notebook: Notebook, death: str) -> None:
    """The page says so, what was asked fails, what is asked fails, and a restart helps."""
    workers = len(page.workers)
    dying, queued = await notebook.run(death, "print('never')")
    for cell in (dying, queued):
        await expect(cell.locator(".jp-OutputArea")).to_contain_text("restart the kernel")
    # the last one: that of another death may be on its way out
    notice = page.locator(".Toastify__toast").filter(has_text="restart the kernel").last
    await expect(notice).to_be_visible()
    await notice.get_by_role("button").click()
    (late,) = await notebook.run("print('never')")
    await expect(late.locator(".jp-OutputArea")).to_contain_text("restart the kernel")
    await notebook.choose("Kernel", "Restart Kernel…")
    await notebook.accept()
    (after,) = await notebook.run("print('alive')")
    await expect(after.locator(".jp-OutputArea-output")).to_have_text("alive\n")
    assert len(page.workers) == workers


async def test_closing_and_shutting_down_frees_the_worker(page: Page) -> None:
    before = len(page.workers)
    notebook = await Notebook.new(page)
    (cell,) = await notebook.run("import asyncio\nprint('ready')\nawait asyncio.sleep(1000)")
    await busy(cell.locator(".jp-OutputArea"))
    assert len(page.workers) == before + 1
    worker = page.workers[-1]
    async with worker.expect_event("close", timeout=10_000):
        await notebook.choose("File", "Close and Shut Down")
        await notebook.accept()
    assert len(page.workers) == before
