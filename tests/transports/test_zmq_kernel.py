"""The kernel's end over ZMQ, against raw clients."""

from __future__ import annotations

import ctypes
import json
import random
import stat
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.blocking.client import BlockingKernelClient

from laneway.protocol.errors import SettingsError
from laneway.protocol.message import Channel, Message
from laneway.protocol.wire import ZmqCodec
from laneway.transports import zmq_kernel
from laneway.transports.connection import Connection
from laneway.transports.zmq_kernel import ZmqKernelTransport
from laneway.transports.zmq_publisher import Publisher

from ..soak import rounds
from .keeping import send
from .zmq_peers import TIMEOUT, Inbox, RawClient, kernel, nothing_left, output, reply

Served = tuple[ZmqKernelTransport, Inbox, RawClient]


@pytest.fixture
def served() -> Generator[Served]:
    with kernel() as (transport, inbox), RawClient(transport.connection) as client:
        assert inbox.subscriptions.get(timeout=TIMEOUT) == ""
        yield transport, inbox, client


@pytest.mark.parametrize("channel", [Channel.SHELL, Channel.CONTROL, Channel.STDIN])
def test_a_message_and_its_reply_cross(served: Served, channel: Channel) -> None:
    transport, inbox, client = served
    msg_id = client.send({"text": "grün 🐍 \u2028"}, channel=channel)
    request = inbox.next()
    assert (request.channel, request.msg_id, request.msg_type) == (channel, msg_id, "test_request")
    assert request.content == {"text": "grün 🐍 \u2028"}
    send(transport, reply(request, {"status": "ok"}))
    answer = client.receive(channel)
    assert (answer["parent_header"]["msg_id"], answer["content"]) == (msg_id, {"status": "ok"})


def test_a_question_reaches_the_stdin_socket_of_who_sent_the_cell(served: Served) -> None:
    transport, inbox, client = served
    client.send({})
    request = inbox.next()
    question = reply(request, {"prompt": "?"})
    question.channel = Channel.STDIN
    send(transport, question)
    assert client.receive("stdin")["content"] == {"prompt": "?"}


def test_buffers_small_large_and_odd(served: Served) -> None:
    transport, inbox, client = served
    large = bytes(range(256)) * 2**15
    client.send({}, buffers=[b"", b"a", large])
    request = inbox.next()
    assert [bytes(buffer) for buffer in request.buffers] == [b"", b"a", large]
    mutable = bytearray(large)
    strided = memoryview(b"a-b-c-")[::2]
    scalar = memoryview(ctypes.c_uint8(7))  # it has no length
    send(transport, reply(request, {}, [mutable, strided, memoryview(large), large, scalar, b""]))
    mutable[:] = bytes(len(mutable))
    answer = client.receive()
    assert [bytes(each) for each in answer["buffers"]] == [large, b"abc", large, large, b"\7", b""]


def test_what_is_no_buffer_is_a_type_error_and_nothing_is_sent(served: Served) -> None:
    transport, inbox, client = served
    client.send({})
    request = inbox.next()
    with pytest.raises(TypeError):
        send(transport, reply(request, {}, [b"fine", "not bytes"]))
    with pytest.raises(TypeError):
        send(transport, reply(request, {"function": print}))
    send(transport, reply(request, {"status": "ok"}))
    assert client.receive()["content"] == {"status": "ok"}


def _raw(client: RawClient, *parts: bytes) -> list[bytes]:
    return [b"<IDS|MSG>", client.session.sign(list(parts)), *parts]


_HEADER = json.dumps({"msg_id": "1", "msg_type": "test_request"}).encode()
_BAD: dict[str, Any] = {
    "nothing": [b""],
    "no delimiter": [b"hello", b"world"],
    "truncated": [b"<IDS|MSG>", b"", _HEADER, b"{}"],
    "bad signature": [b"<IDS|MSG>", b"0" * 64, _HEADER, b"{}", b"{}", b"{}"],
    "no signature": [b"<IDS|MSG>", b"", _HEADER, b"{}", b"{}", b"{}"],
    "not JSON": (_HEADER, b"{}", b"{}", b"{"),
    "not UTF-8": (_HEADER, b"{}", b"{}", b'"\xff"'),
    "header without type": (b'{"msg_id": "1"}', b"{}", b"{}", b"{}"),
    "header that is a list": (b"[]", b"{}", b"{}", b"{}"),
    "header that cannot be sent back": (
        _HEADER[:-1] + b', "x": ' + b"[" * 500 + b"]" * 500 + b"}",
        b"{}",
        b"{}",
        b"{}",
    ),
    "nested beyond reason": (_HEADER, b"{}", b"{}", b"[" * 200_000 + b"]" * 200_000),
}


