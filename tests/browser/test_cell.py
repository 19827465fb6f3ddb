"""`<laneway-cell>` in a plain page, as its readers use it."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Request, expect

from tests.page import KERNEL, chromium_page, serving

from .cells import CELL, CellPage, cell, cells_page

pytestmark = pytest.mark.anyio

NUMBERED = '<laneway-cell label="{}" alone><div class="highlight">{}</div></laneway-cell>'
"""As Pygments numbers lines, in either of its styles."""

HTML = "".join(
    [
        cell("Above", "import math\nnumber = 20\nprint('above')"),
        cell("Built", "number + 1", '<pre class="laneway-text">as it was built</pre>'),
        cell("Failing", "1 / 0", attributes='kernel="failing"'),
        cell("Behind", "print('behind')", attributes='kernel="failing"'),
        cell("Hidden", "prepared = 'by the set-up'", attributes='setup kernel="second"'),
        cell("Second", "print(prepared, 'number' in globals())", attributes='kernel="second"'),
        cell("Free", "print('free')", attributes="alone"),
        cell("Other", "print('other')", attributes="alone"),
        cell("Beside", "print('beside', step)", attributes='alone mode="task"'),
        cell("Fixed", "print('fixed')", attributes="alone readonly"),
        cell("Boxed", "print('boxed')", attributes="alone sandbox"),
        cell("Result", "print('result')", "as it was built", "alone hide-code"),
        cell("Below", "print('from below')", "as it was built", "alone code-below"),
        NUMBERED.format(
            "Numbered",
            '<pre><span class="linenos">7</span>number = 1\n<span class="linenos">8</span>number</pre>',
        ),
        NUMBERED.format(
            "Table",
            '<table><tr><td class="linenos"><div class="linenodiv"><pre>7\n8</pre></div></td>'
            '<td class="code"><div><pre>number = 1\nnumber</pre></div></td></tr></table>',
        ),
        cell("Raising", "seen = ['raising']; 1 / 0", attributes='kernel="third" raises'),
        cell("Unseen", "seen.append('unseen')", attributes='kernel="third" hidden'),
        cell("Elsewhere", "seen.append('elsewhere')", attributes='kernel="third" chain="other"'),
        cell("Branch", "print(seen)", attributes='kernel="third" chain="branch"'),
        '<laneway-cell label="Written" kernel="third"><pre>print(seen)</pre>'
        '<div class="laneway-outputs"><pre class="laneway-stream">as it was built</pre></div></laneway-cell>',
        cell("Broken", "no_such_name", attributes='kernel="third" hidden'),
        cell("Last", "print('last')", attributes='kernel="third"'),
        cell("Preparing", "prepared = []", attributes='kernel="third" setup chain="trying"'),
        cell("Wrong", "wrong", attributes='kernel="third" chain="trying" allow-errors'),
        cell("Trying", "prepared.append(1); print(prepared)", attributes='kernel="third" chain="trying"'),
    ]
)


@pytest.fixture(scope="module")
async def cells() -> AsyncGenerator[CellPage, None]:
    async with cells_page(HTML) as page:
        yield page


async def test_what_pages_and_readers_load_is_small() -> None:
    """kB of gzip: a page without an awake cell 15, the first awake cell 190 besides the kernel."""
    loaded: list[str] = []

    def sum_up() -> float:
        names = {url.rpartition("/")[2] for url in loaded if "/cell/" in url}
        return sum(len(gzip.compress((CELL / name).read_bytes())) for name in names) / 1000

    async with cells_page(HTML) as cells:

        def note(request: Request) -> None:
            loaded.append(request.url)

        cells.page.context.on("request", note)
        await cells.page.reload()
        await cells.page.wait_for_selector("laneway-cell[data-state]", state="attached")
        await cells.page.wait_for_load_state("networkidle")
        assert 0 < sum_up() <= 15
        assert not any("/kernel/" in url for url in loaded)
        assert cells.page.workers == []
        await cells.run("Free")
        assert sum_up() <= 50
        await cells.button("Edit", "Free").click()
        await expect(cells.editor("Free")).to_be_focused()
        assert 100 < sum_up() <= 190
        assert not any(re.search("markdown|latex|manager|debugging", url) for url in loaded)


async def test_the_page_of_the_readme_works_when_copied(tmp_path: Path) -> None:
    readme = (CELL.parent / "README.md").read_text()
    html = re.search(r"```html\n(<!doctype.*?)```", readme, re.DOTALL)
    assert html
    (tmp_path / "index.html").write_text(html[1])
    (tmp_path / "laneway").symlink_to(KERNEL)  # as `python -m laneway_lite kernel laneway` makes it
    with serving(tmp_path) as address:
        async with chromium_page() as page:
            await page.goto(address)
            await expect(page.locator("laneway-cell").nth(1)).to_contain_text("45")
            await expect(page.locator("laneway-cell").nth(0)).to_contain_text("Hello from 3.")


async def test_built_output_is_there_until_the_cell_has_another_and_can_be_had_back(cells: CellPage) -> None:
    await expect(cells.output("Built")).to_have_text("as it was built")
    await cells.run("Built")
    # what is above has run first
    await expect(cells.output("Above")).to_have_text("above\n")
    await expect(cells.output("Built")).to_have_text("21")
    await expect(cells.button("Run", "Built").locator("..")).to_contain_text("Done [2]")
    await cells.run("Built", "number + 2")
    await expect(cells.output("Built")).to_have_text("22")
    await expect(cells.button("Run", "Built").locator("..")).to_contain_text(
        "Done [3]"
    )  # above is not run again
    await cells.button("Reset", "Built").click()
    await expect(cells.output("Built")).to_have_text("as it was built")
    await expect(cells.editor("Built")).to_have_text("number + 1")
    await expect(cells.editor("Built")).to_be_focused()


async def test_groups_have_kernels_of_their_own_and_what_prepares_them_runs_unseen(cells: CellPage) -> None:
    await expect(cells.cell("Hidden")).to_be_hidden()
    await cells.run("Second")
    await expect(cells.output("Second")).to_have_text("by the set-up False\n")
    await expect(cells.cell("Hidden")).to_be_hidden()


async def test_what_a_cell_depends_on_has_failed(cells: CellPage) -> None:
    await cells.run("Behind")
    await expect(cells.output("Failing")).to_contain_text("ZeroDivisionError")
    await expect(cells.button("Run", "Behind").locator("..")).to_contain_text("Not run")
    await cells.run("Behind")  # who wants it nevertheless has it
    await expect(cells.output("Behind")).to_have_text("behind\n")
    await cells.write("Failing", "print('mended')")
    await cells.button("Run above", "Behind").click()
    await expect(cells.output("Failing")).to_have_text("mended\n")
    await expect(cells.output("Behind")).to_have_text("behind\n")


async def test_an_error_that_is_expected_hidden_cells_and_chains(cells: CellPage) -> None:
    shown = cells.cell("Written").locator(".laneway-outputs")
    await expect(shown).to_have_count(1)  # the author's is the cell's
    await expect(shown).to_have_text("as it was built")
    await cells.run("Branch")  # what it needs is in no chain
    await expect(cells.output("Branch")).to_have_text("['raising', 'unseen']\n")
    await cells.run("Written")
    await expect(shown).to_have_text("['raising', 'unseen']\n")
    await expect(cells.output("Raising")).to_contain_text("ZeroDivisionError")
    await cells.state("Raising", "done")
    await expect(cells.cell("Unseen")).to_be_hidden()
    await expect(cells.cell("Elsewhere")).to_have_attribute("data-state", "asleep")
    await cells.run("Last")
    await expect(cells.cell("Broken")).to_be_visible()
    await expect(cells.output("Broken")).to_contain_text("NameError")
    await cells.run("Trying")
    await cells.state("Wrong", "failed")
    await expect(cells.output("Trying")).to_have_text("[1]\n")
    await cells.run("Branch", "prepared = 'of another chain'; seen = 'too'")
    await cells.run("Trying")  # which does not disturb it
    await expect(cells.output("Trying")).to_have_text("[1, 1]\n")
    await cells.run("Written")
    await expect(shown).to_have_text("['raising', 'unseen']\n")


async def test_a_cell_is_stopped_another_runs_beside_it_and_the_names_stay(cells: CellPage) -> None:
    # it prints once: a button that moves is easily missed
    code = "import asyncio\nprint('began')\nfor step in range(1000):\n    await asyncio.sleep(0.05)"
    await cells.write("Free", code)
    await cells.button("Run", "Free").click()
    await expect(cells.output("Free")).to_contain_text("began")
    await cells.run("Beside")
    await expect(cells.output("Beside")).to_contain_text("beside")
    await cells.button("Stop", "Free").click()
    await cells.state("Free", "stopped")
    await expect(cells.output("Free")).to_contain_text("KeyboardInterrupt")
    await expect(cells.button("Run", "Free")).to_be_focused()


async def test_a_question_is_asked_in_its_cell(cells: CellPage) -> None:
    await cells.write("Free", "name = input('Your name? ')\nprint(f'Hello, {name}!')")
    await cells.editor("Free").press("Shift+Enter")
    answer = cells.cell("Free").get_by_label("Your name?")
    await expect(answer).to_be_focused()
    await cells.state("Free", "asking")
    await answer.fill("Ada")
    await answer.press("Enter")
    await cells.state("Free", "done")
    await expect(cells.output("Free")).to_have_text("Your name? Ada\nHello, Ada!\n")
    await expect(cells.editor("Free")).to_be_focused()


async def test_displays_are_updated_across_cells_and_late_outputs_find_their_cell(cells: CellPage) -> None:
    await cells.run("Free", "handle = display('old', display_id='shared')")
    await expect(cells.output("Free")).to_have_text("'old'")
    await cells.run("Other", "handle.update('new')\nprint('updated')")
    await expect(cells.output("Free")).to_have_text("'new'")
    await expect(cells.output("Other")).to_have_text("updated\n")
    late = (
        "import asyncio\n"
        "go = asyncio.Event()\n"
        "async def later():\n"
        "    await go.wait()\n"
        "    print('late')\n"
        "task = asyncio.create_task(later())"
    )
    await cells.run("Free", late)
    await cells.run("Other", "go.set()\nprint('set')")
    await expect(cells.output("Free")).to_have_text("late\n")
    await expect(cells.output("Other")).to_have_text("set\n")


async def test_streams_as_a_terminal_shows_them(cells: CellPage) -> None:
    code = (
        "print('\\x1b[1;38;5;196mred\\x1b[0m plain \\x1b[38;2;0;200;0mgreen\\x1b[39m', end='')\n"
        "print('\\rover', flush=True)\n"
        "for i in range(3): print(f'\\r{i}%', end='', flush=True)"
    )
    await cells.run("Free", code)
    assert (await cells.output("Free").inner_text()).split() == ["over", "2%"]
    await cells.run(
        "Free",
        "import sys\nprint('\\x1b[1;38;5;196mred\\x1b[0m and \\x1b[32mgreen')\nprint(1, file=sys.stderr)",
    )
    await expect(cells.output("Free").locator(".ansi-red-fg.ansi-bold")).to_have_text("red")
    await expect(cells.output("Free").locator(".ansi-green-fg")).to_have_text("green\n")
    await expect(cells.output("Free").locator(".laneway-stderr")).to_have_text("1\n")
    await cells.run("Free", "from IPython.display import clear_output\nprint(1)\nclear_output()\nprint(2)")
    await expect(cells.output("Free")).to_have_text("2\n")
    await cells.run("Free", "print('shown'); clear_output(wait=True)")  # nothing comes to take its place
    await expect(cells.output("Free")).to_have_text("shown\n")
    await cells.run(
        "Free", "print('<\\x1b[31mhttps://example.org/a?b=1&c=2\\x1b[0m>, see http://example.org/.')"
    )
    links = cells.output("Free").get_by_role("link")
    assert [await link.get_attribute("href") for link in await links.all()] == [
        "https://example.org/a?b=1&c=2",
        "http://example.org/",
    ]
    await cells.run("Free", "print('x' * 1_000_000)")
    await expect(cells.output("Free")).to_contain_text("There is more output, which is not shown.")
    assert len(await cells.output("Free").inner_text()) < 300_000


async def test_an_error_has_frames_that_fold(cells: CellPage) -> None:
    await cells.run("Free", "import json\njson.loads('[')")
    error = cells.output("Free").locator(".laneway-error")
    await expect(error).to_contain_text("JSONDecodeError")
    frames = error.locator("details")
    opened = [await frame.get_attribute("open") is not None for frame in await frames.all()]
    assert opened[0]  # the reader's own
    assert not all(opened)
    assert opened[-1]  # where it happened
    assert "\x1b" not in await error.inner_text()


async def test_all_kinds_of_output(cells: CellPage) -> None:
    code = """
