"""What is kept of what cells have shown."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from IPython.core.getipython import get_ipython

from laneway.interpreter import outputs as outputs_module
from laneway.interpreter.outputs import Outputs

from .test_ipython import execute, running

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def own_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))


def texts(outputs: Outputs) -> dict[int, list[Any]]:
    return {count: [each.bundle["text/plain"] for each in cell] for count, cell in outputs.items()}


def history() -> Any:
    shell = get_ipython()
    assert shell
    return shell.history_manager


def test_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs_module, "LIMIT", 15_000)
    outputs = Outputs(nullcontext)
    for number in range(1000):
        outputs.keep(number // 2, "display_data", {"text/plain": f"{number:1000}"}, f"id {number}")
    kept = [int(text) for cell in texts(outputs).values() for text in cell]
    assert kept == [*range(1000 - len(kept), 1000)]
    assert 5 < len(kept) < 10
    assert len(outputs._displays) == len(kept)  # pyright: ignore[reportPrivateUsage]
    outputs.revise("id 999", {"text/plain": "x" * 14_000})
    assert texts(outputs) == {499: ["x" * 14_000]}


def test_the_latest_cells_are_kept() -> None:
    outputs = Outputs(nullcontext)
    for number in range(3000):
        outputs.keep(number, "execute_result", {"text/plain": ""})
    assert [*outputs] == [*range(3000 - outputs_module.CELLS, 3000)]


def test_a_display_is_kept_as_it_is_now() -> None:
    outputs = Outputs(nullcontext)
    outputs.keep(1, "display_data", {"text/plain": "0"}, "status")
    outputs.keep(1, "display_data", {"text/plain": "other"})
    outputs.keep(2, "execute_result", {"text/plain": "result"})
    for number in range(100):
        outputs.revise("status", {"text/plain": f"{number}"})
        outputs.revise("nobody's", {"text/plain": f"{number}"})
    assert texts(outputs) == {1: ["99", "other"], 2: ["result"]}
    outputs.clear()
    outputs.revise("status", {"text/plain": "late"})
    assert not outputs


@pytest.mark.parametrize("value", ["s" * 10**6, {"y": [1.5] * 10**5}, ["s" * 100] * 10**4])
def test_structures_have_a_size(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs_module, "LIMIT", 2 * 10**7)
    outputs = Outputs(nullcontext)
    for number in range(100):
        outputs.keep(number, "display_data", {"x": value})
    assert 1 <= len(outputs) < 50


async def test_a_notebook_is_written_with_what_was_kept(tmp_path: Path) -> None:
    file = tmp_path / "all.ipynb"
    with running() as (interpreter, _):
        await execute(
            interpreter, "from IPython.display import display\nh = display('first', display_id=True)"
        )
        await execute(interpreter, "for i in range(300): h.update(str(i) * 10_000)\ndisplay('d'); 1 + 1")
        assert sum(len(str(cell)) for cell in history().outputs.values()) < 100_000
        reply = await execute(interpreter, f"%notebook {file}")
        assert reply["status"] == "ok", reply
        cells = json.loads(file.read_text())["cells"]
        shown = ["".join(o["data"]["text/plain"]) for cell in cells[:2] for o in cell["outputs"]]
        assert shown == ["'" + "299" * 10_000 + "'", "'d'", "2"]


async def test_errors_and_texts_of_old_cells_are_forgotten() -> None:
    with running() as (interpreter, _):
        await execute(interpreter, "get_ipython().cache_size = 5")
        for _ in range(20):
            await execute(interpreter, "'text'")
            await execute(interpreter, "1 / 0")
        assert len(history().output_hist_reprs) <= 5
        assert len(history().exceptions) <= 5
