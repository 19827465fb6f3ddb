"""The demo page of the site: cells in a plain page, with and without cross-origin isolation."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from html import unescape

import pytest
from playwright.async_api import Dialog, Page, expect

from tests.page import ROOT, asked_outside, chromium_page, loaded, serving

from .cells import CellPage

pytestmark = pytest.mark.anyio

DIST = ROOT / "site" / "dist"


@asynccontextmanager
async def demo(*options: str, service_workers: bool = True) -> AsyncGenerator[tuple[Page, list[str]], None]:
    """The page, and what it has asked for outside the site; `options` are those of the server, and
    `service_workers` says whether the browser has any.
    """
    with serving(DIST, *options) as address:
        async with chromium_page(service_workers=service_workers) as page:
            strangers = asked_outside(page, address)
            await page.goto(f"{address}demo/index.html")
            await loaded(page)
            yield page, strangers


@pytest.fixture(scope="module", params=["isolated", "isolated by itself", "not isolated"])
async def opened(request: pytest.FixtureRequest) -> AsyncGenerator[tuple[Page, list[str]], None]:
    options = [] if request.param == "isolated" else ["--no-isolation"]
    async with demo(*options, service_workers=request.param != "not isolated") as opened:
        assert await opened[0].evaluate("crossOriginIsolated") is (request.param != "not isolated")
        yield opened


@pytest.fixture
def cells(opened: tuple[Page, list[str]]) -> CellPage:
    return CellPage(opened[0])


async def test_it_starts_with_the_first_run_and_says_how_far_it_is(cells: CellPage) -> None:
    assert cells.page.workers == []
    title = "Rich output"
    await cells.cell(title).evaluate(
        """(cell) => {
          window.said = [];
          const look = () => said.push(cell.shadowRoot.querySelector(".detail").textContent);
          new MutationObserver(look).observe(cell.shadowRoot, { subtree: true, childList: true });
        }"""
    )
    await cells.run(title)
    said = await cells.evaluate("window.said")
    assert any(re.search(r"Loading Python \([\d.]+ of [\d.]+ MB\)", text) for text in said)
    assert said[-1] == ""
    picture = cells.output(title).get_by_role("img")
    assert await picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 250


async def test_outputs_come_while_a_cell_runs_another_runs_beside_it_and_a_stop_stops_it(
    cells: CellPage,
) -> None:
    title = "Output as it comes"
    await cells.button("Run", title).click()
    await expect(cells.output(title)).to_contain_text("step 1")
    await cells.run("Beside another")
    await expect(cells.output("Beside another")).to_contain_text("The other cell is at step")
    await cells.button("Stop", title).click()
    await cells.state(title, "stopped")
    await expect(cells.output(title)).to_contain_text("KeyboardInterrupt")
    await expect(cells.output(title)).not_to_contain_text("step 19")
    await cells.run("Beside another")  # the names stay
    await cells.state("Beside another", "done")


async def test_a_cell_can_be_taken_back_while_it_waits(cells: CellPage) -> None:
    title = "Output as it comes"
    await cells.button("Run", title).click()
    await cells.button("Run", "An error").click()
    await cells.state("An error", "waiting")
    await cells.button("Stop", "An error").click()
    await cells.state("An error", "stopped")
    await expect(cells.output("An error")).to_be_empty()
    await cells.button("Stop", title).click()
    await cells.state(title, "stopped")


async def test_a_stop_takes_the_question_away_and_secrets_are_not_shown(cells: CellPage) -> None:
    title = "A question"
    await cells.button("Run", title).click()
    await expect(cells.cell(title).get_by_label("Your name?")).to_be_focused()
    await cells.button("Stop", title).click()
    await cells.state(title, "stopped")
    await expect(cells.cell(title).get_by_label("Your name?")).to_have_count(0)
    await cells.write(title, "import getpass; print(len(getpass.getpass('Secret? ')))")
    await cells.button("Run", title).click()
    secret = cells.cell(title).get_by_label("Secret?")
    await expect(secret).to_have_attribute("type", "password")
    await secret.fill("hidden")
    await secret.press("Enter")
    await expect(cells.output(title)).to_have_text("Secret? ········\n6\n")


async def test_tab_completes_also_while_a_cell_awaits(cells: CellPage) -> None:
    await cells.button("Run", "Output as it comes").click()
    await expect(cells.output("Output as it comes")).to_contain_text("step 0")
    await cells.write("Completion", "'🐍'\nimport math\nmath.")
    await cells.editor("Completion").press("Control+End")
    await cells.editor("Completion").press("Tab")
    options = cells.page.get_by_role("option")
    await expect(options.filter(has_text="acos")).not_to_have_count(0)
    await cells.page.keyboard.press("Escape")
    await cells.button("Stop", "Output as it comes").click()
    await cells.state("Output as it comes", "stopped")


async def test_widgets_formulas_and_errors(cells: CellPage) -> None:
    await cells.run("Widgets")
    slider = cells.output("Widgets").get_by_role("slider")
    await expect(cells.output("Widgets")).to_contain_text("1, 4, 9, 16, 25, 36, 49")
    await slider.press("ArrowRight")
    await expect(cells.output("Widgets")).to_contain_text("49, 64")
    await cells.run("Formulas and Markdown")
    await expect(cells.output("Formulas and Markdown").locator(".katex-display")).to_have_count(1)
    await cells.run("An error")
    await expect(cells.output("An error")).to_contain_text(
        "TypeError: unsupported operand type(s) for /: 'str' and 'int'"
    )
    await cells.state("An error", "failed")


async def test_the_end_is_said_everywhere_and_a_restart_helps(cells: CellPage) -> None:
    await cells.run("Widgets")
    await expect(cells.output("Widgets").get_by_role("slider")).to_be_visible()
    await cells.button("Run", "Output as it comes").click()
    await expect(cells.output("Output as it comes")).to_contain_text("step 0")
    await cells.write("Beside another", "import os\nos._exit(3)")  # a task cell
    await cells.run("Beside another")
    for title in ("Beside another", "Output as it comes"):
        await expect(cells.output(title)).to_contain_text("Python has stopped for good; restart the kernel.")
        await cells.state(title, "failed")
    await expect(cells.output("Widgets")).to_contain_text("The kernel of this widget has ended")
    await cells.button("Restart", "Beside another").click()
    await cells.run("Beside another", "step")
    await expect(cells.output("Beside another")).to_contain_text("NameError")
    assert len(cells.page.workers) == 1


async def test_a_cell_that_computes_is_stopped_or_the_page_says_what_helps(cells: CellPage) -> None:
    title = "A computation"
    await cells.write(title, "print('computes', flush=True)\nwhile True: pass")
    await cells.button("Run", title).click()
    await expect(cells.output(title)).to_contain_text("computes")
    await cells.button("Stop", title).click()
    if await cells.evaluate("crossOriginIsolated"):
        await cells.state(title, "stopped")
        return
    await expect(cells.output(title)).to_contain_text("Python does not stop")
    await expect(cells.output(title)).to_contain_text("the page is not isolated")
    await cells.button("Restart", title).click()
    await expect(cells.output(title)).to_contain_text("The kernel was restarted.")
    await cells.run("Rich output")
    await cells.state("Rich output", "done")


async def test_no_request_has_left_the_site(opened: tuple[Page, list[str]]) -> None:
    """Of all that the tests before have done."""
    assert opened[1] == []


async def test_its_service_worker_isolates_it_where_the_server_does_not() -> None:
    async with demo("--no-isolation") as (page, strangers):
        await page.wait_for_function("crossOriginIsolated")
        cells = CellPage(page)
        title = "A computation"
        await cells.button("Run", title).click()
        await cells.state(title, "running")
        await cells.button("Stop", title).click()
        await cells.state(title, "stopped")
        assert strangers == []


async def test_it_fits_a_phone_and_axe_finds_nothing_serious() -> None:
    async with demo() as (page, _):
        cells = CellPage(page)
        await page.set_viewport_size({"width": 360, "height": 740})
        for title in ("An error", "Widgets", "Formulas and Markdown"):
            await cells.run(title)
        await expect(cells.output("Widgets").get_by_role("slider", name="n")).to_be_visible()
        await cells.run("Rich output", "print('x' * 1000)")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(wide) == 0
        await page.add_script_tag(path=ROOT / "node_modules" / "axe-core" / "axe.min.js")
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            await expect(cells.cell("Widgets")).to_have_attribute("data-scheme", scheme)
            found = await page.evaluate("axe.run().then(({ violations }) => violations)")
            serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
            assert serious == [], [node["html"] for fault in serious for node in fault["nodes"]]


async def test_the_program_on_the_page_runs_as_it_stands() -> None:
    page_source = (DIST / "demo" / "index.html").read_text()
    found = re.search(
        r'<pre class="program" id="own" tabindex="0">\s*<code\s*>(.*?)</code\s*>', page_source, re.DOTALL
    )
    assert found
    program = unescape(found[1])
    # a service worker would answer for the page, and not find the program
    async with demo(service_workers=False) as (page, _):
        questions: list[str] = []

        async def answer(dialog: Dialog) -> None:
            questions.append(dialog.message)
            await dialog.accept("yes")

        page.on("dialog", answer)
        await page.route(
            "**/program.html", lambda route: route.fulfill(body=program, content_type="text/html")
        )
        await page.goto(page.url.replace("index.html", "program.html"))
        await expect(page.locator("#output")).to_have_text("0\n1\n2\n'yes'")
        assert questions == ["Done? "]
