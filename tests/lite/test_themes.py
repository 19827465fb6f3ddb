"""Live cells in the themes that most documentations have: they fit a phone, light and dark, and axe finds
nothing serious in them. `make projects` installs the themes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.cells import ENDED, CellPage
from tests.page import ROOT, chromium_page
from tests.static import static_server

from .projects import build

pytestmark = [pytest.mark.anyio, pytest.mark.projects]

SCHEMES = {
    "furo": ("light", "dark"),
    "pydata_sphinx_theme": ("light", "dark"),
    "sphinx_book_theme": ("light", "dark"),
    "sphinx_rtd_theme": ("light",),
    "alabaster": ("light",),
}

CONF = """
project = "Cells"  # a longer name is too wide for the head of pydata on a phone
extensions = ["laneway_lite.sphinx"]
laneway_kernel_url = "../kernel"
laneway_timeout = 300  # seconds
html_context = {"default_mode": "auto"}  # or pydata's theme complains of itself
"""

INDEX = """
Cells
=====

.. laneway::
   :label: Long

   text = "a text that is too long for the width of a phone, and in most themes for that of a page, too: " * 2
   text.upper()

>>> [number**2 for number in range(8)]
[0, 1, 4, 9, 16, 25, 36, 49]

.. laneway::
   :label: Many
   :emphasize-lines: 2

   from IPython.display import HTML, Latex, Markdown, display
   display(HTML("<table><thead><tr><th>name</th></tr></thead><tbody><tr><td>value</td></tr></tbody></table>"))
   display(Markdown("Some *Markdown* with `code`"), Latex("$x^2$"))

.. laneway::
   :label: Raising
   :raises: ZeroDivisionError

   1 / 0

.. note::

   .. laneway::
      :label: Inside

      print("inside")
"""

SERIOUS = """() => axe.run("laneway-cell").then(({ violations }) => violations
  .filter(({ impact }) => ["serious", "critical"].includes(impact))
  .flatMap(({ id, nodes }) => nodes.map(({ html }) => [id, html])))"""


@pytest.mark.parametrize("theme", SCHEMES)
async def test_cells_fit(theme: str, tmp_path: Path) -> None:
    docs, site = tmp_path / "docs", tmp_path / "site"
    docs.mkdir()
    (docs / "conf.py").write_text(f"{CONF}\nhtml_theme = {theme!r}\n")
    (docs / "index.rst").write_text(INDEX)
    build(docs, output="../site/docs")
    (site / "kernel").symlink_to(ROOT / "site" / "dist" / "lite" / "static" / "laneway")
    (site / "favicon.ico").touch()  # which browsers ask for
    with static_server(site) as address:
        async with chromium_page() as page:
            cells = CellPage(page)
            for width in (1280, 360):  # CSS pixels
                await page.set_viewport_size({"width": width, "height": 800})
                for scheme in SCHEMES[theme]:
                    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                    await cells.open(f"{address}docs/index.html")
                    for cell in await page.locator("laneway-cell:not([hidden])").all():
                        await expect(cell).to_have_attribute("data-scheme", scheme)
                        await cell.evaluate("(cell) => cell.run()")
                        await expect(cell).to_have_attribute("data-state", ENDED)
                    await cells.cell("Inside").evaluate("(cell) => cell.edit()")
                    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                    assert await page.evaluate(wide) == 0
                    await page.add_script_tag(path=ROOT / "node_modules" / "axe-core" / "axe.min.js")
                    found: list[list[Any]] = await page.evaluate(SERIOUS)
                    # the colours of code are the theme's own, here as elsewhere
                    assert [fault for fault in found if not is_of_the_theme(*fault)] == []
            assert cells.complaints == []


def is_of_the_theme(fault: str, html: str) -> bool:
    """Is it the contrast of a token, or of a link?"""
    return (
        fault == "color-contrast" and html.startswith("<span class=") and "status" not in html
    ) or fault == "link-in-text-block"
