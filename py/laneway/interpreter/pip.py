"""`%pip` in a browser: micropip, which downloads and so must be awaited. Imported in Pyodide only."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Sequence
from typing import Any

# Pyodide's modules are there in Pyodide only
# pyright: reportMissingImports=false
import pyodide_js
from IPython.core.error import UsageError
from pyodide.ffi import can_run_sync, run_sync
from pyodide.http import AbortError, pyfetch

from .shell import ZMQInteractiveShell

_USAGE = "In the browser %pip can `install PACKAGE ...` and `list`."


class Pip:
    """The magic. `index_urls` are asked first; then the package index that micropip asks by itself."""

    def __init__(self, shell: ZMQInteractiveShell, index_urls: Sequence[str]) -> None:
        self._shell = shell
        self._index_urls = list(index_urls)

    def install(self) -> None:
        """Take the place of IPython's `%pip`, which would start a process."""
        self._shell.magics_manager.register_function(self.pip, "line", "pip")
        self._shell.awaited_magics.add("pip", self.awaited)

    def pip(self, line: str) -> None:
        """`%pip` in a function, which cannot await: only where the browser can switch stacks (JSPI)."""
        if not can_run_sync():
            raise UsageError("This browser runs %pip at the top level of a cell, not inside a function.")
        run_sync(self.awaited(line))

    async def awaited(self, line: str, _cell: str | None = None) -> None:
        """Install packages, or list what is installed."""
        command, *arguments = shlex.split(line, comments=True) or [""]
        options = [argument for argument in arguments if argument.startswith("-")]
        packages = [argument for argument in arguments if not argument.startswith("-")]
        if unknown := set(options) - {"-q", "--quiet", "-U", "--upgrade", "--pre"}:
            raise UsageError(f"%pip does not know {', '.join(sorted(unknown))} in the browser. {_USAGE}")
        if command == "list" and not packages:
            print((await _micropip()).list())
        elif command == "install" and packages:
            await self._install(await _micropip(), packages, pre="--pre" in options)
        else:
            raise UsageError(_USAGE)

    async def _install(self, micropip: Any, packages: list[str], pre: bool) -> None:
        default = list(micropip.package_index.DEFAULT_INDEX_URLS)
        attempts = [self._index_urls, [*self._index_urls, *default]] if self._index_urls else [default]
        failure = ""
        for indexes in attempts:
            try:
                await micropip.install(packages, index_urls=indexes, pre=pre)
            except (ValueError, OSError) as error:
                failure = str(error)
            else:
                return
        if not await _reachable(default[0]):
            failure = "this site does not have it, and the Python Package Index cannot be reached from here."
        raise UsageError(f"{', '.join(packages)} cannot be installed: {failure}") from None


async def _micropip() -> Any:
    """The module; it is loaded when it is first needed."""
    await pyodide_js.loadPackage("micropip")
    return importlib.import_module("micropip")


async def _reachable(index_url: str) -> bool:
    # the page of one project, as micropip makes its address: the index itself lists hundreds of thousands
    named = "{package_name}" in index_url
    try:
        await pyfetch(index_url.format(package_name="pip") if named else f"{index_url}/pip/")
    except (OSError, AbortError):
        return False
    return True
