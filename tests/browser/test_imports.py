"""An import that nobody has seen coming, of a package that does not come: what the cell that waits can do."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.page import chromium_page

from .client import WORKER
from .stalling import FAILURE, PATIENCE, UNSEEN, WAITING, stalling

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(folder: Path, *, isolated: bool = True) -> AsyncGenerator[tuple[Page, threading.Event]]:
    """A page with a client, `kc`."""
    with stalling(folder, isolated) as (address, go_on):
        async with chromium_page() as page:
            await page.goto(address)
            await page.evaluate(WORKER, "kernel/")
            yield page, go_on


async def test_all_is_answered_while_it_waits_and_an_interrupt_ends_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (page, go_on):
        shown = await page.evaluate(WAITING, UNSEEN)
        assert shown.startswith("Loading pydantic and 4 more packages (")
        matches = await page.evaluate("kc.complete('impo').then(({ matches }) => matches)")
        assert "import" in matches
        await page.evaluate("kc.interrupt()")
        assert await page.evaluate("waiting.done.then(({ error }) => error.ename)") == "KeyboardInterrupt"
        go_on.set()
        assert (
            await page.evaluate(f"kc.execute(`{UNSEEN}`).done.then(({{ result }}) => result['text/plain'])")
            == "3"
        )


@pytest.mark.parametrize(("isolated", "limit"), [(True, "STALLED"), (False, "UNREACHED")])
async def test_a_server_that_falls_silent(tmp_path: Path, isolated: bool, limit: str) -> None:
    """Where nothing is shared with the page, nobody can interrupt it, and it ends all the same."""
    async with opened(tmp_path, isolated=isolated) as (page, go_on):
        await page.evaluate("(code) => kc.execute(code).done.then(() => undefined)", PATIENCE.format(limit))
        said = await page.evaluate(FAILURE, UNSEEN)
        assert said.startswith("PackageError: pydantic-core cannot be loaded from http")
        assert said.endswith("Check the network, and import it again.")
        go_on.set()
        assert (
            await page.evaluate(f"kc.execute(`{UNSEEN}`).done.then(({{ result }}) => result['text/plain'])")
            == "3"
        )
