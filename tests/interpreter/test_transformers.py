"""The short way of plain code through IPython's transformers ends where their long way does."""

from __future__ import annotations

import random
from typing import Any

import pytest
from IPython.core.inputtransformer2 import EscapedCommand, TransformerManager

from laneway.interpreter.transformers import Transformers
from tests.soak import rounds

SPECIAL = ["!", "!!", "%", "%%", "?", "??", "/", ",", ";", "=", "==", "!=", "%time", "%%magic", "!ls"]
BLANK = [" ", "    ", "\n", "\n", "\n", "\n    ", "\t", "\f", "\x0b", "\u2028", "\\", "\\\n"]
PLAIN = ["(", ")", "[", "{", "}", "'", '"', "'''", "#", "@", ":", ".", "f'{a}'", "f'{a=}'", "a", "b1", "1"]
WORDS = ["if ", "else:", "def f():", "lambda ", "await ", "print(1)", "x = 2", "a.b"]


def random_code(numbers: random.Random) -> str:
    kinds = numbers.choices([SPECIAL, BLANK, PLAIN, WORDS], [1, 3, 2, 2], k=numbers.randint(1, 25))
    return "".join(numbers.choice(kind) for kind in kinds)


def transformed(manager: TransformerManager, code: str) -> str | type[Exception]:
    try:
        return manager.transform_cell(code)
    except Exception as error:
        return type(error)


def check(code: str) -> None:
    ours = Transformers()
    theirs = TransformerManager()
    theirs.cleanup_transforms = ours.cleanup_transforms
    expected = transformed(theirs, code)
    if isinstance(expected, str):  # else `tokenize` refuses it; Python may take it, or says what is wrong
        assert transformed(ours, code) == expected, code


@pytest.mark.parametrize(
    "code",
    [
        "a = \\\n  %time 1",
        "def f():\n    b =!ls\n    return 1\na.b?",
        "x = 1 # why?\nprint('%d' % x, x != 2)",
        "",
    ],
)
def test_it_is_the_same(code: str) -> None:
    check(code)


@pytest.mark.filterwarnings("ignore:`make_tokens_by_line` received")  # IPython's own
def test_it_is_the_same_for_whatever_is_typed() -> None:
    numbers = random.Random(1)
    for _ in range(rounds(3_000, 300_000)):
        check(random_code(numbers))


def test_plain_code_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(TransformerManager, "do_one_token_transform")  # the long way
    code = "x = '%d' % 2\nif x != 'a?b':\n    print(x); y = x\n"
    assert Transformers().transform_cell(code) == code


def test_transformers_of_others_are_asked() -> None:
    class Shouts(EscapedCommand):
        @classmethod
        def find(cls, tokens_by_line: Any) -> EscapedCommand | None:
            return cls((1, 0)) if tokens_by_line[0][0].string == "loud" else None

        def transform(self, lines: list[str]) -> list[str]:
            return ["LOUD\n"]

    transformers = Transformers()
    transformers.token_transformers.append(Shouts)
    assert transformers.transform_cell("loud") == "LOUD\n"
