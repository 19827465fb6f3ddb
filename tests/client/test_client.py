"""The client, on asyncio and on trio, against a kernel that answers in any order, late, twice or never."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from laneway.client.comms import Comm
from laneway.client.execution import State
from laneway.protocol import client as protocol_module
from laneway.protocol.errors import (
    ClientClosedError,
    ClosedError,
    KernelDiedError,
    KernelError,
    KernelTimeoutError,
    MessagesLostError,
)
from laneway.protocol.message import Channel, Message
from laneway.transports.event_loops import running_loop
from tests.tasks import begin, together

from .scripted import scripted

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]


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
        completed = [begin(kc.complete(str(i))) for i in range(20)]
        info = begin(kc.kernel_info(channel="control"))
        requests = [await kernel.next("complete_request") for _ in completed]
        for request in reversed(requests):
            kernel.reply(request, {"status": "ok", "matches": [request.content["code"]]})
        kernel.reply(await kernel.next("kernel_info_request"), {"status": "ok", "banner": "b"})
        assert [(await task)["matches"] for task in completed] == [[str(i)] for i in range(20)]
        assert (await info)["banner"] == "b"


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
    monkeypatch.setattr(protocol_module, "IDLE_GRACE", 0.01)
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        kernel.stream(request, "all there was")
        kernel.reply(request)
        result = await execution
        assert (result.stdout, result.complete) == ("all there was", False)
        kernel.status(request, "idle")  # after all: nobody minds
        await kernel.settled()


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
        waiter = begin(execution)
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
        waiter = begin(kc.complete("x"))
        request = await kernel.next("complete_request")
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert kc.pending == 0
        kernel.reply(request, {"status": "ok", "matches": ["late"]})
        other = begin(kc.complete("y"))
        kernel.reply(await kernel.next("complete_request"), {"status": "ok", "matches": ["own"]})
        assert (await other)["matches"] == ["own"]


@pytest.mark.parametrize("phase", ["queued", "running", "awaiting stdin"])
async def test_a_timeout_names_the_phase(phase: str) -> None:
    async with scripted() as (kc, kernel):
        asked = anyio.Event()

        async def hook(_prompt: str, _password: bool) -> str:
            asked.set()
            await anyio.Event().wait()
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
    monkeypatch.setattr(protocol_module, "INTERRUPT_GRACE", 0.01)
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
        first = anyio.Event()

        async def read() -> None:
            async for output in execution:
                texts.append(output.content["text"])
                first.set()

        reader = begin(read())
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
        assert {answer.content["value"] for answer in answers} == {"a:a", "b:b"}
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
        requests = [begin(kc.complete("x")) for _ in range(5)]
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
        assert [message.content["text"] async for message in few] == ["7", "8", "9"]
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

        server = begin(serve())
        outputs = await together(*(anyio.to_thread.run_sync(use, name) for name in range(8)))
        server.cancel()
        assert outputs == [[f"{name} {i}" for i in range(100)] for name in range(8)]


async def test_what_a_subscriptions_filter_raises_is_its_readers_error_and_nobody_elses() -> None:
    async with scripted() as (kc, kernel):

        def wanted(message: Message) -> bool:
            if message.msg_type == "stream":
                raise RuntimeError("a mistake")
            return True

        broken, other = kc.subscribe(wanted), kc.subscribe()
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        kernel.status(request, "busy")
        kernel.stream(request, "text")
        kernel.reply(request)
        kernel.status(request, "idle")
        assert (await execution).stdout == "text"
        assert (await anext(broken)).msg_type == "status"
        with pytest.raises(RuntimeError, match="a mistake"):
            await anext(broken)
        with pytest.raises(StopAsyncIteration):
            await anext(broken)
        other.close()
        assert len([message async for message in other]) == 4


async def test_a_hook_that_is_cancelled_stops_no_reader() -> None:
    async with scripted() as (kc, kernel):

        def cancelled(_comm: Comm, _message: Message) -> None:
            raise asyncio.CancelledError

        kc.comms.register_target("target", cancelled)
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        kernel.publish(request, "comm_open", {"comm_id": "1", "target_name": "target", "data": {}})
        kernel.reply(request)
        kernel.status(request, "idle")
        assert (await execution).status == "ok"


async def test_a_call_that_has_ended_is_let_go_of_whatever_its_timeout() -> None:
    async with scripted() as (kc, kernel):
        execution = kc.execute("x", timeout=3600)
        request = await kernel.next("execute_request")
        kernel.stream(request, "much")
        kernel.reply(request)
        kernel.status(request, "idle")
        await execution
        await kernel.settled()
        there = weakref.ref(execution)
        gc.disable()
        try:
            del execution
            assert there() is None
        finally:
            gc.enable()


async def test_what_comes_after_the_end_has_an_owner_until_it_is_released() -> None:
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        seen: list[str] = []

        async def follow() -> None:
            async for output in execution.follow():
                seen.append(output.content["text"])

        following = begin(follow())
        kernel.stream(request, "early")
        kernel.reply(request)
        kernel.status(request, "idle")
        result = await execution
        kernel.stream(request, "late")
        await kernel.settled()
        assert [output.content["text"] for output in execution.outputs] == ["early", "late"]
        assert [output.content["text"] async for output in execution] == ["early", "late"]
        assert result.stdout == "early"
        execution.release()
        await following
        assert seen == ["early", "late"]
        kernel.stream(request, "too late")
        await kernel.settled()
        assert len(execution.outputs) == 2


async def test_what_a_comm_message_causes_belongs_to_the_cell_that_opened_the_comm() -> None:
    async with scripted() as (kc, kernel):
        kc.comms.register_target("target", lambda _comm, _message: None)
        execution = kc.execute("x", msg_id="with.dots")
        request = await kernel.next("execute_request")
        kernel.publish(request, "comm_open", {"comm_id": "1", "target_name": "target", "data": {}})
        kernel.reply(request)
        kernel.status(request, "idle")
        await execution
        comm = kc.comms.get("1")
        assert comm is not None
        assert comm.owner == execution.msg_id
        sent = comm.send({}, metadata={"a": 1})
        assert sent.metadata == {"a": 1}
        for state in ("busy", "idle"):
            kernel.status(sent, state)
            kernel.stream(sent, state)
        kernel.publish(sent, "comm_open", {"comm_id": "2", "target_name": "target", "data": {}})
        await kernel.settled()
        assert [output.content["text"] for output in execution.outputs] == ["busy", "idle"]
        inner = kc.comms.get("2")
        assert inner is not None
        assert inner.owner == execution.msg_id


async def test_of_what_a_comm_holds_unread_the_oldest_is_lost_and_who_reads_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("laneway.client.comms.MAX_BYTES", 40_000)
    async with scripted() as (kc, kernel):
        iterated, hooked, closed, send_only = [kc.comms.open("target") for _ in range(4)]
        request = await kernel.next("comm_open")

        def say(numbers: range) -> None:
            for number in numbers:
                for comm in (iterated, hooked, closed, send_only):
                    data = {"number": number, "text": "x" * 10_000}
                    kernel.publish(request, "comm_msg", {"comm_id": comm.comm_id, "data": data})

        def number(message: Message) -> int:
            return message.content["data"]["number"]

        say(range(5))
        await kc.kernel_info()
        with pytest.raises(MessagesLostError, match="2 messages of the comm") as caught:
            await anext(iterated)
        assert caught.value.count == 2
        assert [number(await anext(iterated)) for _ in range(3)] == [2, 3, 4]

        seen: list[int] = []
        with pytest.raises(MessagesLostError):
            hooked.on_msg(lambda message: seen.append(number(message)))
        hooked.on_msg(lambda message: seen.append(number(message)))
        assert seen == [2, 3, 4]

        closed.close()
        with pytest.raises(MessagesLostError):
            await anext(closed)
        assert [number(message) async for message in closed] == [2, 3, 4]

        say(range(5, 8))
        await kc.kernel_info()
        assert [number(await anext(iterated)) for _ in range(3)] == [5, 6, 7]  # told once of each loss
        assert seen == [2, 3, 4, 5, 6, 7]
        send_only.send({})
        assert len([text for text in caplog.messages if "The comm" in text]) == 4


async def test_of_what_waits_the_newest_is_kept_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("laneway.client.comms.MAX_BYTES", 40_000)
    async with scripted() as (kc, kernel):
        comm = kc.comms.open("target")
        request = await kernel.next("comm_open")
        kernel.publish(request, "comm_msg", {"comm_id": comm.comm_id, "data": {"text": "x" * 50_000}})
        assert len((await anext(comm)).content["data"]["text"]) == 50_000


async def test_requests_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One each, which is cancelled a moment later, would cost a tenth of a request."""
    async with scripted() as (kc, kernel):
        loop, set_timers = running_loop(), 0
        call_at = loop.call_at

        def counted(when: float, callback: Callable[[], object]) -> object:
            nonlocal set_timers
            set_timers += 1
            return call_at(when, callback)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "call_at", counted)
            for _ in range(50):
                execution = kc.execute("1", timeout=1000)
                request = await kernel.next("execute_request")
                kernel.reply(request)  # from now on its idle is waited for
                kernel.status(request, "idle")
                await execution
        assert set_timers <= 10  # of which the first rings after 2 s


