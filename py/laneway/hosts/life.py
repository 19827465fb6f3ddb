"""How a kernel ends, and who sees to it that it does.

    stage     what happens                                                            at most
    serving   requests run
    refused   what comes or is queued is refused, what runs is interrupted            GRACE
    left      what still runs is cancelled, on every loop: jobs, and what they left   GRACE
    stopped   the interpreter: history, its own exit functions
    closed    the transport: what was taken is delivered                              LINGER
    exit      user code's threads and exit functions

The first begins with a shutdown_request, `exit`, SIGTERM, the death of the program that started the kernel,
or a failure of our own; the order is `Host.serve`'s. In a process of the kernel's own a watchdog is set when
the second begins, and nothing takes it off again: `DEADLINE` seconds later the process ends, whatever holds
it.

Stdlib only.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import NoReturn, Protocol

from .. import console

DEADLINE = 3.0
"""Seconds after which a kernel that was told to stop is overdue."""

_LAST = 0.5
"""Seconds more after which C ends the process, where Python does not come to it."""


class Process(Protocol):
    """What a host asks of the process, where that is the kernel's own."""

    def ending(self) -> None:
        """The kernel has begun to end."""
        ...

    def failed(self, error: BaseException) -> None:
        """Something of ours has failed that no message is to blame for."""
        ...


class OwnProcess:
    """A process that ends with its kernel. `status` is its exit status."""

    status = 0

    def __init__(self) -> None:
        self._null = Path(os.devnull).open("w")  # noqa: SIM115, for as long as the process lives

    def ending(self) -> None:
        """See `Process`: the watchdog is set."""
        watchdog = threading.Timer(DEADLINE, self.end)
        watchdog.daemon = True
        watchdog.start()
        # of two watchdogs one is in Python, which flushes, and one in C, which needs no lock
        faulthandler.dump_traceback_later(DEADLINE + _LAST, exit=True, file=self._null)

    def failed(self, error: BaseException) -> NoReturn:
        """See `Process`: the process ends at once, and front ends start another. A kernel that hears nothing
        must not look alive.
        """
        console.say("laneway: the kernel has failed and ends.\n" + "".join(traceback.format_exception(error)))
        self.status = 1
        self.end()

    def end(self) -> NoReturn:
        """End the process, whatever holds it."""
        for stream in (sys.__stdout__, sys.__stderr__):
            try:
                if stream:
                    stream.flush()
            except (OSError, ValueError):
                pass
        os._exit(self.status)
