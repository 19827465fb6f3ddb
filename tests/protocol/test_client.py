"""ClientProtocol: whatever order it comes in, each answer finds its request."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from laneway.protocol.client import (
    IDLE_GRACE,
    IDLE_LIMIT,
    INTERRUPT_GRACE,
    Busy,
    ClientProtocol,
    Done,
    Event,
    Failed,
    InputRequested,
    Overdue,
    Pending,
    Published,
    Replied,
)
from laneway.protocol.errors import KernelTimeoutError
from laneway.protocol.message import Channel, Message, Stamp


def protocol() -> ClientProtocol:
    numbers = itertools.count(1)
    return ClientProtocol(Stamp("client", lambda: str(next(numbers)), lambda: "2026-01-01T00:00:00+00:00"))


def reply(pending: Pending, channel: Channel | None = None) -> Message:
    header = {"msg_id": "k", "msg_type": pending.request.msg_type.replace("_request", "_reply")}
    return Message(channel or pending.request.channel, header, pending.request.header, {}, {"status": "ok"})


def published(pending: Pending, msg_type: str, **content: Any) -> Message:
    header = {"msg_id": "k", "msg_type": msg_type}
    return Message(Channel.IOPUB, header, pending.request.header, {}, content)


def status(pending: Pending, state: str) -> Message:
    return published(pending, "status", execution_state=state)


def test_a_request_is_filed_before_it_is_sent() -> None:
    client = protocol()
    pending = client.request(
        "execute_request", {"code": "1"}, subshell_id="sub", metadata={"tags": []}, buffers=[b"1"]
    )
    request = pending.request
    assert (request.channel, request.msg_type, request.subshell_id) == (
        Channel.SHELL,
        "execute_request",
        "sub",
    )
    assert (request.content, request.metadata, request.buffers) == ({"code": "1"}, {"tags": []}, [b"1"])
    assert client.pending == (pending,)
    assert client.get(pending.id) is pending
    assert "subshell_id" not in client.request("kernel_info_request", {}).request.header


def test_an_id_is_filed_once_at_a_time() -> None:
    client = protocol()
    pending = client.request("kernel_info_request", {}, msg_id="mine")
    with pytest.raises(ValueError, match="'mine' is still pending"):
        client.request("kernel_info_request", {}, msg_id="mine")
    client.receive(reply(pending))
    assert client.request("kernel_info_request", {}, msg_id="mine").id == "mine"


def test_a_message_that_expects_nothing_is_not_filed() -> None:
    client = protocol()
    assert client.message("comm_msg", {"comm_id": "x"}).msg_type == "comm_msg"
    assert client.pending == ()


def test_a_cell_is_done_when_its_reply_and_its_idle_have_come() -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""})
    output = published(pending, "stream", name="stdout", text="a")
    assert client.receive(status(pending, "busy")) == [Busy(pending)]
    assert client.receive(output) == [Published(pending, output)]
    assert client.receive(reply(pending)) == [Replied(pending)]
    assert client.receive(output) == [Published(pending, output)]
    assert client.receive(status(pending, "idle")) == [Done(pending)]
    assert client.receive(output) == [Published(None, output)]


def test_the_idle_may_come_first() -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""})
    assert client.receive(status(pending, "idle")) == []
    assert client.receive(reply(pending)) == [Replied(pending), Done(pending)]
    assert client.pending == ()


def test_other_requests_are_done_with_their_reply() -> None:
    client = protocol()
    pending = client.request("complete_request", {"code": ""})
    assert client.receive(reply(pending)) == [Replied(pending), Done(pending)]
    idle = status(pending, "idle")
    assert client.receive(idle) == [Published(None, idle)]
    assert client.unclaimed == 0


def test_a_reply_comes_once_and_on_the_channel_of_its_request() -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""})
    assert client.receive(reply(pending, Channel.CONTROL)) == []
    client.receive(reply(pending))
    assert client.receive(reply(pending)) == []
    client.receive(status(pending, "idle"))
    assert client.receive(reply(pending)) == []
    assert client.unclaimed == 3


def test_a_question_and_its_answer() -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": "input()"})
    header = {"msg_id": "q", "msg_type": "input_request"}
    question = Message(Channel.STDIN, header, pending.request.header, {}, {"prompt": "?"}, route=(b"peer",))
    assert client.receive(question) == [InputRequested(pending, question)]
    answer = client.answer(question, "yes")
    assert (answer.channel, answer.msg_type, answer.parent_id) == (Channel.STDIN, "input_reply", "q")
    assert (answer.content, answer.route) == ({"value": "yes"}, (b"peer",))
    assert client.receive(Message(Channel.STDIN, {**header, "msg_type": "odd"}, pending.request.header)) == []
    client.forget(pending)
    assert client.receive(question) == []
    assert client.unclaimed == 1


def test_what_was_forgotten_belongs_to_nobody() -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""}, msg_id="1")
    client.forget(pending)
    again = client.request("execute_request", {"code": ""}, msg_id="1")
    client.forget(pending)  # not the one that has its id now
    assert client.pending == (again,)


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("content", [None, [], "text", {}, {"execution_state": []}])
@pytest.mark.parametrize("parent", [{}, {"msg_id": None}, {"msg_id": []}, {"msg_id": {}}, {"msg_id": "x"}])
def test_odd_messages_are_nobody_s(channel: Channel, content: Any, parent: dict[str, Any]) -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""})
    events = client.receive(Message(channel, {"msg_id": "k", "msg_type": "status"}, parent, {}, content))
    if channel is Channel.IOPUB and isinstance(content, dict):
        assert [(event.pending, type(event)) for event in events] == [(None, Published)]
    else:
        assert (events, client.unclaimed) == ([], 1)
    assert client.pending == (pending,)


@pytest.mark.parametrize("content", [{}, {"execution_state": []}, {"execution_state": "starting"}])
def test_a_status_of_another_kind_is_an_output(content: dict[str, Any]) -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""})
    odd = published(pending, "status", **content)
    assert client.receive(odd) == [Published(pending, odd)]


@pytest.mark.parametrize("seed", range(50))
def test_in_any_order_each_request_is_done_once(seed: int) -> None:
    chance = random.Random(seed)
    client = protocol()
    types = ("execute_request", "complete_request", "kernel_info_request")
    filed = [client.request(chance.choice(types), {"code": ""}) for _ in range(100)]
    coming = [
        message
        for pending in filed
        for message in (status(pending, "busy"), status(pending, "idle"), reply(pending), reply(pending))
    ]
    chance.shuffle(coming)
    events = [event for message in coming for event in client.receive(message)]
    done = [event.pending for event in events if isinstance(event, Done)]
    assert sorted(pending.id for pending in done) == sorted(pending.id for pending in filed)
    assert client.pending == ()
    assert client.unclaimed == len(filed)  # the second reply of each


# ---- time


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_what_has_no_limit_has_no_deadline() -> None:
    client = protocol()
    client.request("execute_request", {"code": ""}, now=5)
    client.request("execute_request", {"code": ""}, now=5, timeout=float("inf"))
    assert client.next_deadline() is None
    assert client.tick(1e9) == []


def test_a_timeout_is_no_number() -> None:
    client = protocol()
    for timeout in (-1, float("nan")):
        with pytest.raises(ValueError, match="seconds"):
            client.request("execute_request", {"code": ""}, timeout=timeout)
    assert client.pending == ()


def test_the_first_deadline_is_the_next() -> None:
    client = protocol()
    late, soon = (client.request("complete_request", {}, now=10, timeout=limit) for limit in (8, 3))
    assert client.next_deadline() == 13
    assert client.tick(12.9) == []
    (failed,) = client.tick(13)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, KernelTimeoutError)
    assert (failed.pending, failed.error.phase, failed.error.elapsed) == (soon, "queued", 3)
    assert (client.pending, client.next_deadline()) == ((late,), 18)
    client.receive(reply(late), 14)
    assert client.next_deadline() is None


def test_a_missing_idle_is_waited_for_as_long_as_outputs_come() -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""}, now=0)
    assert names(client.receive(reply(pending), 1)) == ["Replied"]
    assert client.next_deadline() == 1 + IDLE_GRACE
    client.receive(published(pending, "stream", text=""), 2)
    assert client.tick(1 + IDLE_GRACE) == []
    assert client.next_deadline() == 2 + IDLE_GRACE
    assert client.tick(2 + IDLE_GRACE) == [Done(pending)]
    assert not pending.idle
    assert client.pending == ()


def test_a_missing_idle_is_waited_for_while_others_outputs_come_but_not_for_ever() -> None:
    client = protocol()
    pending, other = (client.request("execute_request", {"code": ""}) for _ in "ab")
    client.receive(reply(pending), 0)
    now = 0.0
    while client.get(pending.id):
        client.receive(published(other, "stream", text=""), now)
        now += IDLE_GRACE / 2
        assert client.tick(now) in ([], [Done(pending)])
    assert now == IDLE_LIMIT


@pytest.mark.parametrize("aims", [True, False])
@pytest.mark.parametrize("busy", [True, False])
def test_whom_an_interrupt_would_not_hit_alone_is_not_interrupted(aims: bool, busy: bool) -> None:
    client = protocol()
    client.aims = aims
    pending = client.request("execute_request", {"code": ""}, timeout=1, interrupt=True)
    if busy:
        client.receive(status(pending, "busy"))
    assert names(client.tick(1)) == ["Overdue" if aims or busy else "Failed"]


@pytest.mark.parametrize("ends", [True, False])
def test_what_is_overdue_fails_when_it_has_ended_or_after_a_grace(ends: bool) -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""}, timeout=1, interrupt=True)
    client.receive(status(pending, "busy"), 0)
    assert client.tick(1) == [Overdue(pending)]
    assert client.next_deadline() == 1 + INTERRUPT_GRACE
    if ends:
        assert names(client.receive(reply(pending), 2)) == ["Replied"]
        (failed,) = client.receive(status(pending, "idle"), 2)
    else:
        (failed,) = client.tick(1 + INTERRUPT_GRACE)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, KernelTimeoutError)
    assert failed.error.phase == "running"
    assert (client.pending, client.next_deadline()) == ((), None)


def test_what_is_abandoned_fails_with_the_reason_given() -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""}, timeout=100)
    reason = RuntimeError("the hook")
    client.abandon(pending, reason, 5)
    assert client.tick(5 + INTERRUPT_GRACE) == [Failed(pending, reason)]


def test_phases() -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""})
    phases = [pending.phase]
    client.receive(status(pending, "busy"))
    phases.append(pending.phase)
    question = Message(Channel.STDIN, {"msg_id": "q", "msg_type": "input_request"}, pending.request.header)
    client.receive(question)
    phases.append(pending.phase)
    client.answer(question, "")
    phases.append(pending.phase)
    client.receive(reply(pending))
    phases.append(pending.phase)
    assert phases == ["queued", "running", "awaiting stdin", "running", "awaiting idle"]


def test_what_a_comm_message_causes_has_an_owner() -> None:
    client = protocol()
    pending = client.request("execute_request", {"code": ""}, msg_id="with.dots")
    sent = Pending(client.message("comm_msg", {}, owner=pending.id))
    assert sent.id == "with.dots.1"
    output = published(sent, "stream", text="")
    assert pending.id in client.owners(output)
    assert client.receive(output) == [Published(None, output)]
    client.receive(status(sent, "busy"))
    assert not pending.busy


@pytest.mark.parametrize("seed", range(20))
def test_each_request_ends_once_whatever_the_time(seed: int) -> None:
    """And `next_deadline` is never later than what is due."""
    chance = random.Random(seed)
    client = protocol()
    client.aims = chance.random() < 0.5
    now = 0.0
    filed: list[Pending] = []
    ended: list[Pending] = []
    for _ in range(300):
        now += chance.random()
        events = client.tick(now)
        if chance.random() < 0.4:
            limit = chance.choice([None, chance.random() * 5])
            kind = chance.choice(["execute_request", "complete_request"])
            filed.append(client.request(kind, {}, now=now, timeout=limit, interrupt=chance.random() < 0.5))
        if filed:
            pending = chance.choice(filed)
            message = chance.choice([reply(pending), status(pending, "busy"), status(pending, "idle")])
            events += client.receive(message, now)
        ended += [event.pending for event in events if isinstance(event, Done | Failed)]
        deadline = client.next_deadline()
        assert all(
            (deadline or 0) <= pending.deadline for pending in client.pending if pending.deadline < 1e9
        )
    assert len({pending.id for pending in ended}) == len(ended)
    assert {pending.id for pending in ended} | {pending.id for pending in client.pending} == {
        pending.id for pending in filed
    }
