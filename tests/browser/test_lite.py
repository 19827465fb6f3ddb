"""Laneway in JupyterLite, as its users have it: in Chromium, through the app's own kernel connection."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import nbformat
import pytest
from nbclient import NotebookClient
from playwright.async_api import Page, Route, expect

from tests.page import ROOT, chromium_page, serving

from .busy import BUSY, BUSY_OR_ASKING
from .lite import DIST, WAIT, Notebook, jupyterlite, run_notebook, start_kernel

pytestmark = pytest.mark.anyio

NOTEBOOKS = ROOT / "site" / "notebooks"


_SAVE_NOTEBOOK = """async ([source, name, content]) => {
  const { contents } = window.jupyterapp.serviceManager;
  const folder = (await contents.newUntitled({ type: "directory" })).path; // there is a space in its name
  await contents.save(`${folder}/${name}`, { type: "file", format: "text", content });
  const cell = { cell_type: "code", id: "c", execution_count: null, metadata: {}, outputs: [], source };
  const kernelspec = { name: "laneway", display_name: "Python (Laneway)" };
  const notebook = { cells: [cell], metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5 };
  const path = `${folder}/notebook.ipynb`;
  await contents.save(path, { type: "notebook", format: "json", content: notebook });
  return path;
}"""


@pytest.fixture(scope="module")
async def opened() -> AsyncGenerator[tuple[Page, list[str]], None]:
    async with jupyterlite() as lite:
        yield lite


@pytest.fixture
def page(opened: tuple[Page, list[str]]) -> Page:
    return opened[0]


async def test_it_is_the_default_kernel(page: Page) -> None:
    name, display_name = await page.evaluate(
        "() => { const { specs } = window.jupyterapp.serviceManager.kernelspecs;"
        " return [specs.default, specs.kernelspecs.laneway.display_name]; }"
    )
    assert (name, display_name) == ("laneway", "Python (Laneway)")


async def test_one_plus_one(page: Page) -> None:
    outputs = await page.evaluate("async () => (await window.run('1+1').finished).outputs")
    assert [output["data"]["text/plain"] for output in outputs] == ["2"]


async def test_all_is_answered_while_a_cell_awaits(page: Page) -> None:
    completion, inspection, info, done, text = await page.evaluate(
        """async () => {
          const cell = window.run(`
            import asyncio
            answered = asyncio.Event()
            print("ready")
            await answered.wait()
            print("went on")`.replaceAll("\\n            ", "\\n"));
          await cell.until("ready");
          const { kernel } = window;
          const completion = await kernel.requestComplete({ code: "impo", cursor_pos: 4 });
          const inspection = await kernel.requestInspect({ code: "len", cursor_pos: 3, detail_level: 0 });
          const info = await kernel.requestKernelInfo();
          const done = cell.done;
          await window.run("# task\\nanswered.set()").finished;
          await cell.finished;
          return [completion.content.matches, inspection.content.found, info.content.status, done, cell.text];
        }"""
    )
    assert "import" in completion
    assert inspection is True
    assert info == "ok"
    assert done is False
    assert text == "ready\nwent on\n"


@pytest.mark.parametrize("code", BUSY.values(), ids=BUSY)
async def test_fifty_of_fifty_are_answered_as_when_idle_while_a_cell(page: Page, code: str) -> None:
    same, done, ename = await page.evaluate(
        """async (code) => {
          const { kernel } = window;
          const ask = async () => JSON.stringify([
            (await kernel.requestComplete({ code: "import os\\nos.pa", cursor_pos: 15 })).content,
            (await kernel.requestInspect({ code: "len", cursor_pos: 3, detail_level: 0 })).content,
            (await kernel.requestKernelInfo()).content,
          ]);
          await window.run("import os").finished;
          const idle = await ask();
          const cell = window.run(code);
          await cell.until("ready");
          let same = 0;
          for (let i = 0; i < 50; i++) same += (await ask()) === idle;
          const { done } = cell;
          await kernel.interrupt();
          await cell.finished;
          return [same, done, cell.reply.ename];
        }""",
        code,
    )
    assert (same, done, ename) == (50, False, "KeyboardInterrupt")


@pytest.mark.parametrize("code", BUSY_OR_ASKING.values(), ids=BUSY_OR_ASKING)
async def test_twenty_of_twenty_interrupts_arrive_when_a_cell(page: Page, code: str) -> None:
    interrupted, kept = await page.evaluate(
        """async (code) => {
          await window.run("kept = 'kept'").finished;
          let interrupted = 0;
          for (let i = 0; i < 20; i++) {
            const future = window.kernel.requestExecute({ code, allow_stdin: true });
            const asks = code.includes("input()");
            await new Promise((resolve) => {
              future.onStdin = resolve;
              future.onIOPub = ({ header }) => header.msg_type === "stream" && !asks && resolve();
            });
            await window.kernel.interrupt();
            interrupted += (await future.done).content.ename === "KeyboardInterrupt";
          }
          return [interrupted, (await window.run("print(kept)").finished).text];
        }""",
        code,
    )
    assert (interrupted, kept) == (20, "kept\n")


async def test_a_comm_message_reaches_a_cell_that_awaits_it(page: Page) -> None:
    text = await page.evaluate(
        """async () => {
          const opened = new Promise((resolve) => window.kernel.registerCommTarget("test", resolve));
          const cell = window.run(`
            import asyncio, comm
            got = asyncio.get_running_loop().create_future()
            c = comm.create_comm(target_name="test")
            c.on_msg(lambda m: got.set_result((m["content"]["data"], [bytes(b) for b in m["buffers"]])))
            print(await got)`.replaceAll("\\n            ", "\\n"));
          const comm = await opened;
          comm.send({ hello: "cell" }, {}, [new Uint8Array([1, 2, 3]).buffer]);
          await cell.finished;
          return cell.text;
        }"""
    )
    assert text == "({'hello': 'cell'}, [b'\\x01\\x02\\x03'])\n"


async def test_a_second_cell_starts_right_after_the_first(page: Page) -> None:
    code = "import asyncio\nprint('ready')\nawait asyncio.sleep(0.3)\nprint('first')"
    first_done, gap, order = await page.evaluate(
        """async (code) => {
          const first = window.run(code);
          const second = window.run("print('second')");
          await second.finished;
          return [first.done, second.began - first.ended, first.text + second.text];
        }""",
        code,
    )
    assert first_done is True
    assert order == "ready\nfirst\nsecond\n"
    assert gap < 1000  # milliseconds: it did not wait for anything else


async def test_task_cells_overlap(page: Page) -> None:
    texts = await page.evaluate(
        """async () => {
          const meet = (me, other) => `# task
import asyncio
${me}_here = asyncio.Event()
print("ready")
while "${other}_here" not in globals(): await asyncio.sleep(0.01)
${me}_here.set()
await ${other}_here.wait()
print("met")`;
          const cells = [window.run(meet("a", "b")), window.run(meet("b", "a"))];
          await Promise.all(cells.map((cell) => cell.finished));
          return cells.map((cell) => cell.text);
        }"""
    )
    assert texts == ["ready\nmet\n"] * 2


async def test_interrupting_an_await(page: Page) -> None:
    ename, kept = await page.evaluate(
        """async () => {
          const cell = window.run("import asyncio\\nkept = 1\\nprint('ready')\\nawait asyncio.sleep(1000)");
          await cell.until("ready");
          await window.kernel.interrupt();
          await cell.finished;
          return [cell.reply.ename, (await window.run("print(kept)").finished).text];
        }"""
    )
    assert (ename, kept) == ("KeyboardInterrupt", "1\n")


async def test_input(page: Page) -> None:
    text = await page.evaluate(
        """async () => {
          const future = window.kernel.requestExecute({ code: "print(input('name? '))", allow_stdin: true });
          let text = "";
          future.onIOPub = (message) => (text += message.content.text ?? "");
          future.onStdin = (message) => {
            text += message.content.prompt;
            future.sendInputReply({ value: "Ada", status: "ok" }, message.header);
          };
          await future.done;
          return text;
        }"""
    )
    assert text == "name? Ada\n"


async def test_pip(page: Page) -> None:
    code = "%pip install cowsay\nimport cowsay\ncowsay.cow('Moo')"
    moo = await page.evaluate("async (code) => await window.run(code).finished", code)
    assert moo["status"] == "ok", moo
    assert "| Moo |" in moo["text"]


async def test_pip_says_why_it_cannot() -> None:
    """On a page of its own, which asks the Python Package Index as well: here it cannot be reached."""
    code = "%pip install no-such-package-anywhere"
    async with jupyterlite() as (page, _strangers):
        unknown = await page.evaluate("async (code) => await window.run(code).finished", code)
    assert unknown["status"] == "error"
    assert "no-such-package-anywhere cannot be installed" in unknown["reply"]["evalue"]
    assert len(unknown["reply"]["traceback"]) == 1


async def test_twenty_thousand_prints_are_few_messages(page: Page) -> None:
    count, text = await page.evaluate(
        """async () => {
          const future = window.kernel.requestExecute({ code: "for i in range(20_000): print(i)" });
          let count = 0;
          let text = "";
          future.onIOPub = ({ header, content }) => {
            if (header.msg_type === "stream") [count, text] = [count + 1, text + content.text];
          };
          await future.done;
          return [count, text];
        }"""
    )
    assert text == "".join(f"{i}\n" for i in range(20_000))
    assert count <= 50


def desktop(name: str) -> list[dict[str, Any]]:
    """The code cells of a notebook after nbclient has run it with the kernel of the desktop."""
    notebook: Any = nbformat.read(NOTEBOOKS / name, as_version=4)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def plain(cells: list[dict[str, Any]]) -> list[Any]:
    """What the cells show, without what differs from run to run: identities, and where files lie."""
    shown: list[Any] = []
    for cell in cells:
        outputs: list[Any] = []
        for output in cell["outputs"]:
            match output["output_type"]:
                case "stream":
                    text = "".join(output["text"])
                    if outputs and outputs[-1][0] == output["name"]:
                        text = outputs.pop()[1] + text
                    outputs.append((output["name"], text))
                case "error":
                    outputs.append((output["ename"], output["evalue"]))
                case kind:
                    data = {mime: _constant(value) for mime, value in output["data"].items()}
                    outputs.append((kind, data, output.get("execution_count")))
        shown.append(outputs)
    return shown


def _constant(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "..." if key == "model_id" else _constant(item) for key, item in value.items()}
    text = "".join(value) if isinstance(value, list) and all(isinstance(x, str) for x in value) else value
    return re.sub(r"0x[0-9a-f]+", "0x...", text) if isinstance(text, str) else text


@pytest.mark.parametrize("name", ["tour.ipynb", "widgets.ipynb", "wasm-wheels.ipynb"])
async def test_a_notebook_shows_what_it_shows_on_the_desktop(page: Page, name: str) -> None:
    assert plain(await run_notebook(page, name)) == plain(desktop(name))


BUTTON = """{install}
import {library}
import ipywidgets as widgets

