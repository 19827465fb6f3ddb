"""A kernel that has started with some of its files only: the import that misses one gets the others at once.

Imported in Pyodide only.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class LateFinder:
    """The last of `sys.meta_path`, asked for what no other finds, until the files are there."""

    def __init__(self, load: Callable[[], object]) -> None:
        self._load = load
        sys.meta_path.append(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Get the files, and look once more."""
        self._load()
        self.done()
        return PathFinder.find_spec(name, path, target)

    def done(self) -> None:
        """The files are there."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            importlib.invalidate_caches()
