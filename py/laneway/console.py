"""Where Laneway itself speaks: the stderr that the process was started with, also while file descriptor 2 is
the cells'.

Stdlib only. Any thread.
"""

from __future__ import annotations

import sys
from typing import TextIO

stream: TextIO | None = None
"""In place of `sys.__stderr__`."""


def say(sentence: str) -> None:
    """Print a sentence for whoever runs the kernel; users do not see it."""
    if file := stream or sys.__stderr__:
        print(sentence, file=file, flush=True)
