"""Jupyter widgets in `<laneway-cell>`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from playwright.async_api import expect

from .cells import CellPage, cell, cells_page

pytestmark = pytest.mark.anyio

LABELS = ("One", "Two", "Three")


@pytest.fixture(scope="module")
async def cells() -> AsyncGenerator[CellPage, None]:
    async with cells_page("".join(cell(label, "pass", attributes="alone") for label in LABELS)) as page:
        yield page


async def test_a_slider_moves_a_label_and_two_cells_share_a_model(cells: CellPage) -> None:
    code = """
import ipywidgets as widgets
slider = widgets.IntSlider(value=3, max=9)
label = widgets.Label()
slider.observe(lambda change: setattr(label, "value", f"moved to {change.new}"), "value")
display(slider, label)
"""
    await cells.run("One", code)
    await cells.run("Two", "slider")
    first = cells.output("One").get_by_role("slider")
    second = cells.output("Two").get_by_role("slider")
    await expect(first).to_have_attribute("aria-valuenow", "3.0")
    await first.press("ArrowRight")
    await expect(cells.output("One")).to_contain_text("moved to 4")
    await expect(second).to_have_attribute("aria-valuenow", "4.0")
    await cells.run("Three", "slider.value = 7")
    await expect(first).to_have_attribute("aria-valuenow", "7.0")
    await cells.run("Three", "slider.close()")
    await expect(first).to_have_count(0)
    await expect(second).to_have_count(0)


async def test_what_a_button_prints_comes_to_its_cell_also_after_an_await(cells: CellPage) -> None:
    code = """
import asyncio, ipywidgets as widgets
button = widgets.Button(description="Press", icon="check")
out = widgets.Output()

async def later():
    await asyncio.sleep(0.05)
    print("after an await")
    with out:
        print("into the output")

@button.on_click
def pressed(_):
    global task
    print("at once")
    task = asyncio.create_task(later())

display(button, out)
"""
    await cells.run("One", code)
    await cells.run("Two", "pass")
    await cells.output("One").get_by_text("Press").click()
    await expect(cells.output("One")).to_contain_text("after an await")
    await expect(cells.output("One").locator(".laneway-widget-output")).to_have_text("into the output\n")
    await expect(cells.output("Two")).to_be_empty()
    await cells.run("Three", "out.outputs[0]['text']")
    await expect(cells.output("Three")).to_have_text("'into the output\\n'")


async def test_interact_and_output_capture_what_is_theirs(cells: CellPage) -> None:
    code = """
from ipywidgets import interact, Output
out = Output()
with out:
    print("within")
    display({"text/html": "<b>bold</b>"}, raw=True)
print("outside")

@interact(n=(0, 9))
def square(n=4):
    print("square", n * n)

out
"""
    await cells.run("One", code)
    outputs = cells.output("One").locator(".laneway-widget-output")
    await expect(outputs.nth(0)).to_have_text("square 16\n")
    await expect(outputs.nth(1)).to_contain_text("within")
    await expect(outputs.nth(1).locator("b")).to_have_text("bold")
    await expect(cells.output("One").locator("> .laneway-stream")).to_have_text("outside\n")
    await cells.output("One").get_by_role("slider").press("ArrowRight")
    await expect(outputs.nth(0)).to_have_text("square 25\n")


async def test_all_of_the_core_widgets_are_shown(cells: CellPage) -> None:
    code = """
