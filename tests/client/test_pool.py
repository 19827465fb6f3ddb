"""Many kernels from one process: as many as were allowed, each of them well, none left at the end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import tempfile
import threading
from pathlib import Path

import anyio
import psutil
import pytest

import laneway
from laneway.client.client import Client
from laneway.client.pool import Pool
from laneway.protocol.errors import ClientClosedError, KernelDiedError, KernelError, SettingsError
from tests.conformance.checks import process_of
from tests.soak import rounds
from tests.stopped import stop
from tests.tasks import together

pytestmark = pytest.mark.anyio


class Opened:
    """How many kernels were opened, of those that a pool may have at a time."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.most = 0

    def __call__(self) -> Client:
        self.clients.append(laneway.in_process())
        self.most = max(self.most, sum(kc.alive for kc in self.clients))
        return self.clients[-1]


async def until_ready(pool: Pool, size: int) -> None:
    with anyio.fail_after(60):
        while pool.idle != size:  # noqa: ASYNC110, it is a number
            await anyio.sleep(0.01)


async def test_each_user_has_a_kernel_of_his_own() -> None:
    opened = Opened()
    with anyio.fail_after(60):
        async with Pool(3, kernel=opened) as pool:

            async def use(number: int) -> str:
                async with pool.kernel() as kc:
                    await kc.execute(f"mine = {number}")
                    await kc.execute("import asyncio; await asyncio.sleep(0.01)")
                    assert pool.size <= 3
                    return (await kc.execute("print(mine)")).stdout

            assert await asyncio.gather(*map(use, range(12))) == [f"{i}\n" for i in range(12)]
            assert (pool.size, pool.lent, pool.waiting, opened.most) == (3, 0, 0, 3)
            assert len(opened.clients) == 3
            assert (await pool.execute("print(1)")).stdout == "1\n"
        assert not any(kc.alive for kc in opened.clients)
        assert pool.size == 0


async def test_who_comes_first_is_served_first() -> None:
    with anyio.fail_after(60):
        async with Pool(1, kernel=laneway.in_process) as pool:
            served: list[int] = []

            async def use(number: int) -> None:
                async with pool.kernel() as kc:
                    await kc.execute("1")
                    served.append(number)

            await asyncio.gather(*map(use, range(5)))
            assert served == list(range(5))


async def test_a_fresh_pool_lends_nothing_that_was_used() -> None:
    opened = Opened()
    with anyio.fail_after(60):
        async with Pool(2, fresh=True, ready=1, kernel=opened) as pool:
            for _ in range(3):
                async with pool.kernel() as kc:
                    assert (await kc.execute("used")).reply["ename"] == "NameError"
                    await kc.execute("used = True")
            assert opened.most <= 2


async def test_a_kernel_that_is_busy_still_is_not_lent_again() -> None:
    with anyio.fail_after(60):
        async with Pool(1, kernel=laneway.in_process) as pool:
            async with pool.kernel() as first:
                run = first.execute("import asyncio\nprint('runs')\nawait asyncio.sleep(1000)")
                async for _ in run:
                    break
            async with pool.kernel() as second:
                assert second is not first
                assert (await second.execute("1")).status == "ok"


async def test_cancelling_who_waits_costs_nobody_a_kernel() -> None:
    with anyio.fail_after(60):
        async with Pool(1, kernel=laneway.in_process) as pool:
            async with pool.kernel():
                waiting = [asyncio.ensure_future(pool.execute("1")) for _ in range(3)]
                await until(lambda: pool.waiting == 3)
                waiting[0].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting[0]
                assert pool.waiting == 2
            for run in waiting[1:]:
                assert (await run).status == "ok"


async def test_who_is_cancelled_with_a_kernel_in_his_hand_gives_it_back() -> None:
    with anyio.fail_after(60):
        async with Pool(1, kernel=laneway.in_process) as pool:
            async with pool.kernel():
                waiting = asyncio.ensure_future(pool.execute("1"))
                await until(lambda: pool.waiting == 1)
            assert pool.waiting == 0  # it has been handed over
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (await pool.execute("1")).status == "ok"


