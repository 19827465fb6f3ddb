"""The debugger's session, without any code that runs."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.protocol.debug import COMMANDS, SEED, DebugSession, murmur2
from laneway.protocol.errors import RemoteProtocolError


def session(*, attached: bool = True) -> DebugSession:
    made = DebugSession("/cells/", ".py")
    if attached:
        made.attach()
    return made


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 3990065800),
        (b"a", 2167009006),
        (b"ab", 2805137849),
        (b"abc", 3350977461),
        (b"abcd", 804720481),
        (b"print('hello')\n", 4288063316),
    ],
)
def test_murmur2_is_jupyterlabs(data: bytes, expected: int) -> None:
    """Expected: @jupyterlab/debugger's `murmur2` in Node, with this seed."""
    assert murmur2(data, SEED) == expected


def test_a_cell_is_named_by_its_code() -> None:
    known = session()
    path = known.dump("x = 1")
    assert path == known.path("x = 1") == f"/cells/{murmur2(b'x = 1', SEED)}.py"
    assert known.path("x = 2") != path
    assert known.sources == {path: "x = 1"}
    assert known.path("'\ud800'")  # whatever a cell holds


def test_a_request_that_is_well_formed() -> None:
    content = {"type": "request", "seq": 3, "command": "pause", "arguments": {"threadId": 1, "other": None}}
    assert session().read(content) == (3, "pause", {"threadId": 1, "other": None})
    assert session().read({"command": "threads"}) == (0, "threads", {})
    assert session().read({"command": "evaluate", "arguments": {"expression": "1", "frameId": None}})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, "'debug_request' lacks the field 'command'."),
        ({"command": 5}, "The field 'command' of 'debug_request' must be a string, not an integer."),
        ({"command": "goto"}, "This debugger does not support the command 'goto'."),
        (
            {"command": "threads", "seq": "1"},
            "The field 'seq' of 'threads' must be an integer, not a string.",
        ),
        (
            {"command": "threads", "arguments": []},
            "The field 'arguments' of 'threads' must be an object, not an array.",
        ),
        ({"command": "pause"}, "'pause' lacks the field 'threadId'."),
        (
            {"command": "pause", "arguments": {"threadId": True}},
            "The field 'threadId' of 'pause' must be an integer, not true or false.",
        ),
        (
            {"command": "setBreakpoints", "arguments": {"source": {}}},
            "'setBreakpoints' lacks the field 'source.path'.",
        ),
        (
            {
                "command": "setBreakpoints",
                "arguments": {"source": {"path": ""}, "breakpoints": [{"line": 1}, {"line": "2"}]},
            },
            "The field 'breakpoints[1].line' of 'setBreakpoints' must be an integer, not a string.",
        ),
        (
            {"command": "setExceptionBreakpoints", "arguments": {"filters": ["raised", 5]}},
            "The field 'filters[1]' of 'setExceptionBreakpoints' must be a string, not an integer.",
        ),
    ],
)
def test_what_is_wrong_is_said(content: Any, problem: str) -> None:
    with pytest.raises(RemoteProtocolError) as raised:
        session().read(content)
    assert str(raised.value) == problem


def test_what_needs_a_front_end_is_refused_without_one() -> None:
    arguments = {"threadId": 1, "filters": [], "breakpoints": [], "frameId": 1, "source": {"path": "x"}}
    arguments |= {"srcVariableName": "x", "dstVariableName": "y", "srcFrameId": 1, "variablesReference": 1}
    arguments |= {"name": "x", "value": "1", "expression": "1", "code": "", "text": "", "column": 1}
    arguments |= {"variableName": "x"}
    refused: set[str] = set()
    sentences: set[str] = set()
    for command in COMMANDS:
        content = {"command": command, "arguments": arguments}
        assert session().read(content).command == command
        try:
            session(attached=False).read(content)
        except RemoteProtocolError as error:
            refused.add(command)
            sentences.add(str(error).replace(repr(command), "it"))
    assert sentences == {"No debugger is attached: send 'initialize' before it."}
    assert {"continue", "next", "setBreakpoints", "pause", "scopes"} <= refused
    assert not refused & {"debugInfo", "initialize", "inspectVariables", "evaluate", "disconnect"}


def test_responses_and_events_are_numbered_in_order() -> None:
    known = session()
    response = known.response({"seq": 9, "command": "threads"}, {"threads": []})
    event = known.event("stopped", reason="step")
    refusal = known.refusal({"seq": "?", "command": None}, "No.")
    assert [content["seq"] for content in (response, event, refusal)] == [1, 2, 3]
    assert (response["request_seq"], response["success"], response["body"]) == (9, True, {"threads": []})
    assert (refusal["request_seq"], refusal["success"], refusal["message"]) == (0, False, "No.")
    assert event["body"] == {"reason": "step"}


def test_debug_info_is_whole_in_any_state() -> None:
    before, during = session(attached=False).info([]), session()
    assert (before["isStarted"], before["breakpoints"], before["stoppedThreads"]) == (False, [], [])
    during.breakpoints["/cells/1.py"] = [{"line": 3}]
    info = during.info([1])
    assert info["isStarted"] is True
    assert info["breakpoints"] == [{"source": "/cells/1.py", "breakpoints": [{"line": 3}]}]
    assert before.keys() == info.keys()
    during.detach()
    assert during.info([])["breakpoints"] == []


def test_threads_have_small_numbers() -> None:
    known = session()
    assert [known.thread(ident) for ident in (70_000, 80_000, 70_000)] == [1, 2, 1]
    assert (known.ident(2), known.ident(3)) == (80_000, None)
