"""Both hosts, with cells that are coroutines of the test."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest

from laneway.client.client import Client
from laneway.hosts.base import Host
from laneway.hosts.loop import LoopHost
from laneway.hosts.threads import ThreadHost
from laneway.protocol.errors import KernelError
from laneway.protocol.message import Channel, Message
from laneway.protocol.ports import Context, Hold, Receiver
from laneway.transports.memory import memory_pair
from tests.soak import rounds
from tests.thread import in_thread

from .interpreter import WHO, Cell, ScriptedInterpreter, said, say

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(make: Callable[[ScriptedInterpreter], Host], **cells: Cell) -> AsyncGenerator[Client, None]:
    """A client of a host on a thread of its own."""
    kernel_end, client_end = memory_pair()
    interpreter = ScriptedInterpreter(**cells)
    async with (
        in_thread(lambda: anyio.run(make(interpreter).serve, kernel_end)),
        Client(client_end) as kc,
    ):
        try:
            yield kc
        finally:
            with suppress(KernelError):  # the test has shut it down already
                await kc.shutdown()
    assert interpreter.stopped
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("laneway")]
    assert left == []


HOSTS = [LoopHost, ThreadHost]
parametrize_hosts = pytest.mark.parametrize("host", HOSTS)


async def sleep(_context: Context, _request: Message) -> None:
    await asyncio.sleep(1000)


@parametrize_hosts
async def test_queued_cells_share_a_context_and_task_cells_have_a_copy(host: type[Host]) -> None:
    def name(_context: Context, request: Message) -> str:
        before = WHO.get()
        WHO.set(request.msg_id)
        return before

    async with running(host, name=name) as kc:
        assert (await kc.execute("name", msg_id="first")).reply["result"] == "nobody"
        assert (await kc.execute("name", msg_id="task", mode="task")).reply["result"] == "first"
        assert (await kc.execute("name", msg_id="second")).reply["result"] == "first"


@parametrize_hosts
async def test_whatever_a_cell_raises_is_its_reply_and_shown(host: type[Host]) -> None:
    """Also what the interpreter has not shown: an interrupt that came before the code began."""

    class Strange(BaseException):
        pass

    def strange(_context: Context, _request: Message) -> None:
        raise Strange("odd")

    def leave(_context: Context, _request: Message) -> None:
        raise SystemExit(3)

    def interrupted(_context: Context, _request: Message) -> None:
        raise KeyboardInterrupt

    async with running(host, strange=strange, leave=leave, interrupted=interrupted) as kc:
        for code, ename in (
            ("strange", "Strange"),
            ("leave", "SystemExit"),
            ("interrupted", "KeyboardInterrupt"),
        ):
            result = await kc.execute(code)
            assert (result.status, result.reply["ename"]) == ("error", ename)
            assert [output.content["ename"] for output in result.outputs] == [ename]
            assert not (await kc.execute(code, silent=True)).outputs


@parametrize_hosts
async def test_a_reply_that_cannot_be_sent_becomes_an_error(host: type[Host]) -> None:
    async with running(host, odd=lambda _context, _request: object()) as kc:
        result = await kc.execute("odd")
        assert (result.status, result.reply["ename"]) == ("error", "TypeError")
        assert (await kc.kernel_info())["status"] == "ok"


class BrokenTransport:
    """Delivers one request, and fails when its reply is sent."""

    def start(self, receiver: Receiver) -> None:
        """See `Transport`."""
        header = {"msg_id": "1", "msg_type": "execute_request", "session": "s"}
        receiver.receive(Message(Channel.SHELL, header, content={"code": "cell"}))

    def encode(self, message: Message) -> None:
        """See `Transport`."""

    def send(self, message: Message, encoded: None) -> None:
        """See `Transport`."""
        if message.channel is Channel.SHELL:
            raise OSError("The line is cut.")

    def flush(self) -> None:
        """See `Transport`."""

    def settle(self, call: Callable[[], None]) -> None:
        """See `Transport`."""
        call()

    def close(self) -> None:
        """See `Transport`."""


@parametrize_hosts
async def test_a_kernel_that_cannot_reply_ends(host: type[Host]) -> None:
    interpreter = ScriptedInterpreter(cell=lambda _context, _request: None)
    with pytest.raises(OSError, match="The line is cut"):
        await host(interpreter).serve(BrokenTransport())
    assert interpreter.stopped


@parametrize_hosts
async def test_shutdown_ends_what_swallows_interrupts(
    host: type[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("laneway.hosts.base.GRACE", 0.05)

    async def stubborn(context: Context, request: Message) -> None:
        say(context, request)
        while True:
            with suppress(KeyboardInterrupt):
                await asyncio.sleep(1000)

    async with running(host, stubborn=stubborn) as kc:
        execution = kc.execute("stubborn")
        await said(execution)
        await kc.shutdown()
        assert (await execution).status == "error"


async def test_interrupts_between_any_two_lines() -> None:
    """A cell that never awaits is interrupted again and again, wherever it is."""
    caught = 0

    def busy(context: Context, request: Message) -> None:
        nonlocal caught
        try:
            say(context, request)
            while True:
                with context.guard:
                    pass
        except KeyboardInterrupt:
            caught += 1

    async with running(ThreadHost, busy=busy) as kc:
        for _ in range(100):
            execution = kc.execute("busy")
            await said(execution)
            await kc.interrupt()
            assert (await execution).status == "ok"
        assert caught == 100
        assert (await kc.kernel_info())["status"] == "ok"


# a file of Python's own that was just opened stays open until it is collected
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_interrupts_in_the_middle_of_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's import lock is never left behind: then nothing could be imported any more."""
    monkeypatch.syspath_prepend(tmp_path)

    def importing(context: Context, request: Message) -> None:
        names = [f"imported_{request.subshell_id}_{number}" for number in range(20)]
        for name in names:
            (tmp_path / f"{name}.py").touch()
        say(context, request)
        while True:
            for name in names:
                sys.modules.pop(name, None)
                importlib.import_module(name)

    with anyio.fail_after(60 * rounds(1, 10)):
        async with running(ThreadHost, importing=importing) as kc:
            subshells = [await kc.create_subshell() for _ in range(3)]
            for _ in range(rounds(30, 1000)):
                executions = [kc.execute("importing", subshell=subshell) for subshell in subshells]
                for execution in executions:
                    await said(execution)
                await kc.interrupt()
                for execution in executions:
                    assert (await execution).reply["ename"] == "KeyboardInterrupt"
    gc.collect()  # those files, in this test


