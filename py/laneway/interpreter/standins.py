"""What packages look for in ipykernel, whether it is installed or not.

Much code asks ipykernel's modules whether it runs in a kernel, and gets its comms there. Where ipykernel is
installed, its own modules would say no, and take over the package comm. So in a kernel of ours these names
are ours; the rest of ipykernel stays what it is.
"""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

Names = Callable[[], Mapping[str, Any]]
"""Makes the names of a module when it is imported."""


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules. `always` are there in any case, `otherwise` where they are not installed."""

    def __init__(self, always: Mapping[str, Names], otherwise: Mapping[str, Names]) -> None:
        self._always = always
        self._otherwise = otherwise

    def install(self) -> None:
        """Come before all others."""
        sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        """Leave nothing behind."""
        sys.meta_path.remove(self)
        for name in (*self._always, *self._otherwise):
            module = sys.modules.get(name)
            if module and module.__spec__ and module.__spec__.loader is self:
                del sys.modules[name]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if fullname not in self._always and (
            fullname not in self._otherwise or PathFinder.find_spec(fullname, path)
        ):
            return None
        names = (*self._always, *self._otherwise)
        return spec_from_loader(
            fullname, self, is_package=any(name.startswith(f"{fullname}.") for name in names)
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """See `importlib.abc.Loader`."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader`."""
        names = self._always.get(module.__name__) or self._otherwise[module.__name__]
        module.__doc__ = "Laneway's stand-in for the module of ipykernel."
        vars(module).update(names())
