"""A site that was visited once works without its server, and after a redeploy shows one version of itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Error, Page, expect

from tests.page import ROOT, chromium_page, loaded

from .hosting import NEW, OLD, Host, Server, deploy, hosted
from .lite import DIST, start_kernel

pytestmark = pytest.mark.anyio

SERVICE_WORKER = ROOT / "jskernel" / "dist"
ALWAYS = ("", "register.js")
"""What is kept of the small site in any case."""


async def kept(page: Page) -> list[str]:
    """The addresses that are in the cache, relative to the page's folder."""
    return await page.evaluate(
        """async () => {
          const requests = await (await caches.open("laneway")).keys();
          return requests.map(({ url }) => url.replace(new URL(".", location.href).href, "")).sort();
        }"""
    )


async def is_kept(page: Page, *addresses: str) -> None:
    """Wait until the cache has exactly these."""
    for _ in range(600):
        if await kept(page) == sorted(addresses):
            return
        await page.wait_for_timeout(100)
    assert await kept(page) == sorted(addresses)


# ---- with files of a few bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in SERVICE_WORKER.glob("*.js"):
        shutil.copy(path, tmp_path)
    deploy(tmp_path, "1", OLD)
    return tmp_path


@pytest.fixture
async def page() -> AsyncGenerator[Page, None]:
    async with chromium_page() as page:
        yield page


async def visit(page: Page, server: Server) -> None:
    await page.goto(server.address)
    await page.wait_for_function("navigator.serviceWorker.controller")
    await is_kept(page, *ALWAYS)


async def test_what_was_loaded_before_the_service_worker_was_there(page: Page, folder: Path) -> None:
    (folder / "early.txt").write_text("early")
    html = (folder / "index.html").read_text()
    (folder / "index.html").write_text(html + '<script>early = get("early.txt?a=1")</script>')
    with hosted(folder) as server:
        await page.goto(f"{server.address}index.html?query#hash")
        await is_kept(page, *ALWAYS, "early.txt?a=1")
        server.stop()
        await page.goto(server.address)
        assert await page.evaluate("early") == [200, "early"]


async def test_one_version_follows_the_other(page: Page, folder: Path) -> None:
    """The host says nothing of how long its files are fresh: those of the old version seem so for long."""
    with hosted(folder) as server:
        await visit(page, server)
        for name in ("laneway.json", f"core.{OLD}/pyodide.mjs", f"wheels.{OLD}/a-1-py3.whl"):
            assert (await page.evaluate(f"get('kernel/{name}')"))[0] == 200
        old = ["kernel/laneway.json", f"kernel/core.{OLD}/pyodide.mjs", f"kernel/wheels.{OLD}/a-1-py3.whl"]
        await is_kept(page, *ALWAYS, *old)
        deploy(folder, "2", NEW)
        # half of it is there: the manifest is new, and a file is not
        core = folder / f"kernel/core.{NEW}/pyodide.mjs"
        text = core.read_text()
        core.unlink()
        await page.reload()
        assert await page.title() == "2"
        assert json.loads((await page.evaluate("get('kernel/laneway.json')"))[1])["build"] == "2"
        server.stop()
        assert json.loads((await page.evaluate("get('kernel/laneway.json')"))[1])["build"] == "1"
        assert (await page.evaluate(f"get('kernel/core.{OLD}/pyodide.mjs')"))[0] == 200
        # now all
        server.start()
        core.write_text(text)
        assert json.loads((await page.evaluate("get('kernel/laneway.json')"))[1])["build"] == "2"
        new = [name.replace(OLD, NEW).replace("a-1", "a-2") for name in old]
        await is_kept(page, *ALWAYS, *new)  # worker.js was not used
        server.stop()
        await page.reload()
        assert await page.title() == "2"
        assert json.loads((await page.evaluate("get('kernel/laneway.json')"))[1])["build"] == "2"
        assert (await page.evaluate(f"get('{new[1]}')")) == [200, text]


