"""What waits for a slow reader, and what of it is left out."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from laneway.protocol import backlog as backlog_module
from laneway.protocol.backlog import Backlog, packet
from laneway.protocol.message import Channel, Message

_ids = itertools.count()


@pytest.fixture(autouse=True)
def small_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog_module, "MARK", 10_000)


def message(msg_type: str, parent: str | None, text: str = "") -> Message:
    header = {"msg_id": str(next(_ids)), "msg_type": msg_type}
    return Message(Channel.IOPUB, header, {"msg_id": parent} if parent else {}, content={"text": text})


class Client:
    """Whose backlog it is; `read` is what it gets."""

    def __init__(self) -> None:
        self.sent: dict[bytes, Message] = {}
        self.backlog = Backlog(self.encode)

    def encode(self, message: Message) -> Any:
        self.sent[message.msg_id.encode()] = message
        return packet([message.msg_id.encode(), bytes(message.content.get("size", 0))])

    def put(self, msg_type: str, parent: str | None, size: int = 0) -> None:
        new = message(msg_type, parent)
        new.content["size"] = size
        self.backlog.put(new, self.encode(new))

    def read(self, count: int = 10_000) -> list[str]:
        got: list[str] = []
        while self.backlog and len(got) < count:
            taken = self.sent[self.backlog.first.frames[0]]
            said = "missing" in taken.content.get("text", "")
            got.append(f"{'gap' if said else taken.msg_type} of {taken.parent_id}")
            self.backlog.pop()
        return got


def test_what_fits_stays_in_order() -> None:
    client = Client()
    for number in range(5):
        client.put("stream", str(number))
        client.put("status", str(number))
    assert client.read() == [f"{kind} of {number}" for number in range(5) for kind in ("stream", "status")]
    assert (client.backlog.size, client.backlog.left_out) == (0, 0)


def test_streams_go_first_then_large_output_and_never_a_status_or_an_error() -> None:
    client = Client()
    outputs = ("stream", "display_data", "comm_msg", "status", "error", "execute_input", "clear_output", "x")
    client.put("display_data", "1", 9000)
    client.put("display_data", "1", 9000)
    for kind in outputs:
        client.put(kind, "2")
    client.put("status", "2", 40_000)
    for kind in outputs:
        client.put(kind, "3")
    kept = client.read()
    assert kept[:2] == ["display_data of 1"] * 2
    assert kept[2:10] == ["gap of 2", *(f"{kind} of 2" for kind in outputs[1:])]
    assert kept[10] == "status of 2"
    assert kept[11:] == ["gap of 3", *(f"{kind} of 3" for kind in outputs[3:])]
    assert client.backlog.left_out == 4


def test_a_gap_is_said_with_its_size_before_its_parents_next_message() -> None:
    client = Client()
    client.put("display_data", "1", 11_000)
    for _ in range(3):
        client.put("stream", "1", 2**20)
    client.put("stream", "2")
    client.put("status", "2")
    client.put("status", "1")
    assert client.read(2) == ["display_data of 1", "gap of 2"]
    (gap,) = [sent for sent in client.sent.values() if "3 messages of output (3.0 MiB)" in str(sent.content)]
    assert (gap.msg_type, gap.parent_id, gap.content["name"]) == ("stream", "1", "stderr")
    assert client.read() == ["status of 2", "gap of 1", "status of 1"]


def test_a_gap_whose_parent_says_nothing_more_comes_last() -> None:
    client = Client()
    client.put("display_data", "1", 11_000)
    client.put("stream", None)
    client.put("stream", "2")
    assert client.read() == ["display_data of 1", "gap of None", "gap of 2"]


def test_gaps_are_long_until_half_has_been_read() -> None:
    client = Client()
    for _ in range(20):
        client.put("stream", "1")
    assert client.backlog.left_out
    assert client.read(3) == ["stream of 1"] * 3
    client.put("stream", "1")
    client.read(4)
    client.put("stream", "1")
    assert client.read()[-2:] == ["gap of 1", "stream of 1"]


def test_one_message_of_any_size_is_kept() -> None:
    client = Client()
    client.put("stream", "1", 10**6)
    assert client.read() == ["stream of 1"]


def test_what_waits_holds_no_more_memory_than_its_bytes() -> None:
    frame = bytes(range(50))
    (kept,) = packet([frame]).frames
    assert kept == frame
    assert kept is not frame  # orjson makes bytes with a lot of room behind them


def test_what_waits_cannot_be_changed() -> None:
    mutable = bytearray(b"before")
    waiting = packet([b"x", memoryview(mutable)])
    mutable[:] = b"after!"
    assert waiting.frames == [b"x", b"before"]
