"""What SECURITY.md says of pages: the policy under which a kernel runs, and the frame in which none does."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.page import KERNEL, ROOT, chromium_page
from tests.static import StaticFiles, static_server

pytestmark = pytest.mark.anyio

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; "
    "img-src data:"
)

PAGE = """<!doctype html>
<title>A page</title>
<link rel="icon" href="data:," />
<script type="module" src="page.js"></script>
"""

SCRIPT = """
import { launch } from "./lib/browser/index.js";

window.run = async (code) => {
  const kc = await launch({ kernelURL: "kernel/" }).start();
  const { status, stdout } = await kc.execute(code).done;
  return [status, stdout];
};
"""


class Strict(StaticFiles):
    """Says the policy with each file; a frame in a sandbox may read them."""

    policy = POLICY

    def end_headers(self) -> None:
        """See the base."""
        self.send_header("Content-Security-Policy", f"{self.policy}; frame-src 'self'")
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


class Stricter(Strict):
    """Forgets WebAssembly."""

    policy = POLICY.replace(" 'wasm-unsafe-eval'", "")


@contextmanager
def serving_strictly(folder: Path, handler: type[Strict] = Strict) -> Generator[str]:
    """The address of the page."""
    (folder / "index.html").write_text(PAGE)
    (folder / "page.js").write_text(SCRIPT)
    (folder / "framed.html").write_text('<iframe sandbox="allow-scripts" src="index.html"></iframe>')
    (folder / "lib").symlink_to(ROOT / "jskernel" / "lib")
    (folder / "kernel").symlink_to(KERNEL)
    with static_server(folder, handler) as address:
        yield address


async def test_a_kernel_runs_under_the_policy(tmp_path: Path) -> None:
    with serving_strictly(tmp_path) as address:
        async with chromium_page() as page:
            await page.goto(address)
            await page.wait_for_function("'run' in window")
            assert await page.evaluate("run('print(6 * 7)')") == ["ok", "42\n"]


async def test_a_policy_that_forgets_webassembly_is_said(tmp_path: Path) -> None:
    with serving_strictly(tmp_path, Stricter) as address:
        async with chromium_page() as page:
            await page.goto(address)
            await page.wait_for_function("'run' in window")
            failure = await page.evaluate("run('1').catch(({ name, message }) => `${name}: ${message}`)")
    assert failure.startswith("KernelDiedError: Python cannot run in this page: its Content-Security-Policy")
    assert "add 'wasm-unsafe-eval' to script-src" in failure


async def test_no_kernel_in_a_sandbox_of_its_own_origin(tmp_path: Path) -> None:
    with serving_strictly(tmp_path) as address:
        async with chromium_page() as page:
            await page.goto(f"{address}framed.html")
            frame = page.frames[-1]
            await frame.wait_for_function("'run' in window")
            failure = await frame.evaluate("run('1').catch(({ name, message }) => `${name}: ${message}`)")
    assert failure.startswith("KernelDiedError: ")
    assert "cannot be accessed from origin 'null'" in failure
