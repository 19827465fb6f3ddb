"""The documentation of the site in Chromium: its examples run, on a phone, too, and everybody can use it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.page import ROOT, asked_outside, chromium_page, loaded, serving
from tests.soak import SOAK

from .cells import ENDED, CellPage

pytestmark = pytest.mark.anyio

DIST = ROOT / "site" / "dist"
SOURCES = ROOT / "site" / "docs"
PAGES = {
    path.relative_to(SOURCES).with_suffix("").as_posix(): "{laneway}" in path.read_text()
    for path in sorted(SOURCES.rglob("*.md"))
}
"""Whether there are cells in each."""
NAMES = [name for name, has_cells in PAGES.items() if has_cells]
SHORTLY = ["guide/embedding", "start/first-cells"]
"""Whose cells are run in every test run; `LANEWAY_SOAK` runs those of all."""

SAID = """(cell) => [...cell.outputs.querySelectorAll("pre:not(.laneway-stderr), .laneway-html")]
  .map((shown) => shown.textContent).join("").replace(/\\s+/g, " ").trim()"""

INTERACTIVE = (
    "A question",
    "A clock",
    "A button that is awaited",
    "Counting",
    "Looking",
    "Computes for ever",
    "How far it came",
    "Mean",
    "Stops itself",
    "By commands",
)
"""Labels of cells that wait for their reader, or for such a one."""

VARYING = ("Hello", "A tool loop in the page")
"""What these put out is never the same."""


@pytest.mark.parametrize("name", NAMES if SOAK else SHORTLY)
async def test_cells_put_out_in_the_page_what_they_did_at_the_build(name: str) -> None:
    """From a host that does not isolate the page, whose service worker does."""
    with serving(DIST, "--no-isolation") as address:
        async with chromium_page() as page:
            strangers = asked_outside(page, address)
            cells = CellPage(page)
            await page.goto(f"{address}docs/{name}.html")
            await loaded(page)
            await page.wait_for_selector("laneway-cell[data-state]", state="attached")
            assert await page.evaluate("crossOriginIsolated")
            for cell in await page.locator("laneway-cell:not([hidden])").all():
                label = await cell.get_attribute("label") or ""
                if label in INTERACTIVE:
                    continue
                built = await cell.evaluate(SAID)
                await cell.evaluate("(cell) => cell.run()")
                await expect(cell).to_have_attribute("data-state", ENDED)
                state = "failed" if label == "Missing" else "done"
                await expect(cell).to_have_attribute("data-state", state)
                if built and label not in VARYING and await cell.get_attribute("raises") is None:
                    assert await cell.evaluate(SAID) == built, label
            assert await serious_faults(page) == []
            assert strangers == []
            assert cells.complaints == []


async def serious_faults(page: Page) -> list[tuple[str, str]]:
    """What axe finds: the names of its rules, and the HTML that breaks them."""
    if not await page.evaluate("'axe' in window"):
        await page.add_script_tag(path=ROOT / "node_modules" / "axe-core" / "axe.min.js")
    found = await page.evaluate("axe.run().then(({ violations }) => violations)")
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    return [(fault["id"], node["html"]) for fault in serious for node in fault["nodes"]]


async def test_pages_fit_a_phone_and_axe_finds_nothing_serious() -> None:
    names = PAGES if SOAK else ["index", "guide/concurrency", "reference/messages", "reference/python"]
    with serving(DIST) as address:
        async with chromium_page() as page:
            cells = CellPage(page)
            for name in names:
                await page.set_viewport_size({"width": 360, "height": 740})
                await page.goto(f"{address}docs/{name}.html")
                wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                assert await page.evaluate(wide) == 0, name
                for scheme in ("light", "dark"):
                    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                    if PAGES[name]:
                        first = page.locator("laneway-cell").first
                        await expect(first).to_have_attribute("data-scheme", scheme)
                    assert await serious_faults(page) == [], (name, scheme)
            assert cells.complaints == []


async def test_formulas_are_typeset_before_a_cell_runs() -> None:
    with serving(DIST) as address:
        async with chromium_page() as page:
            cells = CellPage(page)
            await cells.open(f"{address}docs/start/first-cells.html")
            await expect(cells.output("A formula").locator(".katex")).to_have_count(1)
            assert page.workers == []


async def test_search_finds_a_page_without_a_server_of_its_own() -> None:
    with serving(DIST) as address:
        async with chromium_page() as page:
            await page.goto(f"{address}docs/search.html?q=isolation")
            await expect(page.locator("#search-results a").first).to_be_visible()
            await expect(page.locator("#search-results")).to_contain_text(re.compile("Hosting|isolation"))