async def test_the_process_is_told_that_the_kernel_ends_before_its_cells_have() -> None:
    class Told:
        """A process that frees the cell, which nothing else does."""

        def __init__(self) -> None:
            self.release = threading.Event()

        def ending(self) -> None:
            """See `Process`."""
            self.release.set()

        def failed(self, error: BaseException) -> None:
            """See `Process`."""
            raise error

    process = Told()

    def stuck(context: Context, request: Message) -> None:
        say(context, request)
        while not process.release.is_set():
            with suppress(KeyboardInterrupt):
                process.release.wait()

    async with running(lambda interpreter: ThreadHost(interpreter, process=process), stuck=stuck) as kc:
        execution = kc.execute("stuck")
        await said(execution)
        await kc.shutdown()
        await kc.wait_ended()
    assert process.release.is_set()


@parametrize_hosts
async def test_stopping_with_much_in_flight_answers_everything(host: type[Host]) -> None:
    async with running(host, sleep=sleep) as kc:
        executions = [kc.execute("sleep", mode="task") for _ in range(20)]
        executions += [kc.execute("sleep") for _ in range(20)]
        subshell = await kc.create_subshell()
        executions += [kc.execute("sleep", subshell=subshell) for _ in range(3)]
        await kc.shutdown()
        statuses = [(await execution).status for execution in executions]
        assert statuses.count("error") == 20 + 1 + 1, statuses
        assert statuses.count("aborted") == 19 + 2, statuses


async def test_each_shell_has_its_own_thread() -> None:
    def thread(_context: Context, _request: Message) -> str:
        return threading.current_thread().name

    async with running(ThreadHost, thread=thread) as kc:
        subshell = await kc.create_subshell()
        executions = [
            kc.execute("thread"),
            kc.execute("thread", subshell=subshell),
            kc.execute("thread", channel=Channel.CONTROL),
            kc.execute("thread", mode="task"),
        ]
        names = [(await execution).reply["result"] for execution in executions]
        assert names == ["kernel", f"laneway subshell {subshell}", "laneway control", "kernel"]


async def test_what_is_posted_is_called_on_the_stack_that_is_held() -> None:
    called: list[int] = []
    holds: list[Hold] = []

    def held(context: Context, request: Message) -> int:
        holds.append(context.hold())
        say(context, request)
        holds[-1].stay()
        return threading.get_ident()

    async with running(ThreadHost, held=held) as kc:
        execution = kc.execute("held")
        await said(execution)
        (hold,) = holds
        hold.post(lambda: called.append(threading.get_ident()))
        hold.release()
        hold.release()
        assert (await execution).reply["result"] == called[0]


@pytest.mark.parametrize("end", ["interrupt", "shutdown"])
async def test_what_is_held_ends_with_an_interrupt_and_with_the_kernel(end: str) -> None:
    def held(context: Context, request: Message) -> None:
        say(context, request)
        try:
            context.hold().stay()
        finally:
            if end == "shutdown":
                context.hold().stay()  # not any more

    async with running(ThreadHost, held=held) as kc:
        subshell = await kc.create_subshell()
        executions = [kc.execute("held"), kc.execute("held", subshell=subshell)]
        for execution in executions:
            await said(execution)
        await (kc.interrupt() if end == "interrupt" else kc.shutdown())
        for execution in executions:
            assert (await execution).reply["ename"] == "KeyboardInterrupt"
