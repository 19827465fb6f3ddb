"""What the core asks its host to do. The host performs effects in order; each `Start` is answered by exactly
one `finished`.

Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass

from .lanes import Job
from .message import Message


@dataclass(frozen=True, slots=True)
class Send:
    """Give `message` to the transport."""

    message: Message


@dataclass(frozen=True, slots=True)
class Start:
    """Run `job` where its family and lane say, then call `finished`."""

    job: Job


@dataclass(frozen=True, slots=True)
class Cancel:
    """Interrupt `job`: a KeyboardInterrupt in its code. Valid from its Start on, and harmless once it has
    finished.
    """

    job: Job


@dataclass(frozen=True, slots=True)
class Answer:
    """The user has answered the question `ask_id`."""

    ask_id: str
    value: str


@dataclass(frozen=True, slots=True)
class OpenSubshell:
    """Make ready to run jobs of this subshell (JEP 91)."""

    subshell_id: str


@dataclass(frozen=True, slots=True)
class CloseSubshell:
    """No further job of this subshell will come; none is running."""

    subshell_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the kernel: let what is running end, by a deadline, then close the transport."""

    restart: bool


Effect = Send | Start | Cancel | Answer | OpenSubshell | CloseSubshell | Stop
