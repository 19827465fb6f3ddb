"""LoopHost at safepoints: here the cells themselves say where one is. What a real platform makes of it is in
tests/safepoints.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from laneway.client.client import Client
from laneway.client.execution import State
from laneway.hosts.loop import LoopHost
from laneway.protocol.message import Message
from laneway.protocol.ports import Context, Waiting
from laneway.transports.callback import CallbackTransport
from laneway.transports.memory import memory_pair
from tests.conformance.checks import PATIENCE
from tests.thread import in_thread

from .interpreter import Cell, ScriptedInterpreter, said, say

pytestmark = pytest.mark.anyio


class CellPlatform:
    """A safepoint is where a cell calls `safepoint`; code that waits comes to one again and again. Messages
    arrive there, or on the loop.
    """

    def __init__(self) -> None:
        self.host: Waiting | None = None
        self.over = threading.Event()  # ends the cells that compute
        self.renewed = 0
        self.serving = False
        self._scheduled = 0
        self._arrived: deque[Callable[[], None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, host: Waiting) -> None:
        """See `Platform`."""
        self.host = host
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self.poll)

    def arrive(self, receive: Callable[[], None]) -> None:
        """A message has arrived; `receive` delivers it. From any thread."""
        self._arrived.append(receive)
        if self._loop:
            self._loop.call_soon_threadsafe(self.poll)

    def await_messages(self, count: int) -> None:
        """Wait, without a safepoint, until so many have arrived."""
        while len(self._arrived) < count:
            time.sleep(0.001)

    def stop(self) -> None:
        """See `Platform`."""
        self.host = self._loop = None

    def renew(self) -> None:
        """See `Platform`."""
        self.renewed += 1

    def poll(self) -> None:
        """See `Platform`."""
        while self._arrived:
            self._arrived.popleft()()

    def serve(self, action: Callable[[], None]) -> None:
        """See `Platform`."""
        assert not self.serving
        self.serving = True
        action()
        self.serving = False

    def scheduled(self) -> int:
        """See `Platform`. As if each of these were another's: every job has a turn of its own."""
        self._scheduled += 1
        return self._scheduled

    def expect(self, delay: float | None) -> None:
        """See `Platform`. Cells come to a safepoint often enough."""

    no_hold = None

    def block(self, future: asyncio.Future[Any], *, still: bool = False) -> None:
        """See `Platform`."""
        while not future.done():
            self.safepoint()

    def safepoint(self) -> None:
        """Let a little time pass, and come to a safepoint."""
        time.sleep(0.001)
        assert self.host
        self.host.safepoint()


@asynccontextmanager
async def running(platform: CellPlatform, **cells: Cell) -> AsyncGenerator[Client, None]:
    """A client of a LoopHost on a thread of its own."""
    kernel_end, client_end = memory_pair()
    host = LoopHost(ScriptedInterpreter(**cells), platform=platform)
    receive = client_end.post
    assert receive
    client_end.post = lambda message: platform.arrive(lambda: receive(message))
    async with in_thread(lambda: anyio.run(host.serve, kernel_end)), Client(client_end) as kc:
        try:
            yield kc
        finally:
            platform.over.set()
            await kc.shutdown()
    assert platform.host is None


def compute(platform: CellPlatform) -> Cell:
    def cell(context: Context, request: Message) -> str:
        say(context, request)
        while not platform.over.is_set():
            platform.safepoint()
        return "computed"

    return cell


async def test_requests_are_answered_at_safepoints() -> None:
    platform = CellPlatform()
    async with running(platform, compute=compute(platform)) as kc:
        execution = kc.execute("compute")
        await said(execution)
        for _ in range(3):
            assert (await kc.complete("x"))["status"] == "ok"
            assert (await kc.history())["status"] == "ok"
            assert (await kc.kernel_info())["status"] == "ok"
        assert execution.state is State.RUNNING
        platform.over.set()
        assert (await execution).reply["result"] == "computed"
        assert (await kc.complete("x"))["status"] == "ok"
        assert platform.renewed == 1


async def test_cells_and_comms_wait_for_their_turn() -> None:
    platform = CellPlatform()
    order: list[str] = []

    def other(_context: Context, _request: Message) -> None:
        order.append("other")

    def end(_context: Context, _request: Message) -> None:
        order.append("end")

    async with running(platform, compute=compute(platform), other=other, end=end) as kc:
        first = kc.execute("compute")
        await said(first)
        second, task = kc.execute("end"), kc.execute("other", mode="task")
        assert (await kc.complete("x"))["status"] == "ok"
        assert order == []
        platform.over.set()
        await asyncio.gather(first, second, task)
        assert sorted(order) == ["end", "other"]


