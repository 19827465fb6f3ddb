"""The demo page of the site: cells in a plain page, with and without cross-origin isolation."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from html import unescape

import pytest
from playwright.async_api import Dialog, Locator, Page, expect

from tests.page import ROOT, asked_outside, chromium_page, loaded, serving

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
def page(opened: tuple[Page, list[str]]) -> Page:
    return opened[0]


def cell(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def button(page: Page, word: str, title: str) -> Locator:
    return cell(page, title).get_by_role("button", name=f"{word}: {title}")


def output(page: Page, title: str) -> Locator:
    return cell(page, title).get_by_role("log")


def kernel(page: Page) -> Locator:
    return page.get_by_role("region", name="Kernel")


async def run(page: Page, title: str, code: str | None = None) -> None:
    """Run a cell by its keys, and wait for its end."""
    text = cell(page, title).get_by_role("textbox", name=f"Code: {title}")
    if code is not None:
        await text.fill(code)
    await text.press("Shift+Enter")
    await expect(cell(page, title).locator(".state")).to_have_text(re.compile(r"Done|Failed|Not run|Stopped"))


async def test_it_starts_with_the_first_run_and_says_how_far_it_is(page: Page) -> None:
    await expect(kernel(page).get_by_role("status")).to_have_text("Not started")
    assert page.workers == []
    await page.evaluate(
        """() => {
          const panel = document.querySelector("#kernel");
          window.said = [];
          const look = () => said.push([panel.innerText, panel.querySelector("progress").hidden]);
          new MutationObserver(look).observe(panel, { subtree: true, childList: true, attributes: true });
        }"""
    )
    await run(page, "Rich output")
    await expect(kernel(page).get_by_role("status")).to_have_text("Ready")
    said = await page.evaluate("window.said")
    assert any("Starting" in text and "Loading Pyodide" in text and not hidden for text, hidden in said)
    assert any(re.search(r"Loading \w+ \(\d+ of \d+\)", text) for text, _ in said)
    picture = output(page, "Rich output").get_by_role("img")
    assert await picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 250


async def test_outputs_come_while_a_cell_runs_another_runs_beside_it_and_a_stop_stops_it(page: Page) -> None:
    await button(page, "Run", "Output as it comes").click()
    await expect(output(page, "Output as it comes")).to_contain_text("step 1")
    await expect(kernel(page).get_by_role("status")).to_have_text("Running")
    await run(page, "Beside another")
    await expect(output(page, "Beside another")).to_contain_text("The other cell is at step")
    await button(page, "Stop", "Output as it comes").click()
    await expect(cell(page, "Output as it comes").locator(".state")).to_have_text("Stopped")
    await expect(output(page, "Output as it comes")).to_contain_text("KeyboardInterrupt")
    await expect(output(page, "Output as it comes")).not_to_contain_text("step 19")
    await run(page, "Beside another")  # the names stay
    await expect(cell(page, "Beside another").locator(".state")).to_contain_text("Done")


async def test_a_cell_can_be_taken_back_while_it_waits(page: Page) -> None:
    await button(page, "Run", "Output as it comes").click()
    await button(page, "Run", "An error").click()
    await expect(cell(page, "An error").locator(".state")).to_have_text("Waiting")
    await button(page, "Stop", "An error").click()
    await expect(cell(page, "An error").locator(".state")).to_have_text("Stopped")
    await expect(output(page, "An error")).to_be_empty()
    await button(page, "Stop", "Output as it comes").click()
    await expect(cell(page, "Output as it comes").locator(".state")).to_have_text("Stopped")


async def test_a_question_is_asked_in_its_cell(page: Page) -> None:
    await button(page, "Run", "A question").click()
    answer = cell(page, "A question").get_by_label("Your name?")
    await expect(answer).to_be_focused()
    await expect(cell(page, "A question").locator(".state")).to_have_text("Asks")
    await page.keyboard.type("Ada")
    await page.keyboard.press("Enter")
    await expect(output(page, "A question")).to_have_text("Your name? Ada\nHello, Ada!\n")
    await expect(answer).to_have_count(0)
    await expect(cell(page, "A question").get_by_role("textbox")).to_be_focused()


async def test_a_stop_takes_the_question_away_and_secrets_are_not_shown(page: Page) -> None:
    await button(page, "Run", "A question").click()
    await button(page, "Stop", "A question").click()
    await expect(cell(page, "A question").locator(".state")).to_have_text("Stopped")
    await expect(cell(page, "A question").get_by_label("Your name?")).to_have_count(0)
    text = cell(page, "A question").get_by_role("textbox", name="Code: A question")
    await text.fill("import getpass; print(len(getpass.getpass('Secret? ')))")
    await text.press("Shift+Enter")
    secret = cell(page, "A question").get_by_label("Secret?")
    await expect(secret).to_have_attribute("type", "password")
    await secret.fill("hidden")
    await secret.press("Enter")
    await expect(output(page, "A question")).to_have_text("Secret? ········\n6\n")


async def test_tab_completes_also_while_a_cell_awaits(page: Page) -> None:
    await button(page, "Run", "Output as it comes").click()
    await expect(output(page, "Output as it comes")).to_contain_text("step 0")
    text = cell(page, "Completion").get_by_role("textbox")
    await text.fill("'🐍'\nimport math\nmath.")
    await text.press("Tab")
    choices = cell(page, "Completion").get_by_role("listbox")
    await expect(choices).to_be_visible()
    names = await choices.get_by_role("option").all_inner_texts()
    assert {"cos", "pi", "sqrt"} <= {name.rpartition(".")[2] for name in names}
    chosen = choices.get_by_role("option", selected=True)
    await text.press("ArrowDown")
    await expect(chosen).to_have_text(names[1])
    await text.press("Enter")
    await expect(choices).to_be_hidden()
    name = names[1].rpartition(".")[2]
    await expect(text).to_have_value(f"'🐍'\nimport math\nmath.{name}")
    await text.fill("import mat")
    await text.press("Tab")
    await expect(choices).to_be_visible()
    await text.press("Escape")
    await expect(choices).to_be_hidden()
    await text.press("Tab")  # leaves
    await expect(text).not_to_be_focused()
    await button(page, "Stop", "Output as it comes").click()
    await expect(cell(page, "Output as it comes").locator(".state")).to_have_text("Stopped")


async def test_an_error_is_in_colours_and_has_no_control_characters(page: Page) -> None:
    await run(page, "An error")
    shown = output(page, "An error")
    await expect(shown).to_contain_text("TypeError: unsupported operand type(s) for /: 'str' and 'int'")
    assert "\x1b" not in await shown.inner_text()
    assert await shown.locator(".ansi-red").count() > 0
    await expect(cell(page, "An error").locator(".state")).to_have_text("Failed")


async def test_colours_overwritten_lines_and_updates(page: Page) -> None:
    title = "Rich output"
    code = (
        "print('\\x1b[1;38;5;196mred\\x1b[0m plain \\x1b[38;2;0;200;0mgreen\\x1b[39m', end='')\n"
        "print('\\rover', flush=True)\n"
        "for i in range(3): print(f'\\r{i}%', end='', flush=True)\n"
        "handle = display({'text/plain': 'old'}, raw=True, display_id=True)\n"
        "handle.update({'text/plain': 'new'}, raw=True)\n"
        "display({'text/html': '<b>bold</b>', 'text/plain': 'plain'}, raw=True)"
    )
    await run(page, title, code)
    assert (await output(page, title).inner_text()).split() == ["over", "2%", "new", "bold"]
    await run(page, title, "print('\\x1b[1;38;5;196mred\\x1b[0m and \\x1b[38;2;0;200;0mgreen')")
    await expect(output(page, title).locator(".ansi-red.bold")).to_have_text("red")
    await expect(output(page, title).locator(".ansi-green")).to_have_text("green")
    await run(page, title, "from IPython.display import clear_output\nprint(1)\nclear_output()\nprint(2)")
    await expect(output(page, title)).to_have_text("2\n")


async def test_much_output_is_cut(page: Page) -> None:
    await run(page, "Rich output", "print('x' * 1_000_000)")
    await expect(output(page, "Rich output")).to_contain_text("There is more output, which is not shown.")
    assert len(await output(page, "Rich output").inner_text()) < 300_000


async def test_the_end_is_said_everywhere_and_a_restart_helps(page: Page) -> None:
    await button(page, "Run", "Output as it comes").click()
    await expect(output(page, "Output as it comes")).to_contain_text("step 0")
    await run(page, "The end", "# task\nimport os\nos._exit(3)")
    await expect(kernel(page).get_by_role("status")).to_have_text("Dead")
    await expect(kernel(page)).to_contain_text("Python has stopped for good; restart the kernel.")
    for title in ("The end", "Output as it comes"):
        await expect(output(page, title)).to_contain_text("exit(3)")
        await expect(cell(page, title).locator(".state")).to_have_text("Failed")
    await kernel(page).get_by_role("button", name="Restart").click()
    await expect(kernel(page).get_by_role("status")).to_have_text("Ready")
    await run(page, "Beside another")
    await expect(output(page, "Beside another")).to_contain_text("NameError")
    assert len(page.workers) == 1


async def test_a_cell_that_computes_is_stopped_or_the_page_says_what_helps(page: Page) -> None:
    title = "A computation"
    await cell(page, title).get_by_role("textbox").fill("print('computes', flush=True)\nwhile True: pass")
    await button(page, "Run", title).click()
    await expect(output(page, title)).to_contain_text("computes")
    await button(page, "Stop", title).click()
    if await page.evaluate("crossOriginIsolated"):
        await expect(cell(page, title).locator(".state")).to_have_text("Stopped")
        return
    await expect(output(page, title)).to_contain_text("Python does not stop")
    await kernel(page).get_by_role("button", name="Restart").click()
    await expect(kernel(page).get_by_role("status")).to_have_text("Ready")
    await expect(output(page, title)).to_contain_text("The kernel was restarted.")


async def test_what_is_missing_is_said(page: Page) -> None:
    can = await page.evaluate(
        """async () => {
          const { launch } = await import("./kernel/browser/index.js");
          const kc = await launch({ indexURL: "../lite/static/laneway/pyodide/" }).start();
          await kc.close();
          return { ...kc.info.laneway, isolated: crossOriginIsolated };
        }"""
    )
    assert can["cross_origin_isolated"] == can["isolated"]
    missing = kernel(page).get_by_text("this page is not cross-origin isolated")
    await expect(missing).to_have_count(0 if can["interrupts_blocking"] else 1)


async def test_no_request_has_left_the_site(opened: tuple[Page, list[str]]) -> None:
    """Of all that the tests before have done."""
    assert opened[1] == []


async def test_its_service_worker_isolates_it_where_the_server_does_not() -> None:
    async with demo("--no-isolation") as (page, strangers):
        await page.wait_for_function("crossOriginIsolated")
        title = "A computation"
        await button(page, "Run", title).click()
        await expect(cell(page, title).locator(".state")).to_have_text("Running")
        await button(page, "Stop", title).click()
        await expect(cell(page, title).locator(".state")).to_have_text("Stopped")
        assert strangers == []


async def test_it_fits_a_phone_and_all_can_be_named() -> None:
    async with demo() as (page, _):
        await page.set_viewport_size({"width": 360, "height": 740})
        await run(page, "An error")
        await run(page, "Rich output", "print('x' * 1000)")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await page.evaluate(wide) == 0
        unnamed = await page.evaluate(
            """() => [...document.querySelectorAll("button, input, textarea, progress, section, img")]
              .filter((e) => !e.ariaLabel && !e.textContent.trim() && !e.alt && !e.labels?.length)
              .map((e) => e.outerHTML)"""
        )
        assert unnamed == []


async def test_the_program_on_the_page_runs_as_it_stands() -> None:
    page_source = (DIST / "demo" / "index.html").read_text()
    found = re.search(r'<pre class="program">\s*<code\s*>(.*?)</code\s*>', page_source, re.DOTALL)
    assert found
    program = unescape(found[1])
    async with demo() as (page, _):
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
