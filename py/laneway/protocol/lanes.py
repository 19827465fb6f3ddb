"""Lanes, jobs and run modes: what waits behind what.

Pure: stdlib only, no clock, no threads. A serial lane runs one job at a time in order of arrival; a job in
mode `task` never enters a queue.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from .errors import RemoteProtocolError
from .message import Channel, Message, laneway_metadata
from .routes import Family, Route


class LaneKey(NamedTuple):
    """What makes two requests wait for one another: same channel, same family, same subshell."""

    channel: Channel
    family: Family
    subshell_id: str | None


class Mode(StrEnum):
    """How a cell runs: in its lane's queue, as a task beside it, or on a thread of its own."""

    QUEUE = "queue"
    TASK = "task"
    THREAD = "thread"


@dataclass(slots=True, eq=False)
class Job:
    """One accepted request on its way from Start to finished."""

    request: Message
    key: LaneKey
    route: Route
    mode: Mode = Mode.QUEUE
    started: str | None = None

    @property
    def id(self) -> str:
        """The request's msg_id."""
        return self.request.msg_id


@dataclass(slots=True)
class Lane:
    """The queue of one `LaneKey`, and the job at its head that runs."""

    queue: deque[Job] = field(default_factory=deque[Job])
    running: Job | None = None


_FIRST_LINE = re.compile(r"(?:# |%%)(queue|task|thread)[ \t]*(?:\n|$)")


def run_mode(request: Message) -> Mode:
    """The mode that an execute_request asks for.

    In order of precedence: request metadata `{"laneway": {"mode": "task"}}`; a first line that is exactly `#
    task` or `%%task` (likewise queue and thread); a cell tag of that name (`metadata.tags`). Anything else in
    a first line is ordinary code.

    Raises RemoteProtocolError where the metadata names a mode that does not exist.
    """
    named = laneway_metadata(request).get("mode")
    if named is not None:
        if named in list(Mode):
            return Mode(named)
        raise RemoteProtocolError(f"There is no run mode {named!r}; use one of {', '.join(Mode)}.")
    if first_line := _FIRST_LINE.match(request.content["code"]):
        return Mode(first_line[1])
    tags = request.metadata.get("tags")
    if isinstance(tags, list):
        for mode in Mode:
            if mode in tags:
                return mode
    return Mode.QUEUE
