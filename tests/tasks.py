"""Tasks of tests that run on asyncio and on trio."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

import anyio

from laneway.transports.event_loops import Future, running_loop

T = TypeVar("T")


class Begun(Awaitable[T]):
    """What `begin` has begun: await it for what comes of it, CancelledError where it was cancelled."""

    def __init__(self, awaitable: Awaitable[T]) -> None:
        self._outcome: Future[T] = Future()
        self._task = running_loop().create_task(self._run(awaitable))
        self._task.add_done_callback(lambda _task: self._outcome.set_exception(CancelledError()))

    def __await__(self) -> Generator[object, object, T]:
        return self._outcome.__await__()

    @property
    def done(self) -> bool:
        return self._outcome.done

    async def wait(self) -> None:
        await self._outcome.wait()

    def cancel(self) -> None:
        self._task.cancel()

    async def _run(self, awaitable: Awaitable[T]) -> None:
        try:
            self._outcome.set_result(await awaitable)
        except Exception as error:
            self._outcome.set_exception(error)


def begin(awaitable: Awaitable[T]) -> Begun[T]:
    """Await it beside everything else."""
    return Begun(awaitable)


async def first(*begun: Begun[Any]) -> None:
    """Until one of them has ended."""

    async def watch(one: Begun[Any]) -> None:
        await one.wait()
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for one in begun:
            group.start_soon(watch, one)


async def together(*awaitables: Awaitable[T]) -> list[T]:
    """Await all at once."""
    return [await begun for begun in [*map(begin, awaitables)]]
