"""Runs every check on every transport.

A kernel in a process of its own serves all checks. One in this process is made for each, inside the test: it
replaces sys.stdout, as pytest does between the phases of a test.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from laneway.client.client import Client
from laneway.protocol.errors import KernelError

from .checks import CHECKS, Check, check_shutdown, missing, soon
from .kernels import KERNELS

IN_PROCESS = ("memory", "callback")
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=KERNELS)
async def connect(
    request: pytest.FixtureRequest,
) -> AsyncGenerator[Callable[[], AbstractAsyncContextManager[Client]], None]:
    """Gives a connected kernel, again and again."""
    kernel = KERNELS[request.param]
    if request.param in IN_PROCESS:
        yield kernel
        return
    async with kernel() as kc:

        @asynccontextmanager
        async def shared() -> AsyncGenerator[Client, None]:
            yield kc

        yield shared


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
async def test_check(connect: Callable[[], AbstractAsyncContextManager[Client]], check: Check) -> None:
    async with connect() as kc:
        if lacking := missing(check, kc):
            pytest.skip(f"this kernel lacks: {', '.join(lacking)}")
        await check(kc)


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
async def test_shutdown(kernel: Callable[[], AbstractAsyncContextManager[Client]]) -> None:
    async with kernel() as kc:
        await check_shutdown(kc)
        await soon(kc.wait_ended())
        with pytest.raises(KernelError):
            kc.execute("1")