async def test_what_the_block_raises_is_raised_as_it_is() -> None:
    opened = Opened()

    async def use() -> None:
        async with Pool(1, kernel=opened) as pool:
            await pool.execute("1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use()
    assert not opened.clients[0].alive


async def test_a_pool_that_is_cancelled_leaves_no_process() -> None:
    me = psutil.Process()
    with anyio.move_on_after(60) as scope:
        async with Pool(2, ready=2) as pool, pool.kernel() as kc:
            await process_of(kc)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    with anyio.fail_after(60):
        while me.children(recursive=True):  # noqa: ASYNC110, no event of ours
            await anyio.sleep(0.01)


async def until(condition: object) -> None:
    assert callable(condition)
    while not condition():  # noqa: ASYNC110, it is a number
        await asyncio.sleep(0)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_under_trio() -> None:
    with anyio.fail_after(60):
        async with Pool(2) as pool:
            results = await together(*(pool.execute(f"print({i})") for i in range(4)))
            assert [result.stdout for result in results] == [f"{i}\n" for i in range(4)]
            async with pool.kernel() as kc:
                with pytest.raises(KernelDiedError):
                    await kc.execute("import os; os._exit(3)")
            assert (await pool.execute("1")).status == "ok"


async def test_what_cannot_be_started_is_told_to_who_asks() -> None:
    with anyio.fail_after(60):
        async with Pool(2, ready=2, kernel=lambda: laneway.launch(["/no/such/program"])) as pool:
            for _ in range(2):
                with pytest.raises(KernelError, match="cannot be started"):
                    await pool.execute("1")


async def test_closing_ends_the_kernels_and_tells_who_waits() -> None:
    with anyio.fail_after(60):
        async with Pool(1, kernel=laneway.in_process) as pool, pool.kernel() as kc:
            running = kc.execute("import asyncio; await asyncio.sleep(1000)")
            waiting = asyncio.ensure_future(pool.execute("1"))
            await until(lambda: pool.waiting == 1)
            await pool.aclose()
            for call in (running, waiting):
                with pytest.raises(ClientClosedError):
                    await call
        with pytest.raises(ClientClosedError, match="The pool is closed"):
            await pool.execute("1")


@pytest.mark.parametrize(("limit", "ready"), [(0, 0), (1, 2), (1, -1)])
def test_numbers_that_make_no_sense(limit: int, ready: int) -> None:
    with pytest.raises(SettingsError):
        Pool(limit, ready=ready)


def named_threads() -> set[str]:
    """But for those of the loop, which ends them."""
    return {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio")}


def left_behind() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("laneway-*"))


async def test_processes_of_which_some_die_or_hang_are_replaced_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The short form has 4 kernels, `make soak` 20."""
    size = rounds(4, 20)
    monkeypatch.setattr("laneway.client.pool.HEALTH", 2)
    monkeypatch.setattr("laneway.client.launch.SHUTDOWN_PATIENCE", 1)
    await asyncio.to_thread(str)  # the loop's own thread
    me = psutil.Process()
    folders, descriptors, threads = left_behind(), me.num_fds(), named_threads()
    with anyio.fail_after(240):
        async with Pool(size, ready=size) as pool:
            await until_ready(pool, size)
            one_each = asyncio.Barrier(size)

            async def process() -> int:
                async with pool.kernel() as kc:
                    await one_each.wait()
                    assert pool.size == size
                    return await process_of(kc)

            processes = await asyncio.gather(*(process() for _ in range(size)))
            assert len(set(processes)) == size

            # one dies while it is idle, one while it computes, and one does not answer
            os.kill(processes[0], signal.SIGKILL)
            await until_replaced(pool, size, processes[0])
            with pytest.raises(KernelDiedError):
                await pool.execute("import os; os._exit(3)")
            hung = (set(processes) & {child.pid for child in me.children()}).pop()
            stop(hung)
            again = set(await asyncio.gather(*(process() for _ in range(size))))
            assert len(again) == size
            assert not again & {processes[0], hung}
            async with pool.kernel() as kc:
                kc.execute("import time; time.sleep(1000)")
    assert me.children(recursive=True) == []
    gc.collect()
    assert left_behind() <= folders
    assert me.num_fds() <= descriptors + 1  # the pipe of the executor's threads, say
    assert named_threads() <= threads


async def until_replaced(pool: Pool, size: int, process: int) -> None:
    """It has been noticed, and as many are ready as before."""
    while psutil.pid_exists(process) or pool.idle != size:  # noqa: ASYNC110, no event of ours
        await anyio.sleep(0.01)
