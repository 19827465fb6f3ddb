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
        assert await page.evaluate("crossOriginIsolated") == isolated
        await debug_notebook(page, await save_notebook(page), app)
        assert strangers == []


@pytest.mark.servers
async def test_jupyterlab_on_the_desktop(tmp_path: Path) -> None:
    async with jupyterlab(tmp_path) as page:
        await debug_notebook(page, await save_notebook(page))
