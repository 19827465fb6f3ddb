"""The kernel's end of the callback interface, joined to a receiver that keeps what it gets."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from laneway.protocol.message import Channel, Message
from laneway.transports.callback import CallbackTransport

from .keeping import Keeping, send

ENVELOPE: dict[str, Any] = {
    "channel": "shell",
    "header": {"msg_id": "1", "msg_type": "t"},
    "content": {"a": "é"},
}


def test_there_and_back() -> None:
    sent: list[tuple[bytes, list[Any]]] = []
    transport = CallbackTransport(lambda message, buffers: sent.append((message, buffers)))
    receiver = Keeping()
    transport.start(receiver)
    assert receiver.topics == [""]
    for message in (
        json.dumps(ENVELOPE),
        json.dumps(ENVELOPE).encode(),
        bytearray(json.dumps(ENVELOPE).encode()),
    ):
        transport.receive(message, [b"1", memoryview(b"2")])  # type: ignore[arg-type]
    assert [(message.channel, message.content) for message in receiver.messages] == [
        (Channel.SHELL, {"a": "é"})
    ] * 3
    assert [bytes(buffer) for buffer in receiver.messages[0].buffers] == [b"1", b"2"]
    send(transport, receiver.messages[0])
    ((message, buffers),) = sent
    assert json.loads(message)["content"] == {"a": "é"}
    assert [bytes(buffer) for buffer in buffers] == [b"1", b"2"]


@pytest.mark.parametrize(
    "message", [b"", b"{", b"[]", "\ud800", b'{"channel": "shell"}', b"\xff", None, 5, b"[" * 10_000]
)
def test_what_is_malformed_is_counted_and_said(message: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Stderr:
        def write(self, text: str) -> None:
            said.append(text)

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "__stderr__", Stderr())
    transport = CallbackTransport(lambda _message, _buffers: None)
    receiver = Keeping()
    transport.start(receiver)
    transport.receive(message)
    assert (transport.dropped, receiver.messages) == (1, [])
    assert "laneway: a message was dropped" in "".join(said)
    transport.receive(json.dumps(ENVELOPE))
    assert len(receiver.messages) == 1


def test_a_failure_behind_it_is_reported_not_raised() -> None:
    transport, receiver = CallbackTransport(lambda _message, _buffers: None), Keeping()
    receiver.error = ZeroDivisionError()
    transport.start(receiver)
    transport.receive(json.dumps(ENVELOPE))
    assert receiver.failures == [receiver.error]


def test_after_close_nothing_goes_either_way() -> None:
    sent: list[bytes] = []
    transport = CallbackTransport(lambda message, _buffers: sent.append(message))
    receiver = Keeping()
    transport.start(receiver)
    transport.close()
    transport.close()
    transport.receive(json.dumps(ENVELOPE))
    send(transport, Message(Channel.IOPUB, {"msg_id": "1", "msg_type": "t"}))
    assert (receiver.messages, sent) == ([], [])
