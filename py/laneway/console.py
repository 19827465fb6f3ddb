"""Where Laneway itself speaks: the stderr that the process was started with, also while file descriptor 2 is
the cells'.

Stdlib only. Any thread.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

stream: TextIO | None = None
"""In place of `sys.__stderr__`."""


def say(sentence: str) -> None:
    """Print a sentence for whoever runs the kernel; users do not see it."""
    if file := stream or sys.__stderr__:
        print(sentence, file=file, flush=True)


class Handler(logging.Handler):
    """For loggers whose warnings are for whoever runs the kernel: those of traitlets and of IPython's
    application are of wrong configuration.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        say(f"laneway: {self.format(record)}")
