"""`<laneway-cell debug>`: breakpoints, what is stopped, and how it goes on."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Literal

import pytest
from playwright.async_api import Locator, Request, Route, expect

from tests.page import ROOT

from .cells import CellPage, cell, cells_page

pytestmark = pytest.mark.anyio

CODE = """\
class Broken:
    def __repr__(self):
        raise ValueError("no")

def double(n):
    numbers, broken = list(range(250)), Broken()
    doubled = n + n
    return doubled

seen = []
for i in range(3):
    seen.append(double(i))
print(seen)
# the end"""

STYLE = """<style>
  :root { color-scheme: light dark }
  body { background: Canvas; color: CanvasText }
</style>"""

HTML = STYLE + "".join(
    [
        cell("First", CODE, attributes='debug="7"'),
        cell("Below", "double(21)"),
        cell("Plain", "1 + 1", attributes="alone"),
        cell("Alone", "print('one')\nprint('two')\nprint('three')", attributes="debug alone"),
    ]
)


@pytest.fixture(scope="module")
async def cells() -> AsyncGenerator[CellPage, None]:
    async with cells_page(HTML) as page:
        yield page


def step(cells: CellPage, word: str, label: str = "First") -> Locator:
    return cells.page.get_by_role("button", name=f"{word}: {label}", exact=True)


def panel(cells: CellPage, label: str = "First") -> Locator:
    return cells.page.get_by_role("group", name=f"Debugger: {label}", exact=True)


def number(cells: CellPage, label: str, line: int) -> Locator:
    return (
        cells.cell(label)
        .locator(".cm-lineNumbers .cm-gutterElement:visible")
        .get_by_text(str(line), exact=True)
    )


async def paused(cells: CellPage, where: str, label: str = "First") -> None:
    """Wait until it has stopped there."""
    await expect(panel(cells, label).locator(".where")).to_have_text(f"Paused at line {where}")


async def test_code_stops_is_looked_at_and_goes_on(cells: CellPage) -> None:
    await cells.button("Run", "First").click()
    await paused(cells, "7, in double")
    await cells.state("First", "paused")
    await expect(cells.cell("First").locator("[aria-current=step]")).to_have_text("    doubled = n + n")
    await expect(cells.cell("First").get_by_role("status").first).to_have_text(
        "Paused at line 7 of First, in double"
    )
    scopes = panel(cells).locator(".scopes")
    await expect(scopes).to_contain_text("n: 0")
    await expect(scopes).to_contain_text("ValueError")
    numbers = scopes.locator("details", has_text="numbers").last
    await numbers.locator("summary").press("Enter")
    await expect(numbers.locator("> div")).to_have_count(100)
    await numbers.get_by_role("button", name="150 more of numbers").click()
    await expect(numbers.locator("> div")).to_have_count(200)
    await numbers.get_by_role("button", name="50 more of numbers").click()
    await expect(numbers.locator("> div")).to_have_count(250)
    # by keyboard, step after step
    over = step(cells, "Step over")
    await over.focus()
    await over.press("Enter")
    await paused(cells, "8, in double")
    await expect(over).to_be_focused()
    await expect(scopes).to_contain_text("doubled: 0")
    await expect(numbers.locator("> div")).to_have_count(100)  # what was open is so
    await over.press("Enter")
    await paused(cells, "12")
    await step(cells, "Continue").click()
    await paused(cells, "7, in double")
    frames = cells.cell("First").get_by_role("combobox")
    await expect(frames.locator("option")).to_have_text(["at line 7, in double", "at line 12"])
    await frames.select_option("at line 12")
    await expect(scopes).to_contain_text("seen: [0]")
    await expect(cells.cell("First").locator("[aria-current=step]")).to_contain_text("seen.append")
    await step(cells, "Step out").click()
    await paused(cells, "12")
    for line in ("11", "12"):
        await step(cells, "Step over").click()
        await paused(cells, line)
    await step(cells, "Step into").click()
    await paused(cells, "6, in double")
    await number(cells, "First", 7).click()
    await expect(cells.cell("First").locator(".note")).to_have_text("No breakpoint in line 7 any more.")
    await step(cells, "Continue").focus()
    await step(cells, "Continue").press("Enter")
    await cells.state("First", "done")
    await expect(cells.output("First")).to_have_text("[0, 2, 4]\n")
    await expect(panel(cells)).to_be_hidden()
    await expect(cells.button("Run", "First")).to_be_focused()


async def test_a_cell_stops_in_a_function_of_an_earlier_one(cells: CellPage) -> None:
    await number(cells, "First", 8).click()
    await expect(cells.cell("First").locator(".cm-breakpoint")).to_have_text("8")
    code = CODE.replace("range(3)", "range(0)")
    await cells.cell("First").evaluate("(cell, code) => { cell.code = code; }", code)
    await expect(cells.cell("First").locator(".cm-breakpoint")).to_have_text("8")
    await cells.run("First")
    await expect(cells.output("First")).to_have_text("[]\n")
    await cells.button("Run", "Below").click()
    await paused(cells, "8, in double")
    await cells.state("Below", "paused")
    await expect(cells.cell("Below")).to_contain_text("double(21)")
    await expect(cells.cell("Below").get_by_role("status")).to_have_text(
        "Paused at line 8 of First, in double"
    )
    await cells.button("Stop", "Below").click()
    await cells.state("Below", "stopped")
    await expect(panel(cells)).to_be_hidden()
    await expect(cells.output("Below")).to_contain_text("KeyboardInterrupt")


