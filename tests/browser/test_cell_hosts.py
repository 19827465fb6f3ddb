"""`<laneway-cell>` where it may be hosted: with a strict policy, from another origin, without JavaScript."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from tests.engines import executable
from tests.page import KERNEL, chromium_page
from tests.static import StaticFiles, static_server

from .cells import CELL, HEAD, CellPage, cell

pytestmark = pytest.mark.anyio

POLICY = (
    "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; style-src 'self'; img-src 'self' data:"
)
"""As the README says, without inline styles."""


class Strict(StaticFiles):
    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()


class Shared(StaticFiles):
    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


def folder_with(path: Path, html: str) -> Path:
    """A site with this page, the scripts and a kernel."""
    path.mkdir(parents=True)
    (path / "index.html").write_text(html)
    (path / "cell").symlink_to(CELL)
    (path / "kernel").symlink_to(KERNEL)
    return path


async def test_with_a_strict_policy(tmp_path: Path) -> None:
    code = (
        "from IPython.display import Markdown\n"
        "import ipywidgets\n"
        "print('\\x1b[38;5;196mcolours\\x1b[0m')\n"
        "display(Markdown('$x^2$'), ipywidgets.IntSlider(description='n'))"
    )
    folder_with(tmp_path / "site", HEAD + cell("Strict", code))
    with static_server(tmp_path / "site", Strict) as address:
        async with chromium_page() as page:
            cells = CellPage(page)
            await cells.open(address)
            await cells.run("Strict")
            await expect(cells.output("Strict")).to_contain_text("colours")
            await expect(cells.output("Strict").locator(".katex")).to_have_count(1)
            await expect(cells.output("Strict").get_by_role("slider")).to_be_visible()
            assert cells.complaints == []


async def test_from_another_origin_under_a_sub_path(tmp_path: Path) -> None:
    """The page's own server has the page and nothing else."""
    folder_with(tmp_path / "other" / "docs" / "1.0", "")
    with static_server(tmp_path / "other", Shared) as other:
        html = HEAD.replace('"cell/', f'"{other}docs/1.0/cell/').replace(
            '"kernel/"', f'"{other}docs/1.0/kernel/"'
        )
        (tmp_path / "page").mkdir()
        (tmp_path / "page" / "index.html").write_text(html + cell("Far", "6 * 7"))
        with static_server(tmp_path / "page") as address:
            async with chromium_page() as page:
                cells = CellPage(page)
                await cells.open(address)
                await cells.run("Far")
                await expect(cells.output("Far")).to_have_text("42")
                assert cells.complaints == []


async def test_two_versions_side_by_side(tmp_path: Path) -> None:
    for version in ("1.0", "2.0"):
        folder_with(tmp_path / "site" / version, HEAD + cell("Which", f"'of {version}'"))
    with static_server(tmp_path / "site") as address:
        async with chromium_page() as page:
            for version in ("1.0", "2.0"):
                cells = CellPage(page)
                await cells.open(f"{address}{version}/index.html")
                await cells.run("Which")
                await expect(cells.output("Which")).to_have_text(f"'of {version}'")


async def test_without_javascript_and_on_paper_code_and_built_output_are_there(tmp_path: Path) -> None:
    html = HEAD + cell("Plain", "number + 1", '<pre class="laneway-text">as it was built</pre>')
    html += '<link rel="stylesheet" href="cell/laneway-cells.css" />'
    html += cell("Hidden", "unseen = 1", "what it made", "hide-code")
    html += cell("Below", "the_code", "what it put out", "code-below")
    folder_with(tmp_path / "site", html)
    with static_server(tmp_path / "site") as address:
        async with chromium_page() as page:
            cells = CellPage(page)
            await cells.open(address)
            await cells.write("Plain", "number = 2")
            await page.emulate_media(media="print")
            await expect(cells.cell("Plain").locator(".printed")).to_have_text("number = 2")
            await expect(cells.cell("Plain").locator(".printed")).to_be_visible()
            await expect(cells.output("Plain")).to_be_visible()
            await expect(cells.button("Run", "Plain")).to_be_hidden()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=executable("chromium"), args=["--no-sandbox"]
            )
            page = await browser.new_page(java_script_enabled=False)
            await page.goto(address)
            await expect(page.get_by_text("number + 1")).to_be_visible()
            await expect(page.get_by_text("as it was built")).to_be_visible()
            await expect(page.get_by_text("unseen = 1")).to_be_hidden()
            await expect(page.get_by_text("what it made")).to_be_visible()
            output, code = [
                await page.get_by_text(text).bounding_box() for text in ("what it put out", "the_code")
            ]
            assert output
            assert code
            assert output["y"] < code["y"]
            await browser.close()
