"""Runs the debugger's checks on a kernel of the Python that runs this, which need not be the project's: what
it has of other packages is on its path.

    python -m tests.conformance.debugged memory|zmq [part of a check's name]
    python -m tests.conformance.debugged memory|zmq storm COUNT
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import laneway
from laneway.client.client import Client
from laneway.hosts.threads import ThreadHost
from laneway.interpreter.ipython import IPythonInterpreter
from laneway.transports.memory import memory_pair

from .checks import missing
from .debugging import DEBUGGER_CHECKS, storm


@asynccontextmanager
async def memory() -> AsyncGenerator[Client, None]:
    """ThreadHost on a thread of this process."""
    kernel_end, client_end = memory_pair()
    host = asyncio.create_task(asyncio.to_thread(lambda: ThreadHost(IPythonInterpreter()).run(kernel_end)))
    async with Client(client_end) as kc:
        try:
            yield kc
        finally:
            await kc.shutdown()
    await host


def zmq() -> AbstractAsyncContextManager[Client]:
    """ThreadHost in a process of its own. Whose Python has no pyzmq does not come here."""
    return laneway.launch()


KERNELS: dict[str, Callable[[], AbstractAsyncContextManager[Client]]] = {
    "memory": memory,
    "zmq": zmq,
}


async def main(transport: str, part: str = "", stops: str = "") -> None:
    """Prints a line for each check, and ends with 1 where one fails."""
    async with KERNELS[transport]() as kc:
        if stops:
            await storm(kc, int(stops), seed=int(stops))
            return
        for check in DEBUGGER_CHECKS:
            if part in check.__name__ and not missing(check, kc):
                begun = time.perf_counter()
                await check(kc)
                print(f"passed {check.__name__} {time.perf_counter() - begun:.2f} s", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
