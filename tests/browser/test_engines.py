"""The demo page and JupyterLite in Firefox and in WebKit: what the site's users do first."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engines import RemotePage, browsing, remote_page
from tests.page import ROOT, serving
from tests.static import StaticFiles, static_server

from .busy import BUSY
from .client import WORKER
from .debugger import CELLS, MODULE, OPEN, SAVE
from .hosting import NEW, OLD, Host, deploy, hosted
from .lite import DIST, NEW_KERNEL, WAIT
from .stalling import FAILURE, PATIENCE, RESULT, UNSEEN, WAITING, stalling

pytestmark = pytest.mark.anyio

ENGINES = ("firefox", pytest.param("webkit", marks=pytest.mark.engines), "webkit_shared")
ALL = ("firefox", "webkit", "webkit_shared")
JSPI = {"firefox"}
NO_JSPI = "asyncio.run() does not work, and nothing runs beside a cell that sleeps: this browser has no JSPI."

DEMO = """async () => {
  window.cell = (label) => document.querySelector(`laneway-cell[label="${label}"]`);
  window.press = (label, code) => {
    if (code) cell(label).code = code;
    const { run, stop } = window.buttons(label);
    (run.hidden ? stop : run).click();
  };
  window.buttons = (label) => {
    const find = (name) => cell(label).shadowRoot.querySelector(`button.${name}`);
    return { run: find("run"), stop: find("stop"), restart: find("restart") };
  };
  window.text = (label) => cell(label).querySelector(".laneway-outputs").textContent;
  window.state = (label) => cell(label).dataset.state;
  await customElements.whenDefined("laneway-cell");
}"""

MISSING = """async () => {
  const { launch } = await import(new URL("kernel/browser/index.js", document.baseURI));
  const { missing } = await import(new URL("kernel/common/index.js", document.baseURI));
  const kc = await launch({ kernelURL: "../lite/static/laneway/" }).start();
  await kc.close();
  return missing(kc.info);
}"""


@asynccontextmanager
async def opened(
    engine: str, page: str, *options: str, service_worker: bool = True
) -> AsyncGenerator[RemotePage, None]:
    """A page of the site, with its service worker or without; `options` are those of the server."""
    async with remote_page() as remote:
        with (
            site_for(remote, page, service_worker=service_worker) as site,
            serving(site, *options) as address,
            browsing(engine, f"{address}{page}"),
        ):
            yield remote


@contextmanager
def site_for(remote: RemotePage, page: str, *, service_worker: bool = True) -> Generator[Path, None, None]:
    """A folder with the site, whose `page` is the remote one."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        shutil.copytree(DIST, site, copy_function=os.symlink)
        file = site / page
        html = file.read_text()
        assert "</head>" in html
        if not service_worker:
            html, count = re.subn(r"<script [^>]*data-worker=.*?</script>", "", html)
            assert count == 1
        file.unlink()
        file.write_text(html.replace("</head>", f"{remote.script}</head>", 1))
        yield site


@pytest.mark.parametrize("engine", ENGINES)
async def test_demo(engine: str) -> None:
    """A cell's output, another beside it, what can be stopped and asked; and what cannot is said. Messages
    reach each kernel from the first: where no memory is shared it waits for the page's service worker.
    """
    async with opened(engine, "demo/index.html") as page:
        await page.evaluate(DEMO)
        await page.evaluate("() => press('Output as it comes')")
        await page.wait_for("() => text('Output as it comes').includes('step 1')")
        await page.evaluate("() => press('Beside another')")
        await page.wait_for("() => text('Beside another').includes('The other cell is at step')")
        await page.evaluate("() => press('Output as it comes')")
        await page.wait_for("() => state('Output as it comes') === 'stopped'")
        assert "KeyboardInterrupt" in await page.evaluate("() => text('Output as it comes')")
        assert await page.evaluate(MISSING) == ([] if engine in JSPI else [NO_JSPI])

        await page.evaluate("() => press('A question')")
        await page.wait_for("() => cell('A question').querySelector('form')")
        await page.evaluate(
            """() => {
              cell('A question').querySelector('form input').value = 'Ada';
              cell('A question').querySelector('form').requestSubmit();
            }"""
        )
        await page.wait_for("() => text('A question').includes('Hello, Ada!')")

        await page.evaluate("(code) => press('A computation', code)", BUSY["computes"])
        await page.wait_for("() => state('A computation') === 'running'")
        await page.evaluate("() => press('A computation')")
        await page.wait_for("() => state('A computation') === 'stopped'")
        await page.evaluate("() => press('Rich output')")
        await page.wait_for("() => cell('Rich output').querySelector('img')?.naturalWidth === 250")

        await page.evaluate("() => press('Widgets')")
        await page.wait_for("() => text('Widgets').includes('1, 4, 9, 16, 25, 36, 49')")


