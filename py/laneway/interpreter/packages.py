"""Packages on import, in a browser: what Pyodide's lock has is loaded when a module of it is imported.

Before a cell runs, what its text imports is fetched, all at once and without blocking, and put in place. What
is not seen there (an import of a library, a name that is computed) is loaded when the import system makes the
module, blocking. Who only looks for a module gets a spec, and loads nothing.

An interrupt ends the wait for a file; it is held while a package is put in place. On the kernel's one thread.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Sequence
from functools import cached_property
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Pyodide's modules are there in Pyodide only
# pyright: reportMissingImports=false
from pyodide import _package_loader

from ..protocol.ports import Context
from . import introspection
from .callers import caller
from .distribution import Distribution, PackageError
from .imports import imported_modules
from .progress import Fetch, Progress
from .shell import ZMQInteractiveShell

PATIENCE = 0.3
"""Seconds that a cell waits before it says what for, where that can be awaited."""

_OTHER_NAMES = {
    "Crypto": "pycryptodome",
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""What is imported by another name than it is installed by, of what people import most."""

_SITE_PACKAGES = str(_package_loader.SITE_PACKAGES)
_LOOKS_ONLY = frozenset({introspection.__file__})


_NO_SOCKETS = "A page has no sockets: `requests`, `urllib3` and `pyodide.http` fetch as it can."


class Packages:
    """Finds, last of all, the modules of packages that are not in place, and loads these."""

    def __init__(self, shell: ZMQInteractiveShell, context: Context, fetch: Fetch | None = None) -> None:
        self._shell = shell
        self._fetch = fetch
        self._context = context
        self._failed: dict[str, PackageError] = {}
        """What could not be fetched for the cell that runs: its import says so."""
        self._refused: dict[str, set[str]] = {}
        """By package the libraries that have looked for it, and do without it from then on."""

    def install(self) -> None:
        """Come after all others."""
        sys.meta_path.append(self)  # pyright: ignore[reportArgumentType]
        self._shell.explain = self.explain

    def uninstall(self) -> None:
        """Leave nothing behind."""
        self._shell.explain = None
        if self in sys.meta_path:
            sys.meta_path.remove(self)  # pyright: ignore[reportArgumentType]
        vars(self).pop("_distribution", None)

    @cached_property
    def _distribution(self) -> Distribution:
        # made when it is first needed: it refers to JavaScript's objects, which no memory snapshot may hold
        return Distribution(self._fetch)

    # ---- before a cell

    async def prepare(self, source: str) -> None:
        """Load what a cell, as IPython has transformed it, is seen to import."""
        self._failed.clear()
        modules = imported_modules(source, self._shell.transform_cell)
        if "run_line_magic('pip'" in source:
            return  # it may bring other versions of what is imported after it
        if new := {name for name in modules if name not in sys.modules}:
            await self.load(new)

    async def load(self, modules: set[str]) -> None:
        """Load the packages of these modules. What cannot be fetched is left, and its import says why."""
        wanted = [package for module in sorted(modules) if (package := self._distribution.provider(module))]
        missing = self._distribution.missing(wanted)
        if not missing:
            return
        with Progress(self._shell, wanted, missing, PATIENCE) as progress:
            fetched = {
                name: asyncio.ensure_future(
                    self._distribution.fetch(name, functools.partial(progress.heard, name))
                )
                for name in missing
            }
            name = ""
            try:
                for name in missing:
                    file = await fetched.pop(name)
                    if self._distribution.missing([name]):  # else another cell was faster
                        self._put_in_place(name, file)
                    progress.refresh()
                    await asyncio.sleep(0)  # for messages, an interrupt among them
            except PackageError as error:
                self._failed[name] = error  # what needs it is not put in place either
            finally:
                for task in fetched.values():
                    task.cancel()
                await asyncio.gather(*fetched.values(), return_exceptions=True)
        # now, for the progress takes what the cell has shown with it
        self._warn([package for package in wanted if not self._distribution.missing([package])])

    async def reachable(self, address: str) -> bool:
        """Does a server answer there?"""
        return await self._distribution.reachable(address)

    # ---- when a module is imported

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`. Loads nothing."""
        if path is not None or self._shell.runs.current is None:
            return None
        package = self._distribution.provider(fullname)
        if package is None or not self._distribution.missing([package]):
            return None
        who = caller(fullname, _SITE_PACKAGES, _LOOKS_ONLY)
        if who is None:
            return None
        if who.probes:
            self._refused.setdefault(package, set()).add(who.module.partition(".")[0])
        if who.probes or (who.library and not who.imports):
            return None
        spec = ModuleSpec(fullname, self, origin=f"Pyodide's package {package}")  # pyright: ignore[reportArgumentType]
        spec.loader_state = who
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """See `importlib.abc.Loader`: load the package; the spec becomes that of the module found there."""
        package = self._distribution.provider(spec.name)
        assert package
        self._load_now(package)
        if not spec.loader_state.library:
            self._warn([package])
        found = PathFinder.find_spec(spec.name)
        if found is None or found.loader is None:
            raise PackageError(f"The package {package} has no module {spec.name!r}.", name=spec.name)
        vars(spec).update(vars(found))
        return found.loader.create_module(found)

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader`; the spec has another loader by then."""
        raise AssertionError

    def _load_now(self, package: str) -> None:
        missing = self._distribution.missing([package])
        with Progress(self._shell, [package], missing) as progress:
            for name in missing:
                if error := self._failed.pop(name, None):
                    raise error
                file = self._distribution.fetch_now(name, functools.partial(progress.heard, name))
                self._put_in_place(name, file)

    def _put_in_place(self, name: str, file: Any) -> None:
        with self._context.guard:  # holds interrupts
            self._distribution.put_in_place(name, file)

    # ---- what is said

    def _warn(self, packages: Sequence[str]) -> None:
        """Say that packages which the user wants come too late for libraries that have looked for them."""
        for package in packages:
            if libraries := self._refused.pop(package, None):
                print(
                    f"{', '.join(sorted(libraries))} had looked for {package} before it was loaded, and may "
                    f"do without it. To use them together, restart the kernel and import {package} first.",
                    file=sys.stderr,
                )

    def explain(self, error: BaseException) -> None:
        """Add to the message of an error what does not work in a browser, and what can be done."""
        http = sys.modules.get("http.client")
        if http and isinstance(error, http.RemoteDisconnected) and _NO_SOCKETS not in str(error):
            error.args = (f"{error}. {_NO_SOCKETS}",)
        if not isinstance(error, ModuleNotFoundError) or not error.name or "." in error.name:
            return
        name, message = error.name, f"No module named {error.name!r}"
        if error.msg != message or self._distribution.provider(name):
            return
        if name in sys.stdlib_module_names:
            error.msg = f"{message}: this Pyodide leaves out that part of Python."
        elif self._distribution.has("micropip"):
            command = f"%pip install {_OTHER_NAMES.get(name, name)}"
            error.msg = (
                f"{message}: it is not in this site. `{command}` gets it if the Python Package Index has a "
                "wheel for it that runs in browsers."
            )
        else:
            error.msg = f"{message}: it is not in this site."
