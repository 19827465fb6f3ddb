"""Examples with prompts (`>>>`), as cells: code without prompts, and the output that the author expects.
Pure.
"""

from __future__ import annotations

import doctest
import re
from dataclasses import dataclass

REPL = """\
get_ipython().ast_node_interactivity = "all"
get_ipython().display_formatter.formatters["text/plain"].pprint = False
"""
"""What a kernel is told that runs examples: each value is shown, and as Python does it."""

OPTION = re.compile(r"[ \t]*#\s*doctest:.*$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A part of a block of examples that can be one cell: an error ends it."""

    code: str
    expected: str
    """What it puts out, as the author has written it."""
    raises: bool


class _Parser(doctest.DocTestParser):
    @staticmethod
    def _IS_BLANK_OR_COMMENT(_source: str) -> None:  # noqa: N802 - a pattern's `match`, in the base
        """A reader wants comments, too; doctest drops what is nothing else."""


def examples(text: str) -> list[Example] | None:
    """The cells of a block; None where it is no such block, or is not to be run (`# doctest: +SKIP`)."""
    if not re.match(r"\s*>>>( |$)", text, re.MULTILINE):
        return None
    try:
        parts = _Parser().parse(text)
    except ValueError:  # it is not written as doctest wants it
        return None
    found: list[Example] = []
    lines: list[str] = []
    expected: list[str] = []
    for part in parts:
        if not isinstance(part, doctest.Example):
            # blank lines between examples stay
            lines += [""] * (part.count("\n") if lines and not part.strip() else 0)
            continue
        if part.options.get(doctest.SKIP):
            return None
        lines.append(OPTION.sub("", part.source.rstrip("\n")))
        expected.append(re.sub(r"^<BLANKLINE>$", "", part.want, flags=re.MULTILINE))
        if part.exc_msg is not None:
            found.append(Example("\n".join(lines).strip("\n"), "".join(expected), raises=True))
            lines, expected = [], []
    if code := "\n".join(lines).strip("\n"):
        found.append(Example(code, "".join(expected), raises=False))
    return found
