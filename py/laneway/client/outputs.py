"""The outputs of a cell: what they are, and how many of them are kept. Imports: stdlib and `protocol/`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..protocol.message import Content, Message

LOG = logging.getLogger("laneway")

MAX_OUTPUT = 64 * 2**20
"""Bytes (roughly) that wait for a reader, or are kept of a cell, before the oldest are dropped."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a cell: an iopub message without its headers."""

    msg_type: str
    """`stream`, `display_data`, `update_display_data`, `execute_result`, `error` or `clear_output`."""
    content: Content
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    buffers: Sequence[Any] = ()


# what the content of each must have, so that whoever shows it need not look
_NEEDED: Mapping[str, Mapping[str, type]] = {
    "stream": {"name": str, "text": str},
    "display_data": {"data": dict},
    "update_display_data": {"data": dict},
    "execute_result": {"data": dict},
    "error": {"ename": str, "evalue": str, "traceback": list},
    "clear_output": {},
}


def as_output(message: Message) -> Output | None:
    """The output in a message, or None where it is none, or not what the messaging spec says."""
    needed = _NEEDED.get(message.msg_type)
    content = message.content
    if needed is None or not all(isinstance(content.get(name), kind) for name, kind in needed.items()):
        return None
    return Output(message.msg_type, content, message.metadata, message.buffers)


class Outputs:
    """The outputs of a cell, by their position.

    Of more than MAX_OUTPUT bytes the oldest are dropped, and counted: streams first, then displays and
    results, but neither errors nor the newest. What `clear_output` clears is let go: what the cell shows,
    but not its updates of what another cell shows.
    """

    def __init__(self) -> None:
        self.dropped = 0
        """How many were dropped for want of room."""
        self.count = 0
        """How many have come; the position of the next one."""
        self._kept: dict[int, tuple[Output, int]] = {}
        self._size = 0
        self._displays: set[str] = set()  # the ids of those that are its own
        self._clearing: int | None = None  # the position of a clear_output that waits for the next output

    @property
    def kept(self) -> list[Output]:
        """Those that are there."""
        return [output for output, _ in self._kept.values()]

    def at(self, position: int) -> Output | None:
        """The one at `position`, if it is there."""
        kept = self._kept.get(position)
        return kept and kept[0]

    def add(self, output: Output) -> None:
        """One has come."""
        position = self.count
        self.count += 1
        if output.msg_type == "clear_output":
            if self._clearing is not None:
                self._drop(self._clearing)
            self._clearing = position if output.content.get("wait") else None
            if self._clearing is None:
                self._clear(position)
        elif self._clearing is not None:
            self._clear(self._clearing)
            self._clearing = None
        if output.msg_type != "update_display_data" and (display_id := _display_id(output)):
            self._displays.add(display_id)
        size = size_of(output.content, output.buffers)
        self._kept[position] = output, size
        self._size += size
        if self._size > MAX_OUTPUT:
            self._make_room(position)

    def _clear(self, before: int) -> None:
        for position, (output, _) in list(self._kept.items()):
            elsewhere = output.msg_type == "update_display_data" and _display_id(output) not in self._displays
            if position < before and not elsewhere:
                self._drop(position)

    def _make_room(self, newest: int) -> None:
        """More room than is needed now, so that this is not done for every output."""
        if self.dropped == 0:
            LOG.warning("A cell puts out more than is kept; the oldest is dropped, and counted.")
        streams = [at for at, (output, _) in self._kept.items() if output.msg_type == "stream"]
        others = [at for at, (output, _) in self._kept.items() if output.msg_type not in ("stream", "error")]
        for position in (*streams, *others):
            if self._size <= 0.9 * MAX_OUTPUT:
                break
            if position != newest:
                self._drop(position)
                self.dropped += 1

    def _drop(self, position: int) -> None:
        _, size = self._kept.pop(position)
        self._size -= size


def _display_id(output: Output) -> str | None:
    transient = output.content.get("transient")
    return transient.get("display_id") if isinstance(transient, dict) else None


def size_of(content: object, buffers: Sequence[Any]) -> int:
    """Roughly how many bytes a message holds. Not recursive: a kernel may nest as deep as it likes."""
    size = 256 + sum(memoryview(buffer).nbytes for buffer in buffers)
    values = [content]
    while values:
        value = values.pop()
        if isinstance(value, str):
            size += len(value) + 64
        elif isinstance(value, dict):
            size += 64
            values += value.values()
        elif isinstance(value, list):
            size += 64
            values += value
        else:
            size += 16
    return size


def joined(outputs: Sequence[Output]) -> list[Output]:
    """The same outputs; neighbouring pieces of one stream are one."""
    result: list[Output] = []
    texts: list[str] = []

    def flush() -> None:
        if texts:
            last = result.pop()
            result.append(Output("stream", {**last.content, "text": "".join(texts)}, last.metadata))
            texts.clear()

    for output in outputs:
        last = result[-1] if result else None
        if (
            output.msg_type == "stream"
            and last is not None
            and last.msg_type == "stream"
            and last.content["name"] == output.content["name"]
        ):
            if not texts:
                texts.append(last.content["text"])
            texts.append(output.content["text"])
        else:
            flush()
            result.append(output)
    flush()
    return result
