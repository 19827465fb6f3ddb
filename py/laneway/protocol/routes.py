"""THE table: where each message goes. Read this file first.

A request is looked up by (channel, msg_type). Its `Route` says which family of lanes it joins, whether that
lane runs one job at a time, and what its content must hold. `CORE` requests are answered by the protocol core
itself and never wait for anything. All other families are run by a host:

    family          who runs it                                  may wait for user code?
    EXECUTE         the shell's (or the control) thread          it is user code
    COMM            the shell's thread, between a cell's awaits  only while a cell blocks that thread
    INTROSPECTION   the introspection thread                     never
    INFORMATION     the introspection thread                     never
    DEBUG           the debugger's thread, or stopped code's     never: code that has stopped answers

Beyond the specification, on control, in the manner of JEP 91's requests for subshells:

    request             content             reply, beside `status`
    list_jobs_request   `watch`: optional   `jobs`: what runs and what is queued, each as in `jobs.py`
    cancel_job_request  `job_id`            none; an error where there is no such job

`watch` true: from now on each change of a cell or hook is published as `job_event`, whose content is that of
the job; false: not any more, for the session that asks. It has no parent, since it belongs to no request. A
kernel that nobody watches tells nothing: messages for each cell would cost more than a cell.

An interrupt_request says "stop" once, to what runs, or to one cell (`{"laneway": {"msg_id": ...}}` in its
metadata). A cancel_job_request ends a job, also a hook or a task, says whether there is one, and insists, as
a deadline does (`lanes.py`).

A lane is keyed by family, not by msg_type, because a `comm_msg` must never overtake its `comm_open`.
Pure data: stdlib only. Source: Jupyter messaging spec 5.5 and JEP 91 (subshells).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from .message import Channel


class Family(StrEnum):
    """The families of lanes."""

    CORE = "core"
    EXECUTE = "execute"
    COMM = "comm"
    INTROSPECTION = "introspection"
    INFORMATION = "information"
    DEBUG = "debug"


class Route(NamedTuple):
    """Where one kind of request goes and what its content must look like (field name -> JSON type)."""

    family: Family
    serial: bool = True
    replies: bool = True
    required: Mapping[str, type] = {}
    optional: Mapping[str, type] = {}

    def problem(self, msg_type: str, content: Any) -> str | None:
        """What is wrong with `content`, as a sentence, or None."""
        if not isinstance(content, dict):
            return f"The content of {msg_type} must be an object, not {json_name(content)}."
        for name, kind in self.required.items():
            if name not in content:
                return f"The content of {msg_type} lacks the field {name!r}."
            if type(content[name]) is not kind:
                return _wrong_type(msg_type, name, kind, content[name])
        for name, kind in self.optional.items():
            value = content.get(name)
            if value is not None and type(value) is not kind:
                return _wrong_type(msg_type, name, kind, value)
        return None


_JSON_NAMES: dict[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "an array",
    type(None): "null",
}


def _wrong_type(msg_type: str, name: str, kind: type, value: object) -> str:
    return f"The field {name!r} of {msg_type} must be {kind_name(kind)}, not {json_name(value)}."


def kind_name(kind: type) -> str:
    """What JSON calls values of this type, with an article."""
    return _JSON_NAMES.get(kind, kind.__name__)


def json_name(value: object) -> str:
    """What JSON calls `value`, with an article."""
    return kind_name(type(value))


_EXECUTE = Route(
    Family.EXECUTE,
    required={"code": str},
    optional={
        "silent": bool,
        "store_history": bool,
        "user_expressions": dict,
        "allow_stdin": bool,
        "stop_on_error": bool,
    },
)
_CORE = Route(Family.CORE)

ROUTES: dict[tuple[Channel, str], Route] = {
    (Channel.SHELL, "execute_request"): _EXECUTE,
    (Channel.SHELL, "comm_open"): Route(
        Family.COMM, replies=False, required={"comm_id": str, "target_name": str}, optional={"data": dict}
    ),
    (Channel.SHELL, "comm_msg"): Route(
        Family.COMM, replies=False, required={"comm_id": str}, optional={"data": dict}
    ),
    (Channel.SHELL, "comm_close"): Route(
        Family.COMM, replies=False, required={"comm_id": str}, optional={"data": dict}
    ),
    (Channel.SHELL, "complete_request"): Route(
        Family.INTROSPECTION, required={"code": str}, optional={"cursor_pos": int}
    ),
    (Channel.SHELL, "inspect_request"): Route(
        Family.INTROSPECTION, required={"code": str}, optional={"cursor_pos": int, "detail_level": int}
    ),
    (Channel.SHELL, "is_complete_request"): Route(Family.INTROSPECTION, required={"code": str}),
    (Channel.SHELL, "history_request"): Route(
        Family.INFORMATION,
        serial=False,
        required={"hist_access_type": str},
        optional={
            "output": bool,
            "raw": bool,
            "session": int,
            "start": int,
            "stop": int,
            "n": int,
            "pattern": str,
            "unique": bool,
        },
    ),
    (Channel.SHELL, "comm_info_request"): Route(
        Family.INFORMATION, serial=False, optional={"target_name": str}
    ),
    (Channel.SHELL, "connect_request"): Route(Family.INFORMATION, serial=False),
    (Channel.SHELL, "kernel_info_request"): _CORE,
    (Channel.SHELL, "shutdown_request"): Route(Family.CORE, optional={"restart": bool}),
    (Channel.CONTROL, "execute_request"): _EXECUTE,
    (Channel.CONTROL, "kernel_info_request"): _CORE,
    (Channel.CONTROL, "interrupt_request"): _CORE,
    (Channel.CONTROL, "shutdown_request"): Route(Family.CORE, optional={"restart": bool}),
    (Channel.CONTROL, "debug_request"): Route(Family.DEBUG, serial=False),
    (Channel.CONTROL, "create_subshell_request"): _CORE,
    (Channel.CONTROL, "delete_subshell_request"): Route(Family.CORE, required={"subshell_id": str}),
    (Channel.CONTROL, "list_subshell_request"): _CORE,
    (Channel.CONTROL, "list_jobs_request"): Route(Family.CORE, optional={"watch": bool}),
    (Channel.CONTROL, "cancel_job_request"): Route(Family.CORE, required={"job_id": str}),
    (Channel.STDIN, "input_reply"): Route(Family.CORE, replies=False, required={"value": str}),
}
