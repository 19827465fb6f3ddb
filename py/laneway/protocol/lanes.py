"""Lanes and jobs: what waits behind what, and what is done about a job that is to end.

A serial lane runs one job at a time in order of arrival; what runs as a task or on a thread without a name
never enters a queue.

    a job is to end since    what arises in its code
    its timeout is over      a CellTimeoutError; then a KeyboardInterrupt each INSISTENCE, until it has ended
    it was cancelled         a KeyboardInterrupt at once, and each INSISTENCE, until it has ended

The first lets code end in an orderly way; what catches it and goes on (`except Exception`) is ended harder.
What shows an error has LENIENCE: a long traceback is not what was to end.
Pure: stdlib only, no clock, no threads.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from .backends import Backend
from .message import Channel, Message
from .modes import Mode
from .routes import Family, Route

NEVER = float("inf")

INSISTENCE = 1.0
"""Seconds after which a job that is to end, and has not, is interrupted again."""

LENIENCE = 15.0
"""The same for one that shows an error."""


class LaneKey(NamedTuple):
    """What makes two requests wait for one another: same channel, same family, same subshell, or the same
    named thread, which is the whole kernel's.
    """

    channel: Channel
    family: Family
    subshell_id: str | None
    thread: str | None = None


@dataclass(slots=True, eq=False, repr=False)
class Job:
    """One accepted request on its way from Start to finished."""

    request: Message
    key: LaneKey
    route: Route
    mode: Mode = Mode.QUEUE
    started: str | None = None
    aimed: bool = False
    """Whether it alone was interrupted: what is queued behind it is not aborted then."""
    backend: Backend = Backend.ASYNCIO
    """What its code awaits."""
    timeout: float | None = None
    """Seconds that it may run."""
    began: float = 0
    """When it started; moments are in seconds from any."""
    due: float = NEVER
    """When it is to be interrupted next."""
    overdue: bool = False
    """Is its timeout over?"""
    cancelled: bool = False
    ending: bool = False
    """Is it to end, be it overdue or cancelled?"""
    stopped: int = 0
    """At how many places a debugger has stopped its code, that of its tasks and threads included."""

    @property
    def id(self) -> str:
        """The request's msg_id."""
        return self.request.msg_id

    @property
    def queues(self) -> bool:
        """Whether it waits for those before it in its lane."""
        return self.route.serial and (self.mode is Mode.QUEUE or self.key.thread is not None)


@dataclass(slots=True, eq=False, repr=False)
class Lane:
    """The queue of one `LaneKey`, and the job at its head that runs."""

    queue: deque[Job] = field(default_factory=deque[Job])
    running: Job | None = None