async def test_a_server_with_errors_of_its_own_counts_as_gone(page: Page, folder: Path) -> None:
    (folder / "data.txt").write_text("data")
    with hosted(folder) as server:
        await visit(page, server)
        assert await page.evaluate("get('data.txt')") == [200, "data"]
        await is_kept(page, *ALWAYS, "data.txt")
        Host.status = {"/data.txt": 503, "/other.txt": 503}
        assert await page.evaluate("get('data.txt')") == [200, "data"]
        assert await page.evaluate("get('other.txt')") == [503, ""]
        Host.status = {"/data.txt": 404}
        assert await page.evaluate("get('data.txt')") == [404, ""]
        await is_kept(page, *ALWAYS)


async def test_what_is_not_kept(page: Page, folder: Path) -> None:
    (folder / "data.txt").write_text("data")
    (folder / "api").mkdir()
    (folder / "api/kernels").write_text("[]")
    with hosted(folder) as server:
        await visit(page, server)
        for request in (
            "'data.txt', { headers: { Range: 'bytes=0-1' } }",
            "'data.txt', { headers: { Authorization: 'token secret' } }",
            "'api/kernels'",
            "'data.txt', { method: 'HEAD' }",
        ):
            assert (await page.evaluate(f"get({request})"))[0] == 200
        assert (await page.evaluate("get('data.txt')"))[0] == 200
        await is_kept(page, *ALWAYS, "data.txt")


async def test_half_of_a_file_is_not_kept(page: Page, folder: Path) -> None:
    """What there was of it before stays until it has come."""
    never, other = f"data.{OLD}.txt", "data.txt"
    (folder / never).write_text("never changes")
    (folder / other).write_text("old")
    os.utime(folder / other, (5e8, 5e8))
    with hosted(folder) as server:
        await visit(page, server)
        assert await page.evaluate(f"get('{other}')") == [200, "old"]
        await is_kept(page, *ALWAYS, other)
        (folder / other).write_text("newer")
        # once for the page, once for the service worker
        Host.halves = {f"/{never}": 2, f"/{other}": 1}
        for name in (never, other):
            with pytest.raises(Error, match="Failed to fetch"):
                await page.evaluate(f"get('{name}')")
        await is_kept(page, *ALWAYS, never, other)
        server.stop()
        assert await page.evaluate(f"get('{never}')") == [200, "never changes"]
        assert await page.evaluate(f"get('{other}')") == [200, "old"]
        server.start()
        assert await page.evaluate(f"get('{other}')") == [200, "newer"]


# ---- with kernels


async def kernel_is_kept(page: Page, *more: str) -> None:
    """Wait until the cache has all that a kernel takes, and files of these names."""
    names = ["laneway.json", "/worker.", "asm.wasm", "memory.bin", "files.bin", "python_stdlib.", *more]
    urls: list[str] = []
    for _ in range(1200):
        urls = await kept(page)
        if all(any(name in url for url in urls) for name in names):
            return
        await page.wait_for_timeout(100)
    raise AssertionError(f"The cache lacks what a kernel takes: {urls}")


async def test_jupyterlite(page: Page) -> None:
    """Also at the second visit without a server: JupyterLite would remove the service worker at the first."""
    cow = "%pip install cowsay\nimport cowsay\ncowsay.cow('Moo')"
    run = "async (code) => (await window.run(code).finished).text"
    with hosted(DIST) as server:
        await page.goto(f"{server.address}lite/lab/index.html")
        await loaded(page)
        await start_kernel(page)
        assert "| Moo |" in await page.evaluate(run, cow)
        await kernel_is_kept(page, "cowsay-")
        server.stop()
        for _ in range(2):
            await page.reload()
        assert await page.evaluate("crossOriginIsolated")
        await start_kernel(page)
        assert "| Moo |" in await page.evaluate(run, cow)
        await page.evaluate("window.kernel.restart()")
        assert "| Moo |" in await page.evaluate(run, cow)


async def test_the_demo_page(page: Page) -> None:
    with hosted(DIST) as server:
        await page.goto(f"{server.address}demo/index.html")
        await loaded(page)
        cell = page.locator("laneway-cell").first
        for _ in range(2):
            await cell.get_by_role("button", name="Run:").click()
            await expect(cell).to_have_attribute("data-state", "done", timeout=60_000)
            await kernel_is_kept(page)
            server.stop()
            await page.reload()
