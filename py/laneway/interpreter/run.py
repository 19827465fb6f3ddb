"""Run: whose code is being executed. Every output finds its kernel and its parent through it.

`RUN` is a context variable: it follows awaits, tasks, callbacks and timers by itself, and `start_in_run` and
`submit_in_run` take it to threads and thread pools. What has no context (other programs, C code) belongs to
the run that began last of those that go on, in a process that is the kernel's (`process.py`). Stdlib and
`protocol/` only.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ..protocol.message import Content, Message
from .capture import Capture

if TYPE_CHECKING:
    from .process import Kernel


@dataclass(slots=True, eq=False, repr=False)
class Run:
    """A request that runs user code, a cell or a comm message, and what is gathered for its reply."""

    request: Message
    runs: Runs
    """Those of its kernel."""
    execution_count: int | None = None
    payload: list[Content] = field(default_factory=list[Content])
    code: str = ""
    """What the cell's code has become, with its magics as function calls."""
    error: Content | None = None
    """What was published as `error`."""
    displays: bool = False
    """Is the value of its last expression being shown?"""
    display_error: Content | None = None
    """What was published as `error` in that; IPython goes on."""
    thread: int = 0
    """Where it runs."""
    result: Any = None
    """IPython's ExecutionResult, for the display hook to fill in."""
    next_count: int | None = None
    """What the shell's `execution_count` is for its code."""
    captures: list[Capture] = field(default_factory=list[Capture])
    """Where its output goes instead of to the client; the last one has it."""


RUN: ContextVar[Run | None] = ContextVar("laneway_run", default=None)


_THREADING = threading.Thread.join.__code__.co_filename
_WAITS = {"wait", "join", "_wait_for_tstate_lock"}
"""Where code is that waits for an event, a condition, a semaphore, a queue, a future or a thread."""

_STARTED_BY = "_laneway_run"
"""An attribute of threads."""

_THREADS_HAVE_CONTEXTS = sys.version_info >= (3, 14)


def run_of_caller() -> Run | None:
    """The run of any kernel that the calling code belongs to, where that is known."""
    return RUN.get() or getattr(threading.current_thread(), _STARTED_BY, None)


class Runs:
    """The runs of one kernel.

    A thread prints for the cell that started it, and once that has ended, for a later one that waits for
    threads at that moment (in a queue, for an event or a future): it has handed over some work.
    """

    kernel: Kernel | None = None
    """Whose they are, while it is in the process."""

    def __init__(self) -> None:
        self._going: list[Run] = []
        self._last: Run | None = None

    def begin(self, run: Run) -> None:
        """`run` begins, in the present context."""
        run.thread = threading.get_ident()
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
        with suppress(IndexError):  # other threads begin and end theirs
            return self._going[-1]
        return self._last

    @property
    def own(self) -> Run | None:
        """The run in whose context the calling code is, if it is one of these."""
        run = RUN.get()
        return run if run is not None and run.runs is self else None

    @property
    def current(self) -> Run | None:
        """The run that the calling code belongs to."""
        run = self.own
        if run in self._going:
            return run
        started_by = getattr(threading.current_thread(), _STARTED_BY, None)
        if started_by is not None and started_by.runs is not self:
            started_by = None
        if self._going and started_by and run in (None, started_by):
            return self._waits() or started_by
        return run or started_by or self.foreground

    def _waits(self) -> Run | None:
        """Who waits for threads."""
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage], the one way
        for run in reversed(self._going):
            frame = frames.get(run.thread)
            if frame and frame.f_code.co_filename == _THREADING and frame.f_code.co_name in _WAITS:
                return run
        return None

    def find(self, parent: Message) -> Run:
        """The run of the request `parent`; where it is long over, one that is only a name for outputs."""
        known = (*self._going, self.own, self._last)
        same = (run for run in known if run and run.request.msg_id == parent.msg_id)
        return next(same, None) or Run(parent, self)

    @property
    def parent(self) -> Message | None:
        """The request of `current`."""
        run = self.current
        return run.request if run else None


def start_in_run(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """`Thread.start` that lets the thread output in the name of who has started it.

    A new thread has an empty context, or from Python 3.14 on the one that it is given, or with
    `thread_inherit_context` a copy of its starter's; none of these is replaced.
    """

    def start_thread(self: threading.Thread) -> None:
        if run := RUN.get():
            setattr(self, _STARTED_BY, run)  # for what comes after `run`: `threading.excepthook`
            if _THREADS_HAVE_CONTEXTS:
                _set_in_context_of(self, run)
            else:
                context = Context()
                context.run(RUN.set, run)
                self.run = partial(context.run, self.run)  # which leaves no trace in a traceback
        start(self)

    return start_thread


def _set_in_context_of(thread: Any, run: Run) -> None:
    if thread._context is None:
        inherits = getattr(sys.flags, "thread_inherit_context", False)
        thread._context = copy_context() if inherits else Context()
    if thread._context.get(RUN) is None:
        with suppress(RuntimeError):  # another thread is in it; this one will fail to start
            thread._context.run(RUN.set, run)


def submit_in_run(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    """`ThreadPoolExecutor.submit` that lets what is submitted output in the name of who has submitted it.
    (What asyncio itself starts in a thread carries its context already.)
    """

    def submit_call(pool: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        run = RUN.get()
        if run is None:
            return submit(pool, fn, *args, **kwargs)
        return submit(pool, _call_in, run, fn, *args, **kwargs)

    return submit_call


def _call_in(run: Run, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token = RUN.set(run)
    try:
        return fn(*args, **kwargs)
    finally:
        RUN.reset(token)