async def test_a_comm_is_opened_with_metadata() -> None:
    async with scripted() as (kc, kernel):
        comm = kc.comms.open("target", metadata={"version": "1.0.0"})
        assert (await kernel.next("comm_open")).metadata == {"version": "1.0.0"}
        comm.close(metadata={"a": 1})
        assert (await kernel.next("comm_close")).metadata == {"a": 1}


async def test_of_output_that_is_too_much_the_oldest_is_dropped_streams_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("laneway.client.outputs.MAX_OUTPUT", 40_000)
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        kernel.publish(request, "display_data", {"data": {"text/plain": "a plot"}})
        kernel.publish(request, "error", {"ename": "E", "evalue": "", "traceback": []})
        for i in range(10):
            kernel.stream(request, "x" * 10_000 + str(i))
        kernel.reply(request)
        kernel.status(request, "idle")
        result = await execution
        assert [output.msg_type for output in result.outputs] == ["display_data", "error", "stream"]
        assert result.stdout.replace("x", "") == "789"
        assert result.dropped == execution.dropped == 7


@pytest.mark.parametrize("wait", [True, False])
async def test_what_is_cleared_is_let_go_and_counts_nowhere(
    monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    monkeypatch.setattr("laneway.client.outputs.MAX_OUTPUT", 40_000)
    async with scripted() as (kc, kernel):
        execution = kc.execute("an animation")
        request = await kernel.next("execute_request")
        for _ in range(10):
            kernel.publish(request, "clear_output", {"wait": wait})
            kernel.publish(request, "display_data", {"data": {"text/plain": "x" * 10_000}})
        kernel.reply(request)
        kernel.status(request, "idle")
        result = await execution
        assert [output.msg_type for output in result.outputs] == ["clear_output", "display_data"]
        assert result.dropped == 0


async def test_what_is_cleared_is_the_cells_own_and_no_update_of_another_display() -> None:
    async with scripted() as (kc, kernel):
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        for display_id in ("own", "other"):
            content = {"data": {"text/plain": "x"}, "transient": {"display_id": display_id}}
            if display_id == "own":
                kernel.publish(request, "display_data", content)
            kernel.publish(request, "update_display_data", content)
        kernel.publish(request, "clear_output", {"wait": False})
        kernel.reply(request)
        kernel.status(request, "idle")
        updated, cleared = (await execution).outputs
        assert updated.content["transient"] == {"display_id": "other"}
        assert cleared.msg_type == "clear_output"


async def test_of_what_a_subscription_cannot_hold_replies_statuses_and_errors_stay() -> None:
    async with scripted() as (kc, kernel):
        few = kc.subscribe(maxsize=2)
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        kernel.status(request, "busy")
        kernel.publish(request, "error", {"ename": "E", "evalue": "", "traceback": []})
        for i in range(10):
            kernel.stream(request, str(i))
        kernel.reply(request)
        kernel.status(request, "idle")
        await execution
        few.close()
        kept = [message.content.get("text", message.msg_type) async for message in few]
        assert kept == ["status", "error", "8", "9", "execute_reply", "status"]
        assert few.dropped == 8


async def test_another_event_loop_is_told_what_to_use() -> None:
    async with scripted() as (kc, _kernel):

        async def elsewhere() -> None:
            with pytest.raises(KernelError, match=r"kc\.sync"):
                kc.execute("1")

        await anyio.to_thread.run_sync(lambda: asyncio.run(elsewhere()))


async def test_an_awaitable_hook_runs_beside_everything_else_and_its_error_is_told(
    caplog: pytest.LogCaptureFixture, anyio_backend: str
) -> None:
    async with scripted() as (kc, kernel):
        told = anyio.Event()
        if anyio_backend == "asyncio":
            asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: told.set())

        async def hook(_message: Message) -> None:
            await anyio.lowlevel.checkpoint()
            raise RuntimeError("a mistake")

        comm = kc.comms.open("target")
        comm.on_msg(hook)
        execution = kc.execute("x")
        request = await kernel.next("execute_request")
        kernel.publish(request, "comm_msg", {"comm_id": comm.comm_id, "data": {}})
        kernel.reply(request)
        kernel.status(request, "idle")
        assert (await execution).status == "ok"
        with anyio.fail_after(60):
            while not (told.is_set() or "a mistake" in caplog.text):
                gc.collect()  # asyncio tells of a task's error when the task goes
                await anyio.lowlevel.checkpoint()