async def test_an_interrupt_is_raised_at_a_safepoint_of_its_cell_only() -> None:
    platform = CellPlatform()
    raised = threading.Event()

    async def suspended(context: Context, request: Message) -> None:
        context.publish(request, "stream", {"name": "stdout", "text": "."})
        try:
            await asyncio.sleep(1000)
        finally:
            raised.set()

    async with running(platform, compute=compute(platform), suspended=suspended) as kc:
        waiting = kc.execute("suspended", mode="task")
        await said(waiting)
        computing = kc.execute("compute")
        await said(computing)
        await kc.interrupt(waiting.msg_id)
        assert (await kc.complete("x"))["status"] == "ok"
        assert not raised.is_set()  # it is not on the stack
        platform.over.set()
        assert (await computing).status == "ok"
        assert (await waiting).reply["ename"] == "KeyboardInterrupt"
        platform.over.clear()
        computing = kc.execute("compute")
        await said(computing)
        await kc.interrupt()
        assert (await computing).reply["ename"] == "KeyboardInterrupt"


async def test_timers_fire_at_safepoints() -> None:
    platform = CellPlatform()

    def cell(context: Context, _request: Message) -> list[str]:
        fired: list[str] = []
        context.call_later(0.02, lambda: fired.append("late"))
        context.call_later(0.001, lambda: fired.append("early"))
        while len(fired) < 2:
            platform.safepoint()
        return fired

    async with running(platform, cell=cell) as kc:
        assert (await kc.execute("cell")).reply["result"] == ["early", "late"]


async def test_what_waits_is_answered_around_and_interrupted() -> None:
    platform = CellPlatform()

    def wait(timeout: float | None) -> Cell:
        def cell(context: Context, request: Message) -> Any:
            context.publish(request, "stream", {"name": "stdout", "text": "."})
            assert platform.host
            return platform.host.wait(asyncio.get_running_loop().create_future(), timeout)

        return cell

    async with running(platform, wait=wait(None), sleep=wait(0.02)) as kc:
        assert (await kc.execute("sleep")).reply["result"] is None
        execution = kc.execute("wait")
        await said(execution)
        assert (await kc.complete("x"))["status"] == "ok"
        await kc.interrupt()
        assert (await execution).reply["ename"] == "KeyboardInterrupt"
        assert (await kc.execute("sleep")).status == "ok"


async def test_a_safepoint_inside_the_guard_is_put_off() -> None:
    platform = CellPlatform()
    served: list[bool] = []

    def cell(context: Context, _request: Message) -> None:
        context.call_later(0, lambda: served.append(True))
        with context.guard:
            platform.safepoint()
            platform.safepoint()
            assert served == []
        assert served == [True]

    async with running(platform, cell=cell) as kc:
        result = await kc.execute("cell")
        assert result.status == "ok", result.reply


async def test_code_that_is_held_answers_debug_requests_and_is_interrupted_there() -> None:
    platform = CellPlatform()

    def held(context: Context, request: Message) -> None:
        say(context, request)
        context.hold().stay()

    async with running(platform, held=held) as kc:
        execution = kc.execute("held")
        await said(execution)
        for _ in range(3):
            assert (await kc.debug({"command": "debugInfo"}))["status"] == "ok"
            assert (await kc.complete("x"))["status"] == "ok"
        await kc.interrupt()
        assert (await execution).reply["ename"] == "KeyboardInterrupt"


async def test_an_interrupt_that_comes_when_the_wait_is_just_over() -> None:
    platform = CellPlatform()

    def held(context: Context, request: Message) -> None:
        say(context, request)
        platform.await_messages(2)
        context.hold().stay()

    async with running(platform, held=held) as kc, asyncio.timeout(PATIENCE):
        execution = kc.execute("held")
        await said(execution)
        asked = asyncio.create_task(kc.debug({"command": "debugInfo"}))  # has the code go on, to answer
        await asyncio.sleep(0)
        await kc.interrupt()
        assert (await asked)["status"] == "ok"
        assert (await execution).reply["ename"] == "KeyboardInterrupt"


async def test_what_belongs_together_is_flushed_together_and_output_at_once() -> None:
    batches: list[list[str]] = [[]]
    idle = asyncio.Event()

    def send(message: bytes, _buffers: list[Any]) -> None:
        envelope = json.loads(message)
        batches[-1].append(envelope["header"]["msg_type"])
        if envelope["parent_header"] and envelope["content"].get("execution_state") == "idle":
            idle.set()

    transport = CallbackTransport(send, lambda: batches.append([]))
    host = LoopHost(ScriptedInterpreter(cell=say))
    serving = asyncio.create_task(host.serve(transport))
    await host.started.wait()
    header = {"msg_id": "1", "msg_type": "execute_request", "session": "s"}
    transport.receive(json.dumps({"channel": "shell", "header": header, "content": {"code": "cell"}}))
    await asyncio.wait_for(idle.wait(), PATIENCE)
    host.stop()
    await serving
    sent = [batch for batch in batches if batch]
    assert sent[-3:] == [["status"], ["stream"], ["execute_reply", "status"]]
