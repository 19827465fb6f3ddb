"""Which mode a cell asks for."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.protocol.errors import RemoteProtocolError
from laneway.protocol.lanes import Mode, run_mode
from laneway.protocol.message import Channel, Message


def cell(code: str = "", **metadata: Any) -> Message:
    return Message(Channel.SHELL, {"msg_id": "1"}, {}, metadata, {"code": code})


@pytest.mark.parametrize(
    ("code", "mode"),
    [
        ("", Mode.QUEUE),
        ("# task", Mode.TASK),
        ("# task\n1", Mode.TASK),
        ("# task  \n1", Mode.TASK),
        ("%%task\n1", Mode.TASK),
        ("%%thread\n1", Mode.THREAD),
        ("# queue\n1", Mode.QUEUE),
        ("threads = 4", Mode.QUEUE),
        ("# thread safety matters", Mode.QUEUE),
        ("# tasks", Mode.QUEUE),
        ("#task", Mode.QUEUE),
        (" # task", Mode.QUEUE),
        ("\n# task", Mode.QUEUE),
        ("x = 1  # task", Mode.QUEUE),
        ("task", Mode.QUEUE),
    ],
)
def test_first_line(code: str, mode: Mode) -> None:
    assert run_mode(cell(code)) is mode


def test_metadata_comes_before_the_first_line_and_that_before_tags() -> None:
    assert run_mode(cell("# task", laneway={"mode": "queue"}, tags=["thread"])) is Mode.QUEUE
    assert run_mode(cell("# queue", tags=["task"])) is Mode.QUEUE
    assert run_mode(cell("1", tags=["other", "task"])) is Mode.TASK


@pytest.mark.parametrize(
    "metadata", [{"laneway": None}, {"laneway": []}, {"tags": "task"}, {"tags": [["task"]]}]
)
def test_what_is_not_for_us_is_ignored(metadata: dict[str, Any]) -> None:
    assert run_mode(cell("1", **metadata)) is Mode.QUEUE


@pytest.mark.parametrize("named", ["quickly", 5, ["task"]])
def test_a_mode_that_does_not_exist_is_said(named: object) -> None:
    with pytest.raises(RemoteProtocolError, match="queue, task, thread"):
        run_mode(cell("1", laneway={"mode": named}))
