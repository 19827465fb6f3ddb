"""What waits for a client that reads more slowly than its kernel writes, and what of it is left out.

A kernel never waits for a reader, and its memory has an end. So a client that does not read loses some
messages, it alone:

    bytes that wait   stream     display_data, update_display_data,   all others: status, error,
                                 execute_result, comm_msg             execute_input, comm_open, ...
    up to MARK        kept       kept                                 kept
    up to 4 * MARK    left out   kept                                 kept
    more              left out   left out                             kept

What is kept stays in order. What is left out is counted, and said where it is missing: before the next
message of the same parent, its idle at the latest, comes a `stream` on stderr that tells how much it was.
What begins to be left out is left out until half of the mark has been read: the gaps are few and long.

Replies and input_request are no matter of this file: they are never left out, and a client has as many as it
asks for.

Pure: stdlib only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from .message import Message

MARK = 64 * 2**20
"""Bytes that may wait for one client before its streams are left out."""

_BOUNDS = {"stream": 1, "display_data": 4, "update_display_data": 4, "execute_result": 4, "comm_msg": 4}
"""The marks' multiples, of what may be left out."""

_OVERHEAD = 1024
"""Bytes that Python needs for a message besides its content, roughly."""


class Packet(NamedTuple):
    """A message as it will be sent: `frames` are bytes. `size` is what it needs while it waits."""

    frames: list[Any]
    size: int


def packet(frames: list[Any]) -> Packet:
    """`frames` (bytes-like) so that they can wait: nobody can change them any more, and none holds more
    memory than it needs, as what orjson makes does (4 kB for a status' header).
    """
    kept = [bytes(memoryview(frame)) for frame in frames]
    return Packet(kept, sum(map(len, kept)) + _OVERHEAD)


class _Gap(NamedTuple):
    """What was left out of one parent's output: the first of these messages, their number and bytes."""

    first: Message
    messages: int
    size: int


class Backlog:
    """What waits for one client. `encode` makes what is said in place of what was left out."""

    def __init__(self, encode: Callable[[Message], Packet]) -> None:
        self.size = 0
        """The bytes that wait."""
        self.left_out = 0
        """How many messages were left out by now."""
        self._encode = encode
        self._waiting: deque[Packet] = deque()
        self._gaps: dict[str | None, _Gap] = {}  # by the parent's id
        self._closed: set[int] = set()  # the bounds that were reached

    def __bool__(self) -> bool:
        """Does something wait?"""
        return bool(self._waiting)

    @property
    def first(self) -> Packet:
        """What has waited longest."""
        return self._waiting[0]

    def put(self, message: Message, waiting: Packet) -> None:
        """Let `message` wait, as `waiting`, or leave it out."""
        bound = _BOUNDS.get(message.msg_type)
        if bound and self.size > bound * MARK:
            self._closed.add(bound)
        if bound in self._closed:
            self.left_out += 1
            first, messages, size = self._gaps.get(message.parent_id, (message, 0, 0))
            self._gaps[message.parent_id] = _Gap(first, messages + 1, size + waiting.size - _OVERHEAD)
            return
        if gap := self._gaps.pop(message.parent_id, None):
            self._say(gap)
        self._add(waiting)

    def pop(self) -> None:
        """The first has been sent."""
        self.size -= self._waiting.popleft().size
        if self._closed:
            self._closed = {bound for bound in self._closed if self.size > bound * MARK // 2}
        if not self._waiting:
            gaps, self._gaps = self._gaps, {}
            for gap in gaps.values():
                self._say(gap)

    def _add(self, waiting: Packet) -> None:
        self._waiting.append(waiting)
        self.size += waiting.size

    def _say(self, gap: _Gap) -> None:
        text = (
            f"Laneway: {gap.messages} messages of output ({gap.size / 2**20:.1f} MiB) are missing here; "
            "this client did not read for a while.\n"
        )
        header = {**gap.first.header, "msg_type": "stream"}  # the id of a message that it never gets
        content = {"name": "stderr", "text": text}
        self._add(self._encode(replace(gap.first, header=header, metadata={}, content=content, buffers=())))
