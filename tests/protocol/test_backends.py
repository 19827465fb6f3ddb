"""What a cell says that it awaits."""

from __future__ import annotations

import pytest

from laneway.protocol.backends import Backend, is_magic, named_backend


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("%%trio\nawait f()", Backend.TRIO),
        ("%%asyncio \nawait f()", Backend.ASYNCIO),
        ("%%trio", Backend.TRIO),
        ("# task\n%%trio\nawait f()", Backend.TRIO),
        ("%%task timeout=5\n%%asyncio\nawait f()", Backend.ASYNCIO),
        ("await f()", None),
        ("await f()\n%%trio", None),
        ("# a comment\n%%trio", None),
        ("%%trio now\n1", None),
        ("%%triode\n1", None),
        ("text = '''\n%%trio\n'''", None),
        ("", None),
    ],
)
def test_the_first_line_says_it(code: str, named: Backend | None) -> None:
    assert named_backend(code) == named


def test_a_line_is_one_or_not() -> None:
    assert is_magic("%%trio\n")
    assert not is_magic("%%time\n")
    assert not is_magic("")
