"""Messages and the headers that a Stamp makes."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.protocol.message import (
    PROTOCOL_VERSION,
    Channel,
    Message,
    Stamp,
    as_error,
    error_content,
    laneway_metadata,
)

STAMP = Stamp("session", lambda: "new", lambda: "2026-01-01T00:00:00+00:00")


def test_a_header_has_all_that_the_specification_wants() -> None:
    assert STAMP.header("t") == {
        "msg_id": "new",
        "msg_type": "t",
        "session": "session",
        "username": "laneway",
        "date": "2026-01-01T00:00:00+00:00",
        "version": PROTOCOL_VERSION,
    }
    header = STAMP.header("t", msg_id="", subshell_id="sub")
    assert (header["msg_id"], header["subshell_id"]) == ("", "sub")


def test_a_message_reads_its_headers() -> None:
    message = Message(Channel.SHELL, STAMP.header("t", subshell_id="sub"), {"msg_id": "parent"})
    assert (message.msg_id, message.msg_type) == ("new", "t")
    assert (message.parent_id, message.subshell_id) == ("parent", "sub")
    bare = Message(Channel.SHELL, STAMP.header("t"))
    assert (bare.parent_id, bare.subshell_id) == (None, None)


@pytest.mark.parametrize("msg_id", [None, 5, [], {}])
def test_a_parent_without_a_proper_id_is_none(msg_id: Any) -> None:
    assert Message(Channel.SHELL, STAMP.header("t"), {"msg_id": msg_id}).parent_id is None


def test_messages_share_nothing() -> None:
    one, other = (Message(Channel.SHELL, STAMP.header("t")) for _ in range(2))
    one.content["a"] = one.metadata["b"] = one.parent_header["msg_id"] = "c"
    assert (other.content, other.metadata, other.parent_header) == ({}, {}, {})
    assert one != other


def test_errors_are_contents() -> None:
    assert as_error(KeyError("k")) == {
        "status": "error",
        "ename": "KeyError",
        "evalue": "'k'",
        "traceback": ["KeyError: 'k'"],
    }
    assert error_content("E", "v")["traceback"] == []


@pytest.mark.parametrize(
    ("metadata", "ours"),
    [
        ({}, {}),
        ({"laneway": {"mode": "task"}}, {"mode": "task"}),
        ({"laneway": []}, {}),
        ({"laneway": None}, {}),
    ],
)
def test_our_part_of_the_metadata(metadata: dict[str, Any], ours: dict[str, Any]) -> None:
    assert laneway_metadata(Message(Channel.SHELL, STAMP.header("t"), {}, metadata)) == ours
