"""The example notebooks of the site, run by nbclient on the desktop; and what nbclient's own tests, and those
of papermill, testbook and jupyter_server, expect of the kernel that is called python3.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

import laneway

NOTEBOOKS = Path(__file__).parents[2] / "site" / "notebooks"


def outputs(name: str, **options: Any) -> list[list[dict[str, Any]]]:
    """The outputs of each code cell."""
    notebook: Any = nbformat.read(NOTEBOOKS / name, as_version=4)
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(NOTEBOOKS)}}, **options)
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
    """By our client: jupyter_client's may miss the reply of a cell with an output widget, to which nbclient
    sends while the reply arrives (jupyter_client#1059), and finds it when its time is over.
    """
    sliders, moved, progress, bars = outputs(
        "widgets.ipynb", kernel_manager_class=laneway.ConcurrentKernelManager
    )
    assert "application/vnd.jupyter.widget-view+json" in sliders[0]["data"]
    assert moved[-1]["data"]["text/plain"] == "'7 lanes'"
    assert "application/vnd.jupyter.widget-view+json" in progress[0]["data"]
    assert "application/vnd.jupyter.widget-view+json" in bars[0]["data"]


@pytest.fixture
def python3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernelspec of this name that is ours: nbclient has arguments for it that are IPython's."""
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "laneway", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python", "language": "python"}  # interrupted by signals
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))


def run(*cells: str, **options: Any) -> list[list[dict[str, Any]]]:
    """The outputs of each cell of a notebook."""
    notebook: Any = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3", timeout=60, **options).execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.mark.usefixtures("python3")
def test_in_the_place_of_python3() -> None:
    sends = """
ip = get_ipython()
def send(msg_type, text):
    content = {"data": {"text/plain": text}, "metadata": {}, "transient": {"display_id": "the-id"}}
    ip.kernel.session.send(ip.kernel.iopub_socket, msg_type, content, parent=ip.parent_header)
send("display_data", "first")
"""
    where, shown, changed = run(
        "print(get_ipython().history_manager.hist_file)", sends, "send('update_display_data', 'second')"
    )
    assert text(where) == ":memory:\n"
    assert [output["data"]["text/plain"] for output in shown] == ["second"]
    assert changed == []


@pytest.mark.usefixtures("python3")
def test_errors_are_those_that_programs_know() -> None:
    with pytest.raises(CellExecutionError) as failed:
        run("input('name? ')")
    assert failed.value.ename == "StdinNotImplementedError"
    assert failed.value.evalue == "raw_input was called, but this frontend does not support input requests."
    with pytest.raises(CellExecutionError) as failed:
        run("class Bad:\n    def __repr__(self): raise ValueError('bad')\nBad()")
    assert (failed.value.ename, failed.value.evalue) == ("ValueError", "bad")
    with pytest.raises(DeadKernelError):
        run("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nimport time; time.sleep(60)")


@pytest.mark.usefixtures("python3")
def test_a_cell_that_takes_too_long_is_interrupted() -> None:
    def seconds(cell: Any) -> int:
        return 1 if "sleep" in cell.source else 60

    slow, after = run(
        "import time; time.sleep(60)",
        "1",
        timeout_func=seconds,
        interrupt_on_timeout=True,
        allow_errors=True,
    )
    assert [output["ename"] for output in slow] == ["KeyboardInterrupt"]
    assert [output["data"]["text/plain"] for output in after] == ["1"]
