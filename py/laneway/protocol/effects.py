"""What the core asks its host to do. The host performs effects in order; each `Start` is answered by exactly
one `finished`.

Pure data; named tuples: as data classes these alone would be 2 % of a kernel's start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .lanes import Job
from .message import Message


class Send(NamedTuple):
    """Give `message` to the transport."""

    message: Message
    encoded: Any = None
    """What the transport has made of it already; None where it is still to be encoded."""


class Start(NamedTuple):
    """Run `job` where its family and lane say, then call `finished`."""

    job: Job


class Interrupt(NamedTuple):
    """An `error` in the code of `job`, or, where that is None, in code on a shell's stack that no job is: a
    task or a callback that some cell has left. See `hosts/interrupts.py`.

    `aimed`: nothing but this job is meant. Valid from its Start on, and harmless once it has finished.
    """

    job: Job | None
    aimed: bool = False
    error: type[BaseException] = KeyboardInterrupt


class CancelTask(NamedTuple):
    """Cancel the task that `KernelProtocol`'s `tasks` has listed by this id, unless it has ended."""

    job_id: str


class Ended(NamedTuple):
    """A job has ended that is waited for: call `calls`."""

    calls: Sequence[Callable[[], object]]


class Answer(NamedTuple):
    """The user has answered the question `ask_id`."""

    ask_id: str
    value: str


class OpenSubshell(NamedTuple):
    """Make ready to run jobs of this subshell (JEP 91)."""

    subshell_id: str


class CloseSubshell(NamedTuple):
    """No further job of this subshell will come; none is running."""

    subshell_id: str


class Stop(NamedTuple):
    """End the kernel: let what is running end, by a deadline, then close the transport."""

    restart: bool


Effect = Send | Start | Interrupt | CancelTask | Ended | Answer | OpenSubshell | CloseSubshell | Stop
