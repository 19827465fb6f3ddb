"""JupyterLab's debugger, driven as its users do: the same session in JupyterLite and on the desktop."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from playwright.async_api import Locator, Page, expect

from .lite import WAIT

MODULE = """\
def triple(n):
    thrice = n * 3
    return thrice
"""

CELLS = (
    """\
def double(n):
    twice = n * 2
    return twice""",
    """\
import tripling
class Bad:
    def __repr__(self):
        raise ValueError("no repr")
def work():
    number, text, things, bad = 42, "hello", [1, {"k": (1, 2)}], Bad()
    first = double(number)
    second = tripling.triple(first)
    return second
print("result", work())""",
)

SAVE = """async ([module, cells]) => {
  const { contents } = window.jupyterapp.serviceManager;
  const folder = (await contents.newUntitled({ type: "directory" })).path;
  await contents.save(`${folder}/tripling.py`, { type: "file", format: "text", content: module });
  const path = `${folder}/debugged.ipynb`;
  const kernelspec = { name: "laneway", display_name: "Python (Laneway)" };
  const content = {
    cells: cells.map((source, at) => (
      { cell_type: "code", id: `cell-${at}`, execution_count: null, metadata: {}, outputs: [], source }
    )),
    metadata: { kernelspec }, nbformat: 4, nbformat_minor: 5,
  };
  await contents.save(path, { type: "notebook", format: "json", content });
  return path;
}"""

OPEN = """async (path) => {
  const { commands } = window.jupyterapp;
  await window.jupyterapp.started;
  window.notebook = await commands.execute("docmanager:open", { path });
  await window.notebook.context.ready;
  await window.notebook.sessionContext.ready;
}"""

_OPENED = """async () => {
  const { shell } = window.jupyterapp;
  while (!shell.currentWidget?.context) await new Promise((resolve) => setTimeout(resolve, 50));
  window.notebook = shell.currentWidget;
  await window.notebook.context.ready;
  await window.notebook.sessionContext.ready;
}"""

_BREAKPOINTS = """(lines) => Array.from(
  document.querySelectorAll(".jp-DebuggerBreakpoint-line"), (line) => line.textContent,
).sort().join() === lines"""

_COMPLETE = """async () => {
  const { kernel } = window.notebook.sessionContext.session;
  return (await kernel.requestComplete({ code: "impo", cursor_pos: 4 })).content.matches;
}"""

_RESTART = "() => window.notebook.sessionContext.session.kernel.restart()"

_ATTACHED = """async ([wanted, seconds]) => {
  const { kernel } = window.notebook.sessionContext.session;
  const request = { type: "request", seq: 0, command: "debugInfo" };
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const { body } = (await kernel.requestDebug(request).done).content;
    const lines = body.breakpoints.flatMap(({ breakpoints }) => breakpoints.map(({ line }) => line));
    const missing = wanted.filter((line) => !lines.includes(line));
    if (body.isStarted && (missing.length === 0 || performance.now() > end)) return missing;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}"""

Button = Literal["Continue", "Terminate", "Next", "Step In", "Step Out", "Evaluate Code"]


async def save_notebook(page: Page) -> str:
    """Write the notebook that is debugged, and its module, into a new folder; returns the notebook's path."""
    return await page.evaluate(SAVE, [MODULE, CELLS])


