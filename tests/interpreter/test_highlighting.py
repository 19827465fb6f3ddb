"""Rules of pygments' lexer that are compiled once."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from pygments.lexers.python import PythonLexer
from pygments.token import Text

from laneway.interpreter.highlighting import Highlighting

CODE = "def f(x: int) -> str:\n    return f'{x!r:>{10}}'  # α\n"


@pytest.fixture
def highlighting() -> Generator[Highlighting]:
    part = Highlighting()
    part.install()
    assert "__init_subclass__" not in PythonLexer.__dict__
    yield part
    part.uninstall()
    assert "__init_subclass__" not in PythonLexer.__dict__


def test_a_class_without_rules_of_its_own_has_pygments(highlighting: Highlighting) -> None:
    expected = list(PythonLexer().get_tokens(CODE))
    highlighting.quicken()
    highlighting.quicken()

    class Lexer(PythonLexer):
        pass

    assert list(Lexer().get_tokens(CODE)) == expected
    assert Lexer._tokens is PythonLexer._tokens  # type: ignore[attr-defined]


def test_rules_of_a_class_are_its_own(highlighting: Highlighting) -> None:
    highlighting.quicken()

    class Own(PythonLexer):
        tokens = {"root": [(r"(?s).", Text)]}  # noqa: RUF012, as pygments has them

    class OfOwn(Own):
        pass

    for lexer in (Own, OfOwn):
        assert {kind for kind, _text in lexer().get_tokens("1")} == {Text}