@pytest.mark.engines
async def test_without_shared_memory_and_service_worker() -> None:
    """What does not work is said, and a cell that computes can still be ended, with its kernel."""
    async with opened("webkit", "demo/index.html", service_worker=False) as page:
        await page.evaluate(DEMO)
        alone = "this browser shares no memory with workers"
        computing, jspi, asking, debugging = await page.evaluate(MISSING)
        assert computing == f"While a cell computes, nothing is answered or interrupted: {alone}."
        assert jspi == NO_JSPI
        assert asking == f"input() is not available: {alone}, and this browser has no JSPI."
        assert debugging == f"The debugger cannot stop code: {alone}, and this browser has no JSPI."
        await page.evaluate("() => press('A question')")
        await page.wait_for("(sentence) => text('A question').includes(sentence)", asking)
        await page.wait_for("() => state('A question') === 'failed'")
        await page.evaluate("(code) => press('A computation', code)", BUSY["computes"])
        await page.wait_for("() => state('A computation') === 'running'")
        await page.evaluate("() => press('A computation')")
        await page.wait_for("() => text('A computation').includes('Python does not stop')")
        await page.evaluate("() => buttons('A computation').restart.click()")
        await page.wait_for("() => text('A computation').includes('The kernel was restarted')")
        await page.evaluate("() => press('Output as it comes')")
        await page.wait_for("() => text('Output as it comes').includes('step 1')")
        # each worker holds a lock for as long as it lives
        await page.wait_for("async () => (await navigator.locks.query()).held.length === 1")


LITE = """async () => {
  while (!window.jupyterapp) await new Promise((resolve) => setTimeout(resolve, 50));
  const { commands } = window.jupyterapp;
  await window.jupyterapp.started;
  await window.jupyterapp.serviceManager.ready;
  await window.jupyterapp.serviceManager.kernelspecs.ready;
  const panel = await commands.execute("notebook:create-new", { kernelName: "laneway" });
  await panel.context.ready;
  await panel.sessionContext.ready;
  window.cell = panel.content.widgets[0];
  window.run = async (source) => {
    // an error shows before its cell has ended, and what is sent between is aborted
    await window.ran;
    cell.model.clearExecution();
    cell.model.sharedModel.setSource(source);
    window.ran = commands.execute("notebook:run-cell");
  };
  window.stop = () => commands.execute("notebook:interrupt-kernel");
  window.shown = () => JSON.stringify(cell.model.toJSON().outputs);
}"""


DEBUG = """async () => {
  window.cell = document.querySelector("laneway-cell[label=Mean]");
  window.press = (name) => cell.shadowRoot.querySelector(`button[aria-label="${name}: Mean"]`).click();
  window.where = () => cell.shadowRoot.querySelector(".where")?.textContent;
  window.shown = () => cell.shadowRoot.querySelector(".scopes")?.textContent;
  await customElements.whenDefined("laneway-cell");
  void cell.run();
}"""


@pytest.mark.engines
@pytest.mark.parametrize("engine", ["firefox", "webkit_shared"])
async def test_a_cell_is_debugged(engine: str) -> None:
    """That of the guide: it stops, steps and ends."""
    async with opened(engine, "docs/guide/debugging.html") as page:
        await page.evaluate(DEBUG)
        await page.wait_for("() => where() === 'Paused at line 3, in mean' && shown().includes('total: 14')")
        await page.evaluate("() => press('Step over')")
        await page.wait_for("() => where() === 'Paused at line 7'")
        for total in (8, 0):
            await page.evaluate("() => press('Continue')")
            await page.wait_for(
                f"() => where() === 'Paused at line 3, in mean' && shown().includes('total: {total}')"
            )
        await page.evaluate("() => press('Continue')")
        await page.wait_for("() => cell.dataset.state === 'failed'")
        assert "ZeroDivisionError" in await page.evaluate("() => cell.outputs.textContent")


