"""`laneway.run` and `laneway.call`: from any thread into the event loop of the main shell.

The other way, from a cell to threads and processes, is anyio's: `anyio.to_thread`, `anyio.to_process`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

from .process import PROCESS

T = TypeVar("T")
Args = TypeVarTuple("Args")


def run(function: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
    """Call the coroutine function `function` in the event loop of the main shell, wait for it, and return
    what it returns, or raise what it raises.

    From any thread but the shell's own, which would wait for itself: RuntimeError; there, await. What the
    function prints belongs to the cell that the calling code belongs to. An interrupt of that cell ends the
    wait with KeyboardInterrupt, and cancels the function. Raises KernelError where the kernel ends.
    """
    return _call(partial(function, *args), awaits=True)


def call(function: Callable[[*Args], T], *args: *Args) -> T:
    """Call `function` in the event loop of the main shell, and return what it returns; otherwise as `run`."""
    return _call(partial(function, *args), awaits=False)


def _call(function: Callable[[], Any], *, awaits: bool) -> Any:
    kernel = PROCESS.kernel
    if kernel is None:
        raise RuntimeError(
            "There is no kernel that this code belongs to: its thread was not started by a cell."
        )
    return kernel.context.call(kernel.runs.parent, function, awaits=awaits)
