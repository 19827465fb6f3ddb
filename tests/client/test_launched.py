"""The client with real kernels: in processes of their own, where they can be killed, paused and restarted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import psutil
import pytest

import laneway
from laneway.client.client import Client, Execution
from laneway.client.execution import State, StdinHook
from laneway.protocol.errors import (
    ClientClosedError,
    KernelDiedError,
    KernelError,
    KernelRestartedError,
    KernelTimeoutError,
)
from tests.conformance.checks import process_of
from tests.soak import rounds
from tests.stopped import stop
from tests.tasks import begin

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
"""Where a process and the event loop meet. What else a client does is the same on both."""


@asynccontextmanager
async def launched() -> AsyncGenerator[Client, None]:
    with anyio.fail_after(60):
        async with laneway.launch() as kc:
            yield kc


async def until(execution: Execution, text: str) -> None:
    """Wait until the cell has printed `text`."""
    async for output in execution:
        if text in output.content.get("text", ""):
            return
    raise AssertionError(f"{text!r} was not printed.")


def is_there(process: int) -> bool:
    """Does it run? One that has ended and was not waited for does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_sixty_cells_four_at_a_time() -> None:
    async with launched() as kc:
        four = asyncio.Semaphore(4)

        async def one(i: int) -> str:
            async with four:
                return (await kc.execute(f"print('<{i}>')")).stdout

        assert await asyncio.gather(*map(one, range(60))) == [f"<{i}>\n" for i in range(60)]


async def test_a_thousand_outstanding_leave_nothing_behind() -> None:
    async with launched() as kc:
        executions = [kc.execute(f"print({i})\n{i}") for i in range(1000)]
        for i, execution in enumerate(executions):
            result = await execution
            assert (result.stdout, result.result) == (f"{i}\n", {"text/plain": str(i)})
        assert kc.pending == 0
        assert kc.state == "idle"


@BOTH
async def test_death_by_a_signal() -> None:
    async with launched() as kc:
        process = await process_of(kc)
        first = kc.execute("print('partial')\nimport time; time.sleep(1000)")
        await until(first, "partial")
        runs = [first, *(kc.execute("1") for _ in range(9))]
        stop(process)  # so that the requests stay pending
        requests = [
            begin(request)
            for request in (
                kc.complete("x"),
                kc.inspect("x"),
                kc.history(),
                kc.comm_info(),
                kc.kernel_info(channel="control"),
            )
        ]
        while kc.pending < len(runs) + len(requests):  # noqa: ASYNC110, no event tells
            await anyio.sleep(0.001)
        os.kill(process, signal.SIGKILL)
        began = time.monotonic()
        for run in runs:
            with pytest.raises(KernelDiedError, match="SIGKILL") as caught:
                await run
            assert (caught.value.signal, caught.value.exit_code) == (signal.SIGKILL, -signal.SIGKILL)
            texts = [output.content["text"] for output in caught.value.outputs]
            assert texts == (["partial\n"] if run is first else [])
        for request in requests:
            with pytest.raises(KernelDiedError):
                await request
        assert time.monotonic() - began < 1
        for _ in range(2):
            with pytest.raises(KernelDiedError):
                kc.execute("1")
            with pytest.raises(KernelDiedError):
                await kc.complete("x")
        assert kc.state == "dead"
        assert kc.pending == 0


async def test_death_by_exit() -> None:
    async with launched() as kc:
        with pytest.raises(KernelDiedError, match="code 3") as caught:
            await kc.execute("import os; os._exit(3)")
        assert (caught.value.exit_code, caught.value.signal) == (3, None)


@BOTH
async def test_restart_goes_on_with_the_same_client() -> None:
    async with launched() as kc:
        process = await process_of(kc)
        await kc.execute("old = 1")
        running = kc.execute("print('ready')\nimport time; time.sleep(1000)")
        queued = kc.execute("1")
        await until(running, "ready")
        await kc.restart()
        for run in (running, queued):
            with pytest.raises(KernelRestartedError):
                await run
        assert kc.state == "idle"
        assert not is_there(process)
        assert await process_of(kc) != process
        assert (await kc.execute("old")).reply["ename"] == "NameError"
        assert (await kc.complete("impo"))["matches"]


async def test_a_paused_process_is_unresponsive_and_comes_back() -> None:
    async with launched() as kc:
        process = await process_of(kc)
        stop(process)
        try:
            execution = kc.execute("print('back')")
            completion = asyncio.ensure_future(kc.complete("impo"))
            states = {kc.state}
            paused = asyncio.get_running_loop().time() + 6
            while asyncio.get_running_loop().time() < paused:
                states.add(kc.state)
                await asyncio.sleep(0.1)
        finally:
            os.kill(process, signal.SIGCONT)
        assert (await execution).stdout == "back\n"
        assert "import" in (await completion)["matches"]
        assert "unresponsive" in states
        assert "dead" not in states
        while kc.state == "unresponsive":  # noqa: ASYNC110, it is the heartbeat's to say
            await asyncio.sleep(0.1)


