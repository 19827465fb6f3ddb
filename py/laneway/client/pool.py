"""Pool: many kernels from one process, lent to one user at a time. On the event loop that opened it.

    a place of the pool        how it goes on
    starting                   idle; where it fails, who waits is told, and the place is free
    idle                       lent to who has waited longest, if it answers; else it is ended
    lent                       idle again; ended, where the pool is `fresh`, or it is busy still
    dead, or to be ended       it is closed, then the place is free, and taken again where one is wanted

Each place is one task, in which its kernel is opened and closed: whatever happens, none is left. Stdlib and
anyio.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from ..protocol.errors import ClientClosedError, KernelError, SettingsError
from .client import Client, ExecResult
from .launch import launch

LOG = logging.getLogger("laneway")

HEALTH = 5.0
"""Seconds in which a kernel must answer that is to be lent."""


@dataclass(eq=False)
class _Place:
    """One kernel, while there is one."""

    kc: Client
    over: anyio.Event
    """It is to be closed."""
    starting: anyio.CancelScope
    lent: bool = False


@dataclass(eq=False)
class _Waiter:
    """Who wants one, and what has become of that."""

    told: anyio.Event
    given: _Place | KernelError | None = None


class Pool:
    """Kernels for many users: `async with laneway.Pool(8) as pool`, and in it `async with pool.kernel() as
    kc`, or `await pool.execute(code)`.

    There are never more than `limit`, those that start or end included; who comes too late waits, in order.
    `ready` of them run also where nobody asks, so that nobody waits for a start. `kernel` opens one, by
    default `laneway.launch`; it may be any other: `lambda: laneway.connect_server(url, token)`.

    A kernel that dies, hangs, or is busy still when it is given back is ended, and another takes its place
    when one is wanted. It is lent again as its last user has left it, with all names, unless the pool is
    `fresh`: then every user has a kernel that nobody has had before.

    Raises SettingsError where `limit` is less than one, or less than `ready`.
    """

    def __init__(
        self,
        limit: int,
        *,
        ready: int = 0,
        fresh: bool = False,
        kernel: Callable[[], Client] = launch,
    ) -> None:
        if limit < 1:
            raise SettingsError(f"A pool must have room for a kernel: its limit cannot be {limit}.")
        if not 0 <= ready <= limit:
            raise SettingsError(
                f"Of {limit} kernels {ready} cannot be ready; say a number between 0 and {limit}."
            )
        self._limit = limit
        self._ready = ready
        self._fresh = fresh
        self._open = kernel
        self._places: set[_Place] = set()
        self._idle: deque[_Place] = deque()
        self._waiters: deque[_Waiter] = deque()  # there are none where some are idle
        self._closed = False
        self._group: TaskGroup | None = None

    # ---- its life

    async def __aenter__(self) -> Self:
        group = anyio.create_task_group()
        await group.__aenter__()
        self._group = group
        self._fill()
        return self

    async def __aexit__(self, *exc_info: Any) -> bool | None:
        assert self._group
        await self.aclose()
        # what the block has raised is raised as it is, and ends no kernel in a harder way
        return await self._group.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """End all kernels, those too that are lent; who waits is told. The end of the block does it."""
        if self._closed:
            return
        self._closed = True
        for place in self._places:
            place.starting.cancel()
            place.over.set()
        while self._waiters:
            self._hand(ClientClosedError("The pool was closed."))

    # ---- what users do

    @asynccontextmanager
    async def kernel(self) -> AsyncGenerator[Client]:
        """A kernel of one's own, for as long as the block lasts. Raises KernelError where none can be
        started, ClientClosedError where the pool is closed.
        """
        place = await self._borrow()
        try:
            yield place.kc
        finally:
            self._return(place)

    async def execute(self, code: str, **options: Any) -> ExecResult:
        """Run a cell on any kernel; `options` as in `Client.execute`."""
        async with self.kernel() as kc:
            return await kc.execute(code, **options)

    @property
    def size(self) -> int:
        """How many kernels there are, those that start or end included."""
        return len(self._places)

    @property
    def idle(self) -> int:
        """How many of them have been started and are free."""
        return sum(not place.over.is_set() for place in self._idle)

    @property
    def lent(self) -> int:
        """How many of them are in use."""
        return sum(place.lent for place in self._places)

    @property
    def waiting(self) -> int:
        """How many users wait for one."""
        return len(self._waiters)

    # ---- within

    async def _borrow(self) -> _Place:
        while True:
            place = await self._next()
            try:
                await place.kc.kernel_info(timeout=HEALTH)
            except ClientClosedError:
                self._retire(place)
                raise
            except KernelError as error:
                LOG.warning("A kernel of the pool does not answer and is replaced: %s", error)
                self._retire(place)
            except BaseException:
                self._return(place)
                raise
            else:
                return place

    async def _next(self) -> _Place:
        """Of those that are idle, or become so, in order of arrival."""
        if self._closed or self._group is None:
            raise ClientClosedError(
                "The pool is closed." if self._closed else "Open the pool first: async with."
            )
        waiter = _Waiter(anyio.Event())
        self._waiters.append(waiter)
        if self._idle:
            self._hand(self._idle.popleft())
        self._fill()
        try:
            await waiter.told.wait()
        except BaseException:
            if isinstance(waiter.given, _Place):
                self._return(waiter.given)
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise
        if isinstance(waiter.given, KernelError):
            raise waiter.given
        assert waiter.given
        return waiter.given

    def _hand(self, given: _Place | KernelError) -> None:
        """To who has waited longest."""
        waiter = self._waiters.popleft()
        waiter.given = given
        if isinstance(given, _Place):
            given.lent = True
        waiter.told.set()

    def _offer(self, place: _Place) -> None:
        """It can be lent."""
        place.lent = False
        if self._waiters:
            self._hand(place)
        else:
            self._idle.append(place)

    def _return(self, place: _Place) -> None:
        if place.over.is_set() or self._fresh or place.kc.pending or place.kc.state != "idle":
            self._retire(place)
        else:
            self._offer(place)

    def _retire(self, place: _Place) -> None:
        place.lent = False
        place.over.set()

    def _fill(self, ready: int | None = None) -> None:
        """Start what is wanted, as far as there is room."""
        ready = self._ready if ready is None else ready
        ending = sum(place.over.is_set() for place in self._places)
        wanted = max(ready, self.lent + len(self._waiters)) + ending
        while not self._closed and len(self._places) < min(wanted, self._limit):
            assert self._group
            place = _Place(self._open(), anyio.Event(), anyio.CancelScope())
            self._places.add(place)
            self._group.start_soon(self._keep, place, name="laneway pool")

    async def _keep(self, place: _Place) -> None:
        """One kernel, from its start to its end."""
        ready = self._ready
        try:
            with place.starting:
                await place.kc.start()
            if place.kc.info and not place.over.is_set():
                assert self._group
                self._group.start_soon(self._watch, place)
                self._offer(place)
                await place.over.wait()
        except KernelError as error:
            ready = 0  # it would fail again, and again
            if self._waiters:
                self._hand(error)
            else:
                LOG.warning("A kernel of the pool has not started: %s", error)
        finally:
            try:
                await place.kc.aclose()
            finally:
                self._places.discard(place)
                if place in self._idle:
                    self._idle.remove(place)
                self._fill(ready)

    async def _watch(self, place: _Place) -> None:
        await place.kc.wait_ended()
        if not place.over.is_set():
            self._retire(place)
