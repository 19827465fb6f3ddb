"""Interrupts that arise where Python cannot raise them: in a `__del__`, or in a weak reference's callback.
Python tells `sys.unraisablehook` of them and goes on. A kernel raises them again in a moment, where the code
is then.

The hook is Python's seam for it; the last kernel that ends puts back the one that was there. Any thread.
Stdlib only.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from .interrupts import INTERRUPTS

Again = Callable[[type[BaseException]], bool]
"""Raises an interrupt again, in a moment, in the code that calls this; False where that is none of its."""

_kernels: list[Again] = []
_lock = threading.Lock()
_report = sys.unraisablehook


@contextmanager
def raised_again_by(again: Again) -> Generator[None]:
    """Meanwhile `again` is asked to raise what Python could not."""
    global _report
    with _lock:
        if not _kernels:
            _report, sys.unraisablehook = sys.unraisablehook, _hook
        _kernels.append(again)
    try:
        yield
    finally:
        with _lock:
            _kernels.remove(again)
            if not _kernels and sys.unraisablehook is _hook:
                sys.unraisablehook = _report


def _hook(unraisable: sys.UnraisableHookArgs) -> None:
    for interrupt in INTERRUPTS:
        if issubclass(unraisable.exc_type, interrupt) and any(again(interrupt) for again in tuple(_kernels)):
            return
    _report(unraisable)


def _after_fork() -> None:
    """In the child nothing is interrupted by a kernel."""
    _kernels.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