@dataclass
class Debugged:
    """A notebook with JupyterLab's debugger."""

    page: Page
    app: Literal["lab", "notebooks"]
    """JupyterLab or Notebook, by its folder in JupyterLite."""

    @classmethod
    async def open(cls, page: Page, path: str, app: Literal["lab", "notebooks"]) -> Debugged:
        """Open it, and press the bug."""
        if app == "lab":
            await page.evaluate(OPEN, path)
        else:  # which shows one notebook, and is a page of its own
            await page.goto(re.sub(r"/\w+/index.html.*", f"/{app}/index.html?path={path}", page.url))
            await page.evaluate(WAIT)
            await page.evaluate(_OPENED)
        notebook = cls(page, app)
        bug = page.locator(".jp-DebuggerBugButton:visible")
        gutter = notebook.cell(0).locator(".cm-gutter.cm-breakpoint-gutter")
        await expect(bug).to_have_attribute("aria-disabled", "false")
        # JupyterLab may still ask the kernel for its state, twice in Notebook, and then forgets that it was
        # pressed, be it after it has shown so; its user presses again
        for patience in (3_000, 3_000, 3_000, 30_000):
            if await bug.get_attribute("aria-pressed") != "true":
                await bug.click()
            with suppress(AssertionError):
                await expect(gutter).to_be_visible(timeout=patience)
                await page.evaluate("window.jupyterapp.commands.execute('debugger:show-panel')")
                await expect(page.locator(".jp-DebuggerSidebar")).to_be_visible()
                await expect(gutter).to_be_visible(timeout=0)
                break
        await expect(gutter).to_be_visible()
        return notebook

    def cell(self, at: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(at)

    async def click_beside(self, editor: Locator, line: int) -> None:
        """Click in the gutter, left of a line's number."""
        number = editor.locator(".cm-lineNumbers .cm-gutterElement:visible")
        box = await number.filter(has_text=re.compile(f"^{line}$")).bounding_box()
        gutter = await editor.locator(".cm-gutter.cm-breakpoint-gutter").bounding_box()
        assert box
        assert gutter
        await self.page.mouse.click(gutter["x"] + gutter["width"] / 2, box["y"] + box["height"] / 2)

    async def breakpoints(self, *expected: str) -> None:
        """Wait until the panel shows these: line numbers, in whatever order."""
        await self.page.wait_for_function(_BREAKPOINTS, arg=",".join(sorted(expected)))

    async def attached_again(self, *lines: int) -> None:
        """Wait until the panel has attached anew, and has said again where to stop: in a line of each cell.

        A second after the state of a cell has changed its editor says so, too. When both do so at once,
        JupyterLab loses breakpoints, its own marks included; its user sets them again.
        """
        for patience in (5, 5, 5, 30):
            missing = await self.page.evaluate(_ATTACHED, [lines, patience])
            if not missing:
                return
            for line in missing:
                await self.click_beside(self.cell(lines.index(line)), line)
        raise AssertionError(f"JupyterLab has lost the breakpoints in {missing} again and again.")

    async def run(self) -> None:
        """Run all cells."""
        await self.page.evaluate(
            "() => { void window.jupyterapp.commands.execute('notebook:run-all-cells').catch(() => 0); }"
        )

    async def stopped(self, *frames: tuple[str, int]) -> None:
        """Wait until the panel shows these frames, by name and line, the innermost first."""
        shown = self.page.locator(".jp-DebuggerCallstackFrame")
        patterns = [re.compile(rf"^{re.escape(name)}.*:{line}$") for name, line in frames]
        await expect(shown).to_have_text(patterns)

    async def press(self, name: Button) -> None:
        """Press a button of the panel."""
        toolbar = self.page.get_by_role("toolbar", name="Callstack panel toolbar")
        await toolbar.get_by_role("button", name=re.compile(f"^{name}")).click()

    async def variables(self, **expected: str) -> None:
        """Wait until the panel shows these variables."""
        for name, value in expected.items():
            named = self.page.locator(".jp-DebuggerVariables-name").get_by_text(name, exact=True)
            await expect(named.locator("+ .jp-DebuggerVariables-detail").first).to_have_text(value)

    async def render(self, name: str) -> Locator:
        """Press the glass beside a variable; returns what JupyterLab shows of it then."""
        named = self.page.locator("> .jp-DebuggerVariables-name").get_by_text(name, exact=True)
        item = self.page.locator(".jp-DebuggerVariables jp-tree-item", has=named)
        await item.dispatch_event("mouseover")  # the panel's folds may be closed
        await item.locator(".jp-DebuggerVariables-renderVariable").dispatch_event("click")
        return self.page.locator(".jp-VariableRendererPanel-renderer")

    async def evaluate(self, code: str) -> Locator:
        """Run code in the debug console, in the selected frame; returns what the console has put out."""
        console = self.page.locator(".jp-DebugConsole")
        if not await console.is_visible():
            await self.press("Evaluate Code")
            if self.app == "notebooks":  # which keeps it below, closed
                await self.pull_up()
        prompt = console.locator(".jp-CodeConsole-promptCell .cm-content")
        await prompt.click()
        await self.page.keyboard.insert_text(code)
        await self.page.evaluate("window.jupyterapp.commands.execute('debugger:run-in-console')")
        await expect(prompt).to_have_text("")
        return console.locator(".jp-OutputArea-output")

    async def pull_up(self) -> None:
        """Make room for what lies below the notebook."""
        handle = self.page.locator("#jp-main-vsplit-panel > .lm-SplitPanel-handle:visible")
        box = await handle.bounding_box()
        assert box
        await self.page.mouse.move(box["x"] + 100, box["y"])
        await self.page.mouse.down()
        await self.page.mouse.move(box["x"] + 100, box["y"] - 200)
        await self.page.mouse.up()

    async def shot(self, name: str) -> None:
        """Save a picture, where `LANEWAY_SHOTS` names a folder."""
        if folder := os.environ.get("LANEWAY_SHOTS"):
            await self.page.screenshot(path=f"{folder}/{name}.png")

    async def output(self, text: str | re.Pattern[str]) -> None:
        """Wait until the last cell shows this."""
        await expect(self.cell(len(CELLS) - 1).locator(".jp-OutputArea-output")).to_have_text(text)


async def debug_notebook(page: Page, path: str, app: Literal["lab", "notebooks"] = "lab") -> None:
    """What its users do in a session: breakpoints in a cell, in a function of an earlier cell, in a module;
    steps, values, evaluation; restart, termination and interrupt while stopped.
    """
    module = ("<module>", 10)
    debugged = await Debugged.open(page, path, app)
    await debugged.click_beside(debugged.cell(0), 3)
    await debugged.click_beside(debugged.cell(1), 7)
    await debugged.breakpoints("3", "7")
    await debugged.run()
    await debugged.stopped(("work", 7), module)
    await debugged.variables(number="42", text="'hello'", things="list", bad="Bad")
    await debugged.shot("stopped")
    await debugged.press("Step In")
    await debugged.stopped(("double", 2), ("work", 7), module)
    await debugged.press("Next")
    await debugged.stopped(("double", 3), ("work", 7), module)
    await debugged.variables(n="42", twice="84")
    await expect(await debugged.evaluate("twice + 1")).to_have_text(["85"])
    await expect(await debugged.evaluate("twice = 100")).to_have_text(["85", ""])
    await expect(await debugged.evaluate("twice")).to_have_text(["85", "", "100"])
    await debugged.shot("evaluated")
    await debugged.press("Step Out")
    await debugged.stopped(("work", 7), module)
    await debugged.press("Next")
    await debugged.stopped(("work", 8), module)
    await debugged.variables(first="100")
    assert "import" in await page.evaluate(_COMPLETE)
    await debugged.press("Step In")
    await debugged.stopped(("triple", 2), ("work", 8), module)
    await debugged.click_beside(page.locator(".jp-CodeMirrorEditor:visible", has_text="thrice"), 3)
    await debugged.breakpoints("3", "7", "3")
    await debugged.shot("module")
    await debugged.press("Continue")
    await debugged.stopped(("triple", 3), ("work", 8), module)
    await debugged.variables(thrice="300")
    await debugged.press("Continue")
    await debugged.output("result 300")
    await debugged.stopped()

    for _ in range(3):
        await debugged.run()
        await debugged.stopped(("work", 7), module)
        await page.evaluate(_RESTART)
        await debugged.stopped()
        await debugged.attached_again(3, 7)
    await debugged.shot("restarted")
    await debugged.run()
    await debugged.stopped(("work", 7), module)
    if app == "lab":  # Notebook has no room for it
        await expect(await debugged.render("things")).to_have_text("[1, {'k': (1, 2)}]")
        await debugged.shot("rendered")
    await debugged.press("Terminate")
    await debugged.output("result 252")
    await debugged.stopped()
    await debugged.attached_again(3, 7)
    await debugged.run()
    await debugged.stopped(("work", 7), module)
    await page.evaluate("() => { void window.notebook.sessionContext.session.kernel.interrupt(); }")
    await debugged.output(re.compile("KeyboardInterrupt"))
    await debugged.stopped()
    await debugged.shot("interrupted")
