"""The table says where each message goes, and what is wrong with one."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.protocol.message import Channel
from laneway.protocol.routes import ROUTES, Family, Route

SPEC = """
    shell: execute_request inspect_request complete_request history_request is_complete_request
    shell: comm_info_request comm_open comm_msg comm_close kernel_info_request
    control: interrupt_request shutdown_request debug_request kernel_info_request
    control: create_subshell_request delete_subshell_request list_subshell_request
    stdin: input_reply
"""
"""All that the messaging spec 5.5 and JEP 91 let a client send."""


def test_each_message_of_the_specification_has_a_route() -> None:
    for line in SPEC.split("\n"):
        channel, _, types = line.strip().partition(":")
        for msg_type in types.split():
            assert (Channel(channel), msg_type) in ROUTES


def test_what_is_a_request_has_a_reply_and_nothing_else_has() -> None:
    for (_, msg_type), route in ROUTES.items():
        assert route.replies == msg_type.endswith("_request"), msg_type


def test_what_only_asks_never_joins_the_lane_of_user_code() -> None:
    of_user_code = {msg_type for (_, msg_type), route in ROUTES.items() if route.family is Family.EXECUTE}
    assert of_user_code == {"execute_request"}


def test_comm_messages_keep_their_order() -> None:
    for msg_type in ("comm_open", "comm_msg", "comm_close"):
        route = ROUTES[Channel.SHELL, msg_type]
        assert (route.family, route.serial) == (Family.COMM, True)


ROUTE = Route(Family.CORE, required={"code": str}, optional={"n": int, "raw": bool, "data": dict})


@pytest.mark.parametrize(
    "content",
    [
        {"code": ""},
        {"code": "", "n": 0, "raw": False, "data": {}},
        {"code": "", "n": None},
        {"code": "", "x": 1},
    ],
)
def test_nothing_is_wrong(content: dict[str, Any]) -> None:
    assert ROUTE.problem("t", content) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "The content of t must be an object, not null."),
        ([], "The content of t must be an object, not an array."),
        (1.5, "The content of t must be an object, not a number."),
        ({}, "The content of t lacks the field 'code'."),
        ({"code": None}, "The field 'code' of t must be a string, not null."),
        ({"code": 5}, "The field 'code' of t must be a string, not an integer."),
        ({"code": "", "n": True}, "The field 'n' of t must be an integer, not true or false."),
        ({"code": "", "raw": 1}, "The field 'raw' of t must be true or false, not an integer."),
        ({"code": "", "data": ()}, "The field 'data' of t must be an object, not tuple."),
    ],
)
def test_what_is_wrong_is_said(content: Any, problem: str) -> None:
    assert ROUTE.problem("t", content) == problem
