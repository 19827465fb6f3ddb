"""A page with live cells, and what its tests ask of them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.page import KERNEL, ROOT, chromium_page, serving

CELL = ROOT / "jskernel" / "cell" / "dist"
ENDED = re.compile("done|failed|stopped")

HEAD = """<!doctype html>
<html lang="en">
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<title>Cells</title>
<link rel="icon" href="data:," />
<meta name="laneway-kernel" content="kernel/" />
<script type="module" src="cell/laneway-cells.js"></script>
<main><h1>Cells</h1>
"""


def cell(label: str, code: str, built: str = "", attributes: str = "") -> str:
    """The HTML of a cell."""
    output = f"<div>{built}</div>" if built else ""
    return (
        f'<laneway-cell label="{label}" {attributes}><pre>\n{escape(code)}\n</pre>{output}</laneway-cell>\n'
    )


@asynccontextmanager
async def serving_cells(html: str, *options: str) -> AsyncGenerator[str, None]:
    """The address of a page with this HTML; `options` are those of the server."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "index.html").write_text(HEAD + html)
        (folder / "cell").symlink_to(CELL)
        (folder / "kernel").symlink_to(KERNEL)
        with serving(folder, *options) as address:
            yield address


@asynccontextmanager
async def cells_page(html: str, *options: str) -> AsyncGenerator[CellPage, None]:
    """A page with this HTML, in Chromium. It may not complain."""
    async with serving_cells(html, *options) as address, chromium_page() as page:
        opened = CellPage(page)
        await opened.open(address)
        yield opened
        assert opened.complaints == [], opened.complaints


class CellPage:
    """A page, its cells by their labels, and what it has said on the console."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: self.complaints.append(message.text) if message.type == "error" else None,
        )

    async def open(self, address: str) -> None:
        """Go to the page, and wait for its cells."""
        await self.page.goto(address)
        await self.page.wait_for_selector("laneway-cell[data-state]", state="attached")

    def cell(self, label: str) -> Locator:
        return self.page.locator(f'laneway-cell[label="{label}"]')

    def output(self, label: str) -> Locator:
        return self.cell(label).locator(".laneway-outputs").first

    def button(self, word: str, label: str) -> Locator:
        return self.page.get_by_role("button", name=f"{word}: {label}", exact=True)

    def editor(self, label: str) -> Locator:
        return self.page.get_by_role("textbox", name=f"Code: {label}", exact=True)

    async def state(self, label: str, state: str | re.Pattern[str]) -> None:
        """Wait until the cell is in this state."""
        await expect(self.cell(label)).to_have_attribute("data-state", state)

    async def write(self, label: str, code: str) -> None:
        """Put code into a cell."""
        await self.cell(label).evaluate("(cell) => cell.edit()")
        await self.editor(label).fill(code)

    async def run(self, label: str, code: str | None = None) -> None:
        """Run a cell, and wait for its end."""
        if code is not None:
            await self.write(label, code)
        await self.button("Run", label).click()
        await self.state(label, ENDED)

    async def complained(self, *texts: str) -> None:
        """Wait until the page has said this on the console, and nothing else."""
        while len(self.complaints) < len(texts):
            await self.page.wait_for_event("console")
        assert self.complaints == [*texts]
        self.complaints.clear()

    async def evaluate(self, script: str, argument: Any = None) -> Any:
        return await self.page.evaluate(script, argument)
