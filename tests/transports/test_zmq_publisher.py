"""Output for clients that do not read, and for those that do meanwhile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import zmq

from laneway.protocol import backlog
from laneway.protocol.message import Channel, Message
from laneway.transports import zmq_publisher
from laneway.transports.zmq_kernel import ZmqKernelTransport

from ..soak import memory, rounds
from .keeping import send
from .zmq_peers import TIMEOUT, RawClient, Reader, kernel, nothing_left, output

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are stopped, memory is measured")

STREAM = "s" * 200_000


def said(msg_type: str, text: str = "", parent: str = "cell") -> Message:
    message = output(0)
    message.header["msg_type"] = msg_type
    message.parent_header = {"msg_id": parent}
    message.content = {"name": "stdout", "text": text} if msg_type == "stream" else {"text": text}
    return message


def wait_for(happened: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


def subscribers(transport: ZmqKernelTransport) -> Any:
    return transport._publisher._subscribers  # pyright: ignore[reportPrivateUsage]


def test_a_client_that_was_stopped_costs_a_bounded_memory_and_the_others_get_everything(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    mark = rounds(16, 64) * 2**20
    flood = rounds(1000, 20_000)
    monkeypatch.setattr(backlog, "MARK", mark)
    with (
        kernel() as (transport, inbox),
        Reader(transport.connection) as stopped,
        RawClient(transport.connection) as reading,
    ):
        for _ in range(2):
            inbox.subscriptions.get(timeout=TIMEOUT)
        send(transport, said("status", "the end"))
        assert stopped.go_on()[-1] == ("status", "the end")
        stopped.stop()
        before = memory()
        largest = 0
        for number in range(flood):
            send(transport, said("stream", STREAM))
            send(transport, said("status", str(number), parent=str(number)))
            for _ in range(2):
                reading.sockets["iopub"].recv_multipart()  # all of it, while the other one is stopped
            largest = max(largest, memory() - before)
        send(transport, said("status", "the end"))
        # what waits, and what libzmq and the allocator have
        assert largest < mark + zmq_publisher.HWM * len(STREAM) + 40 * 2**20 < 2 * flood * len(STREAM)
        client = stopped.go_on()
        statuses = [text for kind, text in client if kind == "status"]
        assert statuses == [*map(str, range(flood)), "the end"]
        streams = [text for kind, text in client if kind == "stream" and "missing" not in text]
        (said_so,) = [text for _kind, text in client if "missing" in text]
        assert f"Laneway: {flood - len(streams)} messages of output" in said_so
        assert len(streams) < flood
        # it reads again, and gets everything
        for _ in range(10):
            send(transport, said("stream", "again"))
        send(transport, said("status", "the end"))
        assert stopped.go_on() == [*[("stream", "again")] * 10, ("status", "the end")]
    assert capfd.readouterr().err.count("a client does not read its output") == 1


def test_what_waits_goes_out_by_itself_when_the_client_reads_again() -> None:
    with kernel() as (transport, inbox), Reader(transport.connection) as client:
        inbox.subscriptions.get(timeout=TIMEOUT)
        send(transport, said("status", "the end"))
        client.go_on()
        client.stop()
        for number in range(2000):
            send(transport, said("display_data", f"{number} {STREAM[:20_000]}"))
        send(transport, said("status", "the end"))
        assert subscribers(transport)[0].backlog
        *displays, end = client.go_on()  # nothing is sent that could take it along
        assert [int(text.partition(" ")[0]) for _kind, text in displays] == [*range(2000)]
        assert end == ("status", "the end")
        wait_for(lambda: not subscribers(transport)[0].backlog)


def test_a_slow_reader_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq_publisher, "HWM", 4)
    with kernel() as (transport, inbox), RawClient(transport.connection) as client:
        inbox.subscriptions.get(timeout=TIMEOUT)
        for number in range(3000):
            send(transport, said("stream", f"{number} {STREAM[:5000]}"))
        for number in range(3000):
            assert client.receive("iopub")["content"]["text"].startswith(f"{number} ")


def test_a_client_that_has_gone_takes_along_what_waits_for_it() -> None:
    with nothing_left(TIMEOUT), kernel() as (transport, inbox):
        for _ in range(3):
            with Reader(transport.connection) as client, RawClient(transport.connection) as other:
                for _ in range(2):
                    inbox.subscriptions.get(timeout=TIMEOUT)
                client.stop()
                for _ in range(300):
                    send(transport, said("display_data", STREAM))
                for _ in range(300):
                    other.sockets["iopub"].recv_multipart()
                assert sorted(bool(each.backlog) for each in subscribers(transport)) == [False, True]
            # the next look, at the latest when somebody comes or goes
            with RawClient(transport.connection):
                inbox.subscriptions.get(timeout=TIMEOUT)
                wait_for(lambda: len(subscribers(transport)) == 1)
        assert not any(each.backlog for each in subscribers(transport))


def test_topics_of_one_client_that_overlap_bring_a_message_once() -> None:
    with kernel() as (transport, inbox), RawClient(transport.connection, b"str") as client:
        assert inbox.subscriptions.get(timeout=TIMEOUT) == "str"
        for topic in (b"stream", b"status"):
            client.sockets["iopub"].setsockopt(zmq.SUBSCRIBE, topic)
            assert inbox.subscriptions.get(timeout=TIMEOUT) == topic.decode()
        assert len(subscribers(transport)) == 1
        for kind in ("stream", "error", "status"):
            send(transport, said(kind))
        topics = [client.sockets["iopub"].recv_multipart()[0] for _ in range(2)]
        assert topics == [b"str#1.stream", b"status#1.status"]
        client.sockets["iopub"].setsockopt(zmq.UNSUBSCRIBE, b"str")
        wait_for(lambda: subscribers(transport)[0].topics == [b"stream", b"status"])
        send(transport, said("stream"))
        assert client.sockets["iopub"].recv_multipart()[0] == b"stream#1.stream"
        for topic in (b"stream", b"status"):
            client.sockets["iopub"].setsockopt(zmq.UNSUBSCRIBE, topic)
        wait_for(lambda: not subscribers(transport))


def test_what_is_no_subscription_is_ignored() -> None:
    with kernel() as (transport, inbox):
        context = zmq.Context()
        try:
            end = context.socket(zmq.XSUB)
            transport.connection.connect("iopub", end)
            for frames in ([b""], [b"\x02x"], [b"hello", b"\x01"], [b"\x01"]):
                end.send_multipart(frames)
            assert inbox.subscriptions.get(timeout=TIMEOUT) == ""
            assert inbox.subscriptions.empty()
            send(transport, said("stream"))
            assert end.recv_multipart()[0].endswith(b".stream")
        finally:
            context.destroy(linger=0)


def test_replies_of_clients_that_die_are_forgotten() -> None:
    with kernel() as (transport, inbox):
        before = memory()
        for _ in range(6):
            with RawClient(transport.connection) as client:
                client.sockets["shell"].rcvhwm = 1
                for _ in range(50):
                    client.send({})
                for _ in range(50):
                    request = inbox.next()
                    answer = output(0)
                    answer.channel, answer.route = Channel.SHELL, request.route
                    answer.buffers = [bytes(2**20)]
                    send(transport, answer)
        wait_for(lambda: memory() - before < 150 * 2**20)  # those of three
