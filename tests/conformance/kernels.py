"""A connected kernel on each transport: an async context manager that yields a client, and sees to it that
the kernel has ended.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import laneway
from laneway.client.client import Client
from laneway.hosts.threads import ThreadHost
from laneway.interpreter.ipython import IPythonInterpreter
from laneway.transports.memory import memory_pair
from tests.thread import in_thread

from .chromium import ChromiumTransport
from .node import NodeTransport

Kernel = Callable[[], AbstractAsyncContextManager[Client]]


@asynccontextmanager
async def memory() -> AsyncGenerator[Client, None]:
    """ThreadHost on a thread of this process."""
    kernel_end, client_end = memory_pair()
    async with (
        in_thread(lambda: ThreadHost(IPythonInterpreter()).run(kernel_end)),
        Client(client_end) as kc,
    ):
        try:
            yield kc
        finally:
            if kc.alive:
                await kc.shutdown()


@asynccontextmanager
async def callback() -> AsyncGenerator[Client, None]:
    """LoopHost on this event loop, behind the callback interface."""
    async with laneway.in_process() as kc:
        yield kc


@asynccontextmanager
async def zmq() -> AsyncGenerator[Client, None]:
    """ThreadHost in a process of its own."""
    async with await laneway.launch() as kc:
        yield kc


@asynccontextmanager
async def node() -> AsyncGenerator[Client, None]:
    """LoopHost on Pyodide, in a worker thread of Node: shared memory, and no JSPI."""
    async with Client(NodeTransport()) as kc:
        yield kc


@asynccontextmanager
async def node_plain() -> AsyncGenerator[Client, None]:
    """The same without shared memory: nothing that code waits for can come."""
    async with Client(NodeTransport(isolated=False)) as kc:
        yield kc


@asynccontextmanager
async def chromium() -> AsyncGenerator[Client, None]:
    """LoopHost on Pyodide, in a worker of a cross-origin isolated page in Chromium: it shares memory with the
    page and can put stacks aside (JSPI).
    """
    async with Client(ChromiumTransport()) as kc:
        yield kc


@asynccontextmanager
async def chromium_plain() -> AsyncGenerator[Client, None]:
    """The same from a plain server, without COOP and COEP: no shared memory."""
    async with Client(ChromiumTransport(isolated=False)) as kc:
        yield kc


KERNELS: dict[str, Kernel] = {
    "memory": memory,
    "callback": callback,
    "zmq": zmq,
    "node": node,
    "node_plain": node_plain,
    "chromium": chromium,
    "chromium_plain": chromium_plain,
}
