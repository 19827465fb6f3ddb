"""The recipes for npm users: bundlers, types, and a page that falls back from a server to itself."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.client.server import TOKEN, jupyter_server
from tests.page import KERNEL, ROOT, chromium_page, serving
from tests.static import static_server

pytestmark = pytest.mark.anyio

RECIPES = ROOT / "recipes"


def npm_run(script: str) -> None:
    result = subprocess.run(
        ["npm", "run", "--silent", script], cwd=RECIPES, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("bundler", ["esbuild", "vite", "webpack"])
async def test_a_program_that_is_bundled_runs(bundler: str, tmp_path: Path) -> None:
    npm_run(bundler)
    site = tmp_path / "sub" / "path"
    shutil.copytree(RECIPES / "dist" / bundler, site)
    if bundler != "vite":  # which makes the page, too
        (site / "index.html").write_text('<!doctype html><script type="module" src="main.js"></script>')
    (site / "kernel").symlink_to(KERNEL)
    with static_server(tmp_path) as address:
        async with chromium_page() as page:
            await page.goto(f"{address}sub/path/index.html")
            await expect(page.locator("body")).to_have_text("The answer is 42.")


@pytest.mark.parametrize("resolution", ["Bundler", "NodeNext"])
def test_types_hold_for_typescript_5_4(resolution: str) -> None:
    assert "5.4" in (RECIPES / "node_modules/typescript/package.json").read_text()
    module = "ESNext" if resolution == "Bundler" else resolution
    result = subprocess.run(
        ["node_modules/.bin/tsc", "-p", "src", "--moduleResolution", resolution, "--module", module],
        cwd=RECIPES,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


FALLBACK = """<!doctype html>
<link rel="icon" href="data:," />
<script type="importmap">
  { "imports": { "@laneway/kernel/browser": "./lib/browser/index.js" } }
</script>
<script type="module">
  import { connect } from "./fallback.js";
  window.connect = connect;
</script>
"""


async def test_a_page_falls_back_from_a_server_to_itself_and_back(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(FALLBACK)
    for name, target in {
        "lib": ROOT / "jskernel" / "lib",
        "kernel": KERNEL,
        "fallback.js": RECIPES / "src" / "fallback.js",
    }.items():
        (site / name).symlink_to(target)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = """async () => {
      const run = await python.execute("import sys; sys.platform");
      return (await run.done).result["text/plain"];
    }"""
    with serving(site) as address:
        allow = f"--ServerApp.allow_origin={address.rstrip('/')}"
        async with chromium_page() as page:
            await page.goto(address)
            await page.wait_for_function("window.connect")
            await page.evaluate(
                "(server) => { window.python = connect(server); }",
                {"url": f"http://127.0.0.1:{port}", "token": TOKEN},
            )
            assert await page.evaluate(where) == "'emscripten'"  # there is no server yet
            with jupyter_server(tmp_path, allow, port=port):
                await page.evaluate("python.reset()")
                assert await page.evaluate(where) == "'linux'"
                # what it defines is there for the next cell: it is the same kernel
                await page.evaluate("async () => void (await python.execute('number = 1')).done")
                kept = "async () => (await (await python.execute('number')).done).result['text/plain']"
                assert await page.evaluate(kept) == "1"
            # the server is gone: the cell that meets this fails, the next one runs in the page
            run = "python.execute('6 * 7').then((run) => run.done)"
            await page.evaluate(f"() => {run}.then(null, () => null)")
            await page.wait_for_function(f"() => {run}.then(() => true, () => false)")
            assert await page.evaluate(where) == "'emscripten'"
            with jupyter_server(tmp_path, allow, port=port):
                await page.evaluate("python.reset()")
                assert await page.evaluate(where) == "'linux'"
