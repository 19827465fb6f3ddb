"""What a cell becomes before Python has it: IPython's magics, with `%` and without, `!command` and `?`, and
our first lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from IPython.core import prefilter
from IPython.core.autocall import IPyAutocall
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.macro import Macro

from ..protocol import backends
from ..protocol.modes import is_magic, is_mode

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_PERHAPS_SPECIAL = re.compile(r"^\s*[!?%,;/]|=[\s\\]*[!%]|\?[\s\\]*$")
"""A line in which IPython's own transformers might find something: a magic or a command at its beginning or
behind a `=`, a question mark at its end.
"""


class Transformers(TransformerManager):
    """IPython's, but that code is not split into tokens where there is nothing to be found: before Python
    3.12 that takes two or three times as long as to compile it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known = tuple(self.token_transformers)
        self.cleanup_transforms.append(_without_mode_line)

    def do_token_transforms(self, lines: list[str]) -> list[str]:
        if tuple(self.token_transformers) == self._known and not any(map(_PERHAPS_SPECIAL.search, lines)):
            return lines
        return super().do_token_transforms(lines)


def _without_mode_line(lines: list[str]) -> list[str]:
    """`%%task` and `%%trio` have been read by the core. They become comments, so that lines keep their
    numbers, or go where a cell magic follows.
    """
    if lines and is_mode(lines[0]):
        read = 2 if backends.is_magic("".join(lines[1:2])) else int(is_magic(lines[0]))
    else:
        read = int(backends.is_magic("".join(lines[:1])))
    rest = lines[read:]
    return rest if rest and rest[0].startswith("%%") else ["#\n"] * read + rest


_BEGINNING = re.compile(r"\s*([,;/%!?]?)([\w.*]*)")
"""How IPython splits a line: what marks a special one, if something does, and the first name."""


class PrefilterManager(prefilter.PrefilterManager):
    """IPython's, but that a line is not taken to pieces where its first name calls nothing: it is no magic,
    no macro, not `exit`, and functions are not called without parentheses (`%autocall`). Its
    name is that by which `%config` finds it.
    """

    shell: InteractiveShell

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._known = tuple(self.checkers)

    def prefilter_line(self, line: str, continue_prompt: bool = False) -> str:
        others = self.transformers or tuple(self.checkers) != self._known
        if others or self.shell.autocall or self._may_call(line):
            return super().prefilter_line(line, continue_prompt)
        return line

    def _may_call(self, line: str) -> bool:
        mark, name = cast("re.Match[str]", _BEGINNING.match(line)).groups()
        if mark or self.shell.find_magic(name) is not None:
            return True
        return isinstance(self.shell.user_ns.get(name), (Macro, IPyAutocall))
