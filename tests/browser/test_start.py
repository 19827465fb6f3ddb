"""How a kernel starts in a page: each way, what happens where one fails, what the next kernel begins with."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Worker

from tests.page import KERNEL, ROOT, chromium_page, serving
from tests.static import StaticFiles, static_server

pytestmark = pytest.mark.anyio

COMPRESSED = {".html", ".js", ".json", ".mjs", ".wasm"}
"""What a static host compresses."""

PAGE = """<!doctype html>
<title>start</title>
<script type="module">
  import { kernelFolder, launch } from "./lib/browser/index.js";

  /** What the first cell of a new kernel says, or the sentence of what it fails with. */
  window.begin = async (options = {}) => {
    window.kc = launch({ kernelURL: "kernel/", ...options });
    try {
      await kc.start();
      const { result } = await kc.execute("import sys; len(sys.modules) > 100").done;
      return result["text/plain"];
    } catch (error) {
      return error.message;
    }
  };
  window.run = async (code) => {
    const { stdout, result, error } = await kc.execute(code).done;
    return error ? `${error.ename}: ${error.evalue}` : stdout + (result?.["text/plain"] ?? "");
  };
  window.folder = () => kernelFolder(new URL("kernel/", document.baseURI).href);
</script>
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A page, and a kernel folder of its own, whose files may be replaced."""
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "lib").symlink_to(ROOT / "jskernel" / "lib")
    shutil.copytree(KERNEL, tmp_path / "kernel")
    return tmp_path


@asynccontextmanager
async def opened(site: Path, *options: str) -> AsyncGenerator[tuple[Page, list[str]], None]:
    """The page, and the warnings of its console."""
    with serving(site, *options) as address:
        async with chromium_page() as page:
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            await page.goto(address)
            await page.wait_for_function("() => Boolean(window.begin)")  # to name a function is to call it
            yield page, said


def manifest(site: Path) -> dict[str, Any]:
    return json.loads((site / "kernel" / "laneway.json").read_text())


def quick(site: Path, name: str) -> Path:
    """A file for starting quickly."""
    return site / "kernel" / manifest(site)["quick"][name]


@pytest.mark.parametrize("way", ["snapshot", "first", "plain"])
async def test_each_way(site: Path, way: str) -> None:
    """The same kernel, whichever way it has started: library, packages, sources, errors."""
    async with opened(site) as (page, said):
        assert await page.evaluate("(way) => begin({ ways: [way] })", way) == "True"
        # files that have not come yet are there for who looks
        assert (
            await page.evaluate("run('import xml.dom.minidom, statistics; statistics.mean([1, 3])')") == "2"
        )
        traceback = await page.evaluate(
            """async () => {
              const { error } = await kc.execute("import json\\njson.loads('{')").done;
              return error.traceback.join("");
            }"""
        )
        assert "scan_once" in traceback  # the source of the standard library
        assert "def start_callback_kernel" in await page.evaluate(
            "run('import inspect, laneway; print(inspect.getsource(laneway.start_callback_kernel))')"
        )
        assert "laneway" in await page.evaluate(
            "run('import importlib.metadata as m; print([d.name for d in m.distributions()])')"
        )
        assert await page.evaluate(
            'run(\'__name__, sorted(set(dir()) & {"browser", "snapshot", "sys"})\')'
        ) == ("('__main__', ['sys'])")
        assert not [text for text in said if "another way" in text]


async def test_how_much_comes_before_the_first_reply(site: Path) -> None:
    """10 MB at most, from a host that compresses text and WebAssembly and nothing else, as most do."""
    async with opened(site) as (page, _):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        assert await page.evaluate("begin({ ways: ['snapshot'] })") == "True"
        paths = [site / path.lstrip("/") for path in asked]
    assert quick(site, "memory") in paths
    sizes: dict[str, int] = {}
    for path in paths:
        content = path.read_bytes()
        sizes[path.name] = len(gzip.compress(content) if path.suffix in COMPRESSED else content)
    assert sum(sizes.values()) <= 10_000_000, sizes


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def foreign(content: bytes) -> bytes:
    """A snapshot of another build of Pyodide: its header has another id."""
    memory = bytearray(gzip.decompress(content))
    memory[16] ^= 1
    return gzip.compress(memory, 1)


def corrupt(content: bytes) -> bytes:
    memory = bytearray(gzip.decompress(content))
    for at in range(len(memory) // 4, len(memory) * 3 // 4, 97):
        memory[at] ^= 0xFF
    return gzip.compress(memory, 1)


def update_manifest(site: Path) -> None:
    """Make the hashes those of the files as they are: no check finds the fault."""
    found = manifest(site)
    for name, entry in found["files"].items():
        content = (site / "kernel" / name).read_bytes()
        entry.update(size=len(content), sha256=sha256(content).hexdigest())
    (site / "kernel" / "laneway.json").write_text(json.dumps(found))


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "unchecked"])
@pytest.mark.parametrize("spoil", [truncate, foreign, corrupt])
async def test_a_spoilt_snapshot(site: Path, spoil: Callable[[bytes], bytes], checked: bool) -> None:
    path = quick(site, "memory")
    path.write_bytes(spoil(path.read_bytes()))
    if not checked:
        update_manifest(site)
    async with opened(site) as (page, said):
        assert await page.evaluate("begin()") == "True"
        assert [text for text in said if "started in another way (first)" in text]
        said.clear()
        assert await page.evaluate("begin()") == "True"  # it is remembered
        assert not [text for text in said if "another way" in text]


async def test_files_that_are_gone(site: Path) -> None:
    for name in ("memory", "first"):
        quick(site, name).unlink()
    async with opened(site) as (page, said):
        assert await page.evaluate("begin()") == "True"
        assert [text for text in said if "started in another way (plain)" in text]


async def test_nothing_is_there(site: Path) -> None:
    """A sentence; and the folder is read anew when it is tried again."""
    away = site / "away"
    (site / "kernel" / "laneway.json").rename(away)
    async with opened(site) as (page, _said):
        assert "There is no http" in await page.evaluate("begin()")
        away.rename(site / "kernel" / "laneway.json")
        for path in (site / "kernel").glob("core.*/pyodide.mjs"):
            path.rename(away)
        said = await page.evaluate("begin()")
        assert said.startswith("Python could not be loaded from http")
        away.rename(next((site / "kernel").glob("core.*")) / "pyodide.mjs")
        assert await page.evaluate("begin()") == "True"


async def test_another_version(site: Path) -> None:
    path = site / "kernel" / "laneway.json"
    path.write_text(json.dumps({**manifest(site), "laneway": "0.0.1"}))
    async with opened(site) as (page, _said):
        said = await page.evaluate("begin()")
        assert said.startswith("This page's scripts are of Laneway ")
        assert said.endswith("of 0.0.1: reload the page, or build it with one version of both.")


async def test_a_wrong_setting_is_said_at_once(site: Path) -> None:
    async with opened(site) as (page, said):
        sentence = await page.evaluate("begin({ settings: { colour: 1 } })")
        assert "There is no setting 'colour'" in sentence
        assert not [text for text in said if "another way" in text]


async def test_the_next_kernel_loads_nothing_twice(site: Path) -> None:
    async with opened(site) as (page, _said):
        assert await page.evaluate("begin()") == "True"
        await page.evaluate("run('import statistics')")  # its files are there
        asked: list[str] = []
        page.context.on("request", lambda request: asked.append(request.url))
        assert await page.evaluate("begin()") == "True"
        await page.evaluate("kc.restart()")
        assert await page.evaluate("run('1+1')") == "2"
        large = [url for url in asked if url.endswith((".wasm", "memory.bin"))]
        assert large == []


async def test_a_spare_worker(site: Path) -> None:
    """It is taken by the next kernel, of the same options only, and knows nothing of the one before."""
    async with opened(site) as (page, _said):
        workers: list[str] = []
        spare = asyncio.Event()

        def came(worker: Worker) -> None:
            workers.append(worker.url)
            if len(workers) == 2:
                spare.set()

        page.on("worker", came)
        assert await page.evaluate("begin({ spare: true })") == "True"
        await page.evaluate("run('mine = 1')")
        await spare.wait()
        assert await page.evaluate("begin({ spare: true })") == "True"
        assert len(workers) == 2
        assert "NameError" in await page.evaluate("run('mine')")
        assert await page.evaluate("begin({ settings: { pipIndexURLs: [] } })") == "True"
        assert len(workers) > 2


async def test_two_kernels_from_one_snapshot_differ(site: Path) -> None:
    code = "import random, tempfile, uuid; print(random.random(), tempfile.mktemp(), uuid.uuid4())"
    async with opened(site) as (page, _said):
        texts: list[list[str]] = []
        for _ in range(2):
            assert await page.evaluate("begin({ ways: ['snapshot'] })") == "True"
            session = await page.evaluate(
                "kc.request('kernel_info_request').then(({ header }) => header.session)"
            )
            texts.append([*(await page.evaluate("(code) => run(code)", code)).split(), session])
        assert all(one != other for one, other in zip(*texts, strict=True))


async def test_time_zone_and_language_are_the_pages(site: Path) -> None:
    code = "import os, time; print(time.tzname, time.timezone, time.localtime(0).tm_hour, os.environ['LANG'])"
    async with opened(site) as (page, _said):
        session = await page.context.new_cdp_session(page)
        await session.send("Emulation.setTimezoneOverride", {"timezoneId": "America/New_York"})
        assert await page.evaluate("begin({ ways: ['snapshot'] })") == "True"
        assert await page.evaluate("(code) => run(code)", code) == (
            "('UTC-0500', 'UTC-0400') 18000 19 en_US.UTF-8\n"
        )


async def test_a_server_that_breaks_off_and_one_that_falls_silent(site: Path) -> None:
    """Half of the snapshot comes, then nothing more; the same with what the next way takes."""
    silence = threading.Event()

    class Failing(StaticFiles):
        def copyfile(self, source: Any, outputfile: Any) -> None:
            if not self.path.endswith(("memory.bin", "first.bin")):
                super().copyfile(source, outputfile)
                return
            outputfile.write(source.read(100_000))
            outputfile.flush()
            if self.path.endswith("first.bin"):
                silence.wait()
            self.close_connection = True

    with static_server(site, Failing) as address:
        try:
            async with chromium_page() as page:
                said: list[str] = []
                page.on("console", lambda message: said.append(message.text))
                await page.goto(address)
                await page.wait_for_function(
                    "() => Boolean(window.begin)"
                )  # to name a function is to call it
                assert await page.evaluate("begin()") == "True"
                ways = [text for text in said if "another way" in text]
                assert "(first)" in ways[0]
                assert "memory.bin cannot be loaded" in ways[0]
                assert "(plain)" in ways[1]
                assert "first.bin cannot be loaded: the server has fallen silent" in ways[1]
        finally:
            silence.set()


@pytest.mark.parametrize("way", ["snapshot", "first"])
async def test_code_may_need_a_late_file_while_it_is_on_its_way(site: Path, way: str) -> None:
    """That code blocks the worker. So the page has asked for the file: else the browser's cache would keep
    the code waiting, for 20 s at least.
    """
    coming, needed = threading.Event(), threading.Event()
    asking: list[str] = []

    class Slow(StaticFiles):
        def copyfile(self, source: Any, outputfile: Any) -> None:
            if self.path.endswith("files.bin"):
                asking.append(self.headers["Referer"])
                outputfile.write(source.read(100_000))
                outputfile.flush()
                coming.set()
                needed.wait()
            super().copyfile(source, outputfile)

    with static_server(site, Slow) as address:
        try:
            async with chromium_page() as page:
                await page.goto(address)
                await page.wait_for_function(
                    "() => Boolean(window.begin)"
                )  # to name a function is to call it
                await page.evaluate("(way) => begin({ ways: [way] })", way)
                assert await asyncio.to_thread(coming.wait, 60)
                # it computes, so that the worker is blocked before the rest comes
                code = "for step in range(5_000_000): pass\nimport jedi, zipapp\nprint(step)"
                await page.evaluate("(code) => void (window.needing = kc.execute(code))", code)
                needed.set()
                async with asyncio.timeout(60):
                    stdout = await page.evaluate("needing.done.then(({ stdout }) => stdout)")
                assert stdout == "4999999\n"
                assert asking[0] == address
        finally:
            needed.set()
