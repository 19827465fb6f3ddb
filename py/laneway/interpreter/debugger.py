"""`breakpoint()`, `pdb.set_trace()`, `pdb.pm()` and `pdb.Pdb` are IPython's debugger, in the form that an
interrupt ends. It asks through `input` as `%debug` does, and does not stop in code that runs cells. For code
that belongs to no kernel they are Python's; so is the class, unless a kernel owns the process. The first two
stop in the front end that has attached to the kernel (`debug.py`), if one has.

The modules have no seam for their class, and are slow to import: they are changed when somebody imports them,
and changed back.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import FrameType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from .run import RUN, Run

if TYPE_CHECKING:
    from importlib.abc import Loader  # slow to import

    from .process import Find

_PDB = "pdb"
_DEBUGGER = "IPython.core.debugger"

_MACHINERY = ("laneway.", "IPython.core.interactiveshell", "asyncio.")
"""Modules that call user code: what they do next does not belong to it."""


class FrontEnd(Protocol):
    """A kernel's debugger: `Debug` is one."""

    @property
    def attached(self) -> bool:
        """Is a front end there?"""
        ...

    def stop_here(self, frame: FrameType) -> None:
        """Stop, as at `frame`."""
        ...


class Debugger:
    """Finds the modules as usual, and sees to their functions, and if it is `owned`, to their classes."""

    def __init__(self, find: Find, owned: Callable[[], bool]) -> None:
        self._find = find
        self._owned = owned
        self._saved: dict[str, dict[str, Any]] = {}
        self._tracing: dict[Run | None, Any] = {}
        """By run the debugger that was last asked to stop somewhere."""

    def install(self) -> None:
        """Change them, now or when they are imported."""
        for name in (_PDB, _DEBUGGER):
            if name in sys.modules:
                self._change(sys.modules[name])
        sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        """Put their own back."""
        sys.meta_path.remove(self)
        for name, saved in self._saved.items():
            vars(sys.modules[name]).update(saved)
        self._saved.clear()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        spec = PathFinder.find_spec(fullname, path) if fullname in (_PDB, _DEBUGGER) else None
        if spec and spec.loader:
            spec.loader = _Loader(spec.loader, self._change)  # pyright: ignore[reportAttributeAccessIssue]
        return spec

    def end(self, run: Run) -> None:
        """`run` has ended: who has gone through it step by step does not go on in the next cell."""
        debugger = self._tracing.pop(run, None)
        if debugger and getattr(sys.gettrace(), "__self__", None) is debugger:
            sys.settrace(None)

    def _change(self, module: ModuleType) -> None:
        if module.__name__ == _PDB:
            self._replace(module, set_trace=self._set_trace, post_mortem=self._post_mortem)
            if self._owned() and _DEBUGGER not in sys.modules:  # else it is that which imports pdb
                importlib.import_module(_DEBUGGER)
        elif self._owned():
            self._replace(module, Pdb=module.InterruptiblePdb)
            self._replace(sys.modules[_PDB], Pdb=module.InterruptiblePdb)

    def _replace(self, module: ModuleType, **ours: object) -> None:
        saved = self._saved.setdefault(module.__name__, {})
        saved |= {name: vars(module)[name] for name in ours}
        vars(module).update(ours)

    def _set_trace(self, *, header: str | None = None, commands: object = None) -> None:
        """As `pdb.set_trace`: stop here. `commands` has no meaning for IPython's debugger."""
        here = inspect.currentframe()
        caller = here.f_back if here else None
        kernel = self._find()
        if caller and kernel and kernel.debug and kernel.debug.attached:
            kernel.debug.stop_here(caller)
            return
        if kernel:
            debugger = _debugger(caller)
            self._tracing[RUN.get()] = debugger
        else:
            debugger = self._programs()
        if header is not None:
            debugger.message(header)
        debugger.set_trace(caller)

    def _post_mortem(self, t: TracebackType | BaseException | None = None) -> None:
        """As `pdb.post_mortem`, which `pdb.pm` calls: look at where an exception arose, by default that which
        is being handled.
        """
        traceback = t.__traceback__ if isinstance(t, BaseException) else t or sys.exc_info()[2]
        if traceback is None:
            raise ValueError("A traceback must be passed if no exception is being handled.")
        if self._find():
            from IPython.core.debugger import InterruptiblePdb

            debugger: Any = InterruptiblePdb()
        else:
            debugger = self._programs()
        debugger.reset()
        debugger.interaction(None, traceback)

    def _programs(self) -> Any:
        pdb = sys.modules[_PDB]
        return self._saved[_PDB].get("Pdb", vars(pdb)["Pdb"])()


class _Loader:
    """Loads one module as `loader` does, which may be that of others, too (a zip file's), and changes it."""

    def __init__(self, loader: Loader, change: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._change = change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """See `importlib.abc.Loader`."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader`."""
        if module.__spec__:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._change(module)


def _debugger(caller: FrameType | None) -> Any:
    """A debugger that stops in the functions that are running as `caller` does, and in what they call, but
    neither in what runs them nor in the kernel's part of what they call (the display hook, `print`).
    """
    from IPython.core.debugger import InterruptiblePdb

    users: set[FrameType] = set()
    frame = caller
    while frame and not _is_machinery(frame):
        users.add(frame)
        frame = frame.f_back

    class Debugger(InterruptiblePdb):
        def stop_here(self, frame: FrameType) -> bool:
            above: FrameType | None = frame
            while above and above not in users and not _is_machinery(above):
                above = above.f_back
            return above in users and bool(super().stop_here(frame))

    return Debugger()


def _is_machinery(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith(_MACHINERY)