async def test_breakpoints_by_keyboard_move_with_the_code_and_say_where_there_is_none(
    cells: CellPage,
) -> None:
    note = cells.cell("Alone").locator(".note")
    points = cells.cell("Alone").locator(".cm-breakpoint")
    await expect(cells.button("Breakpoint", "Alone")).to_be_hidden()
    await cells.button("Edit", "Alone").click()
    await cells.editor("Alone").press("ArrowDown")
    await cells.editor("Alone").press("F9")
    await expect(note).to_have_text("Breakpoint in line 2.")
    await expect(points).to_have_text("2")
    await cells.button("Breakpoint", "Alone").click()
    await expect(note).to_have_text("No breakpoint in line 2 any more.")
    await cells.button("Breakpoint", "Alone").click()
    await cells.editor("Alone").press("ArrowUp")
    await cells.editor("Alone").press("Home")
    await cells.page.keyboard.insert_text("# a comment\n\n")
    await expect(points).to_have_text("4")
    await cells.editor("Alone").press("Control+End")
    await cells.page.keyboard.insert_text("\n# the end")
    await cells.button("Breakpoint", "Alone").click()
    await expect(points).to_have_text(["4", "6"])
    await cells.button("Run", "Alone").click()
    await paused(cells, "4", "Alone")
    await expect(note).to_have_text("Line 6: No code is there.")
    await expect(cells.cell("Alone").locator(".cm-refused")).to_have_text("6")
    await step(cells, "Continue", "Alone").click()
    await cells.state("Alone", "done")
    await expect(cells.output("Alone")).to_have_text("one\ntwo\nthree\n")
    await cells.button("Reset", "Alone").click()
    await expect(points).to_have_count(0)


async def test_breakpoint_and_a_restart_while_it_is_stopped(cells: CellPage) -> None:
    await cells.write("Alone", "here = 5\nbreakpoint()\nhere += 1\nprint(here)")
    await cells.button("Run", "Alone").click()
    await paused(cells, "2", "Alone")
    await cells.button("Restart", "Alone").click()
    await expect(panel(cells, "Alone")).to_be_hidden()
    await cells.state("Alone", "failed")
    await cells.button("Run", "Alone").click()
    await paused(cells, "2", "Alone")
    await step(cells, "Continue", "Alone").click()
    await cells.state("Alone", "done")
    await expect(cells.output("Alone")).to_have_text("6\n")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone_and_axe_finds_nothing_serious(
    cells: CellPage, scheme: Literal["light", "dark"]
) -> None:
    await cells.page.emulate_media(color_scheme=scheme)
    await expect(cells.cell("First")).to_have_attribute("data-scheme", scheme)
    await cells.page.set_viewport_size({"width": 360, "height": 740})
    await cells.write("Alone", "text = 'x' * 500\nbreakpoint()")
    await cells.button("Run", "Alone").click()
    await paused(cells, "2", "Alone")
    await expect(panel(cells, "Alone")).to_contain_text("text: ")
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await cells.evaluate(wide) == 0
    await cells.page.add_script_tag(path=ROOT / "node_modules" / "axe-core" / "axe.min.js")
    found = await cells.evaluate("axe.run().then(({ violations }) => violations)")
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    assert serious == [], [(fault["id"], node["html"]) for fault in serious for node in fault["nodes"]]
    await step(cells, "Continue", "Alone").click()
    await cells.state("Alone", "done")


async def test_what_it_takes_is_loaded_when_it_is_used_and_where_it_cannot_work_it_says_so() -> None:
    """A page that is not isolated, in a browser without JSPI."""
    loaded: list[str] = []

    async def without_jspi(route: Route) -> None:
        response = await route.fetch()
        script = f"delete WebAssembly.Suspending; delete WebAssembly.promising; {await response.text()}"
        await route.fulfill(response=response, body=script)

    def note(request: Request) -> None:
        loaded.append(request.url)

    async with cells_page(HTML, "--no-isolation") as cells:
        await cells.page.context.route(re.compile(r"/kernel/.*worker[^/]*\.js"), without_jspi)
        cells.page.context.on("request", note)
        await cells.page.reload()
        await cells.page.wait_for_selector("laneway-cell[data-state]", state="attached")
        await cells.run("Plain")
        assert not any("debugging" in url for url in loaded)
        await cells.run("Alone")
        await expect(cells.output("Alone")).to_have_text("one\ntwo\nthree\n")
        await expect(cells.cell("Alone").locator(".note")).to_contain_text(
            "The cell runs without stops. The debugger cannot stop code: "
        )
