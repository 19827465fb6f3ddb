"""Calls from any other thread into the main shell's event loop: `laneway.run` and `laneway.call`.

    thread that calls     waits for the `Call`           an interrupt of its job ends the wait,
    main shell's loop     runs the function as a task    and cancels the task

This file counts as user code for `signals.in_user_code`, since what it calls is. Stdlib only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any


class Call:
    """One of them. `function` is called without arguments; if it `awaits`, what it returns is awaited.

    `owner` is the id of the request that the calling code belongs to, if there is one.
    """

    def __init__(self, function: Callable[[], Any], *, awaits: bool, owner: str | None, own: bool) -> None:
        self.owner = owner
        self.own = own
        """Does the owner's own code wait, and not a thread that it has started?"""
        self.context: Context = copy_context()
        self._function = function
        self._awaits = awaits
        self._result: Future[Any] = Future()
        self._cancel: Callable[[], object] = lambda: None

    def wait(self) -> Any:
        """Wait for what the function returns, or raise what it raises."""
        return self._result.result()

    def end(self, error: BaseException) -> None:
        """Raise `error` where it waits, unless the function has ended, and cancel the function. From any
        thread.
        """
        with suppress(Exception):  # it is done
            self._result.set_exception(error)
        self._cancel()

    def start(self) -> None:
        """Run the function as a task. On the loop."""
        loop = asyncio.get_running_loop()
        task = asyncio.Task(self._run(), loop=loop, context=self.context)
        self._cancel = lambda: loop.is_closed() or loop.call_soon_threadsafe(task.cancel)
        if self._result.done():
            task.cancel()

    async def run_in_trio(self, post: Callable[[Callable[[], object]], object]) -> None:
        """The same, as a task of trio; `post` calls what it is given inside trio."""
        import trio  # it is there, since this is

        with trio.CancelScope() as scope:
            self._cancel = lambda: post(scope.cancel)
            if self._result.done():
                scope.cancel()
            await self._run()

    async def _run(self) -> None:
        try:
            result = self._function()
            if self._awaits:
                result = await result
        except BaseException as error:
            with suppress(Exception):
                self._result.set_exception(error)
            if type(error).__name__ in ("CancelledError", "Cancelled"):  # asyncio's, or trio's
                raise
        else:
            with suppress(Exception):
                self._result.set_result(result)
