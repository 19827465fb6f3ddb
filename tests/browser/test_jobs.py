"""The panel of jobs in JupyterLite, and in JupyterLab on the desktop: what the kernel of the current notebook
runs; a button cancels it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.page import ROOT

from .desktop import jupyterlab
from .lite import Notebook, jupyterlite

pytestmark = pytest.mark.anyio

ENDLESS = "# task timeout=1000\nimport asyncio\nawait asyncio.sleep(1000)"
LONG = 60_000  # milliseconds: a kernel starts


@pytest.fixture(params=["lite", pytest.param("desktop", marks=pytest.mark.servers)])
async def page(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Page, None]:
    if request.param == "desktop":
        async with jupyterlab(tmp_path) as page:
            yield page
        return
    async with jupyterlite(kernel=False) as (page, _strangers):
        yield page


async def shown(page: Page) -> Locator:
    """The panel."""
    await page.evaluate("() => window.jupyterapp.commands.execute('laneway:show-jobs')")
    return page.get_by_role("region", name="Jobs of the kernel")


def row(panel: Locator, code: str) -> Locator:
    return panel.get_by_role("listitem").filter(has_text=code)


async def test_it_lists_what_runs_and_cancels_one(page: Page) -> None:
    panel = await shown(page)
    await expect(panel).to_contain_text("Open a notebook or a console")
    notebook = await Notebook.new(page)
    await expect(panel).to_contain_text("Nothing runs", timeout=LONG)
    first, namesake, loop, queued = await notebook.run(
        ENDLESS, ENDLESS, "while True: pass", "print('was queued')"
    )
    await expect(row(panel, "await asyncio")).to_have_count(0)  # the first line is told
    tasks = row(panel, "import asyncio")
    await expect(tasks).to_have_count(2, timeout=LONG)
    await expect(tasks.first).to_contain_text(re.compile(r"running \d+ s of 1000 s\s*task cell · main"))
    await expect(row(panel, "while True: pass")).to_contain_text("running")
    await expect(row(panel, "print('was queued')")).to_contain_text(re.compile(r"queued\s*queue cell · main"))
    # a cell that is ended before its code begins shows no error
    begun = re.compile(r"running [1-9]\d* s")
    await expect(row(panel, "while True: pass")).to_contain_text(begun, timeout=LONG)

    # what computes is ended, and what was queued behind it goes on
    await panel.get_by_role("button", name="Cancel: while True: pass").click()
    await expect(loop).to_contain_text("KeyboardInterrupt", timeout=LONG)
    await expect(queued).to_contain_text("was queued", timeout=LONG)
    await expect(panel.get_by_role("status")).to_have_text("Cancelled: while True: pass")

    # times count; one of two namesakes is ended, by the keyboard, which is in the other's row then
    await expect(tasks.first).to_contain_text(re.compile(r"running ([2-9]|\d\d) s"), timeout=LONG)
    await tasks.last.get_by_role("button", name="Cancel: import asyncio").focus()
    await page.keyboard.press("Enter")
    await expect(namesake).to_contain_text("KeyboardInterrupt", timeout=LONG)
    await expect(panel.get_by_role("listitem")).to_have_count(1)
    await expect(tasks.get_by_role("button")).to_be_focused()
    assert "KeyboardInterrupt" not in await first.inner_text()

    # what a cell leaves behind is found, and a kernel that restarts has nothing
    await page.add_script_tag(path=ROOT / "node_modules" / "axe-core" / "axe.min.js")
    found = await page.evaluate("axe.run('#laneway-jobs').then(({ violations }) => violations)")
    assert [violation["id"] for violation in found] == []
    await page.evaluate("() => { window.notebook.sessionContext.restartKernel(); }")
    await expect(panel).to_contain_text("Nothing runs", timeout=LONG)
    await expect(panel.get_by_role("listitem")).to_have_count(0)
    await notebook.run(
        "import asyncio\nasync def left(): await asyncio.sleep(1000)\nasyncio.create_task(left());"
    )
    await expect(row(panel, "left")).to_contain_text(re.compile(r"running\s*task · main"), timeout=LONG)
    await row(panel, "left").get_by_role("button").click()
    await expect(panel).to_contain_text("Nothing runs", timeout=LONG)
