"""The end of a process that user code has forked off, where its code comes back to us: it is no second
kernel.

    the cell's code has ended      exit status 0
    it has raised SystemExit       that status, as in a script
    it has raised anything else    1
    it awaits                      1, and a sentence: the event loop is its parent's

`multiprocessing` ends its processes itself. What such a process prints goes to file descriptors 1 and 2, see
`interpreter/streams.py`; its signals are Python's own again, see `signals.py`. Stdlib and `protocol/` only.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

from ..protocol.message import Content


def end_child(reply: Content | None) -> NoReturn:
    """A cell's code has ended, with this reply."""
    status = 0
    if reply and reply.get("status") == "error":
        status = _status(str(reply.get("evalue", ""))) if reply.get("ename") == "SystemExit" else 1
    _exit(status)


def end_child_on_loop() -> NoReturn:
    """The code awaits, or was a task or a callback that has ended."""
    with suppress(Exception):
        print("laneway: a process that was forked off cannot await; it ends.", file=sys.stderr)
    _exit(1)


def _status(code: str) -> int:
    """As `sys.exit` does: a number is the status, nothing is 0, anything else 1."""
    if code in ("", "None"):
        return 0
    return int(code) & 0xFF if code.removeprefix("-").isdecimal() else 1


def _exit(status: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        with suppress(Exception):
            if stream:
                stream.flush()
    os._exit(status)
