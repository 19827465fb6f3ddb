"""The client against a kernel that answers in any order, late, twice or never."""

from __future__ import annotations

import asyncio

import pytest

from laneway.client import client as client_module
from laneway.client.execution import State
from laneway.protocol.errors import (
    ClientClosedError,
    ClosedError,
    KernelDiedError,
    KernelError,
    KernelTimeoutError,
)
from laneway.protocol.message import Channel

from .scripted import scripted

pytestmark = pytest.mark.anyio


async def test_reversed_replies_reach_their_owners() -> None:
    async with scripted() as (kc, kernel):
        executions = [kc.execute(str(i)) for i in range(100)]
        requests = [await kernel.next("execute_request") for _ in executions]
        for request in reversed(requests):
            kernel.stream(request, request.content["code"])
            kernel.status(request, "idle")
        for request in reversed(requests):
            kernel.reply(request, {"status": "ok", "execution_count": int(request.content["code"])})
        for i, execution in enumerate(executions):
            result = await execution
            assert (result.stdout, result.execution_count) == (str(i), i)


async def test_requests_of_all_kinds_in_any_order() -> None:
    async with scripted() as (kc, kernel):
        async with asyncio.TaskGroup() as group:
            completed = [group.create_task(kc.complete(str(i))) for i in range(20)]
            info = group.create_task(kc.kernel_info(channel="control"))
            requests = [await kernel.next("complete_request") for _ in completed]
            for request in reversed(requests):
                kernel.reply(request, {"status": "ok", "matches": [request.content["code"]]})
            kernel.reply(await kernel.next("kernel_info_request"), {"status": "ok", "banner": "b"})
        assert [task.result()["matches"] for task in completed] == [[str(i)] for i in range(20)]
        assert info.result()["banner"] == "b"


@pytest.mark.parametrize("idle_first", [True, False])
async def test_done_is_reply_and_idle_in_either_order(idle_first: bool) -> None:
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        kernel.status(request, "busy")
        if idle_first:
            kernel.stream(request, "a")
            kernel.status(request, "idle")
            await kernel.settled()
            assert execution.state is State.RUNNING
            kernel.reply(request)
        else:
            kernel.reply(request)
            kernel.stream(request, "a")
            await kernel.settled()
            assert execution.phase == "awaiting idle"
            kernel.status(request, "idle")
        result = await execution
        assert (result.stdout, result.complete, execution.state) == ("a", True, State.DONE)


async def test_an_idle_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "IDLE_GRACE", 0.01)
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        kernel.stream(request, "all there was")
        kernel.reply(request)
        result = await execution
        assert (result.stdout, result.complete) == ("all there was", False)
        kernel.status(request, "idle")  # after all: nobody minds
        await kernel.settled()


