"""jupyterlite-sphinx beside our extension: both have one kernel folder. `make projects` installs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Frame, expect

from tests.browser.lite import start_kernel
from tests.page import ROOT, chromium_page
from tests.static import static_server

from .projects import build

pytestmark = [pytest.mark.anyio, pytest.mark.projects]

CONF = """
extensions = ["jupyterlite_sphinx", "laneway_lite.sphinx"]
jupyterlite_dir = "."
jupyterlite_config = "jupyter_lite_config.json"
jupyterlite_contents = ["*.ipynb"]
laneway_kernel_url = "lite/static/laneway"
"""

CONFIG = {
    "LanewayAddon": {"cells": True},
    "LiteBuildConfig": {
        "federated_extensions": [str(ROOT / "lite" / "laneway_lite" / "labextension")],
        "ignore_sys_prefix": ["federated_extensions"],
    },
}

INDEX = """
Index
=====

>>> 6 * 7
42

.. try_examples::

   >>> 2 + 3
   5

.. replite::
   :kernel: laneway

   print("from", "replite")

.. notebooklite:: small.ipynb
"""

NOTEBOOK = {
    "cells": [],
    "metadata": {"kernelspec": {"name": "laneway", "display_name": "Python (Laneway)"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


async def test_replite_notebooklite_and_try_examples_have_our_kernel(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    write(tmp_path / "docs")
    build(tmp_path / "docs")
    assert len(list((tmp_path / "html").rglob("pyodide.asm.wasm"))) == 1  # for cells and for JupyterLite
    with static_server(tmp_path / "html") as address:
        async with chromium_page() as page:
            await page.goto(f"{address}index.html")
            cell = page.locator("laneway-cell:not([hidden])").first
            await expect(cell).to_have_attribute("data-state", "asleep")
            await cell.evaluate("(cell) => cell.run()")
            await expect(cell.locator(".laneway-outputs")).to_have_text("42\n")
            await page.get_by_role("button", name="Try it with JupyterLite!").click()
            await expect(page.locator("iframe")).to_have_count(3)
            for place, words in enumerate(["Python (Laneway)", "from replite", "Python (Laneway)"]):
                shown = page.locator("iframe").nth(place)
                await expect(shown.content_frame.get_by_text(words).first).to_be_visible()
                handle = await shown.element_handle()
                frame = await handle.content_frame() if handle else None
                assert frame
                assert await answer(frame) == "6\n"


async def answer(frame: Frame) -> str:
    """What a kernel of ours prints there."""
    await start_kernel(frame)
    return await frame.evaluate("run('print(1 + 2 + 3)').finished.then(({ text }) => text)")


def write(folder: Path) -> None:
    """A documentation."""
    (folder / "conf.py").write_text(CONF)
    (folder / "index.rst").write_text(INDEX)
    (folder / "small.ipynb").write_text(json.dumps(NOTEBOOK))
    (folder / "jupyter_lite_config.json").write_text(json.dumps(CONFIG))
    settings = {"jupyter-lite-schema-version": 0, "jupyter-config-data": {"exposeAppInBrowser": True}}
    (folder / "jupyter-lite.json").write_text(json.dumps(settings))
