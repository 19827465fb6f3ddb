"""Messages as bytes: pure codecs, parameterised by how JSON is written and read.

- `ZmqCodec`: multipart frames with an HMAC signature (messaging spec, "The Wire Protocol").
- `encode_websocket`/`decode_websocket`: one binary WebSocket message of a Jupyter server.
- `encode_envelope`/`decode_envelope`: one JSON object, binary buffers beside it: what crosses between a page
  and its worker.

Decoding raises RemoteProtocolError with a sentence that says what is wrong; it raises nothing else, whatever
the bytes. A header that it lets through can be sent back, as the parent of every answer. Stdlib only.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from .errors import RemoteProtocolError, SettingsError, SignatureError
from .message import Channel, Message

DELIMITER = b"<IDS|MSG>"


class Json(NamedTuple):
    """How to write and read JSON: UTF-8, strict on the way out (no NaN)."""

    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


_LARGE = 2**14
"""Bytes of content from which on it is not copied to be signed."""


class ZmqCodec:
    """Frames `[*identities, DELIMITER, signature, header, parent_header, metadata, content, *buffers]`.

    `key` signs with `signature_scheme` (as in a connection file, "hmac-sha256" say); an empty key means
    unsigned. `Message.route` is the tuple of identities; on iopub it is the topic.
    """

    def __init__(self, json: Json, key: bytes = b"", signature_scheme: str = "hmac-sha256") -> None:
        name = signature_scheme.removeprefix("hmac-")
        if name not in hashlib.algorithms_available or name == signature_scheme:
            raise SettingsError(
                f"The signature scheme {signature_scheme!r} is unknown; "
                "use 'hmac-' and the name of a hash, as in 'hmac-sha256'."
            )
        self._json = json
        self._hmac = hmac.new(key, digestmod=name) if key else None

    def encode(self, message: Message) -> list[Any]:
        """The frames of `message`. Raises TypeError where it has no JSON form."""
        dumps = self._json.dumps
        parts = [
            dumps(message.header),
            dumps(message.parent_header),
            dumps(message.metadata),
            dumps(message.content),
        ]
        return [*(message.route or ()), DELIMITER, self._sign(parts), *parts, *message.buffers]

    def decode(self, channel: Channel, frames: Sequence[Any]) -> Message:
        """The message in `frames` (bytes-like)."""
        delimiter = _position(frames)
        parts = [f if type(f) is bytes else bytes(f) for f in frames[: delimiter + 6]]
        if len(parts) < delimiter + 6:
            raise RemoteProtocolError(
                f"A message has {len(frames) - delimiter - 1} frames after its delimiter; it needs 5."
            )
        signature, signed = parts[delimiter + 1], parts[delimiter + 2 :]
        if self._hmac is not None and not hmac.compare_digest(signature, self._sign(signed)):
            raise SignatureError("The signature of a message is wrong; its sender may have another key.")
        header, parent_header, metadata, content = _loads(self._json, signed)
        return _message(
            channel,
            header,
            parent_header,
            metadata,
            content,
            frames[delimiter + 6 :],
            tuple(parts[:delimiter]),
        )

    def _sign(self, parts: Sequence[bytes]) -> bytes:
        if self._hmac is None:
            return b""
        signature = self._hmac.copy()
        if len(parts[-1]) < _LARGE:  # each call costs as much as to copy that
            parts = (b"".join(parts),)
        for part in parts:
            signature.update(part)
        return signature.hexdigest().encode()


WEBSOCKET_SUBPROTOCOL = "v1.kernel.websocket.jupyter.org"
"""Source: jupyter_server's documentation, "WebSocket kernel wire protocols"."""


def encode_websocket(json: Json, message: Message) -> bytes:
    """`message` as one WebSocket message: the number of offsets, the offsets (64 bits each, little-endian),
    then the parts.

    The parts are channel, header, parent_header, metadata, content and the buffers. Raises TypeError where
    the message has no JSON form.
    """
    parts = [
        message.channel.encode(),
        json.dumps(message.header),
        json.dumps(message.parent_header),
        json.dumps(message.metadata),
        json.dumps(message.content),
        *(bytes(buffer) for buffer in message.buffers),
    ]
    offset = 8 * (len(parts) + 2)
    offsets = [offset]
    for part in parts:
        offset += len(part)
        offsets.append(offset)
    numbers = [len(offsets), *offsets]
    return b"".join([struct.pack(f"<{len(numbers)}Q", *numbers), *parts])


