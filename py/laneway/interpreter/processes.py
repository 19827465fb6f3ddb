"""`!command`: a program with a terminal of its own, whose output appears as it comes. POSIX only.

As IPython's, but for an interrupt: that one reaches the program, and then the cell as KeyboardInterrupt.
"""

from __future__ import annotations

import codecs
import os
import shutil
import signal
import threading
import time
from typing import Any

from ..protocol.errors import CellTimeoutError

PATIENCE = 0.05
"""Seconds that an interrupted program has to end by itself."""

TURN = 0.05
"""Seconds after which a thread that no signal reaches looks whether it is interrupted."""


def system(command: str) -> int:
    """Run `command` in the user's shell, print what it writes, and return its exit code, or the signal that
    killed it, negative.

    Raises OSError where there is no shell.
    """
    import pexpect  # slow, and not always needed

    shell = shutil.which(os.environ.get("SHELL", "sh"))
    if shell is None:
        raise OSError(f"The shell {os.environ.get('SHELL', 'sh')!r} was not found; set the variable SHELL.")
    child: Any = pexpect.spawn(shell, args=["-c", command])
    limit = None if threading.current_thread() is threading.main_thread() else TURN
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    try:
        while True:
            try:
                data = child.read_nonblocking(1 << 16, timeout=limit)
            except pexpect.EOF:
                break
            except pexpect.TIMEOUT:
                continue
            print(decoder.decode(data), end="", flush=True)
        child.wait()
    except (KeyboardInterrupt, CellTimeoutError):
        child.sendintr()
        _end(child)
        print(decoder.decode(_rest(child)), end="")
        raise
    finally:
        child.ptyproc.fileobj.close()
    if child.signalstatus is not None:
        return -child.signalstatus
    code: int = child.exitstatus or 0
    return 128 - code if code > 128 else code  # what a shell says of a signal


def _end(child: Any) -> None:
    until = time.monotonic() + PATIENCE
    while child.isalive() and time.monotonic() < until:
        time.sleep(0.001)
    if child.isalive():
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _rest(child: Any) -> bytes:
    import pexpect

    try:
        return child.read_nonblocking(1 << 16, timeout=0)
    except (pexpect.EOF, pexpect.TIMEOUT):
        return b""