@pytest.mark.engines
@pytest.mark.parametrize("server", ["isolates", "plain"])
@pytest.mark.parametrize("engine", ALL)
async def test_jupyterlite(engine: str, server: str) -> None:
    """A notebook whose cells are stopped, whatever they do. Where the server does not isolate the page,
    a service worker does, if that helps; it carries messages where no memory can be shared.
    """
    options = ["--no-isolation"] if server == "plain" else []
    async with opened(engine, "lite/lab/index.html", *options) as page:
        await page.evaluate(LITE)
        await page.evaluate('() => run(\'open("x.txt", "w").write("kept"); print(6 * 7)\')')
        await page.wait_for("() => shown().includes('42')")
        for code in BUSY.values():
            await page.evaluate("(code) => run(code)", code)
            await page.wait_for("() => shown().includes('ready')")
            await page.evaluate("() => stop()")
            await page.wait_for("() => shown().includes('KeyboardInterrupt')")
        await page.evaluate("() => run('print(open(\"x.txt\").read())')")
        await page.wait_for("() => shown().includes('kept')")


async def test_images_of_other_hosts_are_shown(tmp_path: Path) -> None:
    """Where a service worker isolates the page, too. (In WebKit they need CORS then, see lite/README.md.)"""
    (tmp_path / "image.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>")
    with static_server(tmp_path) as elsewhere:
        async with opened("firefox", "lite/lab/index.html", "--no-isolation") as page:
            await page.wait_for("() => crossOriginIsolated")
            width = await page.evaluate(
                """async (source) => {
                  const image = Object.assign(new Image(), { src: source });
                  await new Promise((done) => (image.onload = image.onerror = done));
                  return image.naturalWidth;
                }""",
                f"{elsewhere}image.svg",
            )
            assert width == 1


PANEL = """async () => {
  while (!window.jupyterapp) await new Promise((resolve) => setTimeout(resolve, 50));
  const { commands, serviceManager } = window.jupyterapp;
  await window.jupyterapp.started;
  await serviceManager.ready;
  await serviceManager.kernelspecs.ready;
  window.texts = (selector) => Array.from(document.querySelectorAll(selector), (one) => one.textContent);
  window.stack = () => texts(".jp-DebuggerCallstackFrame").join();
  window.variables = () => texts(".jp-DebuggerVariables jp-tree-item").join();
  window.breakpoints = () => texts(".jp-DebuggerBreakpoint-line").sort().join();
  window.outputs = () => texts(".jp-Notebook .jp-OutputArea-output").join();
  window.run = () => void (window.ran = commands.execute("notebook:run-all-cells").catch(() => null));
  window.press = (name) => Array.from(
    document.querySelectorAll(".jp-DebuggerSidebar jp-button"),
  ).find((button) => button.title.startsWith(name)).click();
}"""

ATTACH = """async () => {
  const bugs = document.getElementsByClassName("jp-DebuggerBugButton");
  const bug = () => Array.from(bugs).find((one) => one.offsetParent);
  const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
  while (bug()?.getAttribute("aria-disabled") !== "false") await pause();
  // see `Debugged.open`
  for (let turn = 0; bug().getAttribute("aria-pressed") !== "true"; turn += 1) {
    if (turn % 60 === 0) bug().click();
    await pause();
  }
  await window.jupyterapp.commands.execute("debugger:show-panel");
}"""

CLICK_BESIDE = """async ([cell, line]) => {
  const editor = document.querySelectorAll(".jp-Notebook .jp-CodeCell")[cell];
  const gutter = () => editor.querySelector(".cm-gutter.cm-breakpoint-gutter");
  while (!gutter()) await new Promise((resolve) => setTimeout(resolve, 50));
  const numbers = Array.from(editor.querySelectorAll(".cm-lineNumbers .cm-gutterElement"));
  const number = numbers.find(
    (one) => one.textContent === `${line}` && getComputedStyle(one).visibility !== "hidden",
  );
  const [row, column] = [number, gutter()].map((one) => one.getBoundingClientRect());
  const place = { clientX: column.x + column.width / 2, clientY: row.y + row.height / 2 };
  const target = document.elementFromPoint(place.clientX, place.clientY);
  for (const type of ["mousedown", "mouseup", "click"]) {
    target.dispatchEvent(new MouseEvent(type, { bubbles: true, cancelable: true, view: window, ...place }));
  }
}"""


