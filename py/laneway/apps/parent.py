"""The program that started the kernel: Jupyter says which one it is, in the variable JPY_PARENT_PID.
Stdlib only.

    Linux      a process id; the system tells, by a descriptor of the process
    macOS      a process id; a look at it each second, for nobody tells. So on a Linux that has no such
               descriptors (before 5.3), or forbids them
    Windows    a handle of the process, inherited; a thread waits for it

Either may be missing, where somebody else has started the kernel: then nothing is watched.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

INTERVAL = 1.0
"""Seconds between two looks."""


def watch_parent(gone: Callable[[], object]) -> None:
    """Call `gone`, on a thread of its own, when the program that started the kernel has ended."""
    named = os.environ.get("JPY_PARENT_PID", "")
    if not named.isdecimal():
        return
    wait = _WAITS.get(sys.platform, _wait_for_process)

    def watch() -> None:
        wait(int(named))
        gone()

    threading.Thread(target=watch, name="laneway parent", daemon=True).start()


def _wait_for_process(parent: int) -> None:
    with suppress(AttributeError, OSError):  # there are no descriptors of processes, or it has ended
        descriptor = os.pidfd_open(parent)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        os.close(descriptor)
        return
    is_child = os.getppid() == parent  # there may be a launcher in between
    while _exists(parent) and (not is_child or os.getppid() == parent):
        time.sleep(INTERVAL)


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _wait_for_handle(parent: int) -> None:
    import ctypes

    windows = getattr(ctypes, "windll")  # noqa: B009, other systems have none, and type checkers know
    windows.kernel32.WaitForSingleObject(ctypes.c_void_p(parent), ctypes.c_uint32(0xFFFFFFFF))


_WAITS = {"win32": _wait_for_handle}
