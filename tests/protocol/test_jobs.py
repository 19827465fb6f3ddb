"""What is told of a job."""

from __future__ import annotations

import pytest

from laneway.protocol.jobs import LONGEST_CODE, JobInfo, first_line, lane_name
from laneway.protocol.message import Channel
from laneway.protocol.modes import Mode


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("", ""),
        ("\n \n", ""),
        ("x = 1\ny", "x = 1"),
        ("# task timeout=5\n\n  x = 1", "x = 1"),
        ("%%thread name=io\nx", "x"),
        ("# task list\nx", "# task list"),
        ("x" * 1000, "x" * LONGEST_CODE),
        ("x" * 1_000_000, "x" * LONGEST_CODE),
    ],
)
def test_the_first_line_that_says_something(code: str, line: str) -> None:
    assert first_line(code) == line


@pytest.mark.parametrize(
    ("lane", "name"),
    [
        ((Channel.SHELL, Mode.QUEUE, None, None), "main"),
        ((Channel.SHELL, Mode.TASK, None, None), "main"),
        ((Channel.SHELL, Mode.TASK, None, "s"), "subshell s"),
        ((Channel.SHELL, Mode.THREAD, None, "s"), "thread"),
        ((Channel.SHELL, Mode.THREAD, "io", None), "thread io"),
        ((Channel.CONTROL, Mode.QUEUE, None, None), "control"),
    ],
)
def test_lanes_have_names(lane: tuple[Channel, Mode, str | None, str | None], name: str) -> None:
    assert lane_name(*lane) == name


def test_there_and_back() -> None:
    job = JobInfo("1", "cell", "task", "main", "running", "2026-01-01", 0.5, 2, "x = 1")
    assert JobInfo.parse(job.content) == job
    assert JobInfo.parse({**job.content, "new": 1}) == job
