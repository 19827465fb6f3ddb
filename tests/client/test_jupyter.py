"""The drop-in for jupyter_client, with kernels of ours and of ipykernel."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from queue import Empty
from typing import Any, cast
from weakref import ref

import nbformat
import pytest
import zmq
import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.session import Session
from nbclient import NotebookClient

import laneway
from laneway.client.jupyter import MAX_QUEUED
from laneway.protocol.errors import KernelDiedError, KernelError, KernelRestartedError

pytestmark = pytest.mark.anyio

KERNELS = ["laneway", "python3"]
both = pytest.mark.parametrize("kernel", KERNELS)
Connected = tuple[laneway.ConcurrentKernelManager, laneway.ConcurrentKernelClient]


@asynccontextmanager
async def started(kernel: str = "laneway", **options: Any) -> AsyncGenerator[Connected, None]:
    km = laneway.ConcurrentKernelManager(kernel_name=kernel, **options)
    await km.start_kernel()
    kc = await km.client().start_channels()
    try:
        async with asyncio.timeout(60):
            yield km, kc
    finally:
        await kc.stop_channels()
        await km.shutdown_kernel(now=True)


@both
async def test_the_seed_example(kernel: str) -> None:
    """As programs of this field are written."""
    km = laneway.ConcurrentKernelManager(session=Session(key=b"x"), kernel_name=kernel)
    await km.start_kernel()
    kc = await km.client().start_channels()
    assert await kc.is_alive()
    r = await kc.execute("2+1", timeout=10, reply=True)
    assert r["content"]["status"] == "ok"
    a = kc.execute("'a'", reply=True)
    b = kc.execute("'b'", reply=True)
    replies = await asyncio.gather(a, b)
    counts = [reply["content"]["execution_count"] for reply in replies]
    assert counts[1] == counts[0] + 1
    kc.stop_channels()
    await km.shutdown_kernel()


@both
async def test_sixty_interactive_four_at_a_time(kernel: str) -> None:
    async with started(kernel) as (_, kc):
        four = asyncio.Semaphore(4)

        async def one(i: int) -> tuple[str, str]:
            text = ""

            def hook(message: dict[str, Any]) -> None:
                nonlocal text
                text += message["content"].get("text", "")

            async with four:
                reply = await kc.execute_interactive(f"print('<{i}>')", output_hook=hook, timeout=30)
            return reply["content"]["status"], text

        assert await asyncio.gather(*map(one, range(60))) == [("ok", f"<{i}>\n") for i in range(60)]


async def test_nothing_of_jupyter_client_is_patched() -> None:
    async with started() as (_, kc):
        await kc.execute("1", reply=True)
    for theirs in (Session, AsyncKernelClient, AsyncKernelManager, zmq.Socket, zmq.asyncio.Socket):
        for name, value in vars(theirs).items():
            module = getattr(value, "__module__", None) or "none"
            assert not module.startswith("laneway"), f"{theirs.__name__}.{name}"


async def test_a_thousand_outstanding() -> None:
    async with started() as (_, kc):
        replies = await asyncio.gather(*(kc.execute(f"{i}", reply=True) for i in range(1000)))
        counts = [reply["content"]["execution_count"] for reply in replies]
        assert counts == list(range(counts[0], counts[0] + 1000))


async def test_every_request_with_a_reply_while_a_cell_runs() -> None:
    async with started() as (km, kc):
        running = kc.execute("import time; time.sleep(1000)", reply=True)
        complete, inspected, info, history, comms, is_complete = await asyncio.gather(
            kc.complete("impo", reply=True),
            kc.inspect("len", reply=True),
            kc.kernel_info(reply=True),
            kc.history(hist_access_type="tail", n=1, reply=True),
            kc.comm_info(reply=True),
            kc.is_complete("for", reply=True),
        )
        assert "import" in complete["content"]["matches"]
        assert inspected["content"]["found"]
        assert info["msg_type"] == "kernel_info_reply"
        assert info["header"]["date"].tzinfo is not None
        assert history["content"]["status"] == comms["content"]["status"] == "ok"
        assert is_complete["content"]["status"] in ("incomplete", "invalid")
        await km.interrupt_kernel()
        assert (await running)["content"]["ename"] == "KeyboardInterrupt"


async def test_legacy_pulls_do_not_compete_with_calls() -> None:
    async with started() as (_, kc):
        await kc.wait_for_ready(timeout=30)
        routed = kc.execute("'routed'", reply=True)
        msg_id = kc.execute("print('legacy')")
        assert isinstance(msg_id, str)
        assert (await kc.get_shell_msg(timeout=10))["parent_header"]["msg_id"] == msg_id
        assert (await routed)["parent_header"]["msg_id"] != msg_id
        kinds: list[str] = []
        while True:
            message = await kc.get_iopub_msg(timeout=10)
            if message["parent_header"].get("msg_id") == msg_id:
                kinds.append(message["content"].get("execution_state", message["msg_type"]))
                if kinds[-1] == "idle":
                    break
        assert kinds == ["busy", "execute_input", "stream", "idle"]
        with pytest.raises(Empty):
            await kc.get_shell_msg(timeout=0.01)
        with pytest.raises(Empty):
            await kc.get_control_msg(timeout=0)
        assert not await kc.shell_channel.msg_ready()
        assert kc.shell_channel.is_alive()
        assert kc.channels_running


async def test_questions_pulled_and_hooked() -> None:
    async with started() as (_, kc):
        msg_id = kc.execute("print(input('legacy? '))")
        question = await kc.get_stdin_msg(timeout=10)
        assert (question["parent_header"]["msg_id"], question["content"]["prompt"]) == (msg_id, "legacy? ")
        kc.input("pulled")
        assert (await kc.get_shell_msg(timeout=10))["content"]["status"] == "ok"

        async def ask(i: int) -> str:
            text = ""

            def output(message: dict[str, Any]) -> None:
                nonlocal text
                text += message["content"].get("text", "")

            def answer(message: dict[str, Any]) -> None:
                kc.input(f"{message['content']['prompt']} from {i}")

            code = f"# task\nprint(input('{i}'))"
            await kc.execute_interactive(code, output_hook=output, stdin_hook=answer)
            return text

        assert await asyncio.gather(ask(0), ask(1)) == ["0 from 0\n", "1 from 1\n"]


async def test_timeouts() -> None:
    async with started() as (km, kc):
        with pytest.raises(TimeoutError):
            await kc.execute("import time; time.sleep(1000)", reply=True, timeout=0.2)
        with pytest.raises(TimeoutError):
            await kc.execute_interactive("1", timeout=0.1)
        await km.interrupt_kernel()
        deadline = time.monotonic() + 20
        while True:  # the late replies are nobody's: they can be pulled
            late = await kc.get_shell_msg(timeout=deadline - time.monotonic())
            if late["content"]["status"] == "aborted":
                break
        assert (await kc.execute("1", reply=True, timeout=20))["content"]["status"] == "ok"


async def test_a_hook_that_raises_is_its_callers_error_only() -> None:
    async with started() as (_, kc):

        def bad(_message: dict[str, Any]) -> None:
            raise RuntimeError("bad hook")

        texts: list[str] = []
        other = kc.execute_interactive(
            "print('other')", output_hook=lambda message: texts.append(message["content"].get("text", ""))
        )
        failing, fine = await asyncio.gather(
            kc.execute_interactive("print('x')", output_hook=bad), other, return_exceptions=True
        )
        assert isinstance(failing, RuntimeError)
        assert not isinstance(fine, BaseException)
        assert "".join(texts) == "other\n"
        assert (await kc.execute("1", reply=True))["content"]["status"] == "ok"


async def test_a_hooks_own_timeout_error_is_told_as_it_is() -> None:
    async with started() as (_, kc):

        def late(_message: dict[str, Any]) -> None:
            raise TimeoutError("the hook's")

        with pytest.raises(TimeoutError, match="the hook's"):
            await kc.execute_interactive("1", output_hook=late, timeout=30)


async def test_the_default_stdin_hook_answers_though_replies_wait_to_be_pulled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with started() as (_, kc):
        kc.execute("'never pulled'")
        monkeypatch.setattr(sys, "stdin", io.StringIO("typed\n"))
        texts: list[str] = []
        await kc.execute_interactive(
            "print(input())", output_hook=lambda message: texts.append(message["content"].get("text", ""))
        )
        assert "".join(texts) == "typed\n"


async def test_a_channel_keeps_the_newest_and_counts_the_rest() -> None:
    async with started() as (_, kc):
        count = MAX_QUEUED + 500
        messages = f"for i in range({count}): display(i)"
        await kc.execute_interactive(messages, output_hook=lambda _message: None)
        kept = await kc.iopub_channel.get_msgs()
        assert 0.9 * MAX_QUEUED <= len(kept) <= MAX_QUEUED
        assert kc.iopub_channel.dropped >= 500
        assert kept[-1]["content"] == {"execution_state": "idle"}
        assert kept[-2]["content"]["data"]["text/plain"] == str(count - 1)


async def test_a_request_that_cannot_be_sent_leaves_nothing() -> None:
    async with started() as (_, kc):
        request = kc.session.msg("execute_request", {"code": object()})
        with pytest.raises(TypeError, match="no JSON form"):
            kc.shell_channel.send(request)
        kc.shell_channel.send({**request, "content": {"code": "1"}})  # its id is free
        assert (await kc.get_shell_msg(timeout=20))["content"]["status"] == "ok"


@both
async def test_death_fails_what_is_pending(kernel: str) -> None:
    async with started(kernel) as (km, kc):
        pending = [kc.execute("import time; time.sleep(1000)", reply=True) for _ in range(3)]
        interactive = asyncio.ensure_future(kc.execute_interactive("1"))
        await asyncio.sleep(0)
        assert km.provisioner
        os.kill(km.provisioner.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        began = time.monotonic()
        for reply in (*pending, interactive):
            with pytest.raises(KernelDiedError, match="signal 9"):
                await reply
        assert time.monotonic() - began < 1
        with pytest.raises(KernelDiedError):
            await kc.execute("1", reply=True)
        assert not await kc.is_alive()


@both
@pytest.mark.parametrize("newports", [False, True])
async def test_restart_goes_on_with_the_same_client(kernel: str, newports: bool) -> None:
    async with started(kernel) as (km, kc):
        await kc.execute("old = 1", reply=True)
        pending = kc.execute("import time; time.sleep(1000)", reply=True)
        await km.restart_kernel(now=True, newports=newports)
        with pytest.raises(KernelRestartedError):
            await pending
        await kc.wait_for_ready(timeout=30)
        assert (await kc.execute("old", reply=True))["content"]["ename"] == "NameError"


@both
async def test_a_kernel_that_died_is_restarted_for_the_same_client(kernel: str) -> None:
    async with started(kernel) as (km, kc):
        pending = kc.execute("import time; time.sleep(1000)", reply=True)
        assert km.provisioner
        os.kill(km.provisioner.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        with pytest.raises(KernelDiedError):
            await pending
        await km.restart_kernel(now=True)
        await kc.wait_for_ready(timeout=30)
        texts: list[str] = []
        await kc.execute_interactive(
            "print('new')", output_hook=lambda message: texts.append(message["content"].get("text", ""))
        )
        assert "".join(texts) == "new\n"


async def test_stopping_during_the_start_leaves_nothing() -> None:
    km = laneway.ConcurrentKernelManager()
    await km.start_kernel()
    kc = km.client()
    kc.start_channels()
    kc.start_channels()  # harmless
    pending = kc.execute("1", reply=True)
    await kc.stop_channels()
    with pytest.raises(KernelError):
        await pending
    assert not kc.channels_running
    with pytest.raises(RuntimeError, match="start_channels"):
        kc.execute("1")
    await km.shutdown_kernel(now=True)


async def test_stopping_ends_a_pull() -> None:
    async with started() as (_, kc):
        pull = asyncio.ensure_future(kc.get_control_msg())
        with pytest.raises(Empty):
            await kc.get_control_msg(timeout=0.01)
        kc.stop_channels()
        with pytest.raises(RuntimeError, match="not running"):
            await pull
        with pytest.raises(RuntimeError, match="not running"):
            await kc.get_shell_msg()


async def test_stopping_after_a_restart_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    async with started() as (km, kc):
        running = kc.execute("import time; time.sleep(1000)", reply=True)
        await km.restart_kernel(now=True)
        with pytest.raises(KernelRestartedError):
            await running
        await kc.stop_channels()
        assert asyncio.all_tasks() == before


async def test_channels_that_were_never_started_can_be_stopped() -> None:
    kc = laneway.ConcurrentKernelClient()
    kc.stop_channels()
    with pytest.raises(RuntimeError, match="start_channels"):
        await kc.wait_for_ready(timeout=1)


async def test_a_client_of_a_connection_file() -> None:
    """Without a manager: the heartbeat says whether the kernel is alive."""
    async with started() as (km, _):
        kc = laneway.ConcurrentKernelClient()
        kc.load_connection_file(km.connection_file)
        kc.start_channels()
        await kc.wait_for_ready(timeout=30)
        assert await kc.is_alive()
        assert (await kc.execute("1", reply=True))["content"]["status"] == "ok"
        await kc.stop_channels()


@both
async def test_encryption(kernel: str) -> None:
    async with started(kernel, transport_encryption="required") as (km, kc):
        assert cast(dict[str, Any], km.get_connection_info())["curve_publickey"]
        assert (await kc.execute("1", reply=True, timeout=30))["content"]["status"] == "ok"


@both
def test_nbclient_runs_a_notebook_unchanged(kernel: str) -> None:
    new: Any = nbformat.v4
    cells = [new.new_code_cell(f"x = {i}\nprint('cell', x)\nx * 2") for i in range(20)]
    notebook = new.new_notebook(cells=cells)
    NotebookClient(
        notebook, kernel_manager_class=laneway.ConcurrentKernelManager, kernel_name=kernel, timeout=60
    ).execute()
    for i, cell in enumerate(notebook.cells):
        stream, result = cell.outputs
        assert (stream.text, result.data["text/plain"]) == (f"cell {i}\n", f"{i * 2}")


def test_one_event_loop_after_the_other() -> None:
    """A fixture starts the kernel on one, tests run on others."""
    km = laneway.ConcurrentKernelManager()

    async def start() -> laneway.ConcurrentKernelClient:
        await km.start_kernel()
        kc = await km.client().start_channels()
        kc.execute("import time; time.sleep(0.5)", reply=True)  # for which nobody will wait
        return kc

    async def use(kc: laneway.ConcurrentKernelClient) -> list[str]:
        texts: list[str] = []
        assert (await kc.execute("1", reply=True, timeout=60))["content"]["status"] == "ok"
        await kc.execute_interactive(
            "print(2)", output_hook=lambda m: texts.append(m["content"].get("text", "")), timeout=60
        )
        with pytest.raises(TimeoutError):
            await kc.execute("import time; time.sleep(1)", reply=True, timeout=0.1)
        kc.execute("3")
        while (await kc.get_shell_msg(timeout=60))["content"].get("execution_count") is None:
            pass
        assert await kc.is_alive()
        return texts

    async def stop(kc: laneway.ConcurrentKernelClient) -> None:
        await kc.stop_channels()
        await km.shutdown_kernel(now=True)

    kc = asyncio.run(start())
    for _ in range(2):
        assert "".join(asyncio.run(use(kc))) == "2\n"
    asyncio.run(stop(kc))


async def test_two_event_loops_at_once_are_told() -> None:
    async with started() as (_, kc):

        async def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="another event loop"):
                kc.execute("1", reply=True)

        await asyncio.to_thread(lambda: asyncio.run(elsewhere()))
        assert (await kc.execute("1", reply=True))["content"]["status"] == "ok"


async def test_a_client_that_is_dropped_blocks_nobody() -> None:
    async with started() as (km, _):
        kc = await km.client().start_channels()
        await kc.execute("1", reply=True)
        kc.execute("2")
        gone = ref(kc)
        del kc
        before = time.monotonic()
        async with asyncio.timeout(30):
            while gone():  # its watch looks now and then
                gc.collect()
                await asyncio.sleep(0.01)
        assert time.monotonic() - before < 5
        async with asyncio.timeout(30):
            while any(thread.name == "laneway-close" for thread in threading.enumerate()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
