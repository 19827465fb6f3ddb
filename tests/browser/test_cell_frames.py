"""Pages with live cells stay smooth: no task of theirs holds the page up for long.

Measured is the processor's time of the page's thread, and not that of the clock: on a busy machine a frame
may take any time. What Playwright does in the page is left out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import pytest
from playwright.async_api import Page

from tests.page import chromium_page

from .cells import ENDED, CellPage, cell, cells_page, serving_cells

pytestmark = pytest.mark.anyio

LIMIT = 40.0
"""Milliseconds. Readers feel a task of 50; a frame has some work besides."""

NAMES = ("RunTask", "ThreadControllerImpl::RunTask")


async def longest_tasks(page: Page, act: Awaitable[object]) -> list[float]:
    """Milliseconds of processor time that the page's tasks took while `act` was done, the longest first."""
    browser = page.context.browser
    assert browser
    await browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    await act
    await asyncio.sleep(0.2)  # what is shown with the next frames
    events: list[dict[str, Any]] = json.loads(await browser.stop_tracing())["traceEvents"]
    threads: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for event in events:
        threads.setdefault((event["pid"], event["tid"]), []).append(event)
    # the browser has pages of its own, which do more than ours
    (ours,) = [
        found
        for found in threads.values()
        if any(
            event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain" for event in found
        )
        and any(
            event["name"] == "FunctionCall" and page.url in json.dumps(event.get("args")) for event in found
        )
    ]
    tools = [event["ts"] for event in ours if "DevToolsSession" in json.dumps(event.get("args", {}))]
    times = [
        task.get("tdur", 0) / 1000
        for task in ours
        if task["name"] in NAMES
        and not any(task["ts"] <= at <= task["ts"] + task.get("dur", 0) for at in tools)
    ]
    return sorted(times, reverse=True)


async def test_thirty_cells_that_run_with_the_page() -> None:
    html = "".join(
        cell(f"Cell {i}", f"for n in range(20): print({i}, n)\n{i}", attributes="autorun") for i in range(30)
    )
    async with serving_cells(html) as address, chromium_page() as page:
        cells = CellPage(page)

        async def opened() -> None:
            await cells.open(address)
            await cells.state("Cell 29", ENDED)

        longest = await longest_tasks(page, opened())
        assert longest[0] < LIMIT, longest[:5]
        assert cells.complaints == []


async def test_the_first_editor_and_floods() -> None:
    async with cells_page(cell("Flood", "1")) as cells:
        await cells.run("Flood")
        edit = cells.cell("Flood").evaluate("(cell) => cell.edit()")
        longest = await longest_tasks(cells.page, edit)
        assert longest[0] < LIMIT, longest[:5]
        for code in ("for n in range(5_000): display(n)", "for n in range(200_000): print(n)"):
            await cells.write("Flood", code)
            longest = await longest_tasks(cells.page, cells.run("Flood"))
            assert longest[0] < LIMIT, (code, longest[:5])
