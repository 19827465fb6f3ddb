"""THE table of interrupts: whom an interrupt means, where that code is, and what is done about it.

Whom: *aimed* at one job (an interrupt_request that names a cell, a deadline, a subshell that is deleted), or
at whatever runs (the stop button, SIGINT, the kernel's end).

    where the code is                        whatever runs         aimed at it
    ended                                    nothing               nothing
    not begun, nothing runs on its thread    its first step        its first step
    not begun, other code runs there         nothing: that is it   its first step
    at an await                              the await             the await
    in `input()`, or a wait that we hold     the wait              the wait
    on its thread's stack                    the line              the line
    left by a job, on a thread's stack       the line              nothing

There a KeyboardInterrupt arises; where a cell's time is over, at first a CellTimeoutError (how it goes on is
said in `protocol/lanes.py`). "Left by a job" is a task or a callback: it has no request that could be
named. A request that is queued is no job yet: the core aborts it where it is aimed at, and leaves it alone
otherwise.

How "the line" is reached depends on the thread, see `worker.py`:

    the process's main thread    SIGINT, and again until it arrives (`signals.py`)
    any other thread             an exception that CPython raises there (`raising.py`); `time.sleep` ends
                                 (`sleep.py`)
    one event loop (browser)     at the next safepoint (`loop.py`)
    any of them in the guard     on leaving it (`guard.py`)
    in a `__del__`, or the like  again in a moment: Python cannot raise it there (`unraisable.py`)
    in trio's own code           in a moment: it would break trio (`guest.py`)
    in that of an import's lock  in a moment: it would stay locked (`raising.py`)
    in `with`, on other threads  the same, from Python 3.14 on

The programs that the code waits for are interrupted with it: those of the process's group where whatever runs
is meant, else those that its own thread has started (`children.py`).

Pure data: stdlib and `protocol/` only.
"""

from __future__ import annotations

from enum import StrEnum

from ..protocol.errors import CellTimeoutError

INTERRUPTS = (KeyboardInterrupt, CellTimeoutError)
"""What may arise anywhere in a job's code."""

AGAIN = 0.01
"""Seconds after which an interrupt is tried again that cannot be raised where the code is."""


class Where(StrEnum):
    """Where a job's code is."""

    ENDED = "ended"
    UNBEGUN = "not begun"
    BEHIND = "not begun, behind other code"
    AWAIT = "at an await"
    WAIT = "in a wait that we hold"
    STACK = "on its thread's stack"
    LEFT = "left by a job, on a thread's stack"


class Act(StrEnum):
    """Where the exception arises."""

    NOTHING = "nowhere"
    FIRST_STEP = "at its first step"
    AWAIT = "at the await"
    WAIT = "in the wait"
    LINE = "at the line"


_TABLE = {
    Where.ENDED: (Act.NOTHING, Act.NOTHING),
    Where.UNBEGUN: (Act.FIRST_STEP, Act.FIRST_STEP),
    Where.BEHIND: (Act.NOTHING, Act.FIRST_STEP),
    Where.AWAIT: (Act.AWAIT, Act.AWAIT),
    Where.WAIT: (Act.WAIT, Act.WAIT),
    Where.STACK: (Act.LINE, Act.LINE),
    Where.LEFT: (Act.LINE, Act.NOTHING),
}


def act(where: Where, *, aimed: bool) -> Act:
    """What an interrupt does to code that is there."""
    return _TABLE[where][aimed]
