"""What both ends do with a ZMQ socket: whole messages, never waiting. Imports: zmq only.

A socket belongs to one thread at a time. Its file descriptor (`fileno`) is edge-triggered: it may stay silent
until every message has been received, and any call on the socket, a send too, may take its signal away. So
whoever has used a socket asks `readable`, and sees to it that somebody receives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import zmq
from zmq.backend import Socket

# plain integers: pyzmq's enums cost as much as the calls
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_NOBLOCK, _SNDMORE = int(zmq.NOBLOCK), int(zmq.SNDMORE)

LARGE = 2**16
"""Bytes from which on a received frame is not copied out of libzmq's memory."""

HUGE = 2**20
"""Bytes from which on a frame that cannot be changed is sent without copying it. A thread of pyzmq is told
when libzmq no longer needs the frame: for smaller ones a copy is cheaper.
"""

LINGER = 1000
"""Milliseconds in which a socket that was closed may still deliver what it has."""


def make_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    """A socket that never drops a message for want of room, and never keeps a process from ending."""
    socket = context.socket(kind)
    socket.linger = LINGER
    socket.set_hwm(0)
    return socket


def readable(socket: zmq.Socket[bytes]) -> bool:
    """Can a message be received at once?"""
    return bool(socket.get(_EVENTS) & _POLLIN)  # pyright: ignore[reportOperatorIssue]


def receive_frames(socket: zmq.Socket[bytes]) -> list[Any]:
    """The next message of a `readable` socket: bytes, and memoryviews of large frames."""
    frames: list[Any] = []
    receive, more = Socket.recv, True
    while more:
        frame = receive(socket, _NOBLOCK, False)  # a keyword costs as much as a small frame
        frames.append(frame.bytes if len(frame) < LARGE else frame.buffer)
        more = frame.more
    return frames


def send_frames(socket: zmq.Socket[bytes], frames: Sequence[Any]) -> None:
    """Send a message of bytes-like, contiguous frames; they may be changed afterwards."""
    send, last = Socket.send, len(frames) - 1  # zmq.Socket's own first looks for what no kernel sends
    for index, frame in enumerate(frames):
        copy = type(frame) is not bytes or len(frame) < HUGE
        send(socket, frame, _NOBLOCK if index == last else _NOBLOCK | _SNDMORE, copy)


def contiguous(frames: Sequence[Any]) -> list[Any]:
    """`frames` as `send_frames` takes them. Raises TypeError where one is not bytes-like."""
    return [frame if type(frame) is bytes else _contiguous(memoryview(frame)) for frame in frames]


def _contiguous(view: memoryview) -> Any:
    return view if view.c_contiguous else view.tobytes()
