"""A kernel behind a real Jupyter server."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

import laneway
from laneway.protocol.errors import KernelError, KernelRestartedError

from .server import TOKEN, jupyter_server, kernels

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """The address of a server."""
    with jupyter_server(tmp_path_factory.mktemp("server")) as (url, _process):
        yield url


@pytest.mark.parametrize("kernel", ["laneway", "python3"])
async def test_many_outstanding(url: str, kernel: str) -> None:
    async with asyncio.timeout(60), laneway.connect_server(url, TOKEN, kernel) as kc:
        executions = [kc.execute(f"print({i})\n{i}") for i in range(100)]
        completion = await kc.complete("impo")
        assert "import" in completion["matches"]
        for i, execution in enumerate(executions):
            result = await execution
            assert (result.stdout, result.result) == (f"{i}\n", {"text/plain": str(i)})
        assert kc.pending == 0
    assert kernels(url) == []


async def test_input_interrupt_and_buffers(url: str) -> None:
    async with asyncio.timeout(60), laneway.connect_server(url, TOKEN) as kc:
        result = await kc.execute("print(input('? '))", stdin=lambda prompt, _password: f"to {prompt}")
        assert result.stdout == "to ? \n"
        execution = kc.execute("print('ready')\nwhile True: pass")
        async for _ in execution:
            break
        await execution.cancel()
        assert (await execution).reply["ename"] == "KeyboardInterrupt"
        await kc.execute(
            "def echo(comm, _):\n"
            "    comm.on_msg(lambda m: comm.send(m['content']['data'], buffers=m['buffers']))\n"
            "get_ipython().kernel.comm_manager.register_target('echo', echo)"
        )
        comm = kc.comms.open("echo")
        comm.send({"a": 1}, buffers=[b"x" * 1_000_000, b""])
        echoed = await anext(comm)
        assert echoed.content["data"] == {"a": 1}
        assert [bytes(buffer) for buffer in echoed.buffers] == [b"x" * 1_000_000, b""]


async def test_restart(url: str) -> None:
    async with asyncio.timeout(60), laneway.connect_server(url, TOKEN) as kc:
        await kc.execute("old = 1")
        running = kc.execute("print('ready')\nimport time; time.sleep(1000)")
        async for _ in running:
            break
        await kc.restart()
        with pytest.raises(KernelRestartedError):
            await running
        assert (await kc.execute("old")).reply["ename"] == "NameError"


async def test_a_running_kernel_is_joined_and_left_running(url: str) -> None:
    async with asyncio.timeout(60), laneway.connect_server(url, TOKEN) as first:
        await first.execute("shared = 42")
        (kernel_id,) = kernels(url)
        async with laneway.connect_server(url, TOKEN, kernel_id) as second:
            assert (await second.execute("shared")).result == {"text/plain": "42"}
        assert kernels(url) == [kernel_id]
        assert (await first.execute("shared")).result == {"text/plain": "42"}


async def test_a_kernel_that_dies_is_restarted_by_the_server_and_what_was_pending_fails(url: str) -> None:
    async with asyncio.timeout(60), laneway.connect_server(url, TOKEN) as kc:
        running = kc.execute("import os; os._exit(3)")
        queued = kc.execute("1")
        for execution in (running, queued):
            with pytest.raises(KernelRestartedError):
                await execution
        while not (await kc.execute("1")).complete:
            pass  # the server's own iopub socket has not found the new kernel yet
        assert (await kc.execute("'again'")).result == {"text/plain": "'again'"}


async def test_what_goes_wrong_is_said(url: str) -> None:
    with pytest.raises(KernelError, match="403"):
        await laneway.connect_server(url, "wrong").start()
    with pytest.raises(KernelError, match="no-such-kernel"):
        await laneway.connect_server(url, TOKEN, "no-such-kernel").start()
    with pytest.raises(KernelError, match="There is no Jupyter server"):
        await laneway.connect_server("http://127.0.0.1:9", TOKEN).start()
