"""The example notebooks of the site, run by nbclient on the desktop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "site" / "notebooks"


def outputs(name: str) -> list[list[dict[str, Any]]]:
    """The outputs of each code cell."""
    notebook: Any = nbformat.read(NOTEBOOKS / name, as_version=4)
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(NOTEBOOKS)}})
    assert notebook.metadata.kernelspec.name == "laneway"
    client.execute()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]


def text(cell: list[dict[str, Any]]) -> str:
    """What a cell has printed."""
    return "".join(output["text"] for output in cell if output["output_type"] == "stream")


def mime_types(cell: list[dict[str, Any]]) -> list[set[str]]:
    """The forms of each display and result of a cell."""
    return [set(output["data"]) for output in cell if "data" in output]


def test_the_tour() -> None:
    hello, rich, svg, updated, error, awaiting, gathered, button, pressed, table = outputs("tour.ipynb")
    assert text(hello) == "Hello from Python 🐍\n"
    assert hello[-1]["data"] == {"text/plain": "2"}
    assert [types - {"text/plain"} for types in mime_types(rich)] == [
        {"text/html"},
        {"text/markdown"},
        {"application/json"},
    ]
    assert "image/svg+xml" in svg[0]["data"]
    assert [output["data"]["text/markdown"] for output in updated] == ["A display can be **updated** later."]
    assert [output["ename"] for output in error] == ["ZeroDivisionError"]
    assert text(awaiting) == "0 1 2 done\n"
    assert gathered[-1]["data"]["text/plain"] == "['a', 'b', 'c']"
    assert "application/vnd.jupyter.widget-view+json" in button[0]["data"]
    assert text(pressed) == "The button was pressed.\n"
    assert "execute_request" in text(table)


def test_widgets() -> None:
    sliders, moved, progress, bars = outputs("widgets.ipynb")
    assert "application/vnd.jupyter.widget-view+json" in sliders[0]["data"]
    assert moved[-1]["data"]["text/plain"] == "'7 lanes'"
    assert "application/vnd.jupyter.widget-view+json" in progress[0]["data"]
    assert "application/vnd.jupyter.widget-view+json" in bars[0]["data"]
