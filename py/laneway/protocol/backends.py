"""The library whose `await` a cell means: the kernel's backend, or what the cell names itself.

    first line of the cell, or the one after its run mode    the cell awaits
    %%trio                                                   what trio's functions return
    %%asyncio                                                what asyncio's do

Pure: stdlib only.
"""

from __future__ import annotations

import re
from enum import StrEnum

from .modes import is_mode


class Backend(StrEnum):
    """An async library."""

    ASYNCIO = "asyncio"
    TRIO = "trio"


_MAGIC = r"%%(asyncio|trio)[ \t]*$"


def named_backend(code: str) -> Backend | None:
    """What a cell with this code names, if it does."""
    if "%%" not in code:
        return None
    first, *rest = code.split("\n", 2)
    line = rest[0] if rest and is_mode(first) else first
    magic = re.match(_MAGIC, line)
    return magic and Backend(magic[1])


def is_magic(line: str) -> bool:
    """Whether a line is a cell magic that names a backend."""
    return line.startswith("%%") and re.match(_MAGIC, line.rstrip("\n")) is not None
