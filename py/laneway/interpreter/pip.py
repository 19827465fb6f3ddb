"""`%pip` in a browser: micropip, which downloads and so must be awaited. Imported in Pyodide only."""

from __future__ import annotations

import asyncio
import importlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

# Pyodide's modules are there in Pyodide only
# pyright: reportMissingImports=false
from IPython.core.error import UsageError
from pyodide.ffi import can_run_sync, run_sync

from .distribution import canonical, installed
from .packages import Packages
from .shell import ZMQInteractiveShell

PATIENCE = 300
"""Seconds after which an installation that has not ended is given up: a request may never be answered."""

_NOT_WHOLE = (
    "it has not come, or not whole. Check the network, or reload the page if the site has changed, and run "
    "it again."
)
_NAMED = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(\[[^]]*\])?\s*([<>=!~(][^;@]*)?")
"""A requirement that holds everywhere, of a package by its name."""

_USAGE = (
    "In the browser %pip can `install PACKAGE ...`, `install -r FILE`, `uninstall PACKAGE ...`, "
    "`show PACKAGE ...`, `list` and `freeze`."
)
_FLAGS = {
    "install": {"-q", "--quiet", "-U", "--upgrade", "--pre", "--no-deps"},
    "uninstall": {"-q", "--quiet", "-y", "--yes"},
    "list": set[str](),
    "freeze": set[str](),
    "show": set[str](),
}


class Pip:
    """The magic. `index_urls` are asked first; then the package index that micropip asks by itself."""

    def __init__(self, shell: ZMQInteractiveShell, index_urls: Sequence[str], packages: Packages) -> None:
        self._shell = shell
        self._index_urls = list(index_urls)
        self._packages = packages

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
        """Install or remove packages, or say what is installed."""
        command, *arguments = shlex.split(line, comments=True) or [""]
        if command not in _FLAGS:
            raise UsageError(_USAGE)
        flags, names = _parsed(arguments)
        if unknown := flags - _FLAGS[command]:
            raise UsageError(
                f"%pip {command} does not know {', '.join(sorted(unknown))} in the browser. {_USAGE}"
            )
        if bool(names) is (command in ("list", "freeze")):
            raise UsageError(_USAGE)
        quiet = bool(flags & {"-q", "--quiet"})
        match command:
            case "show":
                print("\n---\n".join(map(_description, names)))
            case "list":
                print((await self._micropip()).list())
            case "freeze":
                print("\n".join(f"{name}=={version}" for name, version in sorted(_installed().items())))
            case "uninstall":
                await self._uninstall(names, quiet)
            case _:
                await self._install(names, flags, quiet)

    async def _install(self, names: list[str], flags: set[str], quiet: bool) -> None:
        micropip = await self._micropip()
        before = _installed()
        options = {"pre": "--pre" in flags, "deps": "--no-deps" not in flags}
        default = list(micropip.package_index.DEFAULT_INDEX_URLS)
        failure = ""
        for indexes in [self._index_urls, [*self._index_urls, *default]] if self._index_urls else [default]:
            if failure and not await self._packages.reachable(_page(default[0])):
                break
            try:
                async with asyncio.timeout(PATIENCE):
                    await micropip.install(names, index_urls=indexes, **options)
            except TimeoutError:
                failure = "the server does not answer. Check the network, and run it again."
            except (ValueError, OSError) as error:
                failure = str(error)
            except BadZipFile:
                raise UsageError(f"{', '.join(names)} cannot be installed: {_NOT_WHOLE}") from None
            else:
                if absent := _absent(names):
                    raise UsageError(f"{', '.join(absent)} cannot be installed: {_NOT_WHOLE}")
                if not quiet:
                    _say_installed(names, before)
                return
        if not await self._packages.reachable(_page(default[0])):
            failure = "this site does not have it, and the Python Package Index cannot be reached from here."
        raise UsageError(f"{', '.join(names)} cannot be installed: {failure}") from None

    async def _uninstall(self, names: list[str], quiet: bool) -> None:
        micropip = await self._micropip()
        before = _installed()
        micropip.uninstall([name for name in names if canonical(name) in before])
        after = _installed()
        for name in names:
            known = canonical(name)
            if known not in before:
                print(f"{name} is not installed.")
            elif known not in after and not quiet:
                print(
                    f"Removed {known} {before[known]}. Modules of it that were imported stay until a restart."
                )

    async def _micropip(self) -> Any:
        """The module, of the distribution that runs; it is loaded when it is first needed."""
        await self._packages.load({"micropip"})
        try:
            return importlib.import_module("micropip")
        except ModuleNotFoundError:
            raise UsageError("This site has no micropip, which %pip needs.") from None


def _parsed(arguments: Sequence[str]) -> tuple[set[str], list[str]]:
    """The flags, and the packages, those of requirements files among them."""
    flags: set[str] = set()
    names: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument in ("-r", "--requirement"):
            names += _requirements(next(rest, ""))
        elif argument.startswith("-"):
            flags.add(argument)
        else:
            names.append(argument)
    return flags, names


def _requirements(path: str) -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"The requirements file {path!r} cannot be read: {error.strerror}.") from None
    names: list[str] = []
    for line in lines:
        words = line.partition(" #")[0].strip()
        if words.startswith("-"):
            raise UsageError(f"{path}: in the browser a requirements file has no options such as {words!r}.")
        if words and not words.startswith("#"):
            names.append(words)
    return names


def _installed() -> dict[str, str]:
    """The version of each distribution that is there."""
    return {canonical(found.name): found.version for found in installed()}


def _absent(names: Sequence[str]) -> list[str]:
    """Those that are not there after all: Pyodide only prints that a package of its lock has not come."""
    there = _installed()
    named = {name: _NAMED.fullmatch(name) for name in names if not name.endswith(".whl")}
    return [name for name, found in named.items() if found and canonical(found[1]) not in there]


def _say_installed(names: Sequence[str], before: dict[str, str]) -> None:
    new = [
        f"{name} {version}" for name, version in sorted(_installed().items()) if before.get(name) != version
    ]
    print(f"Installed {', '.join(new)}." if new else f"Already there: {', '.join(names)}.")


def _description(name: str) -> str:
    found = next(iter(installed(name=name)), None)
    if found is None:
        raise UsageError(f"{name} is not installed.")
    fields = ("Name", "Version", "Summary", "Home-page", "Author", "License")
    lines = [f"{field}: {found.metadata[field]}" for field in fields if found.metadata[field]]
    return "\n".join(
        [*lines, f"Location: {found.locate_file('')}", f"Requires: {', '.join(found.requires or ())}"]
    )


def _page(index_url: str) -> str:
    """That of one project, as micropip makes its address: the index itself lists hundreds of thousands."""
    named = "{package_name}" in index_url
    return index_url.format(package_name="pip") if named else f"{index_url}/pip/"
