"""A kernel of the desktop that works for long: its memory stays as it is, and nothing is lost.

`make soak` runs the long form: 50,000 cells, 1,000,000 prints, 20,000 comm messages, 2,000 subshells.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

import laneway
from laneway.client.client import Client

from ..soak import SOAK, memory, rounds

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is measured"),
]

AT_ONCE = 50
"""Requests that are under way together."""


@asynccontextmanager
async def kernel() -> AsyncGenerator[tuple[Client, Grown]]:
    async with laneway.launch() as kc:
        result = await kc.execute("import os; print(os.getpid(), end='')")
        yield kc, Grown(int(result.stdout))


class Grown:
    """By how many bytes a process has grown since it was warm."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._warm = 0

    def warm(self) -> None:
        self._warm = memory(self._process)

    def by(self) -> int:
        return memory(self._process) - self._warm


ALLOCATOR = 4 * 2**20
"""Bytes by which a process grows and shrinks whatever it does."""


async def test_cells() -> None:
    async with kernel() as (kc, grown):

        async def run(count: int) -> None:
            for start in range(0, count, AT_ONCE):
                # that are the same again and again: the source of a cell is kept, for `In` and tracebacks
                cells = [kc.execute(f"x = {number}; x") for number in range(AT_ONCE)]
                results = [(await cell).result or {} for cell in cells]
                values = [result["text/plain"] for result in results]
                assert values == [str(number) for number in range(AT_ONCE)], start

        await run(rounds(300, 3000))
        grown.warm()
        cells = rounds(500, 50_000)
        await run(cells)
        assert grown.by() < ALLOCATOR + 80_000 * cells // 1000


async def test_prints() -> None:
    async with kernel() as (kc, grown):
        # per cell 10,000 prints, of which each is flushed now and then
        code = "for i in range(10_000): print(i, flush=not i % 500)"
        expected = "".join(f"{number}\n" for number in range(10_000))
        for number in range(rounds(3, 100) + 2):
            if number == 2:
                grown.warm()
            assert (await kc.execute(code)).stdout == expected
        assert grown.by() < 2 * ALLOCATOR


async def test_comm_messages() -> None:
    async with kernel() as (kc, grown):
        await kc.execute(
            "import comm\n"
            "def opened(c, message): c.on_msg(lambda message: c.send(message['content']['data']))\n"
            "comm.get_comm_manager().register_target('echo', opened)"
        )
        channel = kc.comms.open("echo")

        async def exchange(count: int) -> None:
            for start in range(0, count, AT_ONCE):
                numbers = range(start, start + AT_ONCE)
                for number in numbers:
                    channel.send({"number": number})
                got = [(await anext(channel)).content["data"]["number"] for _ in numbers]
                assert got == [*numbers]

        await exchange(500)
        grown.warm()
        await exchange(rounds(1000, 20_000))
        assert grown.by() < ALLOCATOR


async def test_subshells() -> None:
    async with kernel() as (kc, grown):

        async def open_and_close(count: int) -> None:
            for _ in range(0, count, 5):
                subshells = await asyncio.gather(*(kc.create_subshell() for _ in range(5)))
                results = await asyncio.gather(*(kc.execute("print('.')", subshell=s) for s in subshells))
                assert [result.stdout for result in results] == [".\n"] * 5, [r.reply for r in results]
                await asyncio.gather(*(kc.delete_subshell(subshell) for subshell in subshells))

        await open_and_close(rounds(20, 200))
        grown.warm()
        await open_and_close(rounds(40, 2000))
        assert grown.by() < ALLOCATOR
        threads = await kc.execute("import threading; print(threading.active_count() < 20, end='')")
        assert threads.stdout == "True"


async def test_updates_of_a_display() -> None:
    async with kernel() as (kc, grown):
        code = "h = display('', display_id=True)\nfor i in range({}): h.update(str(i % 10) * 10_000)"
        await kc.execute(code.format(100))
        grown.warm()
        await kc.execute(code.format(rounds(1000, 20_000)))
        assert grown.by() < ALLOCATOR + (50 if SOAK else 0) * 2**20  # what waited for this client