async def test_a_timeout_frees_a_cell_that_asks() -> None:
    async with launched() as kc:

        async def hook(_prompt: str, _password: bool) -> str:
            await asyncio.Event().wait()
            raise AssertionError

        execution = kc.execute("input('? ')", stdin=hook, timeout=0.5, on_timeout="interrupt")
        with pytest.raises(KernelTimeoutError, match="awaiting stdin"):
            await execution
        began = time.monotonic()
        assert (await kc.execute("1")).status == "ok"
        assert time.monotonic() - began < 2


async def test_cancelling_what_is_queued_and_what_runs() -> None:
    async with launched() as kc:
        running = kc.execute("print('ready')\nimport time; time.sleep(1000)")
        queued = kc.execute("ran = True")
        await until(running, "ready")
        await queued.cancel()
        assert ((await queued).status, queued.state) == ("aborted", State.CANCELLED)
        assert running.state is State.RUNNING
        await running.cancel()
        assert ((await running).reply["ename"], running.state) == ("KeyboardInterrupt", State.CANCELLED)
        assert (await kc.execute("ran")).reply["ename"] == "NameError"


async def test_an_interrupt_aborts_what_is_queued() -> None:
    async with launched() as kc:
        running = kc.execute("print('ready')\nwhile True: pass")
        queued = [kc.execute("1") for _ in range(3)]
        await until(running, "ready")
        await kc.interrupt()
        assert (await running).reply["ename"] == "KeyboardInterrupt"
        assert [(await run).status for run in queued] == ["aborted"] * 3


async def test_prompts_of_two_subshells() -> None:
    async with launched() as kc:
        subshells = [await kc.create_subshell() for _ in range(2)]
        both = asyncio.Barrier(2)

        def hook_of(name: int) -> StdinHook:
            async def hook(prompt: str, _password: bool) -> str:
                await both.wait()  # both questions are open
                return f"{name} {prompt}"

            return hook

        executions = [
            kc.execute(f"print(input('from {i}'))", subshell=subshell, stdin=hook_of(i))
            for i, subshell in enumerate(subshells)
        ]
        assert [(await run).stdout for run in executions] == ["0 from 0\n", "1 from 1\n"]


async def test_a_flood_with_a_slow_reader() -> None:
    async with launched() as kc:
        few = kc.subscribe(lambda message: message.msg_type == "display_data", maxsize=100)
        result = await kc.execute("for i in range(20_000): display({'text/plain': str(i)}, raw=True)")
        assert (len(result.outputs), result.dropped) == (20_000, 0)
        few.close()
        kept = [message.content["data"]["text/plain"] async for message in few]
        assert kept == [str(i) for i in range(few.dropped, 20_000)]
        assert 90 <= len(kept) <= 100


async def test_output_is_bounded_and_what_is_dropped_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("laneway.client.outputs.MAX_OUTPUT", 100_000)
    async with launched() as kc:
        code = "for i in range(100): display({'text/plain': 'x' * 10_000}, raw=True)"
        result = await kc.execute(code)
        assert 0 < len(result.outputs) < 10
        assert len(result.outputs) + result.dropped == 100


