"""`breakpoint()`, `pdb.set_trace()` and `pdb.pm()` are IPython's debugger, which asks through `input` as
`%debug` does, and knows its own frames.

The module pdb has no seam for its class, and is slow to import: it is changed when somebody imports it, and
changed back.
"""

from __future__ import annotations

import importlib.abc
import inspect
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, TracebackType
from typing import Any


class Debugger(importlib.abc.MetaPathFinder):
    """Finds pdb as usual, and sees to its functions."""

    def __init__(self) -> None:
        self._saved: dict[str, Callable[..., None]] = {}

    def install(self) -> None:
        """Change pdb, now or when it is imported."""
        if pdb := sys.modules.get("pdb"):
            self._change(pdb)
        else:
            sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        """Put its own back."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        if pdb := sys.modules.get("pdb"):
            vars(pdb).update(self._saved)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        spec = PathFinder.find_spec(fullname, path) if fullname == "pdb" else None
        if spec and spec.loader:
            load: Any = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                self._change(module)

            vars(spec.loader)["exec_module"] = exec_module
        return spec

    def _change(self, pdb: ModuleType) -> None:
        ours = {"set_trace": _set_trace, "post_mortem": _post_mortem}
        self._saved = {name: vars(pdb)[name] for name in ours}
        vars(pdb).update(ours)


def _set_trace(*, header: str | None = None, commands: object = None) -> None:
    """As `pdb.set_trace`: stop here. `commands` has no meaning for IPython's debugger."""
    from IPython.core.debugger import Pdb

    debugger = Pdb()
    if header is not None:
        debugger.message(header)
    here = inspect.currentframe()
    debugger.set_trace(here.f_back if here else None)


def _post_mortem(t: TracebackType | BaseException | None = None) -> None:
    """As `pdb.post_mortem`, which `pdb.pm` calls: look at where an exception arose, by default that which is
    being handled.
    """
    from IPython.core.debugger import Pdb

    traceback = t.__traceback__ if isinstance(t, BaseException) else t or sys.exc_info()[2]
    if traceback is None:
        raise ValueError("A traceback must be passed if no exception is being handled.")
    debugger = Pdb()
    debugger.reset()
    debugger.interaction(None, traceback)