import ipywidgets as w
box = w.VBox([
    w.Text("text"), w.Textarea("area"), w.Checkbox(True, description="check"),
    w.Dropdown(options=["a", "b"]), w.RadioButtons(options=["c", "d"]), w.ToggleButton(description="toggle"),
    w.FloatProgress(value=30, max=100), w.DatePicker(), w.ColorPicker(value="red"), w.HTML("<i>html</i>"),
    w.HTMLMath("$x^2$"), w.Valid(value=True), w.FloatRangeSlider(), w.SelectMultiple(options=["e"]),
    w.TagsInput(value=["tag"]), w.Play(), w.FileUpload(),
    w.Image(value=b"GIF89a", format="gif"), w.Accordion([w.Label("inside")], titles=["title"]),
    w.Tab([w.Label("inside")], titles=["tab"]),
])
box
"""
    await cells.run("One", code)
    shown = cells.output("One")
    await expect(shown.locator(".jupyter-widgets").first).to_be_visible()
    await expect(shown.locator(".widget-vbox > *")).to_have_count(20)
    await expect(shown.locator(".widget-htmlmath .katex")).to_have_count(1)
    await expect(shown.locator(".widget-play")).to_have_css("height", "28px")
    await expect(shown.get_by_text("Error displaying widget")).to_have_count(0)


async def test_an_anywidget(cells: CellPage) -> None:
    code = '''
import sys, types
try:
    import anywidget
except ImportError:  # what it is made of: the class is ipywidgets' own, with two more traits
    import ipywidgets, traitlets
    class AnyWidget(ipywidgets.DOMWidget):
        _model_name = traitlets.Unicode("AnyModel").tag(sync=True)
        _model_module = traitlets.Unicode("anywidget").tag(sync=True)
        _model_module_version = traitlets.Unicode("~0.11.0").tag(sync=True)
        _view_name = traitlets.Unicode("AnyView").tag(sync=True)
        _view_module = traitlets.Unicode("anywidget").tag(sync=True)
        _view_module_version = traitlets.Unicode("~0.11.0").tag(sync=True)
        _anywidget_id = traitlets.Unicode("page.Counter").tag(sync=True)
        _esm = traitlets.Unicode().tag(sync=True)
        count = traitlets.Int(0).tag(sync=True)
    anywidget = types.SimpleNamespace(AnyWidget=AnyWidget)
counter = anywidget.AnyWidget(_esm="""
export default { render({ model, el }) {
  const button = document.createElement("button");
  const show = () => (button.textContent = `counted ${model.get("count")}`);
  button.onclick = () => { model.set("count", model.get("count") + 1); model.save_changes(); };
  model.on("change:count", show);
  show();
  el.append(button);
} };
""")
counter
'''
    await cells.run("One", code)
    button = cells.output("One").get_by_role("button")
    await expect(button).to_have_text("counted 0")
    await button.click()
    await expect(button).to_have_text("counted 1")
    await cells.run("Two", "counter.count += 10")
    await expect(button).to_have_text("counted 11")


async def test_what_cannot_be_shown_says_so(cells: CellPage) -> None:
    code = """
import ipywidgets, traitlets
class Strange(ipywidgets.DOMWidget):
    _model_name = traitlets.Unicode("Strange").tag(sync=True)
    _model_module = traitlets.Unicode("jupyter-strange").tag(sync=True)
    _view_name = traitlets.Unicode("StrangeView").tag(sync=True)
    _view_module = traitlets.Unicode("jupyter-strange").tag(sync=True)
Strange()
"""
    await cells.run("One", code)
    await expect(cells.output("One")).to_contain_text(
        "Widgets of jupyter-strange cannot be shown in this page"
    )
    cells.complaints.clear()  # the libraries say so on the console, too


async def test_after_a_restart_they_say_that_they_are_dead(cells: CellPage) -> None:
    await cells.run("One", "import ipywidgets\nipywidgets.IntSlider()")
    await expect(cells.output("One").get_by_role("slider")).to_be_visible()
    await cells.button("Restart", "One").click()
    await expect(cells.output("One")).to_contain_text(
        "The kernel of this widget has ended; run the cell again."
    )
    await cells.run("One", "import ipywidgets\nipywidgets.IntSlider(5)")
    await expect(cells.output("One").get_by_role("slider")).to_have_attribute("aria-valuenow", "5.0")
