"""JupyterLab on the desktop in Chromium, driven through `window.jupyterapp` as JupyterLite is, where it is
installed: `LANEWAY_JUPYTERLAB` names its `jupyter`, in an environment that has laneway and laneway-lite.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.page import chromium_page

from .lite import WAIT


@asynccontextmanager
async def jupyterlab(folder: Path) -> AsyncGenerator[Page, None]:
    """A page with JupyterLab, whose server serves a folder."""
    jupyter = os.environ.get("LANEWAY_JUPYTERLAB")
    if not jupyter:
        pytest.skip("LANEWAY_JUPYTERLAB names no `jupyter` that has JupyterLab and the kernel.")
    with _server(jupyter, folder) as address:
        async with chromium_page() as page:
            await page.goto(address)
            await page.evaluate(WAIT)
            # it opens the side panels of the last time, or the usual ones
            await page.evaluate("() => window.jupyterapp.restored.then(() => null)")
            yield page


@contextmanager
def _server(jupyter: str, folder: Path) -> Generator[str, None, None]:
    """Its address."""
    token, log = secrets.token_hex(), folder / "jupyterlab.log"
    options = ["--no-browser", "--allow-root", "--expose-app-in-browser", "--ServerApp.port=0"]
    options += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    with log.open("w") as said, subprocess.Popen([jupyter, "lab", *options], stderr=said) as server:
        try:
            while not (found := re.search(r"http://127\.0\.0\.1:\d+/lab\?", log.read_text())):
                assert server.poll() is None, log.read_text()
                time.sleep(0.1)
            yield f"{found[0]}token={token}"
        finally:
            server.terminate()
