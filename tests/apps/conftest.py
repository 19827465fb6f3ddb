"""A launched kernel, for the tests of real kernels."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

import laneway
from laneway.client.client import Client
from laneway.protocol.errors import KernelTimeoutError


@pytest.fixture(scope="module")
async def launched() -> AsyncGenerator[Client, None]:
    """One kernel for a module."""
    async with laneway.launch() as kc:
        yield kc


@pytest.fixture
async def kc(launched: Client) -> AsyncGenerator[Client, None]:
    """One kernel for all tests, unless one of them fails and leaves it busy."""
    yield launched
    try:
        await launched.execute("None", timeout=5)
    except KernelTimeoutError:
        await launched.restart()
