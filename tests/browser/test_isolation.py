"""Cross-origin isolation where the server does not send the headers: by a service worker, or not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Frame, Page, expect

from tests.page import ROOT, chromium_page, serving

from .lite import DIST, jupyterlite, start_kernel

pytestmark = pytest.mark.anyio

SERVICE_WORKER = ROOT / "jskernel" / "dist"


def loads(page: Page) -> list[str]:
    """The addresses of the documents that the page loads from now on."""
    urls: list[str] = []

    def navigated(frame: Frame) -> None:
        urls.append(frame.url)

    page.on("framenavigated", navigated)
    return urls


async def info(page: Page) -> dict[str, Any]:
    return await page.evaluate("async () => (await window.kernel.requestKernelInfo()).content.laneway")


async def two(page: Page | Frame) -> str:
    outputs = await page.evaluate("async () => (await window.run('1+1').finished).outputs")
    return outputs[0]["data"]["text/plain"]


async def interrupted(page: Page) -> str:
    return await page.evaluate(
        """async () => {
          const cell = window.run("import asyncio\\nprint('ready')\\nawait asyncio.sleep(1000)");
          await cell.until("ready");
          await window.kernel.interrupt();
          return (await cell.finished).reply.ename;
        }"""
    )


@pytest.mark.parametrize("app", ["lab", "repl"])
async def test_jupyterlite_is_loaded_twice_and_isolated(app: str) -> None:
    with serving(DIST, "--no-isolation") as address:
        async with chromium_page() as page:
            loaded = loads(page)
            url = f"{address}lite/{app}/index.html"
            for count in (2, 3):  # a second visit needs no more help
                await page.goto(url)
                await page.wait_for_function("crossOriginIsolated")
                await start_kernel(page)
                assert await two(page) == "2"
                assert (await info(page))["cross_origin_isolated"] is True
                assert loaded == [url] * count
            workers = await page.evaluate(
                "async () => (await navigator.serviceWorker.getRegistrations()).map(({ scope }) => scope)"
            )
            assert workers == [f"{address}lite/"]


async def test_a_page_that_the_server_isolates_is_left_alone() -> None:
    with serving(DIST) as address:
        async with chromium_page() as page:
            loaded = loads(page)
            await page.goto(f"{address}lite/lab/index.html")
            await start_kernel(page)
            assert loaded == [f"{address}lite/lab/index.html"]


async def test_without_service_workers() -> None:
    async with jupyterlite("--no-isolation", service_workers=False) as (page, strangers):
        assert await two(page) == "2"
        said = await info(page)
        assert said["cross_origin_isolated"] is False
        assert strangers == []
        # said in the page, too: once
        files, computing = said["missing"]
        assert files.startswith("Files")
        for sentence in (files, computing):
            notice = page.locator(".Toastify__toast").filter(has_text=sentence)
            await expect(notice).to_be_visible()
        await start_kernel(page)
        await expect(notice).to_have_count(1)


async def test_without_https() -> None:
    """Neither isolation nor service workers, and other things are missing too."""
    with serving(DIST, "--no-isolation") as address:
        async with chromium_page("--host-resolver-rules=MAP laneway.test 127.0.0.1") as page:
            loaded = loads(page)
            url = address.replace("127.0.0.1", "laneway.test") + "lite/lab/index.html"
            await page.goto(url)
            await start_kernel(page)
            assert await two(page) == "2"
            assert (await info(page))["cross_origin_isolated"] is False
            assert await interrupted(page) == "KeyboardInterrupt"
            assert loaded == [url]


async def test_in_a_frame_of_a_page_that_is_not_isolated(tmp_path: Path) -> None:
    """The headers do not help there: it is loaded no third time, and works."""
    (tmp_path / "lite").symlink_to(DIST / "lite")
    (tmp_path / "index.html").write_text('<!doctype html><iframe src="lite/lab/index.html"></iframe>')
    with serving(tmp_path, "--no-isolation") as address:
        async with chromium_page() as page:
            loaded = loads(page)
            await page.goto(address)
            frame = page.frames[1]
            await frame.wait_for_function("window.jupyterapp")
            await start_kernel(frame)
            assert await two(frame) == "2"
            assert loaded == [address, *[f"{address}lite/lab/index.html"] * 2]


async def test_images_of_other_hosts_are_shown() -> None:
    image = "<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>"
    with serving(DIST, "--no-isolation") as address:
        async with chromium_page() as page:
            await page.route(
                "http://elsewhere.test/*",
                lambda route: route.fulfill(body=image, content_type="image/svg+xml"),
            )
            await page.goto(f"{address}lite/lab/index.html")
            await page.wait_for_function("crossOriginIsolated")
            await page.evaluate(
                """async () => {
                  const image = new Image();
                  image.src = "http://elsewhere.test/image.svg";
                  await image.decode();
                }"""
            )


async def test_who_has_jupyterlites_own_service_worker_gets_this_one(tmp_path: Path) -> None:
    """A site that is built anew with laneway-lite, or with a later one."""
    shutil.copytree(DIST / "lite", tmp_path / "lite", copy_function=os.link)
    page_file, worker_file = tmp_path / "lite/lab/index.html", tmp_path / "lite/service-worker.js"
    for path in (page_file, worker_file):
        path.unlink()  # not the file that it is a link to
    page_file.write_text("<!doctype html><title>without isolation</title>")
    shutil.copy(DIST / "lite/build/service-worker.js", worker_file)
    for path in (page_file, worker_file):
        os.utime(path, (0, 0))  # the browser asks for what is newer, to the second
    (tmp_path / "index.html").write_text("")
    with serving(tmp_path, "--no-isolation") as address:
        async with chromium_page() as page:
            url = f"{address}lite/lab/index.html"
            await page.goto(url)
            await page.evaluate(
                """async () => {
                  await navigator.serviceWorker.register("../service-worker.js?enableCache=false");
                  await navigator.serviceWorker.ready;
                }"""
            )
            for path in (page_file, worker_file):
                shutil.copy(DIST / path.relative_to(tmp_path), path)
            loaded = loads(page)
            await page.goto(url)
            await page.wait_for_function("crossOriginIsolated")
            await start_kernel(page)
            assert await two(page) == "2"
            assert loaded == [url] * 2


PLAIN = """<!doctype html>
<title>plain</title>
<script src="register.js" data-worker="service-worker.js"></script>
<script type="module">
  window.began = true;
  const worker = new Worker("worker.js");
  worker.onmessage = ({ data }) => (window.isolated = [crossOriginIsolated, data]);