async def test_an_idle_is_waited_for_as_long_as_outputs_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a slow server the reply overtakes them."""
    monkeypatch.setattr(client_module, "IDLE_GRACE", 0.4)
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        kernel.reply(request)
        await kernel.settled()
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, kernel.stream, request, "overtaken")
        loop.call_later(0.6, kernel.status, request, "idle")
        result = await execution
        assert (result.stdout, result.complete) == ("overtaken", True)


async def test_a_duplicate_live_id_is_refused() -> None:
    async with scripted() as (kc, kernel):
        first = kc.execute("1", msg_id="same")
        with pytest.raises(ValueError, match="still pending"):
            kc.execute("2", msg_id="same")
        request = await kernel.next("execute_request")
        kernel.reply(request)
        kernel.status(request, "idle")
        assert (await first).status == "ok"
        assert not kernel.received
        kc.execute("3", msg_id="same")
        assert (await kernel.next("execute_request")).content["code"] == "3"


async def test_cancelling_a_waiter_only_detaches_it() -> None:
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        waiter = asyncio.ensure_future(execution)
        request = await kernel.next("execute_request")
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        kernel.reply(request)
        kernel.status(request, "idle")
        assert (await execution).status == "ok"
        assert (await execution).status == "ok"


async def test_a_cancelled_request_leaves_nothing_behind() -> None:
    async with scripted() as (kc, kernel):
        waiter = asyncio.ensure_future(kc.complete("x"))
        request = await kernel.next("complete_request")
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert kc.pending == 0
        kernel.reply(request, {"status": "ok", "matches": ["late"]})
        other = asyncio.ensure_future(kc.complete("y"))
        kernel.reply(await kernel.next("complete_request"), {"status": "ok", "matches": ["own"]})
        assert (await other)["matches"] == ["own"]


@pytest.mark.parametrize("phase", ["queued", "running", "awaiting stdin"])
async def test_a_timeout_names_the_phase(phase: str) -> None:
    async with scripted() as (kc, kernel):
        asked = asyncio.Event()

        async def hook(_prompt: str, _password: bool) -> str:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        execution = kc.execute("x", timeout=0.05, stdin=hook)
        request = await kernel.next("execute_request")
        kernel.stream(request, "so far")
        if phase != "queued":
            kernel.status(request, "busy")
        if phase == "awaiting stdin":
            kernel.send(Channel.STDIN, "input_request", {"prompt": "", "password": False}, request)
            await asked.wait()
        with pytest.raises(KernelTimeoutError) as caught:
            await execution
        assert (caught.value.request, caught.value.phase) == ("execute_request", phase)
        assert caught.value.elapsed >= 0.05
        assert [output.content["text"] for output in caught.value.outputs] == ["so far"]
        assert isinstance(caught.value, TimeoutError)
        assert execution.state is State.ABANDONED
        assert kc.pending == 0
        kernel.reply(request)  # late: nobody's
        kernel.status(request, "idle")
        await kernel.settled()


async def test_a_timeout_can_interrupt_the_cell() -> None:
    async with scripted() as (kc, kernel):
        execution = kc.execute("x", timeout=0.01, on_timeout="interrupt")
        interrupt = await kernel.next("interrupt_request")
        assert interrupt.metadata == {"laneway": {"msg_id": execution.msg_id}}
        kernel.reply(interrupt)
        request = await kernel.next("execute_request")
        kernel.reply(request, {"status": "error", "ename": "KeyboardInterrupt", "evalue": ""})
        kernel.status(request, "idle")
        with pytest.raises(KernelTimeoutError):
            await execution
        assert execution.state is State.ABANDONED


async def test_a_timeout_does_not_wait_for_an_interrupt_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "INTERRUPT_GRACE", 0.01)
    async with scripted() as (kc, kernel):
        execution = kc.execute("x", timeout=0.01, on_timeout="interrupt")
        await kernel.next("interrupt_request")
        with pytest.raises(KernelTimeoutError):
            await execution
        assert execution.state is State.ABANDONED


async def test_a_timeout_of_a_request() -> None:
    async with scripted() as (kc, _kernel):
        with pytest.raises(KernelTimeoutError, match="complete_request"):
            await kc.complete("x", timeout=0.01)
        assert kc.pending == 0


async def test_outputs_as_they_come_and_for_several_readers() -> None:
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        texts: list[str] = []
        first = asyncio.Event()

        async def read() -> None:
            async for output in execution:
                texts.append(output.content["text"])
                first.set()

        reader = asyncio.ensure_future(read())
        kernel.stream(request, "one ")
        await first.wait()
        assert texts == ["one "]
        assert execution.state is State.QUEUED
        kernel.stream(request, "two")
        kernel.reply(request)
        kernel.status(request, "idle")
        await reader
        assert texts == ["one ", "two"]
        assert [output.content["text"] async for output in execution] == texts
        assert [output.content["text"] for output in (await execution).outputs] == ["one two"]


async def test_a_stdin_hook_that_raises_interrupts_the_cell_and_its_owner_sees_why() -> None:
    async with scripted() as (kc, kernel):

        def hook(_prompt: str, _password: bool) -> str:
            raise RuntimeError("no answer")

        execution = kc.execute("input()", stdin=hook)
        request = await kernel.next("execute_request")
        kernel.send(Channel.STDIN, "input_request", {"prompt": "?", "password": False}, request)
        interrupt = await kernel.next("interrupt_request")
        assert interrupt.metadata == {"laneway": {"msg_id": execution.msg_id}}
        kernel.reply(interrupt)
        kernel.reply(request, {"status": "error", "ename": "KeyboardInterrupt", "evalue": ""})
        kernel.status(request, "idle")
        with pytest.raises(RuntimeError, match="no answer"):
            await execution


async def test_prompts_find_their_own_hooks() -> None:
    async with scripted() as (kc, kernel):
        kc.execute("a", stdin=lambda prompt, _password: f"a:{prompt}")
        kc.execute("b", stdin=lambda prompt, _password: f"b:{prompt}")
        first, second = [await kernel.next("execute_request") for _ in "ab"]
        for request in (second, first):
            question = {"prompt": request.content["code"], "password": False}
            kernel.send(Channel.STDIN, "input_request", question, request)
        answers = [(await kernel.next("input_reply")) for _ in "ab"]
        assert [answer.content["value"] for answer in answers] == ["b:b", "a:a"]
        assert all(answer.channel is Channel.STDIN for answer in answers)


async def test_strange_messages_are_counted_and_nothing_else() -> None:
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        kernel.send(Channel.SHELL, "execute_reply", {"status": "ok"})
        kernel.send(Channel.CONTROL, "execute_reply", {"status": "ok"}, request)
        kernel.send(Channel.STDIN, "input_request", {}, None)
        kernel.send(Channel.SHELL, "execute_reply", ["not", "an", "object"], request)
        kernel.publish(None, "made_up", {})
        kernel.publish(request, "made_up", {})
        kernel.publish(request, "status", {"execution_state": "dizzy"})
        kernel.stream(request, "right")
        kernel.reply(request)
        kernel.reply(request)
        kernel.status(request, "idle")
        result = await execution
        assert (result.stdout, result.status) == ("right", "ok")


async def test_death_fails_everything_at_once_and_what_is_called_afterwards() -> None:
    async with scripted() as (kc, kernel):
        executions = [kc.execute("x") for _ in range(10)]
        requests = [asyncio.ensure_future(kc.complete("x")) for _ in range(5)]
        kernel.stream(await kernel.next("execute_request"), "partial")
        await kernel.settled()
        kernel.transport.end()
        for execution in executions:
            with pytest.raises(KernelDiedError) as caught:
                await execution
            assert execution.state is State.FAILED
            if execution is executions[0]:
                assert [output.content["text"] for output in caught.value.outputs] == ["partial"]
        for request in requests:
            with pytest.raises(KernelDiedError):
                await request
        with pytest.raises(KernelDiedError):
            kc.execute("x")
        with pytest.raises(KernelDiedError):
            await kc.complete("x")
        assert isinstance(await kc.wait_ended(), KernelDiedError)
        assert not kc.alive


async def test_a_server_says_that_the_kernel_is_dead() -> None:
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        kernel.send(Channel.IOPUB, "status", ["no", "object"])  # is nothing to stumble over
        kernel.publish(None, "status", {"execution_state": "dead"})
        with pytest.raises(KernelDiedError, match="server"):
            await execution
        assert kc.state == "dead"


async def test_closing_fails_what_is_pending() -> None:
    async with scripted() as (kc, _kernel):
        executions = [kc.execute("x") for _ in range(50)]
        comm = kc.comms.open("target")
        await kc.aclose()
        for execution in executions:
            with pytest.raises(ClientClosedError):
                await execution
        with pytest.raises(ClientClosedError):
            kc.execute("x")
        with pytest.raises(ClosedError):
            comm.send({})
        assert kc.pending == 0


async def test_subscriptions_are_bounded_and_independent() -> None:
    async with scripted() as (kc, kernel):
        everything = kc.subscribe()
        few = kc.subscribe(lambda message: message.msg_type == "stream", maxsize=3)
        for i in range(10):
            kernel.stream(None, str(i))
        await kernel.settled()
        few.close()
        assert [message.content["text"] async for message in few] == ["0", "1", "2"]
        assert few.dropped == 7
        everything.close()
        assert len([message async for message in everything]) == 10


async def test_what_cannot_be_sent_is_its_callers_error() -> None:
    async with scripted() as (kc, _kernel):
        kc.execute("fine")
        await kc.aclose()
        with pytest.raises(KernelError):
            kc.post("comm_msg", {})


async def test_sync_refuses_the_clients_own_thread() -> None:
    async with scripted() as (kc, _kernel):
        with pytest.raises(KernelError, match="would block"):
            kc.sync.kernel_info()


async def test_sync_from_many_threads() -> None:
    async with scripted() as (kc, kernel):

        async def serve() -> None:
            while True:
                request = await kernel.next("execute_request")
                kernel.stream(request, request.content["code"])
                kernel.reply(request)
                kernel.status(request, "idle")

        def use(name: int) -> list[str]:
            return [kc.sync.execute(f"{name} {i}").stdout for i in range(100)]

        server = asyncio.ensure_future(serve())
        outputs = await asyncio.gather(*(asyncio.to_thread(use, name) for name in range(8)))
        server.cancel()
        assert outputs == [[f"{name} {i}" for i in range(100)] for name in range(8)]
