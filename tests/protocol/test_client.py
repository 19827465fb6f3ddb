"""ClientProtocol: whatever order it comes in, each answer finds its request."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from laneway.protocol.client import Busy, ClientProtocol, Done, InputRequested, Pending, Published, Replied
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