@pytest.mark.engines
@pytest.mark.parametrize("server", ["isolates", "plain"])
async def test_jupyterlite_debugs(server: str) -> None:
    """JupyterLab's panel, shortly; at length in Chromium (`test_debugger.py`)."""
    options = ["--no-isolation"] if server == "plain" else []
    async with opened("firefox", "lite/lab/index.html", *options) as page:
        await page.evaluate(PANEL)
        await page.evaluate(OPEN, await page.evaluate(SAVE, [MODULE, CELLS]))
        await page.evaluate(ATTACH)
        await page.evaluate(CLICK_BESIDE, [1, 7])
        await page.wait_for("() => breakpoints() === '7'")
        await page.evaluate("() => run()")
        await page.wait_for("() => stack().startsWith('work') && variables().includes('number42')")
        await page.evaluate("() => press('Step In')")
        await page.wait_for("() => stack().startsWith('double')")
        await page.evaluate("() => press('Next')")
        await page.wait_for("() => variables().includes('twice84')")
        await page.evaluate("() => press('Continue')")
        # JupyterLab shows the stack for a while still
        await page.wait_for("() => outputs().includes('result 252') && stack() === ''")
        await page.evaluate("() => ran.then(() => null)")
        await page.evaluate("() => run()")
        await page.wait_for("() => stack().startsWith('work')")
        await page.evaluate("() => press('Terminate')")
        await page.wait_for("() => stack() === '' && outputs().includes('result 252')")


COW = "%pip install cowsay\nimport cowsay\ncowsay.cow('Moo')"

TEXT = "async (code) => (await window.run(code).finished).text"

KEPT = """async (names) => {
  const urls = (await (await caches.open("laneway")).keys()).map(({ url }) => url);
  return names.every((name) => urls.some((url) => url.includes(name)));
}"""


@pytest.mark.engines
@pytest.mark.parametrize("engine", ALL)
async def test_jupyterlite_offline(engine: str) -> None:
    """Visited once, on a host of static files; its kernel starts without a server, and has its package."""
    async with remote_page() as page:
        with (
            site_for(page, "lite/lab/index.html") as site,
            hosted(site) as server,
            browsing(engine, f"{server.address}lite/lab/index.html"),
        ):
            await page.evaluate(WAIT)
            await page.evaluate(NEW_KERNEL)
            assert "| Moo |" in await page.evaluate(TEXT, COW)
            quick = "memory.bin" if engine in JSPI else "first.bin"
            names = ["laneway.json", "/worker.", "asm.wasm", "files.bin", "python_stdlib.", quick, "cowsay-"]
            await page.wait_for(KEPT, names)
            server.stop()
            for _ in range(2):
                await page.reload()
                await page.evaluate(WAIT)
            await page.evaluate(NEW_KERNEL)
            assert "| Moo |" in await page.evaluate(TEXT, COW)


@pytest.mark.engines
@pytest.mark.parametrize("engine", ALL)
async def test_one_version_follows_the_other(engine: str, tmp_path: Path) -> None:
    """On a host that says nothing of how long its files are fresh, with files of a few bytes."""
    for path in (ROOT / "jskernel" / "dist").glob("*.js"):
        shutil.copy(path, tmp_path)
    get = "async (name) => (await window.get(`kernel/${name}`)).join(' ')"
    async with remote_page() as page:
        deploy(tmp_path, "1", OLD, page.script)
        with hosted(tmp_path) as server, browsing(engine, server.address):
            await page.wait_for("() => Boolean(navigator.serviceWorker.controller)")
            assert '"build": "1"' in await page.evaluate(get, "laneway.json")
            assert (
                await page.evaluate(get, f"wheels.{OLD}/a-1-py3.whl") == f"200 wheels.{OLD}/a-1-py3.whl of 1"
            )
            await page.wait_for(KEPT, ["laneway.json", f"wheels.{OLD}"])
            deploy(tmp_path, "2", NEW, page.script)
            await page.reload()
            assert await page.evaluate("() => document.title") == "2"
            assert '"build": "2"' in await page.evaluate(get, "laneway.json")
            await page.wait_for(KEPT, [f"wheels.{NEW}"])
            await page.wait_for(f"async () => !(await ({KEPT})(['{OLD}']))")
            server.stop()
            await page.reload()
            assert await page.evaluate("() => document.title") == "2"
            assert '"build": "2"' in await page.evaluate(get, "laneway.json")
            assert (
                await page.evaluate(get, f"wheels.{NEW}/a-2-py3.whl") == f"200 wheels.{NEW}/a-2-py3.whl of 2"
            )


