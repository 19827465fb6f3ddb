"""JSON for every transport: orjson where it is installed, else the standard library, as in a browser.

Whichever it is, the same things hold. Out: strict UTF-8 JSON; NaN and infinities become null; what the
field's clients send in content (dates, bytes, enums, numbers of other libraries, sets, generators) has a
form; anything else is a TypeError. In: NaN, infinities and lone surrogates are understood as Python's json
does.
"""

from __future__ import annotations

import base64
import importlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from numbers import Complex, Integral, Number, Real
from typing import Any

from ..protocol.wire import Json


def json_codec() -> Json:
    """The fastest codec that is at hand. In a browser nothing is loaded for it."""
    try:
        dumps, loads = _standard() if sys.platform == "emscripten" else _orjson()
    except ImportError:
        dumps, loads = _standard()
    return Json(_or_careful(dumps, _dumps), _or_careful(loads, json.loads))


def _orjson() -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    orjson = importlib.import_module("orjson")
    options = orjson.OPT_NON_STR_KEYS
    with_numpy = options | orjson.OPT_SERIALIZE_NUMPY  # it imports numpy for what it does not know
    return (
        lambda value: orjson.dumps(value, _default, with_numpy if "numpy" in sys.modules else options),
        orjson.loads,
    )


def _standard() -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    # what a JSONEncoder makes anew for each message, which takes as long as to write it; not in every Python
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        encoder = json.JSONEncoder(
            ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_default
        )
        return lambda value: encoder.encode(value).encode(), json.loads
    encode = make(None, _default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(encode(value, 0)).encode(), json.loads


def _or_careful(fast: Callable[[Any], Any], careful: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`fast`, and where it refuses (a lone surrogate, NaN, a key that is no text, a deep nesting), the
    verdict of `careful`.
    """

    def convert(value: Any) -> Any:
        try:
            return fast(value)
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            cause = error.__cause__  # what a user's object has raised; orjson makes a TypeError of it
            if cause is not None and not isinstance(cause, Exception):
                raise cause from None  # an interrupt
            return careful(value)

    return convert


def _dumps(value: Any) -> bytes:
    try:
        return json.dumps(_plain(value), ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    except RecursionError:
        raise TypeError("The content of a message is nested too deeply, or contains itself.") from None
    except ValueError as error:  # an integer of more digits than Python writes
        raise TypeError(f"A value cannot be sent in a message: {error}") from None


def _plain(value: Any) -> Any:
    """`value` made of what JSON has."""
    if value is None or isinstance(value, bool | str):
        return str.__str__(value) if isinstance(value, str) else value  # str() of an enum is its name
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _plain(_default(value))


def _key(key: Any) -> str:
    plain = _plain(key)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _default(value: Any) -> Any:
    """A JSON form for a value that has none of its own; TypeError where there is none."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Number) and not isinstance(value, Complex):
        return str(value)  # a Decimal
    if (uuid := sys.modules.get("uuid")) and isinstance(value, uuid.UUID):  # a slow import, seldom needed
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): item for key, item in value.items()}
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"A {type(value).__name__} cannot be sent in a message; it has no JSON form.")
