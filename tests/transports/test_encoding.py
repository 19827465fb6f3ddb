"""JSON means the same whichever library writes and reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import ChainMap, OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from laneway.protocol.wire import Json
from laneway.transports import encoding

# The fast ones are made as `json_codec` makes them.
# pyright: reportPrivateUsage=false


def _codec(make: Any) -> Json:
    dumps, loads = make()
    return Json(encoding._or_careful(dumps, encoding._dumps), encoding._or_careful(loads, json.loads))


CODECS = {
    "orjson": _codec(encoding._orjson),
    "standard": _codec(encoding._standard),
    "careful": Json(encoding._dumps, json.loads),
}


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Json:
    return CODECS[request.param]


class Word(str, Enum):  # noqa: UP042, a StrEnum is its own str(), this is not
    YES = "yes"


class Plain(Enum):
    ONE = 1


class Number(IntEnum):
    TWO = 2


class Text(str):  # as IPython's LSString, or numpy's str_
    __slots__ = ()


@dataclass
class Point:
    x: int
    y: str


NESTED: list[Any] = json.loads("[" * 100 + "]" * 100)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**53),
        1.5,
        "",
        "é\U0001f600\x00\n\"'",
        [],
        [1, [2, {"a": None}]],
        {"é": {"": []}},
        "\ud800 alone",
        {"\udfff": 1},
        NESTED,
    ],
)
def test_what_json_has_comes_back(codec: Json, value: Any) -> None:
    encoded = codec.dumps(value)
    assert codec.loads(encoded) == value
    assert json.loads(encoded.decode("utf-8")) == value  # strict UTF-8


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
        (b"bytes", "Ynl0ZXM="),
        (bytearray(b"bytes"), "Ynl0ZXM="),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (range(3), [0, 1, 2]),
        ({"set": {1}}, {"set": [1]}),
        (Fraction(1, 2), 0.5),
        (Decimal("1.50"), "1.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (time(1, 2), "01:02:00"),
        ([Word.YES, Plain.ONE, Number.TWO], ["yes", 1, 2]),
        ({Word.YES: 1}, {"yes": 1}),
        (Text("several letters"), "several letters"),
        ({Text("key"): Text("value")}, {"key": "value"}),
        ({"deep": [float("nan"), Word.YES, Text("text")]}, {"deep": [None, "yes", "text"]}),
        (Point(1, "\ud800"), {"x": 1, "y": "\ud800"}),
        ({date(2026, 1, 2): 1, 1.5: 2}, {"2026-01-02": 1, "1.5": 2}),
        ({(1, 2): 1}, {"[1, 2]": 1}),
        (deque([1]), [1]),
        (OrderedDict(a=1), {"a": 1}),
        (ChainMap({"a": 1}), {"a": 1}),
        (memoryview(b"bytes"), "Ynl0ZXM="),
        (float("nan"), None),
        ([float("inf"), -float("inf")], [None, None]),
        ({"deep": [float("nan"), "\ud800"]}, {"deep": [None, "\ud800"]}),
    ],
)
def test_what_else_has_a_form(codec: Json, value: Any, expected: Any) -> None:
    if isinstance(value, datetime):  # one writes Z, the others +00:00
        assert datetime.fromisoformat(codec.loads(codec.dumps(value))) == value
    else:
        assert codec.loads(codec.dumps(value)) == expected


def test_what_has_none_is_a_type_error(codec: Json) -> None:
    circular: list[Any] = []
    circular.append(circular)
    containing: dict[str, Any] = {}
    containing["self"] = [containing]
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (
        object(),
        object,
        1j,
        {"a": [object()]},
        {object(): 1},
        circular,
        containing,
        deep,
        10**5000,
    ):
        with pytest.raises(TypeError):
            codec.dumps(value)


def test_big_integers(codec: Json) -> None:
    assert codec.loads(codec.dumps(2**70)) == 2**70


def test_nan_and_lone_surrogates_are_understood(codec: Json) -> None:
    assert str(codec.loads(b'{"a": NaN}')["a"]) == "nan"
    assert codec.loads(b"[Infinity, -Infinity]") == [float("inf"), -float("inf")]
    assert codec.loads(b'"\\ud800"') == "\ud800"


@pytest.mark.parametrize("data", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"a":}', b"[" * 100_000])
def test_what_is_no_json_is_a_value_error(codec: Json, data: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        codec.loads(data)


def test_the_fastest_is_taken() -> None:
    assert encoding.json_codec().dumps([1, 2]) == b"[1,2]"


def test_numpy_is_not_imported_for_what_is_none_of_its() -> None:
    program = (
        "import sys; from laneway.transports.encoding import json_codec\n"
        "json_codec().dumps({'x': {1}})\nprint('numpy' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