pressed = {library}.Event()
button = widgets.Button(description="Press for {library}")
button.on_click(lambda _: pressed.set())
display(button)
await {wait}
print("pressed it")
"""


async def test_a_click_reaches_the_cell_that_awaits_it(page: Page) -> None:
    """As users write it, in queue mode; with other backends: `tests/apps/test_button.py`."""
    notebook = await Notebook.new(page)
    for library in ("asyncio", "anyio", "aiologic"):
        wait = "pressed" if library == "aiologic" else "pressed.wait()"
        install = "%pip install aiologic" if library == "aiologic" else ""
        cell, behind = await notebook.run(
            BUTTON.format(library=library, wait=wait, install=install), "print('behind')"
        )
        await cell.get_by_role("button", name=f"Press for {library}").click()
        await expect(cell).to_contain_text("pressed it")
        await expect(behind).to_contain_text("behind")


async def slide(page: Page, key: str, label: str) -> None:
    """Press a key on the slider of widgets.ipynb; its label is to follow."""
    await page.locator(".jp-Notebook:visible .widget-slider .noUi-handle").first.focus()
    await page.keyboard.press(key)
    await expect(page.locator(".jp-Notebook:visible .widget-label").filter(has_text=label)).to_be_visible()


async def test_a_slider_moves_a_label(page: Page) -> None:
    await run_notebook(page, "widgets.ipynb")
    await slide(page, "End", "10 lanes")


async def test_a_slider_moves_a_label_while_a_cell_sleeps(page: Page) -> None:
    await run_notebook(page, "widgets.ipynb")
    await page.evaluate(
        """async () => {
          const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
          window.sleeper = kernel.requestExecute({ code: "import time\\nprint('ready')\\ntime.sleep(1000)" });
          await new Promise((resolve) => {
            window.sleeper.onIOPub = ({ header }) => header.msg_type === "stream" && resolve();
          });
        }"""
    )
    await slide(page, "Home", "0 lanes")
    ename = await page.evaluate(
        """async () => {
          await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt();
          return (await window.sleeper.done).content.ename;
        }"""
    )
    assert ename == "KeyboardInterrupt"


@pytest.mark.parametrize(
    ("options", "isolate"),
    [((), True), (("--no-isolation",), True), (("--no-isolation",), False)],
    ids=["isolated by the server", "isolated by the service worker", "not isolated"],
)
async def test_files_beside_a_notebook_in_a_folder(options: tuple[str, ...], isolate: bool) -> None:
    """Read by relative path; what a cell writes there is among JupyterLite's files."""
    source = (
        "from pathlib import Path\n"
        "text = Path('notes é.txt').read_text()\n"
        "Path('written.txt').write_text(text.upper())\n"
        "print(text)"
    )
    async with jupyterlite(*options, isolate=isolate, kernel=False) as (page, strangers):
        path = await page.evaluate(_SAVE_NOTEBOOK, [source, "notes é.txt", "über alles"])
        (cell,) = await run_notebook(page, path)
        written = await page.evaluate(
            """async (path) => {
              // as the text editor does
              const options = { type: "file", format: "text", content: true };
              return (await window.jupyterapp.serviceManager.contents.get(path, options)).content;
            }""",
            path.rpartition("/")[0] + "/written.txt",
        )
        assert strangers == []
    assert plain([cell]) == [[("stdout", "über alles\n")]]
    assert written == "ÜBER ALLES"


