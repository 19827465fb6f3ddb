"""An exception in another thread, by CPython's own means, where it does no harm. Stdlib only.

Python takes the locks of imports in Python, and what arises between `acquire` and the `try` behind it leaves
one of them locked: nothing could be imported any more, on any other thread. That is no rare place: of threads
that import at the same time, one waits there. So nothing is raised there; and since a thread may be there by
the time that it is raised, the one lock that is everybody's is given back when a job has ended.

User code has the same trouble since Python 3.14: what another thread raises in `with lock` while that waits
arises when it has the lock, and before `with` would give it back. So nothing is raised there either. (A
signal ends the wait itself.)
"""

from __future__ import annotations

import _imp
import opcode
import sys
from contextlib import suppress
from types import FrameType

if sys.platform != "emscripten":  # which has one thread; every page would fetch the module
    import ctypes

_IMPORTLIB = "<frozen importlib._bootstrap>"
_LOCKS = frozenset(
    {
        *("_get_module_lock", "_lock_unlock_module", "cb"),
        *("acquire", "release", "has_deadlock", "_has_deadlocked", "__enter__", "__exit__"),
    }
)
_ENTER = bytes((opcode.opmap["LOAD_SPECIAL"], 0)) if "LOAD_SPECIAL" in opcode.opmap else None
"""What comes before that call in bytecode: `__enter__` is looked up."""


def handles_import_lock(frame: FrameType) -> bool:
    """Is a thread that is at `frame` in such code? It will not be for long."""
    return frame.f_code.co_filename == _IMPORTLIB and frame.f_code.co_name in _LOCKS


def enters_with(frame: FrameType) -> bool:
    """Does a thread that is at `frame` enter a `with`, where that is no place for an exception?"""
    at = frame.f_lasti
    return _ENTER is not None and frame.f_code.co_code[max(at - 2, 0) : at] == _ENTER


def give_import_lock_back() -> None:
    """To be called where the thread imports nothing: what it still has was left behind."""
    with suppress(RuntimeError):  # it is another thread's, which imports
        while _imp.lock_held():
            _imp.release_lock()


def raise_in_thread(thread: int, error: type[BaseException]) -> None:
    """Have `error` arise in the Python code that `thread` runs."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


def keep(value: object) -> None:
    """Have it never be collected, not even at the end of the process."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))