from IPython.display import *
display(HTML("<b id='bold'>bold</b><script>document.getElementById('bold').dataset.ran = 1</script>"))
display(Markdown("# Title\\n\\n| a | b |\\n|---|:-:|\\n| $x_1^2$ |\\n\\n<img src='data:,' onerror=alert(1)>"))
display(Math(r"\\frac{1}{2}"), Latex(r"\\begin{equation}a_1\\end{equation}"))
display(Math(r"\\newcommand{\\R}{r}\\newcommand{\\mine}[1]{#1^2}\\mine\\R"), Math(r"\\mine{z}"))
display(HTML("<table border=1><tr><td>cell</table>"))
display(HTML("<style>b { color: rgb(1, 2, 3) }</style><b>own</b>"), metadata={"isolated": True})
display(SVG("<svg xmlns='http://www.w3.org/2000/svg' width='40' height='30'/>"))
display(JSON({"a": [1, {"b": None}]}, root="top"))
pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
display({"image/png": pixel}, raw=True, metadata={"image/png": {"width": 50}})
display({"image/png": pixel}, raw=True, metadata={"image/png": {"width": 5000, "unconfined": True}})
display(Javascript("element.textContent = 'from a script'"))
display(Javascript("throw new Error('wrong')"))
display({"application/x-unknown": "?"}, raw=True)
display("for a while", display_id="gone")
update_display({}, raw=True, display_id="gone")
"""
    await cells.run("Free", code)
    shown = cells.output("Free")
    await expect(shown.locator("#bold")).to_have_attribute("data-ran", "1")
    await expect(shown.locator(".laneway-markdown h1")).to_have_text("Title")
    await expect(shown.locator(".laneway-markdown table .katex")).to_have_count(1)
    await expect(shown.locator(".laneway-markdown td").nth(0)).to_have_css("text-align", "start")
    await expect(shown.locator(".laneway-markdown td").nth(1)).to_have_css("text-align", "center")
    assert await shown.locator(".laneway-markdown img").get_attribute("onerror") is None
    await expect(shown.locator(".laneway-latex .katex")).to_have_count(4)
    await expect(shown.locator(".laneway-latex .katex-error")).to_have_count(0)
    await expect(shown.locator(".laneway-latex .katex").last).to_contain_text("z")
    number = "(element) => getComputedStyle(element, '::before').content"  # of an equation
    assert await shown.locator(".laneway-latex .eqn-num").first.evaluate(number) == "none"
    await expect(shown.locator(".laneway-html table")).to_have_css("border-top-width", "0px")
    isolated = shown.frame_locator("iframe").locator("b")
    await expect(isolated).to_have_css("color", "rgb(1, 2, 3)")
    await expect(shown.locator("#bold")).not_to_have_css("color", "rgb(1, 2, 3)")
    await expect(shown.locator("img[src^='data:image/svg']")).to_have_js_property("naturalWidth", 40)
    await expect(shown.locator(".laneway-json")).to_contain_text("a: [2]")
    await expect(shown.locator(".laneway-json")).to_contain_text("top: {1}")
    pictures = shown.locator("img[src^='data:image/png']")
    await expect(pictures.nth(0)).to_have_js_property("width", 50)
    await expect(pictures.nth(1)).to_have_js_property("width", 5000)
    await expect(shown.locator(".laneway-script").nth(0)).to_have_text("from a script")
    await expect(shown.locator(".laneway-script .laneway-said")).to_have_text("Javascript Error: wrong")
    await expect(shown.locator(".laneway-display").nth(-2)).to_contain_text("no form that can be shown here")
    await expect(shown.locator(".laneway-display").last).to_be_empty()


async def test_a_page_of_help_is_shown_and_code_is_loaded(cells: CellPage) -> None:
    await cells.run("Free", "len?")
    await expect(cells.output("Free")).to_contain_text("Return the number of items in a container.")
    await cells.write("Free", "%%writefile loaded.py\nprint(1)")
    await cells.run("Free")
    await cells.run("Free", "%load loaded.py")
    await expect(cells.editor("Free")).to_contain_text("print(1)")


async def test_html_of_a_cell_that_is_sandboxed_cannot_reach_the_page(cells: CellPage) -> None:
    script = "try { parent.document.title = 'reached' } catch { document.body.append('kept out') }"
    await cells.run(
        "Boxed", f"display({{'text/html': \"<p>in a frame</p><script>{script}</script>\"}}, raw=True)"
    )
    frame = cells.output("Boxed").frame_locator("iframe")
    await expect(frame.locator("body")).to_contain_text("in a frame")
    await expect(frame.locator("body")).to_contain_text("kept out")
    assert await cells.page.title() == "Cells"
    await cells.run("Boxed", "display({'application/javascript': 'document.title = 1'}, raw=True)")
    await expect(cells.output("Boxed")).to_contain_text("does not run in this cell")


async def test_completion_with_kinds_and_documentation(cells: CellPage) -> None:
    await cells.run("Free", "import math")
    await cells.write("Free", "'🐍'; math.co")
    await cells.editor("Free").press("End")
    await cells.editor("Free").press("Tab")
    options = cells.page.get_by_role("option")
    await expect(options.first).to_be_visible()
    names = await options.locator(".cm-completionLabel").all_inner_texts()
    assert {"comb", "copysign", "cos"} <= {name.rpartition(".")[2] for name in names}
    await expect(options.first.locator(".cm-completionDetail")).to_have_text("function")
    await expect(cells.page.locator(".cm-completionInfo")).to_contain_text("Docstring")
    await cells.page.keyboard.press("Enter")
    text = await cells.editor("Free").inner_text()
    assert text == f"'🐍'; math.{names[0].rpartition('.')[2]}"
    await cells.page.keyboard.press("Shift+Tab")
    await expect(cells.page.locator(".documentation")).to_contain_text("Docstring")
    await cells.page.keyboard.press("Escape")
    await expect(cells.page.locator(".documentation")).to_have_count(0)


async def test_the_keyboard_can_do_all_and_leave_the_editor(cells: CellPage) -> None:
    await cells.write("Free", "print('by keys')")
    await cells.editor("Free").press("Shift+Enter")
    await cells.state("Free", "done")
    await expect(cells.output("Free")).to_have_text("by keys\n")
    await cells.page.keyboard.press("Escape")
    await cells.page.keyboard.press("Tab")
    await expect(cells.button("Run", "Free")).to_be_focused()
    await cells.page.keyboard.press("Shift+Tab")
    await expect(cells.editor("Free")).to_be_focused()


async def test_a_cell_that_is_read_only_runs_and_is_not_edited(cells: CellPage) -> None:
    await expect(cells.button("Edit", "Fixed")).to_be_hidden()
    await cells.run("Fixed")
    await expect(cells.output("Fixed")).to_have_text("fixed\n")
    await cells.cell("Fixed").locator("pre").first.click()
    await expect(cells.editor("Fixed")).to_have_count(0)


async def test_code_that_is_hidden_or_below_its_output(cells: CellPage) -> None:
    await expect(cells.cell("Result").locator("pre").first).to_be_hidden()
    await expect(cells.button("Edit", "Result")).to_be_hidden()
    await expect(cells.output("Result")).to_have_text("as it was built")
    await cells.run("Result")
    await expect(cells.output("Result")).to_have_text("result\n")
    await expect(cells.cell("Result").locator("pre").first).to_be_hidden()
    await cells.run("Below", "print('still below')")
    await expect(cells.output("Below")).to_have_text("still below\n")
    above, below = [await place.bounding_box() for place in (cells.output("Below"), cells.editor("Below"))]
    assert above
    assert below
    assert above["y"] < below["y"]


@pytest.mark.parametrize("label", ["Numbered", "Table"])
async def test_numbers_of_lines_are_not_code(cells: CellPage, label: str) -> None:
    assert await cells.cell(label).evaluate("(cell) => cell.code") == "number = 1\nnumber"
    await cells.run(label)
    await expect(cells.output(label)).to_have_text("1\n")
    await cells.write(label, "number = 2\nnumber\nnumber + 1")
    await expect(cells.cell(label).locator(".cm-lineNumbers")).to_contain_text("789")
    await cells.button("Reset", label).click()
    assert await cells.cell(label).evaluate("(cell) => cell.code") == "number = 1\nnumber"


async def test_death_is_said_and_the_next_run_starts_anew(cells: CellPage) -> None:
    await cells.write("Free", "import asyncio\nawait asyncio.sleep(1000)")
    await cells.button("Run", "Free").click()
    await cells.state("Free", "running")
    await cells.run("Beside", "import os\nos._exit(3)")
    for label in ("Beside", "Free"):
        await expect(cells.output(label)).to_contain_text("Python has stopped for good")
        await cells.state(label, "failed")
    await cells.complained("Program terminated with exit(3)")  # by Pyodide's own words
    await cells.run("Built")  # and what is above
    await expect(cells.output("Built")).to_have_text("21")
    await cells.button("Restart", "Built").click()
    await cells.run("Free", "'number' in globals()")
    await expect(cells.output("Free")).to_have_text("False")
