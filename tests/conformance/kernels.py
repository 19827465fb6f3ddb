"""A connected kernel on each transport: an async context manager that yields a client, and sees to it that
the kernel has ended.
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import laneway
from laneway.client.client import Client
from laneway.client.execution import Execution
from laneway.hosts.threads import ThreadHost
from laneway.interpreter.ipython import IPythonInterpreter
from laneway.protocol.message import Content
from laneway.protocol.modes import is_mode
from laneway.transports.memory import memory_pair
from tests.thread import in_thread

from .node import NodeTransport
from .page import PageTransport

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
    async with laneway.launch() as kc:
        yield kc


@asynccontextmanager
async def zmq_trio() -> AsyncGenerator[Client, None]:
    """The same, where cells await trio's functions. So checks do, where trio has what they use. The client
    runs on trio, too.
    """
    argv = [sys.executable, "-m", "laneway", "-f", "{connection_file}", "--backend=trio"]
    async with laneway.launch(argv) as kc:
        execute = kc.execute

        def execute_for_trio(code: str, **options: Any) -> Execution:
            return execute(_for_trio(code), **options)

        debug = kc.debug

        async def debug_for_trio(request: Content, **options: Any) -> Content:
            match request:
                case {"command": "dumpCell", "arguments": {"code": str(code)}}:
                    request = {**request, "arguments": {"code": _for_trio(code)}}
                case _:
                    pass
            return await debug(request, **options)

        kc.execute = execute_for_trio
        kc.debug = debug_for_trio
        yield kc


def _for_trio(code: str) -> str:
    used = set(re.findall(r"asyncio\W+(\w+)", code.replace("import asyncio", "")))
    if used <= {"sleep", "Event"} and "in_process" not in code:  # that kernel is asyncio's
        return code.replace("asyncio", "trio")
    first, rest = code.split("\n", 1) if is_mode(code.partition("\n")[0]) else ("", code)
    return f"{first}\n%%asyncio\n{rest}".lstrip("\n")


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


def in_page(engine: str, *, isolated: bool = True) -> Kernel:
    """LoopHost on Pyodide, in a worker of a page in a browser of this engine. Isolated they share memory,
    where the engine can.
    """

    @asynccontextmanager
    async def kernel() -> AsyncGenerator[Client, None]:
        async with Client(PageTransport(engine, isolated=isolated)) as kc:
            yield kc

    return kernel


KERNELS: dict[str, Kernel] = {
    "memory": memory,
    "callback": callback,
    "zmq": zmq,
    "zmq_trio": zmq_trio,
    "node": node,
    "node_plain": node_plain,
    "chromium": in_page("chromium"),  # has JSPI, as Firefox does
    "chromium_plain": in_page("chromium", isolated=False),
    "firefox": in_page("firefox"),
    "firefox_plain": in_page("firefox", isolated=False),
    "webkit": in_page("webkit"),  # no SharedArrayBuffer in the page, although it is isolated
    "webkit_shared": in_page("webkit_shared"),
    "webkit_plain": in_page("webkit_shared", isolated=False),
}

IN_OTHER_ENGINES = ("firefox_plain", "webkit_shared", "webkit_plain")
"""What differs from others in so little that only `make engines` runs it."""