HALF = """async (url) => {
  const [status, text] = await window.get(url).catch((error) => [0, `${error}`]);
  return text;
}"""


@pytest.mark.engines
@pytest.mark.parametrize("engine", ALL)
async def test_half_of_a_file_is_not_kept(engine: str, tmp_path: Path) -> None:
    """What has come until the server broke off is all to a page, once: the service worker loads it anew."""
    for path in (ROOT / "jskernel" / "dist").glob("*.js"):
        shutil.copy(path, tmp_path)
    never, other = f"data.{OLD}.txt", "data.txt"
    (tmp_path / never).write_text("never changes")
    (tmp_path / other).write_text("old")
    os.utime(tmp_path / other, (5e8, 5e8))
    get = "async (url) => (await window.get(url)).join(' ')"
    async with remote_page() as page:
        deploy(tmp_path, "1", OLD, page.script)
        with hosted(tmp_path) as server, browsing(engine, server.address):
            await page.wait_for("() => Boolean(navigator.serviceWorker.controller)")
            assert await page.evaluate(get, other) == "200 old"
            await page.wait_for(KEPT, [other])
            (tmp_path / other).write_text("newer")
            # Firefox asks once more for what it keeps, and WebKit has it still
            Host.halves = {f"/{never}": 2 if engine == "firefox" else 1, f"/{other}": 1}
            assert await page.evaluate(HALF, never) != "never changes"
            assert await page.evaluate(HALF, other) != "newer"
            await page.wait_for(KEPT, [never])
            newer = f"async (url) => (await ({get})(url)) === '200 newer'"
            await page.wait_for(newer, other)
            server.stop()
            assert await page.evaluate(get, never) == "200 never changes"
            await page.wait_for(newer, other)


@pytest.mark.engines
@pytest.mark.parametrize("engine", ALL)
async def test_an_import_whose_package_does_not_come(engine: str, tmp_path: Path) -> None:
    """Where memory is shared all is answered while it waits, and it can be interrupted; else it ends by
    itself.
    """
    async with remote_page() as page:
        with stalling(tmp_path, True, page.script) as (address, go_on), browsing(engine, address):
            await page.wait_for("() => Boolean(window.launch)")
            await page.evaluate(WORKER, "kernel/")
            if engine == "webkit":
                await page.evaluate(RESULT, PATIENCE.format("UNREACHED") + "; 0")
                said = await page.evaluate(FAILURE, UNSEEN)
                assert said.startswith("PackageError: pydantic-core cannot be loaded from http")
            else:
                await page.evaluate(WAITING, UNSEEN)
                assert await page.evaluate(
                    "async () => (await kc.complete('impo')).matches.includes('import')"
                )
                await page.evaluate("() => kc.interrupt()")
                name = await page.evaluate("async () => (await waiting.done).error.ename")
                assert name == "KeyboardInterrupt"
            go_on.set()
            assert await page.evaluate(RESULT, UNSEEN) == "3"


@pytest.mark.engines
@pytest.mark.parametrize("engine", ALL)
async def test_pip_and_a_server_that_breaks_off(engine: str) -> None:
    """In WebKit the error of a failed fetch was none to Pyodide: that cell, and all after it, hung."""
    well: list[bool] = []

    class Breaking(StaticFiles):
        def send_head(self) -> Any:
            if well or "cowsay" not in self.path:
                return super().send_head()
            self.connection.shutdown(socket.SHUT_RDWR)
            return None

    async with remote_page() as page:
        with (
            site_for(page, "lite/lab/index.html") as site,
            static_server(site, Breaking) as address,
            browsing(engine, f"{address}lite/lab/index.html"),
        ):
            await page.evaluate(WAIT)
            await page.evaluate(NEW_KERNEL)
            said = await page.evaluate(TEXT, "%pip install cowsay")
            assert "UsageError: cowsay cannot be installed: it has not come, or not whole." in said
            well.append(True)
            assert "| Moo |" in await page.evaluate(TEXT, COW)
