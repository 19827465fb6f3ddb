"""Kernels behind real servers: Jupyter's, and in `make servers` the gateways and JupyterHub."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest

import laneway
from laneway.protocol.errors import KernelError, KernelRestartedError
from tests.tasks import together

from .server import KINDS, TOKEN, enterprise_gateway, kernel_gateway, kernels

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def timeout(seconds: float) -> AsyncGenerator[None, None]:
    with anyio.fail_after(seconds):
        yield


_HERE = "jupyter_server"
"""The kind that is part of the environment of tests."""


@pytest.fixture(
    scope="module",
    params=[_HERE, *(pytest.param(kind, marks=pytest.mark.servers) for kind in KINDS if kind != _HERE)],
)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a server of each kind."""
    with KINDS[request.param](tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.mark.parametrize("kernel", ["laneway", "python3"])
async def test_many_outstanding(url: str, kernel: str) -> None:
    async with timeout(60), laneway.connect_server(url, TOKEN, kernel) as kc:
        executions = [kc.execute(f"print({i})\n{i}") for i in range(100)]
        completion = await kc.complete("impo")
        assert "import" in completion["matches"]
        for i, execution in enumerate(executions):
            result = await execution
            assert (result.stdout, result.result) == (f"{i}\n", {"text/plain": str(i)})
        assert kc.pending == 0
    assert kernels(url) == []


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_input_interrupt_and_buffers(url: str) -> None:
    async with timeout(60), laneway.connect_server(url, TOKEN) as kc:
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
    async with timeout(60), laneway.connect_server(url, TOKEN) as kc:
        await kc.execute("old = 1")
        running = kc.execute("print('ready')\nimport time; time.sleep(1000)")
        async for _ in running:
            break
        await kc.restart()
        with pytest.raises(KernelRestartedError):
            await running
        assert (await kc.execute("old")).reply["ename"] == "NameError"


async def test_a_running_kernel_is_joined_and_left_running(url: str) -> None:
    async with timeout(60), laneway.connect_server(url, TOKEN) as first:
        await first.execute("shared = 42")
        (kernel_id,) = kernels(url)
        async with laneway.connect_server(url, TOKEN, kernel_id) as second:
            assert (await second.execute("shared")).result == {"text/plain": "42"}
        assert kernels(url) == [kernel_id]
        assert (await first.execute("shared")).result == {"text/plain": "42"}


async def test_a_kernel_that_dies_is_restarted_by_the_server_and_what_was_pending_fails(url: str) -> None:
    async with timeout(60), laneway.connect_server(url, TOKEN) as kc:
        running = kc.execute("import os; os._exit(3)")
        queued = kc.execute("1")
        for execution in (running, queued):
            with pytest.raises(KernelRestartedError):
                await execution
        while not (await kc.execute("1")).complete:
            pass  # the server's own iopub socket has not found the new kernel yet
        assert (await kc.execute("'again'")).result == {"text/plain": "'again'"}


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_no_kernel_is_left_by_a_scope_that_is_cancelled_or_a_kernel_that_is_restarted(url: str) -> None:
    with anyio.fail_after(60):
        with anyio.CancelScope() as scope:
            async with laneway.connect_server(url, TOKEN):
                scope.cancel()
                await anyio.sleep_forever()
        assert kernels(url) == []
        async with laneway.connect_server(url, TOKEN) as kc:
            with pytest.raises(KernelRestartedError):
                await kc.execute("import os; os._exit(3)")
        assert kernels(url) == []


async def test_what_goes_wrong_is_said(url: str) -> None:
    with pytest.raises(KernelError, match=r"40[13]"):
        await laneway.connect_server(url, "wrong").start()
    with pytest.raises(KernelError, match="no-such-kernel"):
        await laneway.connect_server(url, TOKEN, "no-such-kernel").start()
    with pytest.raises(KernelError, match="There is no Jupyter server"):
        await laneway.connect_server("http://127.0.0.1:9", TOKEN).start()


async def test_a_pool(url: str) -> None:
    async with (
        timeout(120),
        laneway.Pool(3, kernel=lambda: laneway.connect_server(url, TOKEN)) as pool,
    ):
        results = await together(*(pool.execute(f"print({i})") for i in range(9)))
        assert [result.stdout for result in results] == [f"{i}\n" for i in range(9)]
        assert len(kernels(url)) == pool.size <= 3
    assert kernels(url) == []


@pytest.mark.servers
@pytest.mark.parametrize("gateway", [kernel_gateway, enterprise_gateway])
async def test_gateways_that_list_no_kernels(
    gateway: Callable[[Path], AbstractContextManager[str]], tmp_path: Path
) -> None:
    """As they are by default."""
    with gateway(tmp_path) as url:
        async with timeout(60), laneway.connect_server(url, TOKEN) as kc:
            result = await kc.execute(
                "from ipykernel import get_connection_file; print(get_connection_file())"
            )
            kernel_id = Path(result.stdout.strip()).stem.removeprefix("kernel-")
            async with laneway.connect_server(url, TOKEN, kernel_id) as same:
                assert (await same.execute("kernel_id = 1")).status == "ok"
        with pytest.raises(KernelError, match="no-such-kernel"):
            await laneway.connect_server(url, TOKEN, "no-such-kernel").start()
