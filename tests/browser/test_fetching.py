"""Without shared memory and without JSPI: the worker fetches messages through the service worker."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from .busy import BUSY
from .lite import DIST, Notebook, jupyterlite

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, but for a browser that has no JSPI: none can be told to do without."""
    folder = tmp_path_factory.mktemp("site") / "site"
    shutil.copytree(DIST, folder, copy_function=os.link)
    kernel = folder / "lite" / "static" / "laneway"
    (worker,) = kernel.glob("worker.*.js")
    source = worker.read_text()
    worker.unlink()  # it is a link
    worker.write_text(f"delete WebAssembly.Suspending; delete WebAssembly.promising; {source}")
    manifest = json.loads((kernel / "laneway.json").read_text())
    del manifest["quick"]["memory"]  # the page, which has JSPI, would try it
    (kernel / "laneway.json").unlink()
    (kernel / "laneway.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
async def page(site: Path) -> AsyncGenerator[Page, None]:
    async with jupyterlite("--no-isolation", isolate=False, site=site) as (page, _strangers):
        yield page


@pytest.fixture(scope="module")
async def notebook(page: Page) -> Notebook:
    return await Notebook.new(page)


async def test_capabilities(page: Page) -> None:
    info = await page.evaluate("async () => (await window.kernel.requestKernelInfo()).content.laneway")
    assert (info["jspi"], info["cross_origin_isolated"]) == (False, False)
    assert (info["input"], info["answers_while_blocking"], info["interrupts_blocking"]) == (True, True, True)
    (sentence,) = info["missing"]
    assert "asyncio.run() does not work" in sentence


async def test_input(notebook: Notebook) -> None:
    code = "import getpass\nname = input('name? ')\nword = getpass.getpass('word? ')\nprint(name, word)"
    (cell,) = await notebook.run(code)
    for prompt, text in (("name? ", "Ada"), ("word? ", "secret")):
        await expect(cell.locator(".jp-Stdin-prompt").last).to_have_text(prompt)
        await cell.locator("input.jp-Stdin-input").last.fill(text)
        await cell.locator("input.jp-Stdin-input").last.press("Enter")
    await expect(cell.locator(".jp-OutputArea-output").last).to_have_text("Ada secret\n")


BLOCKING = {
    "input": "input('ready')",
    "sleep": BUSY["sleeps"],
    "loop": BUSY["computes"],
}


@pytest.mark.parametrize("code", BLOCKING.values(), ids=BLOCKING)
async def test_stopping(notebook: Notebook, code: str) -> None:
    await notebook.run("kept = 'kept'")
    (cell,) = await notebook.run(code)
    await expect(cell.locator(".jp-OutputArea").get_by_text("ready")).to_be_visible()
    await notebook.interrupt()
    await expect(cell.locator(".jp-OutputArea")).to_contain_text("KeyboardInterrupt")
    (after,) = await notebook.run("print(kept)")
    await expect(after.locator(".jp-OutputArea-output")).to_have_text("kept\n")


@pytest.mark.parametrize("code", BLOCKING.values(), ids=BLOCKING)
async def test_every_request_is_answered_once_meanwhile(page: Page, code: str) -> None:
    """Also those that are on their way when the code begins to block, or when it ends."""
    answers, meanwhile, ename = await page.evaluate(
        """async (code) => {
          const { kernel } = window;
          const answers = [];
          const complete = async () => {
            const { parent_header, content } = await kernel.requestComplete({ code: "impo", cursor_pos: 4 });
            if (content.matches.includes("import")) answers.push(parent_header.msg_id);
          };
          const requests = [complete(), complete()];
          const future = kernel.requestExecute({ code, allow_stdin: true });
          const began = new Promise((resolve) => {
            future.onStdin = resolve;
            future.onIOPub = ({ header }) => header.msg_type === "stream" && resolve();
          });
          for (let i = 0; i < 20; i++) requests.push(complete());
          await began;
          for (let i = 0; i < 20; i++) requests.push(complete());
          await Promise.all(requests);
          const meanwhile = answers.length;
          await kernel.interrupt();
          for (let i = 0; i < 20; i++) requests.push(complete());
          await Promise.all(requests);
          return [answers, meanwhile, (await future.done).content.ename];
        }""",
        code,
    )
    assert (len(answers), len(set(answers)), meanwhile) == (62, 62, 42)
    assert ename == "KeyboardInterrupt"


async def test_without_a_service_worker_it_is_said_what_is_missing(site: Path) -> None:
    async with jupyterlite("--no-isolation", service_workers=False, site=site) as (page, _strangers):
        ename, evalue = await page.evaluate(
            """async () => {
              const future = window.kernel.requestExecute({ code: "input()", allow_stdin: true });
              const { content } = await future.done;
              return [content.ename, content.evalue];
            }"""
        )
        assert ename == "StdinNotImplementedError"
        assert "has no service worker, and this browser has no JSPI" in evalue
        info = await page.evaluate("async () => (await window.kernel.requestKernelInfo()).content.laneway")
        assert info["input"] is False
        for sentence in info["missing"]:
            await expect(page.locator(".Toastify__toast").filter(has_text=sentence)).to_be_visible()
        subjects = ("Files", "While a cell computes", "asyncio.run()", "input()", "The debugger")
        for sentence, subject in zip(info["missing"], subjects, strict=True):
            assert sentence.startswith(subject)
