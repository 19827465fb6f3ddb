"""What packages look for in ipykernel, whether it is installed or not.

Much code asks ipykernel's modules, or only whether they have been imported, to know that it runs in a kernel,
and gets its comms there. Where ipykernel is installed, its own modules would say no, and take over the
package comm. So in a kernel of ours the package and some of its modules are ours; the rest of them stay what
they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType
from typing import Any

Names = Callable[[], Mapping[str, Any]]
"""Makes the names of a module when it is imported."""


class StandIns:
    """Finds the modules of `package`: `always` are there in any case, `otherwise` where the package is not
    installed. It and those of `present` have been imported already, for who looks into sys.modules.
    """

    def __init__(
        self,
        package: str,
        always: Mapping[str, Names],
        otherwise: Mapping[str, Names],
        present: Sequence[str],
    ) -> None:
        self._package = package
        self._names = dict(always)
        self._otherwise = otherwise
        self._present = present
        self._saved: dict[str, ModuleType] = {}

    def install(self) -> None:
        """Come before all others."""
        prefix = f"{self._package}."
        self._saved = {name: module for name, module in sys.modules.items() if f"{name}.".startswith(prefix)}
        for name in self._saved:
            del sys.modules[name]
        installed = PathFinder.find_spec(self._package)
        if installed is None:
            self._names.update(self._otherwise)
        sys.meta_path.insert(0, self)
        package = self._load(self._package)
        package.__path__ = list(installed.submodule_search_locations or ()) if installed else []
        for name in self._present:
            setattr(package, name.removeprefix(prefix), self._load(name))

    def uninstall(self) -> None:
        """Leave nothing behind."""
        sys.meta_path.remove(self)
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{self._package}.")]:
            del sys.modules[name]
        sys.modules.update(self._saved)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if fullname not in self._names:
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in self._names)
        return spec_from_loader(fullname, self, is_package=is_package)  # pyright: ignore[reportArgumentType]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """See `importlib.abc.Loader`."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader`."""
        module.__doc__ = "Laneway's stand-in for the module of ipykernel."
        vars(module).update(self._names[module.__name__]())

    def _load(self, name: str) -> ModuleType:
        spec = self.find_spec(name, None)
        assert spec, f"{name} is none of ours."
        sys.modules[name] = module = module_from_spec(spec)
        self.exec_module(module)
        return module
