"""Steps: drives a job's coroutine on an asyncio task, step by step, and so knows at every moment whether the
job's code is on the thread's stack.

That is how a job can be interrupted in either state: on the stack its code gets a KeyboardInterrupt where it
is, and while it awaits, at its `await`. There it is a CancelledError, too: task groups, of asyncio and anyio,
cancel what they hold on that alone. Stdlib and `protocol/` only.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import AbstractContextManager, suppress
from contextvars import Context
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from ..protocol.lanes import Job
from .interrupts import INTERRUPTS

if TYPE_CHECKING:
    from .guest import Guest


@cache
def _cancelling(error: type[BaseException]) -> type[BaseException]:
    """An `error` that libraries clean up after as after a cancellation; tracebacks call it the same."""
    bases = (error, asyncio.CancelledError)
    return type(error.__name__, bases, {"__module__": error.__module__})  # pyright: ignore[reportGeneralTypeIssues]


class Stack:
    """Whose step is on a thread's stack, and which jobs are to be interrupted and have not been yet, by which
    exception. Changed in the guard, but for what the thread itself begins.
    """

    def __init__(self, guard: AbstractContextManager[object]) -> None:
        self.guard = guard
        self.stepping: Job | None = None
        self.wanted: dict[Job, type[BaseException]] = {}

    def return_to(self, outer: Job | None) -> None:
        """The step was interrupted: `outer` is on the stack. A second interrupt that arrives meanwhile means
        the same as the first.
        """
        while self.stepping is not outer:
            with suppress(*INTERRUPTS), self.guard:
                self.stepping = outer


class Steps(Awaitable[Any]):
    """Awaits `coroutine`, the code of `job`, in `context`."""

    def __init__(self, stack: Stack, job: Job, context: Context) -> None:
        self.begun = False
        self.context = context
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        """Set before it is awaited."""
        self._stack = stack
        self._job = job
        self._task: asyncio.Task[Any] | None = None
        self._interrupted: type[BaseException] | None = None

    def interrupt(self, error: type[BaseException]) -> bool:
        """Raise `error` where the coroutine awaits; False where it has not begun."""
        if self._task is None:
            return False
        self._interrupted = error
        return self._task.cancel()

    def cancel(self) -> None:
        """Cancel it, if it has begun."""
        if self._task:
            self._task.cancel()

    def __await__(self) -> Generator[Any, Any, Any]:
        stack, job, coroutine = self._stack, self._job, self.coroutine
        assert coroutine
        self._attach()
        step, value = coroutine.send, None
        if (wanted := stack.wanted.pop(job, None)) is not None:
            step, value = coroutine.throw, wanted()
        while True:
            outer = stack.stepping  # None but where Pyodide switches stacks
            try:
                try:
                    stack.stepping = job
                    awaited = self.context.run(step, value)
                finally:
                    value = None  # it may be an error, whose traceback has this frame
                    with stack.guard:
                        stack.stepping = outer
            except StopIteration as stop:
                return stop.value
            except INTERRUPTS as error:
                stack.return_to(outer)
                if inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED:
                    raise
                # it arose between the code's step and our noting its end
                step, value = coroutine.throw, error
                continue
            if job in stack.wanted:
                self._suspended_while_wanted()
            try:
                step, value = coroutine.send, (yield awaited)
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:
                step, value = coroutine.throw, self._arrived(error)
            else:
                if job in stack.wanted and (wanted := self._resumed_while_wanted(coroutine)):
                    step, value = coroutine.throw, wanted()

    # ---- what asyncio does, and other libraries do otherwise

    def _attach(self) -> None:
        """The coroutine begins, on the task that runs."""
        self._task = asyncio.current_task()

    def _suspended_while_wanted(self) -> None:
        """The code is to be interrupted, and awaits now: the worker has been told already."""

    def _resumed_while_wanted(self, coroutine: Coroutine[Any, Any, Any]) -> type[BaseException] | None:
        """The code is to be interrupted, and goes on: by what, if it can be now."""
        return None

    def _arrived(self, error: BaseException) -> BaseException:
        """What is raised in the code where `error` has ended its await."""
        interrupted, self._interrupted = self._interrupted, None
        if not isinstance(error, asyncio.CancelledError):
            self._interrupted = interrupted
        elif interrupted is not None and self._task is not None:
            self._task.uncancel()
            return _cancelling(interrupted)()
        return error


class GuestSteps(Steps):
    """Drives the coroutine of a job on a task of trio, see `guest.py`."""

    def __init__(self, stack: Stack, job: Job, context: Context, guest: Callable[[], Guest]) -> None:
        super().__init__(stack, job, context)
        self._find_guest = guest
        self._guest: Guest | None = None
        self._on: object = None

    def interrupt(self, error: type[BaseException]) -> bool:
        """Raise what is wanted of the job where it awaits. False: there it is taken from what is wanted."""
        self._suspended_while_wanted()
        return False

    def cancel(self) -> None:
        """Nothing: trio cancels all that runs, at its end."""

    def _attach(self) -> None:
        self._guest = self._find_guest()
        self._on = self._guest.task()

    def _suspended_while_wanted(self) -> None:
        if self._guest is not None:
            self._guest.post(self._abort)

    def _abort(self) -> None:
        if self._guest and self._job in self._stack.wanted and self._stack.stepping is not self._job:
            self._guest.abort(self._on, self._raise_wanted)

    def _raise_wanted(self, *_reason: object) -> NoReturn:
        raise self._stack.wanted.pop(self._job, KeyboardInterrupt)()

    def _resumed_while_wanted(self, coroutine: Coroutine[Any, Any, Any]) -> type[BaseException] | None:
        if self._guest and self._guest.may_raise_in(coroutine):
            return self._stack.wanted.pop(self._job, None)
        return None
