"""Run modes: how a cell asks to run, and with which options.

    where                      for example
    the request's metadata     {"laneway": {"mode": "thread", "name": "io", "timeout": 30}}
    the cell's first line      # thread name=io timeout=30
    the same as a cell magic   %%thread name=io timeout=30
    a tag of the cell          thread name=io timeout=30

The first of these that names a mode decides, with its options; `timeout` in the metadata goes before any
other, and needs no mode beside it. Without all of them a cell is queued.

    mode      the cell runs                            options
    queue     when those before it have ended          timeout
    task      at once, on the event loop of its shell  timeout
    thread    at once, on a thread of its own; named,  timeout, name
              behind those of the same name, on their
              thread and its event loop

    option    value                                    meaning
    timeout   a number of seconds, more than 0         the cell may run so long, from its start on
    name      a word, or "quoted", of 1 to 64          the thread's
              characters that can be printed

A first line is a mode only where nothing else stands in it. Options are `key=value`, and never evaluated:

    first line                                         is
    # task                                             a mode
    # task timeout=0.5                                 a mode, with an option
    # task list: ...    # tasks    #task    threads=4  ordinary code
    # task timeout=soon    # task name=io              an error that says so
    %%task list                                        likewise: no other magic has this name

Pure: stdlib only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from .errors import RemoteProtocolError
from .message import Message, laneway_metadata


class Mode(StrEnum):
    """How a cell runs: in its lane's queue, as a task beside it, or on a thread of its own."""

    QUEUE = "queue"
    TASK = "task"
    THREAD = "thread"


class Wish(NamedTuple):
    """What a cell asks for."""

    mode: Mode = Mode.QUEUE
    name: str | None = None
    """Of the thread."""
    timeout: float | None = None
    """Seconds that it may run."""


# texts, which `re` compiles when they are needed: it takes 1 ms, and most kernels never need them
_LINE = r"(# |%%)((?:queue|task|thread)(?![^ \t\n])[^\n]*)(?:\n|$)"
_OPTION = r"""\s+(\w+)=("[^"]*"|'[^']*'|[\w.+-]+)(?=\s|$)"""
_WHOLE = rf"(?:# |%%)(?:queue|task|thread)(?:{_OPTION})*\s*$"
_OPTIONS = {Mode.QUEUE: ("timeout",), Mode.TASK: ("timeout",), Mode.THREAD: ("timeout", "name")}
_LONGEST_NAME = 64


def wish(request: Message) -> Wish:
    """What an execute_request asks for, see above. Raises RemoteProtocolError where that makes no sense."""
    metadata = laneway_metadata(request)
    named = metadata.get("mode")
    if named is not None:
        if named not in list(Mode):
            raise RemoteProtocolError(f"There is no run mode {named!r}; use one of {', '.join(Mode)}.")
        options = {key: metadata[key] for key in ("name", "timeout") if metadata.get(key) is not None}
        return _checked(Mode(named), options)
    if metadata.get("name") is not None:
        raise RemoteProtocolError("A name in the metadata needs the mode 'thread' beside it.")
    found = _in_first_line(request.content["code"]) or _in_tags(request.metadata.get("tags")) or Wish()
    timeout = metadata.get("timeout")
    return found if timeout is None else found._replace(timeout=_timeout(timeout))


def is_mode(line: str) -> bool:
    """Whether a cell's first line names a mode."""
    return _match(line) is not None


def is_magic(line: str) -> bool:
    """Whether a cell's first line is a cell magic that names a mode."""
    return line.startswith("%%") and is_line(line)


def is_line(line: str) -> bool:
    """Whether a line asks for a mode, in whatever way."""
    return re.match(_WHOLE, line) is not None


def _match(code: str) -> re.Match[str] | None:
    return re.match(_LINE, code) if code.startswith(("# ", "%%")) else None


def _in_first_line(code: str) -> Wish | None:
    line = _match(code)
    return line and _parsed(line[2], strict=line[1] == "%%")


def _in_tags(tags: object) -> Wish | None:
    for tag in tags if isinstance(tags, list) else ():
        line = _match(f"# {tag}") if isinstance(tag, str) else None
        if line and (found := _parsed(line[2], strict=False)):
            return found
    return None


def _parsed(text: str, *, strict: bool) -> Wish | None:
    """A mode and its options; None, or where that is `strict` an error, where something else is there."""
    mode, rest = text.split(maxsplit=1)[0], text.rstrip()
    position = len(mode)
    options: dict[str, Any] = {}
    while position < len(rest):
        option = re.compile(_OPTION).match(rest, position)
        if option is None:
            if not strict:
                return None
            wrong = rest[position:].strip()
            raise RemoteProtocolError(f"An option of %%{mode} is key=value, which {wrong!r} is not.")
        key, value = option[1], option[2]
        if key in options:
            raise RemoteProtocolError(f"The option {key!r} of the run mode {mode!r} is given twice.")
        options[key] = value[1:-1] if value[0] in "\"'" else value
        position = option.end()
    if "timeout" in options:
        options["timeout"] = _number(options["timeout"])
    return _checked(Mode(mode), options)


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _checked(mode: Mode, options: Mapping[str, Any]) -> Wish:
    for key in options:
        if key not in _OPTIONS[mode]:
            known = " and ".join(_OPTIONS[mode])
            raise RemoteProtocolError(f"The run mode {mode.value!r} has no option {key!r}; it has {known}.")
    name, timeout = options.get("name"), options.get("timeout")
    if name is not None and not (
        isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and name.isprintable()
    ):
        raise RemoteProtocolError(
            f"The name of a thread has 1 to {_LONGEST_NAME} characters that can be printed."
        )
    return Wish(mode, name, None if timeout is None else _timeout(timeout))


def _timeout(value: object) -> float:
    if type(value) not in (int, float) or not 0 < value < float("inf"):  # pyright: ignore[reportOperatorIssue]
        raise RemoteProtocolError(f"A timeout is a number of seconds, more than 0, which {value!r} is not.")
    return float(value)  # pyright: ignore[reportArgumentType]