async def test_a_stdin_hook_is_cancelled_with_its_cell() -> None:
    async with scripted() as (kc, kernel):
        asked, ended = anyio.Event(), anyio.Event()

        async def hook(_prompt: str, _password: bool) -> str:
            asked.set()
            try:
                await anyio.sleep_forever()
            finally:
                ended.set()
            raise AssertionError

        execution = kc.execute("input()", stdin=hook)
        request = await kernel.next("execute_request")
        kernel.send(Channel.STDIN, "input_request", {"prompt": "?", "password": False}, request)
        await asked.wait()
        kernel.reply(request)
        kernel.status(request, "idle")
        assert (await execution).status == "ok"
        with anyio.fail_after(60):
            await ended.wait()


@pytest.mark.parametrize("how", ["cancel", "job"])
async def test_a_cancel_does_not_overtake_its_cell(how: str) -> None:
    async with scripted() as (kc, kernel):
        kernel.answers = False
        execution = kc.execute("x")
        cancelling = begin(execution.cancel() if how == "cancel" else kc.cancel(execution.msg_id))
        barrier = await kernel.next("kernel_info_request")
        assert barrier.channel is Channel.SHELL
        request = await kernel.next("execute_request")
        await kernel.settled()
        assert kernel.received == []
        kernel.reply(barrier)
        kernel.reply(await kernel.next("interrupt_request" if how == "cancel" else "cancel_job_request"))
        kernel.reply(request, {"status": "aborted"})
        kernel.status(request, "idle")
        await cancelling
        assert (await execution).status == "aborted"