</script>
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A plain page with a worker in a folder, beside JupyterLite."""
    folder = tmp_path / "plain"
    shutil.copytree(SERVICE_WORKER, folder)
    (folder / "index.html").write_text(PLAIN)
    (folder / "worker.js").write_text("postMessage(crossOriginIsolated);")
    (tmp_path / "lite").symlink_to(DIST / "lite")
    (tmp_path / "index.html").write_text(
        '<!doctype html><iframe sandbox="allow-scripts" src="plain/"></iframe>'
    )
    return tmp_path


async def test_a_plain_page_beside_jupyterlite(site: Path) -> None:
    """Each has a service worker of its own; none takes the other's page."""
    with serving(site, "--no-isolation") as address:
        async with chromium_page() as page:
            for _ in range(2):
                await page.goto(f"{address}plain/")
                await page.wait_for_function("window.isolated")
                assert await page.evaluate("window.isolated") == [True, True]
                await page.goto(f"{address}lite/lab/index.html")
                await page.wait_for_function("crossOriginIsolated")
                await start_kernel(page)
                assert await two(page) == "2"
            scripts = await page.evaluate(
                """async () => {
                  const registrations = await navigator.serviceWorker.getRegistrations();
                  return registrations.map(({ active }) => active.scriptURL).sort();
                }"""
            )
            assert scripts == [
                f"{address}lite/service-worker.js?enableCache=false",
                f"{address}plain/service-worker.js",
            ]


async def test_a_page_in_a_sandbox_goes_on(site: Path) -> None:
    """It has no service workers, and whoever asks for them gets an exception."""
    with serving(site, "--no-isolation") as address:
        async with chromium_page() as page:
            await page.goto(address)
            await page.frames[1].wait_for_function("window.began")