def decode_websocket(json: Json, data: bytes) -> Message:
    """The message in one binary WebSocket message."""
    try:
        (count,) = struct.unpack_from("<Q", data)
        if not 6 <= count <= len(data) // 8:
            raise RemoteProtocolError(f"{len(data)} bytes cannot be a message of {count} offsets.")
        offsets = struct.unpack_from(f"<{count}Q", data, 8)
    except struct.error:
        raise RemoteProtocolError("A WebSocket message is too short.") from None
    if list(offsets) != sorted(offsets) or offsets[-1] > len(data):
        raise RemoteProtocolError("The offsets of a WebSocket message do not fit its length.")
    view = memoryview(data)
    channel, *parts = [bytes(view[start:end]) for start, end in pairwise(offsets)]
    header, parent_header, metadata, content = _loads(json, parts[:4])
    name = channel.decode(errors="replace")
    return _message(_channel(name), header, parent_header, metadata, content, parts[4:], None)


def encode_envelope(json: Json, message: Message) -> bytes:
    """`message` as one JSON object of its channel, header, parent_header, metadata and content; its buffers
    travel beside it.

    Raises TypeError where the message has no JSON form.
    """
    return json.dumps(
        {
            "channel": message.channel,
            "header": message.header,
            "parent_header": message.parent_header,
            "metadata": message.metadata,
            "content": message.content,
        }
    )


def decode_envelope(json: Json, envelope: bytes, buffers: Sequence[Any] = ()) -> Message:
    """The message in `envelope`, with `buffers`."""
    (fields,) = _loads(json, [envelope])
    if not isinstance(fields, dict):
        raise RemoteProtocolError(f"An envelope must be a JSON object, not {type(fields).__name__}.")
    return _message(
        _channel(fields.get("channel")),
        fields.get("header"),
        fields.get("parent_header"),
        fields.get("metadata"),
        fields.get("content"),
        buffers,
        None,
    )


def _channel(name: Any) -> Channel:
    try:
        return Channel(name)
    except ValueError:
        raise RemoteProtocolError(
            f"The channel of a message must be one of {', '.join(Channel)}, not {name!r}."
        ) from None


def _position(frames: Sequence[Any]) -> int:
    try:
        return frames.index(DELIMITER)
    except ValueError:
        raise RemoteProtocolError(
            "A message has no delimiter frame; it was not sent by a Jupyter client."
        ) from None


def _loads(json: Json, parts: Sequence[bytes]) -> list[Any]:
    try:
        return [json.loads(part) for part in parts]
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"A part of a message is not JSON: {error}") from None


def _message(
    channel: Channel,
    header: Any,
    parent_header: Any,
    metadata: Any,
    content: Any,
    buffers: Sequence[Any],
    route: Any,
) -> Message:
    if not isinstance(header, dict):
        raise RemoteProtocolError("The header of a message must be an object.")
    if not (isinstance(header.get("msg_id"), str) and isinstance(header.get("msg_type"), str)):
        raise RemoteProtocolError("The header of a message needs the strings 'msg_id' and 'msg_type'.")
    if _is_deeper(header, _DEPTH):
        raise RemoteProtocolError(f"The header of a message is nested more than {_DEPTH} deep.")
    if not isinstance(header.get("subshell_id"), _TEXT_OR_NULL):
        raise RemoteProtocolError("The field 'subshell_id' of a header must be a string or null.")
    if not (isinstance(parent_header, _OBJECT_OR_NULL) and isinstance(metadata, _OBJECT_OR_NULL)):
        raise RemoteProtocolError("The parent_header and the metadata of a message must be objects.")
    return Message(channel, header, parent_header or {}, metadata or {}, content, buffers, route)


_TEXT_OR_NULL, _OBJECT_OR_NULL = (str, type(None)), (dict, type(None))
"""For `isinstance`, which takes three times as long with `str | None`, of every message."""

_DEPTH = 20
"""How deep a header may be nested; the protocol's own are flat. What is read cannot always be written, and a
header is written again as the parent of every answer.
"""


def _is_deeper(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    for item in value:  # of every message: a generator would take twice as long
        if isinstance(item, (dict, list)) and (depth == 1 or _is_deeper(item, depth - 1)):
            return True
    return False
