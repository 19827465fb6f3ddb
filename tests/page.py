"""A page in Chromium, and a server for its files: what tests of the browser side stand on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect

from tests.engines import executable

ROOT = Path(__file__).resolve().parents[1]
KERNEL = ROOT / "site" / "dist" / "lite" / "static" / "laneway"
"""A kernel folder."""

ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
"""Chromium's, so that it asks nobody but our server."""

expect.set_options(timeout=30_000)  # milliseconds: on a busy machine a kernel takes its time


@contextmanager
def serving(folder: Path, *options: str) -> Generator[str, None, None]:
    """The address at which the site's own server serves `folder`."""
    command = [sys.executable, str(ROOT / "site" / "serve.py"), "--port", "0", *options, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            address = re.search(r"http://\S+/", line)
            assert address, f"The server did not say its address, but {line!r}."
            yield address[0]
        finally:
            process.terminate()


@contextmanager
def serving_kernel(html: str, *options: str, files: Sequence[Path] = ()) -> Generator[str, None, None]:
    """The address of a page of this `html`, with the built @laneway/kernel in `lib/`, a kernel
    folder in `kernel/`, and `files`; `options` are those of the server.
    """
    links = {"lib": ROOT / "jskernel" / "lib", "kernel": KERNEL, **{file.name: file for file in files}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "index.html").write_text(html)
        for link, target in links.items():
            (folder / link).symlink_to(target)
        with serving(folder, *options) as address:
            yield address


@asynccontextmanager
async def chromium_page(*arguments: str, service_workers: bool = True) -> AsyncGenerator[Page, None]:
    """A new page of a new browser, which gets `arguments`, and whose pages have service workers or not."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable("chromium"),
            args=[*ARGUMENTS, *(["--no-sandbox"] if root else []), *arguments],
        )
        yield await browser.new_page(
            viewport={"width": 1300, "height": 900}, service_workers="allow" if service_workers else "block"
        )
        await browser.close()


async def loaded(page: Page) -> None:
    """Wait until a page of the site is loaded for good: it is loaded twice where that may isolate it."""
    again = "performance.getEntriesByType('navigation')[0].type === 'reload'"
    await page.wait_for_function(f"crossOriginIsolated || {again}")


def asked_outside(page: Page, address: str) -> list[str]:
    """Filled with the URLs outside `address` that the page and its workers ask for from now on."""
    asked: list[str] = []

    def requested(url: str) -> None:
        if not url.startswith((address, "data:", "blob:")):
            asked.append(url)

    # of the context, so that the workers' requests are seen as well
    page.context.on("request", lambda request: requested(request.url))
    return asked
