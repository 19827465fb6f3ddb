"""JupyterLab's debugger with Laneway, unchanged: in JupyterLite, and in JupyterLab on the desktop."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from .debugger import debug_notebook, save_notebook
from .desktop import jupyterlab
from .lite import jupyterlite

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("app", "isolated"), [("lab", False), ("notebooks", True)], ids=["lab, not isolated", "notebooks"]
)
async def test_in_a_page(app: Literal["lab", "notebooks"], isolated: bool) -> None:
    options = () if isolated else ("--no-isolation",)
    start = "tree" if app == "notebooks" else app
    async with jupyterlite(*options, app=start, kernel=False, isolate=isolated) as (page, strangers):
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        assert await page.evaluate("crossOriginIsolated") == isolated
        await debug_notebook(page, await save_notebook(page), app)
        assert strangers == []
        # a worker that is ended while it is stopped goes on for two seconds, and should rest meanwhile
        assert sum("messages could not be fetched" in text for text in said) < 500


@pytest.mark.servers
async def test_jupyterlab_on_the_desktop(tmp_path: Path) -> None:
    async with jupyterlab(tmp_path) as page:
        await debug_notebook(page, await save_notebook(page))
