"""Runs every check on every transport, and with a client on asyncio or on trio.

A kernel in a process of its own serves all checks. One in this process is made for each, inside the test: it
replaces sys.stdout, as pytest does between the phases of a test.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from laneway.client.client import Client
from laneway.protocol.errors import KernelError

from .checks import CHECKS, Check, check_shutdown, missing, soon
from .debugging import DEBUGGER_CHECKS
from .kernels import IN_OTHER_ENGINES, KERNELS, Kernel

IN_PROCESS = ("memory", "callback")
pytestmark = pytest.mark.anyio


PARAMETERS = [
    pytest.param(name, marks=[pytest.mark.engines] if name in IN_OTHER_ENGINES else []) for name in KERNELS
]


@pytest.fixture(scope="module", params=PARAMETERS)
def name(request: pytest.FixtureRequest) -> str:
    """Of a kernel in KERNELS."""
    return request.param


@pytest.fixture(scope="module")
def anyio_backend(name: str) -> str:
    """What the client runs on."""
    return "trio" if name == "zmq_trio" else "asyncio"


class Shared:
    """The kernel of many checks; one that a check has failed on makes way for another one."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._stack = AsyncExitStack()
        self._client: Client | None = None

    async def start(self) -> None:
        """Start it, if there is none."""
        if self._client is None:
            await self.close()
            self._client = await self._stack.enter_async_context(self._kernel())

    async def close(self) -> None:
        """End it, if there is one."""
        await self._stack.aclose()

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[Client, None]:
        """Its client, for one check."""
        client, self._client = self._client, None
        assert client
        yield client
        self._client = client


@pytest.fixture(scope="module")
async def shared(name: str) -> AsyncGenerator[Shared, None]:
    shared = Shared(KERNELS[name])
    yield shared
    await shared.close()


@pytest.fixture
async def connect(name: str, shared: Shared) -> Kernel:
    """Gives a connected kernel."""
    if name in IN_PROCESS:
        return KERNELS[name]
    await shared.start()
    return shared.connect


@pytest.mark.parametrize(
    "check", [*CHECKS, *DEBUGGER_CHECKS], ids=lambda check: check.__name__.removeprefix("check_")
)
async def test_check(connect: Kernel, check: Check) -> None:
    skip = ""
    async with connect() as kc:
        if lacking := missing(check, kc):
            skip = f"this kernel lacks: {', '.join(lacking)}"
        else:
            await check(kc)
    if skip:
        pytest.skip(skip)


async def test_shutdown(name: str) -> None:
    async with KERNELS[name]() as kc:
        await check_shutdown(kc)
        await soon(kc.wait_ended())
        with pytest.raises(KernelError):
            kc.execute("1")
