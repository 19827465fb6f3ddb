"""What the core asks its host to do. The host performs effects in order; each `Start` is answered by exactly
one `finished`.

Pure data; named tuples: as data classes these alone would be 2 % of a kernel's start.
"""

from __future__ import annotations

from typing import NamedTuple

from .lanes import Job
from .message import Message


class Send(NamedTuple):
    """Give `message` to the transport."""

    message: Message


class Start(NamedTuple):
    """Run `job` where its family and lane say, then call `finished`."""

    job: Job


class Cancel(NamedTuple):
    """Interrupt `job`: a KeyboardInterrupt in its code. Valid from its Start on, and harmless once it has
    finished.
    """

    job: Job


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


Effect = Send | Start | Cancel | Answer | OpenSubshell | CloseSubshell | Stop
