"""Run: whose code is being executed. Every output finds its parent through it.

`RUN` is a context variable: it follows awaits, tasks, callbacks and timers by itself. Stdlib and `protocol/`
only.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from ..protocol.message import Content, Message


@dataclass(slots=True, eq=False)
class Run:
    """A request that runs user code, a cell or a comm message, and what is gathered for its reply."""

    request: Message
    execution_count: int | None = None
    payload: list[Content] = field(default_factory=list[Content])
    error: Content | None = None
    """What was published as `error`."""
    result: Any = None
    """IPython's ExecutionResult, for the display hook to fill in."""


RUN: ContextVar[Run | None] = ContextVar("laneway_run", default=None)


class Runs:
    """The runs of one interpreter."""

    def __init__(self) -> None:
        self._last: Run | None = None

    def begin(self, run: Run) -> None:
        """`run` begins, in the present context."""
        self._last = run
        RUN.set(run)

    @property
    def current(self) -> Run | None:
        """The run that the calling code belongs to. A thread started by hand has no context: its output goes
        to the last run.
        """
        return RUN.get() or self._last

    @property
    def parent(self) -> Message | None:
        """The request of `current`."""
        run = self.current
        return run.request if run else None
