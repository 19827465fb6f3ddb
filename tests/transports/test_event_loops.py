"""What a client waits with, on asyncio and on trio; and trio as an event loop."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trio

from laneway.transports.event_loops import Bell, EventLoop, Future, in_thread, in_trio, running_loop
from tests.tasks import begin

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_the_loop_is_that_of_who_calls(anyio_backend: str) -> None:
    assert in_trio() is (anyio_backend == "trio")
    loop = running_loop()
    assert running_loop() is loop
    assert loop.is_running()
    with pytest.raises(RuntimeError):
        await anyio.to_thread.run_sync(running_loop)


async def test_a_future_is_set_once_and_awaited_by_any_number() -> None:
    future: Future[int] = Future()
    waiting = [begin(future) for _ in range(3)]
    waiting[0].cancel()
    running_loop().call_soon(lambda: future.set_result(1))
    assert [await one for one in waiting[1:]] == [1, 1]
    future.set_exception(ValueError("too late"))
    future.set_result(2)
    assert await future == 1


async def test_a_bell_wakes_who_waits_now() -> None:
    bell = Bell()
    bell.ring()
    waiting = begin(bell.wait())
    while not waiting.done:
        await anyio.sleep(0.001)
        bell.ring()


async def test_a_thread_goes_on_where_nobody_waits() -> None:
    go_on, ended = threading.Event(), threading.Event()
    waiting = begin(in_thread(running_loop(), lambda: go_on.wait() and ended.set()))
    waiting.cancel()
    go_on.set()
    assert await anyio.to_thread.run_sync(ended.wait, 60)
    with pytest.raises(ZeroDivisionError):
        await in_thread(running_loop(), lambda: 1 // 0)


async def test_timers_ring_in_order_unless_they_are_cancelled() -> None:
    loop, rung = running_loop(), list[int]()
    done: Future[None] = Future()
    now = loop.time()
    timers = [
        loop.call_at(now + 0.01 * number, lambda number=number: rung.append(number)) for number in (3, 1, 2)
    ]
    loop.call_at(now + 0.05, lambda: done.set_result(None))
    timers[1].cancel()
    with anyio.fail_after(60):
        await done
    assert rung == [2, 3]


async def test_a_task_that_is_cancelled_before_it_begins_never_does() -> None:
    began: list[int] = []
    ended: Future[None] = Future()

    async def task() -> None:
        began.append(1)

    created = running_loop().create_task(task())
    created.add_done_callback(lambda _task: ended.set_result(None))
    created.cancel()
    await ended
    assert began == []


def test_what_raises_does_not_end_trio_and_its_end_is_known(caplog: pytest.LogCaptureFixture) -> None:
    loops: list[EventLoop] = []

    async def fails() -> None:
        raise ValueError("a task")

    def raises(error: Exception) -> Any:
        raise error

    async def main() -> None:
        loop = running_loop()
        loops.append(loop)
        ended: Future[None] = Future()
        loop.create_task(fails()).add_done_callback(lambda _task: ended.set_result(None))
        loop.call_at(loop.time(), lambda: raises(ValueError("a timer")))
        loop.call_soon(lambda: raises(ValueError("a call")))
        await ended
        while "a timer" not in caplog.text or "a call" not in caplog.text:  # noqa: ASYNC110
            await trio.sleep(0.001)

    trio.run(main)
    assert "a task" in caplog.text
    assert loops[0].is_closed()
    with pytest.raises(RuntimeError):
        loops[0].call_soon_threadsafe(lambda: None)