async def test_three_comms_with_much_data_each_way() -> None:
    size = 64 * 2**20
    async with launched() as kc:
        await kc.execute(
            "def echo(comm, _):\n"
            "    comm.on_msg(lambda m: comm.send(m['content']['data'], buffers=m['buffers']))\n"
            "get_ipython().kernel.comm_manager.register_target('echo', echo)"
        )
        computing = kc.execute("import asyncio\nprint('ready')\nwhile True: await asyncio.sleep(0)")
        await until(computing, "ready")
        comms = [kc.comms.open("echo") for _ in range(3)]
        chunks = [bytes([i]) * (size // 4) for i in range(4)]
        for number, chunk in enumerate(chunks):
            for comm in comms:
                comm.send({"number": number}, buffers=[chunk])
        for comm in comms:
            for number, chunk in enumerate(chunks):
                echoed = await anext(comm)
                assert echoed.content["data"] == {"number": number}
                assert echoed.buffers[0] == chunk
        assert computing.state is State.RUNNING
        await computing.cancel()


async def test_closing_with_fifty_pending_leaves_no_process() -> None:
    async with launched() as kc:
        process = await process_of(kc)
        running = [kc.execute("import time; time.sleep(1000)") for _ in range(50)]
        await kc.aclose()
        for run in running:
            with pytest.raises(ClientClosedError):
                await run
        assert not is_there(process)
        assert kc.state == "closed"


@BOTH
async def test_cancelling_a_start_leaves_no_process(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    code = (
        "import os, pathlib, time\n"
        f"pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))\ntime.sleep(1000)"
    )
    starting = begin(laneway.launch([sys.executable, "-c", code]).start())
    while not (mark.exists() and mark.read_text()):  # noqa: ASYNC110, a file sends no event
        await anyio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not is_there(int(mark.read_text()))


async def test_a_launcher_that_dies_leaves_no_process() -> None:
    code = (
        "import asyncio, os, laneway\n"
        "async def main():\n"
        "    kc = await laneway.launch()\n"
        "    print((await kc.execute('import os; print(os.getpid())')).stdout, flush=True)\n"
        "    os._exit(0)\n"
        "asyncio.run(main())"
    )
    launcher = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await launcher.communicate()
    process = int(output)
    async with asyncio.timeout(30):
        while is_there(process):  # noqa: ASYNC110, a process that is not ours sends no event
            await asyncio.sleep(0.1)


async def test_what_cannot_be_launched() -> None:
    with pytest.raises(KernelError, match="cannot be started"):
        await laneway.launch(["/no/such/program"])
    with pytest.raises(KernelDiedError, match="code 7"):
        await laneway.launch([sys.executable, "-c", "raise SystemExit(7)"])


async def test_any_kernel_can_be_launched() -> None:
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    async with asyncio.timeout(60), laneway.launch(command) as kc:
        assert kc.info["implementation"] == "ipython"
        results = await asyncio.gather(*(kc.execute(f"print({i})") for i in range(20)))
        assert [result.stdout for result in results] == [f"{i}\n" for i in range(20)]
        running = kc.execute("print('ready')\nimport time; time.sleep(1000)")
        queued = kc.execute("1")
        await until(running, "ready")
        with pytest.raises(KernelError, match="cannot take back"):
            await queued.cancel()  # an interrupt would hit the cell that runs
        assert running.state is State.RUNNING
        await running.cancel()
        assert (await running).reply["ename"] == "KeyboardInterrupt"


PARENT = "import subprocess\nchild = subprocess.Popen(['sleep', '1000'])"


@pytest.mark.parametrize(("anyio_backend", "times"), [("asyncio", 1), ("asyncio", 2), ("trio", 1)])
async def test_a_cancelled_close_leaves_no_process(times: int) -> None:
    """Nor what the kernel has started."""
    kc = await laneway.launch()
    process = await process_of(kc)
    child = int((await kc.execute(f"{PARENT}\nprint(child.pid)")).stdout)
    kc.execute("import time\nwhile True:\n    try: time.sleep(1000)\n    except BaseException: pass")
    stop(process)  # it cannot end when it is asked to
    closing = begin(kc.aclose())
    while kc.alive:
        await anyio.lowlevel.checkpoint()
    for _ in range(times):
        closing.cancel()
        await anyio.lowlevel.checkpoint()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with anyio.fail_after(30):
        while is_there(process) or is_there(child):  # noqa: ASYNC110, a process that is not ours sends no event
            await anyio.sleep(0.01)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_scope_that_is_cancelled_leaves_no_process() -> None:
    """Where nothing can be awaited any more."""
    process = 0
    with anyio.CancelScope() as scope:
        async with laneway.launch() as kc:
            process = await process_of(kc)
            scope.cancel()
            await anyio.sleep_forever()
    assert process
    assert not is_there(process)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_what_there_is_not_under_trio_is_said() -> None:
    with pytest.raises(KernelError, match=r"under trio use laneway\.launch"):
        await laneway.in_process()
    with pytest.raises(RuntimeError, match=r"under trio use laneway\.connect"):
        laneway.ConcurrentKernelClient().start_channels()


async def test_every_way_is_opened_alike() -> None:
    kc = await laneway.launch()
    async with kc as same:
        assert same is kc
        assert (await same.execute("1")).status == "ok"
    with pytest.raises(ClientClosedError):
        await kc
    async with laneway.in_process() as kc:
        assert (await kc.execute("1")).status == "ok"
    kc = await laneway.in_process()
    await kc.aclose()


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


@BOTH
async def test_after_launches_kills_cancelled_starts_and_closes_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where others launch no kernels
    async with launched():
        pass
    me = psutil.Process()

    async def settled() -> None:
        with anyio.fail_after(30):
            while any(is_there(child.pid) for child in me.children(recursive=True)):  # noqa: ASYNC110
                await anyio.sleep(0.01)
            while any(thread.name.startswith("laneway") for thread in threading.enumerate()):  # noqa: ASYNC110
                await anyio.sleep(0.01)

    await settled()
    before = me.num_fds()
    for round_ in range(rounds(5 if anyio_backend == "trio" else 10, 100)):
        match round_ % 5:
            case 0:
                async with launched() as kc:
                    await kc.execute("1")
            case 1:
                async with launched() as kc:
                    os.kill(await process_of(kc), signal.SIGKILL)
                    await kc.wait_ended()
            case 2:
                starting = begin(laneway.launch().start())
                await anyio.sleep(0.04 * round_)
                starting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await (await starting).aclose()
            case 3:
                kc = await laneway.launch()
                closing = begin(kc.aclose())
                while kc.alive:
                    await anyio.lowlevel.checkpoint()
                closing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await closing
            case _:
                async with launched() as kc:
                    kc.execute("import time; time.sleep(1000)")
    await settled()
    assert me.children(recursive=True) == []
    assert me.num_fds() <= before
    assert is_empty(tmp_path)
