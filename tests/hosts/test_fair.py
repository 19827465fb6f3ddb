"""Threads that take turns."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from laneway.hosts import fair
from laneway.hosts.fair import SWITCH_INTERVAL, TURNS, enable_gui, new_event_loop, run


def test_the_last_kernel_puts_the_interval_back() -> None:
    before = sys.getswitchinterval()
    first, second = TURNS.shorter(), TURNS.shorter()
    with first:
        second.__enter__()
        assert sys.getswitchinterval() <= SWITCH_INTERVAL
    assert sys.getswitchinterval() <= SWITCH_INTERVAL  # the second still serves
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == before


@pytest.fixture(params=["asyncio", "uvloop"])
def loops(request: pytest.FixtureRequest) -> tuple[ModuleType, Callable[[], asyncio.AbstractEventLoop]]:
    """Where a kind of loop lies, and what makes one."""
    if request.param == "asyncio":
        return fair, new_event_loop
    pytest.importorskip("uvloop")
    from laneway.hosts import uv

    return uv, uv.FairUvloop


def test_a_busy_loop_rests(loops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module, new_loop = loops
    monkeypatch.setattr(module, "REST", 0.05)
    pauses: list[float] = []

    async def main() -> None:
        end = time.monotonic() + 60
        while len(pauses) < 2 and time.monotonic() < end:
            before = time.monotonic()
            await asyncio.sleep(0)
            if time.monotonic() - before >= 0.05:
                pauses.append(before)

    run(main(), new_loop)
    assert len(pauses) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no descriptor of a pipe tells of its signals")
def test_what_user_code_raises_ends_no_loop(loops: Any) -> None:
    _module, new_loop = loops
    ended: list[BaseException | None] = []
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    async def raises(error: BaseException) -> None:
        raise error

    async def main() -> None:
        signal.set_wakeup_fd(writer)
        for error in (KeyboardInterrupt(), SystemExit(1)):
            task = asyncio.create_task(raises(error))
            await asyncio.wait([task])
            ended.append(task.exception())
        assert signal.set_wakeup_fd(-1) == writer  # who is told of signals is so still

    try:
        run(main(), new_loop)
    finally:
        os.close(reader)
        os.close(writer)
    assert [type(error) for error in ended] == [KeyboardInterrupt, SystemExit]


def test_it_tells_how_its_main_task_ended_and_nothing_else(loops: Any) -> None:
    """What user code raises in that turn of the loop, too, is not it."""
    _module, new_loop = loops

    async def raises(error: BaseException) -> None:
        raise error

    async def main() -> None:
        left.append(asyncio.create_task(raises(KeyboardInterrupt())))
        raise ValueError("main")

    left: list[asyncio.Task[None]] = []
    with pytest.raises(ValueError, match="main"):
        run(main(), new_loop)
    assert isinstance(left[0].exception(), KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        run(raises(KeyboardInterrupt()), new_loop)


def test_user_code_cannot_stop_it(loops: Any) -> None:
    _module, new_loop = loops
    ended = False

    async def main() -> None:
        nonlocal ended
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        ended = True

    run(main(), new_loop)
    assert ended


class _Broken:
    """A toolkit that fails."""

    waits = 0

    def wait(self, descriptor: int, timeout: float | None) -> None:
        self.waits += 1
        raise ValueError("on purpose")

    def poll(self) -> None:
        """Not asked: the loop is never busy for long."""


def test_a_loop_goes_on_without_a_toolkit_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    toolkit = _Broken()

    async def main() -> None:
        enable_gui(asyncio.get_running_loop(), lambda: toolkit)
        await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)

    run(main(), new_event_loop)
    assert toolkit.waits == 1
    assert "on purpose" in capsys.readouterr().err


async def _of_another_loop() -> None:
    enable_gui(asyncio.get_running_loop(), None)
    with pytest.raises(RuntimeError, match="cannot wait inside"):
        enable_gui(asyncio.get_running_loop(), _Broken)


def test_a_loop_that_is_not_ours_cannot_wait_in_a_toolkit() -> None:
    asyncio.run(_of_another_loop())
