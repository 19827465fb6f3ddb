"""What both ends do with a ZMQ socket."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator

import pytest
import zmq

from laneway.transports.zmq_socket import HUGE, make_socket, receive_frames, send_frames

from .zmq_peers import TIMEOUT

Pair = tuple[zmq.Socket[bytes], zmq.Socket[bytes]]


@pytest.fixture
def pair() -> Generator[Pair]:
    """Two sockets in one process: what one sends lies in memory until the other receives it."""
    context = zmq.Context()
    ends = make_socket(context, zmq.PAIR), make_socket(context, zmq.PAIR)
    ends[0].bind("inproc://pair")
    ends[1].connect("inproc://pair")
    yield ends
    context.destroy(linger=0)


def test_huge_bytes_are_not_copied_and_are_let_go(pair: Pair) -> None:
    huge = bytes(range(256)) * (HUGE // 256)
    before = sys.getrefcount(huge)
    send_frames(pair[0], [b"first", huge, b"last"])
    assert sys.getrefcount(huge) > before
    assert receive_frames(pair[1]) == [b"first", huge, b"last"]
    until = time.monotonic() + TIMEOUT
    while sys.getrefcount(huge) > before:  # pyzmq's thread is told
        assert time.monotonic() < until
        time.sleep(0.001)


def test_what_is_huge_and_can_be_changed_is_copied(pair: Pair) -> None:
    huge = bytearray(b"x" * HUGE)
    send_frames(pair[0], [huge, memoryview(huge)])
    huge[:] = bytes(HUGE)
    assert receive_frames(pair[1]) == [b"x" * HUGE] * 2
