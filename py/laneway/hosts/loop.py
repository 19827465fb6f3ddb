"""LoopHost: everything on one event loop, as in Pyodide's worker. What awaits lets the others go on; what
computes does not.

Imports: stdlib and `protocol/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..protocol.errors import StdinNotAvailableError
from ..protocol.lanes import Job
from ..protocol.ports import Interpreter
from .base import Host, Question
from .worker import Worker

BlockOn = Callable[[Awaitable["str | None"]], "str | None"]
"""Waits for an awaitable from synchronous code while the loop goes on (Pyodide's `run_sync`).

Raises StdinNotAvailableError, with a sentence that says what is missing, where that cannot be done.
"""


class LoopHost(Host):
    """Runs a kernel on the running event loop. `block_on` is what makes `input()` possible."""

    kind = "loop"

    def __init__(
        self,
        interpreter: Interpreter,
        *,
        block_on: BlockOn | None = None,
        capabilities: Mapping[str, Any] | None = None,
    ) -> None:
        own = {"input": block_on is not None, "answers_while_blocking": False, "interrupts_blocking": False}
        super().__init__(interpreter, capabilities={**own, **(capabilities or {})})
        self._block_on = block_on

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """See `Context`. It waits while a cell computes."""
        self._main.call_later(delay, call)

    def _close_subshell(self, subshell_id: str) -> None:
        pass

    def _begin_to_stop(self) -> None:
        pass

    def _worker(self, job: Job) -> Worker:
        return self._main

    def _question(self) -> Question:
        if self._block_on is None:
            raise StdinNotAvailableError(
                "input() is not available: this kernel runs on one event loop, which cannot wait."
            )
        return _FutureQuestion(self._block_on)


class _FutureQuestion:
    def __init__(self, block_on: BlockOn) -> None:
        self._block_on = block_on
        self._future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def wait(self) -> str | None:
        return self._block_on(self._future)

    def answer(self, value: str | None) -> None:
        if not self._future.done():
            self._future.set_result(value)
