"""The debugger's protocol: what a front end says by debug_request, and what it hears.

The content of a debug_request is a request of the Debug Adapter Protocol (DAP), that of its reply a response;
`debug_event` on iopub has an event. `COMMANDS` is the table of what a kernel understands. `DebugSession`
keeps what is known without looking at any code that runs: is a front end there, which cells has it named,
where are its breakpoints. What is stopped, and what is in it, is the interpreter's affair.

JupyterLab names a cell by a path: prefix, Murmur2 hash of its code, suffix. A frame of that cell must name
the same path. Its sequence numbers repeat, so a response is known by its message, and we count for ourselves.

Pure: stdlib only. Source: messaging spec 5.5, "Debug request" and "Additions to the DAP"; DAP 1.x.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple, cast

from .errors import RemoteProtocolError
from .message import Content
from .routes import json_name, kind_name

SEED = 0xC70F6907
"""Of Murmur2; a front end asks for it."""

_BREAKPOINT = {"line": int, "condition?": str, "hitCondition?": str, "logMessage?": str}
_FUNCTION = {"name": str, "condition?": str, "hitCondition?": str}
_THREAD = {"threadId": int}

Fields = Mapping[str, Any]
"""Field -> a JSON type, the fields of an object, or a list with the one kind of its items. A name that ends
in `?` may be missing or null.
"""

COMMANDS: dict[str, Fields] = {
    # of Jupyter
    "debugInfo": {},
    "dumpCell": {"code": str},
    "inspectVariables": {},
    "richInspectVariables": {"variableName": str, "frameId?": int},
    "copyToGlobals": {"srcVariableName": str, "dstVariableName": str, "srcFrameId": int},
    # who is there
    "initialize": {},
    "attach": {},
    "configurationDone": {},
    "disconnect": {},
    # what there is
    "threads": {},
    "modules": {"startModule?": int, "moduleCount?": int},
    "source": {"source?": {"path?": str}, "sourceReference?": int},
    # where to stop
    "setBreakpoints": {"source": {"path": str}, "breakpoints?": [_BREAKPOINT]},
    "setFunctionBreakpoints": {"breakpoints": [_FUNCTION]},
    "setExceptionBreakpoints": {"filters": [str]},
    "pause": _THREAD,
    # what has stopped
    "stackTrace": {**_THREAD, "startFrame?": int, "levels?": int},
    "scopes": {"frameId": int},
    "variables": {"variablesReference": int, "filter?": str, "start?": int, "count?": int},
    "exceptionInfo": _THREAD,
    "evaluate": {"expression": str, "frameId?": int, "context?": str},
    "completions": {"text": str, "column": int, "line?": int, "frameId?": int},
    "setVariable": {"variablesReference": int, "name": str, "value": str},
    "setExpression": {"expression": str, "value": str, "frameId?": int},
    # how it goes on
    "continue": _THREAD,
    "next": _THREAD,
    "stepIn": _THREAD,
    "stepOut": _THREAD,
}

_ALWAYS = {
    *("debugInfo", "dumpCell", "inspectVariables", "richInspectVariables", "initialize", "disconnect"),
    *("threads", "modules", "source", "evaluate", "completions", "variables"),
}
"""What is answered without `initialize`, too."""

FILTERS = {
    "raised": "Raised Exceptions",
    "uncaught": "Uncaught Exceptions",
    "userUnhandled": "User Uncaught Exceptions",
}
"""Exceptions on which code may stop: wherever user code sees one; where none of user code handles it; where
one leaves user code for a library's.
"""

CAPABILITIES: Content = {
    "supportsConfigurationDoneRequest": True,
    "supportsFunctionBreakpoints": True,
    "supportsConditionalBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsEvaluateForHovers": True,
    "supportsSetVariable": True,
    "supportsSetExpression": True,
    "supportsCompletionsRequest": True,
    "supportsModulesRequest": True,
    "supportsExceptionInfoRequest": True,
    "supportsLogPoints": True,
    "exceptionBreakpointFilters": [
        {"filter": name, "label": label, "default": False} for name, label in FILTERS.items()
    ],
}
"""The body of the response to `initialize`."""


class DebugRequest(NamedTuple):
    """A request that is well formed."""

    seq: int
    command: str
    arguments: Content


class DebugSession:
    """One kernel's. `prefix` and `suffix` make a path of a cell's hash."""

    def __init__(self, prefix: str, suffix: str) -> None:
        self.attached = False
        """Has a front end said `initialize`, and no `disconnect` since?"""
        self.breakpoints: dict[str, list[Content]] = {}
        """Path -> those that were accepted, as `setBreakpoints` has them."""
        self.sources: dict[str, str] = {}
        """Path of a cell -> its code."""
        self._prefix = prefix
        self._suffix = suffix
        self._sequence = count(1)
        self._threads: dict[int, int] = {}

    # ---- requests and what comes back

    def read(self, content: Mapping[str, Any]) -> DebugRequest:
        """The request in the content of a debug_request.

        Raises RemoteProtocolError, with a sentence, where it is none, or lacks something.
        """
        command = content.get("command")
        if not isinstance(command, str):
            raise RemoteProtocolError(_wrong("debug_request", "command", str, command, "command" in content))
        if command not in COMMANDS:
            raise RemoteProtocolError(f"This debugger does not support the command {command!r}.")
        seq = content.get("seq", 0)
        if type(seq) is not int:
            raise RemoteProtocolError(_wrong(command, "seq", int, seq))
        arguments = content.get("arguments")
        arguments = {} if arguments is None else arguments
        if not isinstance(arguments, dict):
            raise RemoteProtocolError(_wrong(command, "arguments", dict, arguments))
        if problem := _problem(command, COMMANDS[command], arguments):
            raise RemoteProtocolError(problem)
        if not self.attached and command not in _ALWAYS:
            raise RemoteProtocolError(f"No debugger is attached: send 'initialize' before {command!r}.")
        return DebugRequest(seq, command, arguments)

    def response(self, request: Mapping[str, Any], body: Content | None = None) -> Content:
        """The answer to the content of a debug_request."""
        return _response(request, next(self._sequence), success=True, body=body or {})

    def refusal(self, request: Mapping[str, Any], message: str) -> Content:
        """The answer that says why there is none."""
        return _refusal(request, next(self._sequence), message)

    def event(self, name: str, **body: Any) -> Content:
        """The content of a debug_event."""
        return {"type": "event", "seq": next(self._sequence), "event": name, "body": body}

    # ---- what is known

    def info(self, stopped: Sequence[int]) -> Content:
        """The body of the response to `debugInfo`; `stopped` are the numbers of threads."""
        return {
            "isStarted": self.attached,
            "hashMethod": "Murmur2",
            "hashSeed": SEED,
            "tmpFilePrefix": self._prefix,
            "tmpFileSuffix": self._suffix,
            "breakpoints": [
                {"source": path, "breakpoints": points} for path, points in self.breakpoints.items()
            ],
            "stoppedThreads": list(stopped),
            "richRendering": True,
            "exceptionPaths": ["Python Exceptions"],
            "copyToGlobals": True,
        }

    def attach(self) -> None:
        """A front end is there; a second `initialize` begins anew."""
        self.detach()
        self.attached = True

    def detach(self) -> None:
        """It has gone, and its breakpoints with it."""
        self.attached = False
        self.breakpoints.clear()

    def path(self, code: str) -> str:
        """What a cell with this code is called."""
        return f"{self._prefix}{murmur2(code.encode(errors='surrogatepass'), SEED)}{self._suffix}"

    def dump(self, code: str) -> str:
        """Keep the code of a cell; returns its path."""
        path = self.path(code)
        self.sources[path] = code
        return path

    def thread(self, ident: int) -> int:
        """The number of a thread. The first that is named is 1, the one that front ends take for the main
        thread.
        """
        return self._threads.setdefault(ident, len(self._threads) + 1)

    def ident(self, thread: int) -> int | None:
        """The thread of this number."""
        return next((ident for ident, number in self._threads.items() if number == thread), None)


def unanswered(request: object, error: Content) -> Content:
    """The answer to the content of a debug_request, whatever that is, where the debugger gives none: an
    interrupt has come between, say. It is `error`, as other requests have it, with DAP's fields besides.
    """
    message = f"{error['ename']}: {error['evalue']}" if "ename" in error else "The request was aborted."
    content = cast("dict[str, Any]", request) if isinstance(request, dict) else {}
    return {**error, **_refusal(content, 0, message)}


def _refusal(request: Mapping[str, Any], number: int, message: str) -> Content:
    return _response(request, number, success=False, message=message, body={"error": {"format": message}})


def _response(request: Mapping[str, Any], number: int, **rest: Any) -> Content:
    seq, command = request.get("seq"), request.get("command")
    return {
        "type": "response",
        "seq": number,
        "request_seq": seq if type(seq) is int else 0,
        "command": command if isinstance(command, str) else "",
        **rest,
    }


def _problem(command: str, fields: Fields, value: Mapping[str, Any], where: str = "") -> str | None:
    for field, kind in fields.items():
        name = field.removesuffix("?")
        present = value.get(name)
        if present is None and field.endswith("?"):
            continue
        if problem := _problem_of(command, where + name, kind, present, name in value):
            return problem
    return None


def _problem_of(command: str, name: str, kind: Any, value: Any, given: bool = True) -> str | None:
    plain = type(cast(object, kind)) if isinstance(kind, dict | list) else kind
    if type(value) is not plain:
        return _wrong(command, name, plain, value, given)
    if isinstance(kind, dict):
        return _problem(command, cast(Fields, kind), value, f"{name}.")
    if isinstance(kind, list):
        (item,) = cast("list[Any]", kind)
        problems = (_problem_of(command, f"{name}[{i}]", item, one) for i, one in enumerate(value))
        return next(filter(None, problems), None)
    return None


def _wrong(command: str, name: str, kind: type, value: object, given: bool = True) -> str:
    if not given:
        return f"{command!r} lacks the field {name!r}."
    return f"The field {name!r} of {command!r} must be {kind_name(kind)}, not {json_name(value)}."


_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes, seed: int) -> int:
    """Austin Appleby's MurmurHash2, 32 bits, as JupyterLab has it. 2 ms per kilobyte."""
    whole = len(data) & ~3
    h = (seed ^ len(data)) & _MASK
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        k = word * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15
