"""Run: whose code is being executed. Every output finds its parent through it.

`RUN` is a context variable: it follows awaits, tasks, callbacks and timers by itself, and `Threads` takes it
to threads and thread pools. What has no context (other programs, C code) belongs to the run that began last
of those that go on. Stdlib and `protocol/` only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..protocol.message import Content, Message
from .capture import Capture


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
    next_count: int | None = None
    """What the shell's `execution_count` is for its code."""
    captures: list[Capture] = field(default_factory=list[Capture])
    """Where its output goes instead of to the client; the last one has it."""


RUN: ContextVar[Run | None] = ContextVar("laneway_run", default=None)


_STARTED_BY = "_laneway_run"
"""An attribute of threads."""


class Runs:
    """The runs of one interpreter."""

    def __init__(self) -> None:
        self._going: list[Run] = []
        self._last: Run | None = None

    def begin(self, run: Run) -> None:
        """`run` begins, in the present context."""
        self._going.append(run)
        RUN.set(run)

    def end(self, run: Run) -> None:
        """`run` has ended; what it has left behind may go on in its name."""
        self._going.remove(run)
        self._last = run

    def is_going(self, run: Run) -> bool:
        """Has `run` begun and not ended?"""
        return run in self._going

    @property
    def foreground(self) -> Run | None:
        """Who is named where nobody knows better: the run that began last and goes on, else the one that
        ended last.
        """
        going = self._going
        return going[-1] if going else self._last

    @property
    def current(self) -> Run | None:
        """The run that the calling code belongs to."""
        return RUN.get() or getattr(threading.current_thread(), _STARTED_BY, None) or self.foreground

    @property
    def parent(self) -> Message | None:
        """The request of `current`."""
        run = self.current
        return run.request if run else None


class Threads:
    """Lets threads and thread pools output in the name of who has started or submitted something.

    Replaces `Thread.start` and `ThreadPoolExecutor.submit` while a kernel runs: a new thread has an empty
    context (before Python 3.14, and there by default), and neither has a seam. What asyncio itself starts in
    a thread (`to_thread`) carries its context already.
    """

    def __init__(self) -> None:
        self._saved = threading.Thread.start, ThreadPoolExecutor.submit

    def install(self) -> None:
        """Put ours in place."""
        start, submit = self._saved = threading.Thread.start, ThreadPoolExecutor.submit

        def start_in_run(self: threading.Thread) -> None:
            if run := RUN.get():
                context = Context()
                context.run(RUN.set, run)
                self.run = partial(context.run, self.run)  # which leaves no trace in a traceback
                setattr(self, _STARTED_BY, run)  # for what comes after `run`: `threading.excepthook`
            start(self)

        def submit_in_run(
            pool: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
        ) -> Future[Any]:
            run = RUN.get()
            if run is None:
                return submit(pool, fn, *args, **kwargs)
            return submit(pool, _call_in, run, fn, *args, **kwargs)

        threading.Thread.start, ThreadPoolExecutor.submit = start_in_run, submit_in_run

    def uninstall(self) -> None:
        """Put Python's back."""
        threading.Thread.start, ThreadPoolExecutor.submit = self._saved


def _call_in(run: Run, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token = RUN.set(run)
    try:
        return fn(*args, **kwargs)
    finally:
        RUN.reset(token)