@pytest.mark.parametrize("name", _BAD)
def test_a_bad_message_is_counted_and_the_next_is_served(served: Served, name: str) -> None:
    transport, inbox, client = served
    bad = _BAD[name]
    client.sockets["shell"].send_multipart(bad if isinstance(bad, list) else _raw(client, *bad))
    msg_id = client.send({})
    assert inbox.next().msg_id == msg_id
    assert transport.dropped == 1


def test_bad_messages_are_said_in_a_sentence_once(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    transport, inbox, client = served
    for _ in range(3):
        client.sockets["shell"].send_multipart(_BAD["bad signature"])
    client.send({})
    inbox.next()
    assert transport.dropped == 3
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "signature of a message is wrong" in said


@pytest.mark.parametrize(
    "content",
    [b"[" * 100 + b"]" * 100, rb'{"text": "\ud800"}', b'{"x": NaN, "y": -Infinity}', b'"text"', b"null"],
)
def test_odd_content_is_for_the_core_to_judge(served: Served, content: bytes) -> None:
    transport, inbox, client = served
    client.sockets["shell"].send_multipart(_raw(client, _HEADER, b"{}", b"{}", content))
    request = inbox.next()
    assert repr(request.content) == repr(json.loads(content))
    assert transport.dropped == 0
    send(transport, reply(request, {"again": request.content}))
    assert client.receive()["parent_header"]["msg_id"] == "1"


def test_each_client_gets_its_own_replies_and_all_output(served: Served) -> None:
    transport, inbox, first = served
    with RawClient(transport.connection) as second:
        inbox.subscriptions.get(timeout=TIMEOUT)
        for client in (first, second):
            msg_id = client.send({})
            send(transport, reply(inbox.next(), {}))
            assert client.receive()["parent_header"]["msg_id"] == msg_id
        send(transport, output(1))
        assert first.receive("iopub")["content"] == second.receive("iopub")["content"]
        assert not first.sockets["shell"].poll(0)


def test_every_subscription_is_told_with_its_topic() -> None:
    with kernel() as (transport, inbox):
        for topic in ("", "", "stream", "grün"):
            with RawClient(transport.connection, topic.encode()):
                assert inbox.subscriptions.get(timeout=TIMEOUT) == topic


def test_a_welcome_reaches_a_subscriber_of_its_topic_only() -> None:
    with kernel() as (transport, inbox), RawClient(transport.connection, b"stream") as client:
        topic = inbox.subscriptions.get(timeout=TIMEOUT)
        for number, (msg_type, subscription) in enumerate(
            [("status", ""), ("iopub_welcome", "other"), ("iopub_welcome", topic), ("stream", "")]
        ):
            message = output(number)
            message.header["msg_type"] = msg_type
            message.content = {"subscription": subscription}
            send(transport, message)
        assert client.receive("iopub")["header"]["msg_id"] == "2"
        assert client.receive("iopub")["header"]["msg_id"] == "3"


def test_subscriptions_from_before_the_start_are_told_at_the_start() -> None:
    transport, inbox = ZmqKernelTransport(Connection.new()), Inbox()
    with RawClient(transport.connection) as client:
        client.ping(b"x")
        client.send({})
        assert transport._sockets[Channel.IOPUB].poll(TIMEOUT * 1000)  # pyright: ignore[reportPrivateUsage]
        transport.start(inbox)
        assert inbox.subscriptions.get_nowait() == ""
        inbox.next()
        transport.close()


def test_20_000_messages_wait_for_a_slow_reader(served: Served) -> None:
    transport, _inbox, client = served
    for number in range(20_000):
        send(transport, output(number))
    for number in range(20_000):
        assert client.sockets["iopub"].recv_multipart()[-1] == b'{"name":"stdout","text":"%d"}' % number


def test_no_message_is_overlooked_while_other_threads_send(served: Served) -> None:
    """A send can take away the signal that something has come."""
    transport, inbox, client = served
    guard = threading.Lock()  # as a host has it
    done = threading.Event()

    def answer(request: Message) -> None:
        with guard:
            send(transport, reply(request, {}))

    def publish() -> None:
        while not done.wait(0.0001):
            with guard:
                send(transport, output(0))

    inbox.answer = answer
    publishers = [threading.Thread(target=publish) for _ in range(2)]
    for thread in publishers:
        thread.start()
    try:
        for _ in range(2000):
            msg_id = client.send({})
            assert client.receive()["parent_header"]["msg_id"] == msg_id
    finally:
        done.set()
        for thread in publishers:
            thread.join()


def test_control_overtakes_a_full_shell(served: Served) -> None:
    transport, inbox, client = served
    first, go_on = threading.Event(), threading.Event()

    def hold(_message: object) -> None:
        first.set()
        go_on.wait(TIMEOUT)

    inbox.answer = hold
    client.send({"number": -1})
    assert first.wait(TIMEOUT)
    for number in range(1000):
        client.send({"number": number})
    client.send({}, channel="control")
    control = transport._sockets[Channel.CONTROL]  # pyright: ignore[reportPrivateUsage]
    assert control.poll(TIMEOUT * 1000)  # its thread is held
    go_on.set()
    received = [inbox.next().channel for _ in range(1002)]
    assert received.index(Channel.CONTROL) < 200


def test_settle_calls_after_what_has_come(served: Served) -> None:
    transport, inbox, client = served
    order: list[str] = []
    settled = threading.Event()

    def settle() -> None:
        order.append("settled")
        settled.set()

    def answer(message: Any) -> None:
        order.append(message.content["name"])
        if message.content["name"] == "first":
            client.send({"name": "second"})
            shell = transport._sockets[Channel.SHELL]  # pyright: ignore[reportPrivateUsage]
            assert shell.poll(TIMEOUT * 1000)  # we are on its thread
            transport.settle(settle)

    inbox.answer = answer
    client.send({"name": "first"})
    assert settled.wait(TIMEOUT)
    assert order == ["first", "second", "settled"]
    again = threading.Event()
    transport.settle(again.set)
    assert again.wait(TIMEOUT)


def test_settle_calls_also_in_a_flood(served: Served) -> None:
    transport, inbox, client = served
    settled = threading.Event()

    def answer(_message: object) -> None:
        if not settled.is_set():  # there is always one more
            client.send({})
            shell = transport._sockets[Channel.SHELL]  # pyright: ignore[reportPrivateUsage]
            assert shell.poll(TIMEOUT * 1000)

    inbox.answer = answer
    client.send({})
    inbox.next()
    transport.settle(settled.set)
    assert settled.wait(TIMEOUT)


def test_random_messages_cost_only_themselves(served: Served) -> None:
    transport, inbox, client = served
    chance = random.Random(0)
    for _ in range(rounds(2000, 100_000)):
        parts = [chance.randbytes(chance.randrange(40)) for _ in range(chance.randrange(8))]
        if chance.random() < 0.5:  # signed as it should be, of pieces of JSON
            pieces = (
                b'{"msg_id":"',
                b'"msg_type":"t',
                b'"',
                b"}",
                b",",
                b"[",
                b"1e999",
                b"{",
                b"null",
                b"\xff",
            )
            json_like = [b"".join(chance.choices(pieces, k=chance.randrange(6))) for _ in range(4)]
            parts = [*_raw(client, *json_like), *parts]
        client.sockets[chance.choice(("shell", "control", "stdin"))].send_multipart(parts or [b""])
    for channel in ("shell", "control", "stdin"):
        msg_id = client.send({}, channel=channel)
        while (request := inbox.next()).msg_id != msg_id:
            pass
        send(transport, reply(request, {"status": "ok"}))
        assert client.receive(channel)["parent_header"]["msg_id"] == msg_id


@pytest.mark.parametrize(
    "seam", ["receive", "subscribed", "settle", "receive_frames", "readable", "publisher"]
)
def test_what_fails_on_the_sockets_thread_is_reported(seam: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> Any:
        raise ZeroDivisionError(seam)

    with kernel() as (transport, inbox), RawClient(transport.connection) as client:
        inbox.subscriptions.get(timeout=TIMEOUT)
        match seam:
            case "receive":
                inbox.answer = fail
            case "subscribed":
                monkeypatch.setattr(inbox, "subscribed", fail)
            case "settle":
                transport.settle(fail)
            case "publisher":
                monkeypatch.setattr(Publisher, "receive", fail)
            case function:
                monkeypatch.setattr(zmq_kernel, function, fail)
        client.send({})
        client.sockets["iopub"].subscribe(b"more")
        error = inbox.failures.get(timeout=TIMEOUT)
        assert (type(error), str(error)) == (ZeroDivisionError, seam)
        assert inbox.failures.empty()


def test_a_message_that_there_is_no_memory_for_costs_itself(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, inbox, client = served
    decode = ZmqCodec.decode

    def first_fails(*args: Any) -> Message:
        monkeypatch.setattr(ZmqCodec, "decode", decode)
        raise MemoryError

    monkeypatch.setattr(ZmqCodec, "decode", first_fails)
    client.send({})
    msg_id = client.send({})
    assert inbox.next().msg_id == msg_id
    assert (transport.dropped, inbox.failures.empty()) == (1, True)


def test_heartbeat() -> None:
    transport = ZmqKernelTransport(Connection.new())
    with RawClient(transport.connection) as client:
        assert client.ping(b"before the start") == b"before the start"
        transport.close()


def test_close_delivers_what_was_sent_and_leaves_nothing() -> None:
    with RawClient(Connection.new(), b"") as warm:  # libzmq has its first files now
        assert warm
    with nothing_left():
        settled: list[bool] = []
        transport, inbox = ZmqKernelTransport(Connection.new()), Inbox()
        transport.start(inbox)
        with RawClient(transport.connection) as client:
            inbox.subscriptions.get(timeout=TIMEOUT)
            for number in range(1000):
                send(transport, output(number))
            transport.close()
            transport.close()
            send(transport, output(1000))
            transport.settle(lambda: settled.append(True))
            assert settled
            assert [client.receive("iopub")["header"]["msg_id"] for _ in range(1000)] == [
                *map(str, range(1000))
            ]
            assert not client.sockets["iopub"].poll(0)


def test_close_without_start_and_with_a_client_that_does_not_read() -> None:
    assert zmq.Frame(bytes(2**20), copy=False)  # pyzmq has its one thread for such frames now
    with nothing_left():
        with kernel() as (transport, inbox), RawClient(transport.connection):
            inbox.subscriptions.get(timeout=TIMEOUT)
            for number in range(100):
                message = output(number)
                message.buffers = [bytes(2**20)]
                send(transport, message)
            transport.close()
        ZmqKernelTransport(Connection.new()).close()


def test_a_taken_port_is_a_settings_error_and_leaves_nothing() -> None:
    first = ZmqKernelTransport(Connection.new())
    with nothing_left():
        taken = Connection.new()._replace(control_port=first.connection.shell_port)
        with pytest.raises(SettingsError, match="The control socket cannot use tcp"):
            ZmqKernelTransport(taken)
    first.close()


@pytest.mark.parametrize("scheme", ["hmac-sha0815", "sha256", "", "ed25519"])
def test_an_unknown_signature_scheme_is_a_settings_error(scheme: str) -> None:
    with pytest.raises(SettingsError, match="signature scheme"):
        ZmqKernelTransport(Connection.new()._replace(signature_scheme=scheme))


def test_ipc(tmp_path: Path) -> None:
    with kernel(Connection.new()._replace(transport="ipc", ip=str(tmp_path / "k"))) as (transport, inbox):
        assert len(list(tmp_path.iterdir())) == 5
        with RawClient(transport.connection) as client:
            client.send({})
            send(transport, reply(inbox.next(), {"status": "ok"}))
            assert client.receive()["content"] == {"status": "ok"}
    assert not list(tmp_path.iterdir())


def test_encrypted_as_jupyter_client_does(tmp_path: Path) -> None:
    public, secret = zmq.curve_keypair()
    keys = {"curve_publickey": public.decode(), "curve_secretkey": secret.decode()}
    file = tmp_path / "connection.json"
    with kernel(Connection.new()._replace(**keys)) as (transport, inbox):
        transport.connection.write(file)
        plain = transport.connection._replace(curve_publickey=None, curve_secretkey=None)
        with RawClient(plain) as eavesdropper:
            eavesdropper.send({"from": "outside"})
            client = BlockingKernelClient(connection_file=str(file))
            client.load_connection_file()
            client.start_channels(hb=False)  # its thread would open a socket in a context that is gone
            try:
                assert inbox.subscriptions.get(timeout=TIMEOUT) == ""
                inbox.answer = lambda request: send(transport, reply(request, {"status": "ok"}))
                client.kernel_info()
                assert client.get_shell_msg(timeout=TIMEOUT)["content"] == {"status": "ok"}
                assert inbox.next().msg_type == "kernel_info_request"
                assert inbox.messages.empty()
            finally:
                client.stop_channels()
                client.context.destroy(linger=0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not JSON"),
        ("[]", "holds a JSON object"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "lacks the field 'shell_port'"),
        ('{"key": 1}', "must be a string"),
        ('{"hb_port": "1"}', "'hb_port' must be a port number, not '1'"),
        ('{"hb_port": 65536}', "must be a port number"),
        ('{"hb_port": true}', "must be a port number"),
        ('{"transport": "udp"}', "must be 'tcp' or 'ipc'"),
        ('{"curve_publickey": "x"}', "needs both"),
    ],
)
def test_a_bad_connection_file_is_a_sentence(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "connection.json"
    if text.startswith("{") and len(text) > 2:
        file.write_text(json.dumps({**_FILE, **json.loads(text)}))
    else:
        file.write_text(text)
    with pytest.raises(SettingsError, match=problem):
        Connection.read(file)


_FILE = {"shell_port": 0, "iopub_port": 0, "stdin_port": 0, "control_port": 0, "hb_port": 0, "key": "k"}


def test_a_connection_file_keeps_what_is_not_ours(tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    file.write_text(json.dumps({**_FILE, "kernel_name": "laneway"}))
    transport = ZmqKernelTransport(Connection.read(file))
    transport.close()
    transport.connection.write(file)
    assert json.loads(file.read_text())["kernel_name"] == "laneway"
    assert Connection.read(file) == transport.connection
    assert 0 not in (transport.connection.shell_port, transport.connection.hb_port)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
