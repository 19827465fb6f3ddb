"""The programs that a thread has started and that the code on it may be waiting for. Stdlib only.

Linux knows which thread has started a process. Elsewhere nobody does, and an interrupt that is aimed at one
cell ends no program of its: `subprocess` ends its own when the KeyboardInterrupt arrives, `os.system` goes on
to its end.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path


def interrupt_children(native_id: int) -> None:
    """SIGINT for the programs of the thread `native_id` (see `threading.get_native_id`), and for theirs, as a
    terminal would send it: a program that leads a group of its own has been put out of its reach.
    """
    group = os.getpgrp()
    for process in _children(Path(f"/proc/self/task/{native_id}")):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process) == group:
                os.kill(process, signal.SIGINT)


def _children(task: Path) -> Iterator[int]:
    try:
        processes = [int(process) for process in (task / "children").read_text().split()]
    except OSError:  # no Linux, or it has ended
        return
    for process in processes:
        # theirs first: a shell that ends would make them another's
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                yield from _children(thread)
        yield process