async def test_no_request_has_left_the_site(opened: tuple[Page, list[str]]) -> None:
    """Of all that the tests before have done."""
    assert opened[1] == []


@pytest.mark.parametrize("app", ["notebooks", "repl", "consoles"])
async def test_the_other_apps(app: str) -> None:
    async with jupyterlite(app=app) as (page, strangers):
        outputs = await page.evaluate("async () => (await window.run('1+1').finished).outputs")
        assert [output["data"]["text/plain"] for output in outputs] == ["2"]
        assert strangers == []


async def test_the_first_kernel_is_started_with_the_page() -> None:
    async with jupyterlite(kernel=False) as (page, _strangers):
        while not page.workers:
            await page.wait_for_event("worker")
        started = page.workers
        await start_kernel(page)
        assert page.workers == started  # it was taken, and no other is started


async def test_the_notice_of_a_start() -> None:
    """It tells of a start that was under way before the notebook was made. And it goes away, even where the
    page was busy and hears of the start's last step and of its end at once.
    """
    noticed = anyio.Event()

    async def hold(route: Route) -> None:
        await noticed.wait()
        await route.continue_()

    with serving(DIST) as address:
        async with chromium_page(service_workers=False) as page:
            warned: list[str] = []
            page.on("console", lambda said: warned.append(said.text) if "another way" in said.text else None)
            await page.route(re.compile(r"/memory\.bin"), hold)
            async with page.expect_request(re.compile(r"/memory\.bin")):
                await page.goto(f"{address}lite/lab/index.html")
                await page.evaluate(WAIT)
            notice = page.locator(".Toastify__toast").filter(has_text="Starting Python")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(Notebook.new, page)
                await expect(notice).to_be_visible()
                noticed.set()
                await page.evaluate("() => { const end = Date.now() + 3000; while (Date.now() < end); }")
            await notice.wait_for(state="detached")
            assert warned == []  # it was this start that it told of
