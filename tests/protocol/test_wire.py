"""The codecs: what goes through comes out; whatever else comes is a RemoteProtocolError."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from laneway.protocol.errors import RemoteProtocolError, SettingsError, SignatureError
from laneway.protocol.message import Channel, Message
from laneway.protocol.wire import (
    DELIMITER,
    Json,
    ZmqCodec,
    decode_envelope,
    decode_websocket,
    encode_envelope,
    encode_websocket,
)


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


JSON = Json(dumps, json.loads)
KEY = b"key"
MESSAGE = Message(
    Channel.SHELL,
    {"msg_id": "1", "msg_type": "execute_request", "session": "s", "subshell_id": "sub"},
    {"msg_id": "0"},
    {"tags": ["é"]},
    {"code": "\U0001f600\ud800", "none": None, "n": 1.5},
    [b"", b"\x00\xff" * 10],
    (b"identity", b"\x00second"),
)


def fields(message: Message) -> tuple[Any, ...]:
    buffers = [bytes(buffer) for buffer in message.buffers]
    return (
        message.channel,
        message.header,
        message.parent_header,
        message.metadata,
        message.content,
        buffers,
    )


@pytest.mark.parametrize("key", [KEY, b""])
@pytest.mark.parametrize("scheme", ["hmac-sha256", "hmac-sha512"])
def test_zmq(key: bytes, scheme: str) -> None:
    codec = ZmqCodec(JSON, key, scheme)
    decoded = codec.decode(Channel.SHELL, codec.encode(MESSAGE))
    assert fields(decoded) == fields(MESSAGE)
    assert decoded.route == MESSAGE.route


def test_websocket() -> None:
    assert fields(decode_websocket(JSON, encode_websocket(JSON, MESSAGE))) == fields(MESSAGE)


def test_envelope() -> None:
    assert fields(decode_envelope(JSON, encode_envelope(JSON, MESSAGE), MESSAGE.buffers)) == fields(MESSAGE)


def test_missing_headers_are_empty() -> None:
    decoded = decode_envelope(JSON, b'{"channel": "shell", "header": {"msg_id": "1", "msg_type": "t"}}')
    assert (decoded.parent_header, decoded.metadata, decoded.content) == ({}, {}, None)


@pytest.mark.parametrize("scheme", ["sha256", "hmac-rot13", ""])
def test_unknown_signature_schemes(scheme: str) -> None:
    with pytest.raises(SettingsError, match="hmac-sha256"):
        ZmqCodec(JSON, KEY, scheme)


@pytest.mark.parametrize("position", range(3, 8))
def test_every_signed_byte_counts(position: int) -> None:
    codec = ZmqCodec(JSON, KEY)
    frames = codec.encode(MESSAGE)
    frames[position] = bytes(frames[position][:-1]) + b" "
    with pytest.raises(SignatureError):
        codec.decode(Channel.SHELL, frames)


def test_another_key() -> None:
    with pytest.raises(SignatureError):
        ZmqCodec(JSON, KEY).decode(Channel.SHELL, ZmqCodec(JSON, b"other").encode(MESSAGE))


@pytest.mark.parametrize("count", range(8))
def test_truncated_frames(count: int) -> None:
    codec = ZmqCodec(JSON, b"")
    with pytest.raises(RemoteProtocolError):
        codec.decode(Channel.SHELL, codec.encode(MESSAGE)[:count])


BAD_HEADERS: list[Any] = [
    None,
    [],
    "header",
    {},
    {"msg_id": "1"},
    {"msg_id": 1, "msg_type": "t"},
    {"msg_id": "1", "msg_type": None},
    {"msg_id": "1", "msg_type": "t", "subshell_id": 5},
    {"msg_id": "1", "msg_type": "t", "x": json.loads("[" * 20 + "]" * 20)},
    {"msg_id": "1", "msg_type": "t", "x": json.loads('{"x":' * 500 + "1" + "}" * 500)},
]


def test_a_header_may_be_nested_a_little() -> None:
    header = {"msg_id": "1", "msg_type": "t", "x": json.loads("[" * 19 + "]" * 19)}
    assert decode_envelope(JSON, dumps({"channel": "shell", "header": header})).header == header


@pytest.mark.parametrize("header", BAD_HEADERS)
def test_bad_headers(header: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_envelope(JSON, json.dumps({"channel": "shell", "header": header}).encode())
    parts = [json.dumps(part).encode() for part in (header, {}, {}, {})]
    with pytest.raises(RemoteProtocolError):
        ZmqCodec(JSON).decode(Channel.SHELL, [DELIMITER, b"", *parts])


@pytest.mark.parametrize("name", ["parent_header", "metadata"])
def test_other_parts_must_be_objects(name: str) -> None:
    envelope = {"channel": "shell", "header": {"msg_id": "1", "msg_type": "t"}, name: []}
    with pytest.raises(RemoteProtocolError, match=name):
        decode_envelope(JSON, json.dumps(envelope).encode())


@pytest.mark.parametrize(
    "envelope", [b"", b"{", b"[]", b"5", b"\xff", b'{"channel": "smoke"}', b'{"channel": []}', b"[" * 100_000]
)
def test_bad_envelopes(envelope: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_envelope(JSON, envelope)


def zmq(data: list[bytes]) -> None:
    ZmqCodec(JSON).decode(Channel.SHELL, data)


def websocket(data: list[bytes]) -> None:
    decode_websocket(JSON, b"".join(data))


def envelope(data: list[bytes]) -> None:
    decode_envelope(JSON, b"".join(data), data[1:])


WHOLE: list[tuple[Callable[[list[bytes]], None], list[bytes]]] = [
    (zmq, [bytes(frame) for frame in ZmqCodec(JSON).encode(MESSAGE)]),
    (websocket, [encode_websocket(JSON, MESSAGE)]),
    (envelope, [encode_envelope(JSON, MESSAGE)]),
]


@pytest.mark.parametrize(("decode", "whole"), WHOLE, ids=["zmq", "websocket", "envelope"])
@pytest.mark.parametrize("seed", range(20))
def test_damaged_messages_are_nothing_but_remote_errors(
    decode: Callable[[list[bytes]], None], whole: list[bytes], seed: int
) -> None:
    chance = random.Random(seed)
    refused = 0
    for _ in range(100):
        parts = [bytearray(part) for part in whole]
        for _ in range(chance.randrange(1, 4)):
            part = chance.choice(parts)
            match chance.randrange(3):
                case 0 if part:
                    part[chance.randrange(len(part))] = chance.randrange(256)
                case 1:
                    del part[chance.randrange(len(part) + 1) :]
                case _:
                    part[:0] = chance.randbytes(chance.randrange(10))
        try:
            decode([bytes(part) for part in parts])
        except RemoteProtocolError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("decode", [zmq, websocket, envelope])
def test_noise_is_refused(decode: Callable[[list[bytes]], None]) -> None:
    chance = random.Random(1)
    for size in range(200):
        parts = [chance.randbytes(size) for _ in range(chance.randrange(1, 9))]
        for data in (parts, [DELIMITER, *parts], [bytes(8 * size)], [b"\xff" * size]):
            with pytest.raises(RemoteProtocolError):
                decode(data)


def test_a_websocket_message_that_is_cut_short_is_refused() -> None:
    """Wherever it is cut: half a buffer is no buffer."""
    data = encode_websocket(JSON, MESSAGE)
    for length in range(len(data)):
        with pytest.raises(RemoteProtocolError):
            decode_websocket(JSON, data[:length])


def test_an_envelope_that_is_cut_short_is_refused() -> None:
    data = encode_envelope(JSON, MESSAGE)
    for length in range(len(data)):
        with pytest.raises(RemoteProtocolError):
            decode_envelope(JSON, data[:length])


def test_offsets_must_ascend() -> None:
    data = encode_websocket(JSON, MESSAGE)
    count = int.from_bytes(data[:8], "little")
    for number in range(1, count):  # the first may be anywhere before the second
        damaged = bytearray(data)
        damaged[8 * number : 8 * number + 8] = (len(data) - 1 if number < count - 1 else 0).to_bytes(
            8, "little"
        )
        with pytest.raises(RemoteProtocolError):
            decode_websocket(JSON, bytes(damaged))


def test_what_has_no_json_form_is_a_local_type_error() -> None:
    odd = Message(Channel.SHELL, {"msg_id": "1", "msg_type": "t"}, content={"a": object()})
    for encode in (ZmqCodec(JSON).encode, partial(encode_websocket, JSON), partial(encode_envelope, JSON)):
        with pytest.raises(TypeError):
            encode(odd)


def test_offsets_that_lie() -> None:
    data = bytearray(encode_websocket(JSON, MESSAGE))
    for count in (0, 5, 2**40, 2**64 - 1):
        data[:8] = count.to_bytes(8, "little")
        with pytest.raises(RemoteProtocolError):
            decode_websocket(JSON, bytes(data))
