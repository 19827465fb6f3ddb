"""What a cell becomes before Python has it: IPython's magics, `!command` and `?`, and our first lines."""

from __future__ import annotations

import re

from IPython.core.inputtransformer2 import TransformerManager

from ..protocol import backends
from ..protocol.modes import is_magic, is_mode

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
