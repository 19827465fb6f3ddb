"""What all tests share."""

from __future__ import annotations

import functools
import os
import signal
import tempfile
from inspect import iscoroutinefunction
from typing import Any

import anyio
import pytest

from tests.soak import rounds

LONGEST = rounds(240, 7200)
"""Seconds that an async test may take: one that hangs says at which of its lines, and the others go on."""


def pytest_configure(config: pytest.Config) -> None:
    """In the background of a shell SIGINT is ignored, and so it would be in all that the tests start. Where
    several processes run tests (`make test` has two), each has a temporary folder of its own: some tests look
    at what is left there.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="t", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ["TMPDIR"] = tempfile.tempdir = folder.name


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """Ends a test that hangs."""
    test = pyfuncitem.obj
    if iscoroutinefunction(test):

        @functools.wraps(test)
        async def limited(*args: Any, **kwargs: Any) -> None:
            with anyio.fail_after(LONGEST):
                await test(*args, **kwargs)

        pyfuncitem.obj = limited
    return (yield)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, as Jupyter's tools and Pyodide do."""
    return "asyncio"
