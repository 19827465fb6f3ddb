"""What is told of a job: to clients, by `list_jobs_reply` and `job_event`, and to code in the kernel.

A job is what a client has asked the kernel to run, and what has come of it: a cell, the hook of a comm
message, a task that one of these has made and that goes on. Pure: stdlib only.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from .message import Channel, Content
from .modes import Mode, is_line

LONGEST_CODE = 80
"""Characters of its code that are told."""


class JobInfo(NamedTuple):
    """A job at one moment."""

    id: str
    """The request's msg_id; of a task, that of the job that has made it, a slash, and its name."""
    kind: str
    """`cell`, `hook` or `task`."""
    mode: str
    """`queue`, `task` or `thread`."""
    lane: str
    """Where it runs: `main`, `control`, `subshell ID`, `thread NAME`, or `thread`, one without a name."""
    state: str
    """`queued`, `running`, `stopped` (in the debugger), `ending` (its time is over, or it was cancelled),
    `ended`.
    """
    started: str | None = None
    """The date, in ISO 8601; of tasks it is not known."""
    elapsed: float | None = None
    """Seconds that it has run."""
    timeout: float | None = None
    """Seconds that it may run."""
    code: str = ""
    """The first line of its code that is no mode; of a hook the message's type, of a task its function."""

    @classmethod
    def parse(cls, content: Content) -> Self:
        """What a message says. Unknown fields are left out."""
        return cls._make(map(content.get, cls._fields))

    @property
    def content(self) -> dict[str, Any]:
        """As in messages."""
        return dict(zip(self._fields, self, strict=True))


def lane_name(channel: Channel, mode: Mode, thread: str | None, subshell_id: str | None) -> str:
    """Where a job runs."""
    if mode is Mode.THREAD:
        return "thread" if thread is None else f"thread {thread}"
    if channel is Channel.CONTROL:
        return "control"
    return "main" if subshell_id is None else f"subshell {subshell_id}"


def first_line(code: str) -> str:
    """The first line of `code` that says something."""
    first = code[: LONGEST_CODE + 1].partition("\n")[0]
    if first and first[0] not in "#% \t" and len(first) <= LONGEST_CODE:  # as most are
        return first.rstrip()
    for line in code[: 4 * LONGEST_CODE].splitlines():
        if line.strip() and not is_line(line):
            return line.strip()[:LONGEST_CODE]
    return ""
