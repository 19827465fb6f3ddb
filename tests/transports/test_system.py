"""What differs between systems, as far as it can be had here: an event loop that has neither `add_reader` nor
subprocesses, as the proactor loop of Windows and its selector loop have not.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import laneway

from .zmq_peers import ENDING, nothing_left


class PoorLoop(asyncio.SelectorEventLoop):
    """What every event loop has, and no more."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> NoReturn:
        raise NotImplementedError

    def remove_reader(self, fd: Any) -> NoReturn:
        raise NotImplementedError

    async def subprocess_exec(self, *_args: Any, **_options: Any) -> NoReturn:
        raise NotImplementedError


async def session() -> None:
    async with asyncio.timeout(120), laneway.launch() as kc:
        results = await asyncio.gather(*(kc.execute(f"print({i})") for i in range(200)))
        assert [result.stdout for result in results] == [f"{i}\n" for i in range(200)]
        asked = await kc.execute("input()", stdin=lambda _prompt, _password: "x" * 1_000_000)
        assert len(asked.result["text/plain"]) == 1_000_002 if asked.result else False
        running = kc.execute("import time; print('ready', flush=True); time.sleep(1000)")
        async for _ in running:
            break
        await running.cancel()
        dying = kc.execute("import os; os._exit(3)")
        try:
            await dying
        except laneway.KernelDiedError as error:
            assert error.exit_code == 3  # noqa: PT017, it is awaited
        else:
            raise AssertionError("It lives.")


def test_a_loop_that_has_no_add_reader_and_no_subprocesses() -> None:
    with nothing_left(ENDING):
        loop = PoorLoop()
        try:
            loop.run_until_complete(session())
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
