"""The packages of Pyodide's lock: which of them has a module, what it depends on, and how it is fetched and
put in place. Imported in Pyodide only; runs on the kernel's one thread.

Pyodide's `loadPackage` must be awaited, and an import cannot: to put its stack aside (`run_sync`) would let
other tasks import the same module meanwhile, on a thread that holds the import's lock already. So the file is
fetched by a synchronous request where it must be; it is unpacked by Pyodide's own function in any case.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import re
import sys
from collections.abc import Iterable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

# Pyodide's modules are there in Pyodide only
# pyright: reportMissingImports=false
import js
import pyodide_js
from pyodide import _package_loader as loader
from pyodide.ffi import create_proxy, to_js

from .progress import Fetch, Heard

if TYPE_CHECKING:
    from importlib import metadata

# `importlib.metadata` and `urllib.parse` are imported where they are needed: they are large, every page would
# fetch them with the memory snapshot, and most cells do without.

STALLED = 30
"""Seconds without a byte after which a server is given up."""

UNREACHED = 180
"""Seconds after which a request is given up that blocks all else."""

_CHUNK = 1 << 20
"""Bytes that are hashed at once: the heap, which never shrinks, need not hold a whole wheel."""

_PRELOADS = sys.version_info < (3, 13)
"""Pyodide 0.27 does not find the shared libraries that an extension module needs; later ones do."""


class PackageError(ImportError):
    """A package of the lock cannot be loaded; the message is one sentence or two that say what to do."""


class Source(Protocol):
    """Where files come from. Both return a JavaScript buffer, and raise OSError with a reason."""

    async def fetch(self, address: str, heard: Heard) -> Any:
        """Without blocking. Given up where nothing comes for `STALLED` seconds."""
        ...

    def fetch_now(self, address: str, heard: Heard) -> Any:
        """Blocking. What arrives is answered meanwhile and an interrupt ends it, where the page can help."""
        ...


class Distribution:
    """The packages of the Pyodide that runs. `fetch` is what fetches where nothing can be awaited."""

    def __init__(self, fetch: Fetch | None = None) -> None:
        api = pyodide_js._api
        self._packages = api.lockfile_packages
        self._providers = api._import_name_to_package_name
        self._base: str = getattr(pyodide_js, "lockfileBaseUrl", None) or api.config.indexURL
        self._source: Source = Requests(fetch) if hasattr(js, "XMLHttpRequest") else Files()

    def provider(self, module: str) -> str | None:
        """The package that has the module of this top-level name."""
        return self._providers.get(module)

    def has(self, name: str) -> bool:
        """Does the lock have the package?"""
        return js.Object.hasOwn(self._packages, name)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Of these packages, and all that they depend on, those that are not in place: what is needed comes
        before what needs it.
        """
        loaded = {canonical(name) for name in pyodide_js.loadedPackages.object_keys()}
        order: list[str] = []
        seen: set[str] = set()

        def add(name: str) -> None:
            if name in seen or not self.has(name):
                return
            seen.add(name)
            if name in loaded or _is_installed(name):
                return
            for needed in self._package(name).depends:
                add(canonical(needed))
            order.append(name)

        for name in names:
            add(name)
        return order

    async def fetch(self, name: str, heard: Heard) -> Any:
        """The package's file. Raises PackageError."""
        try:
            return self._checked(name, await self._source.fetch(self._address(name), heard))
        except OSError as error:
            raise self._failed(name, str(error)) from None

    def fetch_now(self, name: str, heard: Heard) -> Any:
        """The same, blocking."""
        try:
            return self._checked(name, self._source.fetch_now(self._address(name), heard))
        except OSError as error:
            raise self._failed(name, str(error)) from None

    async def reachable(self, address: str) -> bool:
        """Does a server answer there?"""
        try:
            await self._source.fetch(address, lambda _received, _total: None)
        except OSError:
            return False
        return True

    def put_in_place(self, name: str, file: Any) -> None:
        """Unpack the package's file; from then on it can be imported. What it depends on must be there, and
        an interrupt must not arise here: a package that is there in part is broken for good.
        """
        from urllib.parse import urlsplit

        package = self._package(name)
        origin = {"INSTALLER": "pyodide.loadPackage", "PYODIDE_SOURCE": "pyodide"}
        libraries = loader.unpack_buffer(
            file,
            filename=PurePosixPath(urlsplit(package.file_name).path).name,
            extract_dir=loader.get_install_dir(package.install_dir),
            calculate_dynlibs=True,
            **(
                {"installer": origin["INSTALLER"], "source": origin["PYODIDE_SOURCE"]}
                if _PRELOADS
                else {"metadata": origin}
            ),
        )
        if _PRELOADS:
            for library in libraries:
                if not library.endswith(_MODULES):
                    _load_library(library)
        setattr(pyodide_js.loadedPackages, package.name, "default channel")
        importlib.invalidate_caches()

    def _package(self, name: str) -> Any:
        return getattr(self._packages, name)

    def _address(self, name: str) -> str:
        from urllib.parse import urljoin

        return urljoin(self._base, self._package(name).file_name)

    def _checked(self, name: str, file: Any) -> Any:
        found = hashlib.sha256()
        for at in range(0, file.byteLength, _CHUNK):
            found.update(file.subarray(at, at + _CHUNK).to_bytes())
        if found.hexdigest() != self._package(name).sha256:
            raise self._failed(
                name,
                "its file is another one than this page expects. The site has changed since the page was "
                "loaded: reload the page",
            )
        return file

    def _failed(self, name: str, reason: str) -> PackageError:
        return PackageError(f"{name} cannot be loaded from {self._address(name)}: {reason}.", name=name)


class Requests:
    """Files that a server has."""

    def __init__(self, fetch: Fetch | None) -> None:
        self._fetch = fetch

    async def fetch(self, address: str, heard: Heard) -> Any:
        """See `Source`."""
        request = _request(address, blocking=False)
        ended = asyncio.get_running_loop().create_future()
        received = 0

        def on_progress(event: Any) -> None:
            nonlocal received
            received = event.loaded
            heard(event.loaded, event.total)

        def on_end(_event: Any) -> None:
            if not ended.done():
                ended.set_result(None)

        proxies = {"progress": create_proxy(on_progress), "loadend": create_proxy(on_end)}
        for event, proxy in proxies.items():
            request.addEventListener(event, proxy)
        try:
            request.send()
            before = -1
            while not ended.done():
                if received == before:
                    raise OSError(_STOPPED)
                before = received
                await asyncio.wait((ended,), timeout=STALLED)
            return _response(request)
        finally:
            for event, proxy in proxies.items():
                request.removeEventListener(event, proxy)
                proxy.destroy()
            request.abort()

    def fetch_now(self, address: str, heard: Heard) -> Any:
        """See `Source`."""
        if self._fetch and (file := self._fetch(address, heard, STALLED)) is not None:
            _check_status(file.status)
            return file.content()
        request = _request(address, blocking=True)
        request.timeout = UNREACHED * 1000
        try:
            request.send()
        except Exception as error:  # JavaScript's, of any kind
            raise OSError(_STOPPED) from error
        return _response(request)


class Files:
    """Files of a folder: Node has no synchronous requests."""

    def __init__(self) -> None:
        self._fs = js.process.getBuiltinModule("node:fs")

    async def fetch(self, address: str, heard: Heard) -> Any:
        """See `Source`."""
        return self.fetch_now(address, heard)

    def fetch_now(self, address: str, heard: Heard) -> Any:
        """See `Source`."""
        try:
            file = js.Uint8Array.new(self._fs.statSync(address).size)
            descriptor = self._fs.openSync(address)
        except Exception as error:  # JavaScript's
            raise OSError(_GONE) from error
        self._fs.readSync(descriptor, file)
        self._fs.closeSync(descriptor)
        return file


_GONE = "the file is not there. If the site has changed since the page was loaded, reload the page"
_STOPPED = (
    "the server cannot be reached, or has stopped in the middle. Check the network, and import it again"
)


def canonical(name: str) -> str:
    """A package's name as the lock has it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(**options: Any) -> Iterable[metadata.Distribution]:
    """What is in place, loaded by us or otherwise. The options are those of `metadata.distributions`."""
    from importlib import metadata

    return metadata.distributions(**options)


def _is_installed(name: str) -> bool:
    found = installed(name=name, path=[str(loader.SITE_PACKAGES)])
    return next(iter(found), None) is not None


def _request(address: str, *, blocking: bool) -> Any:
    request = js.XMLHttpRequest.new()
    request.open("GET", address, not blocking)
    request.responseType = "arraybuffer"
    return request


def _response(request: Any) -> Any:
    _check_status(request.status if request.response is not None else 0)
    return js.Uint8Array.new(request.response)


def _check_status(status: int) -> None:
    """0 where there was no answer, or not a whole one."""
    if status in (404, 410):
        raise OSError(_GONE)
    if not 200 <= status < 300:
        raise OSError(_STOPPED if status < 400 else f"the server answers {status}")


# ---- shared libraries of Pyodide 0.27

_MODULES = tuple(suffix for suffix in EXTENSION_SUFFIXES if suffix != ".so")


def _load_library(path: str) -> None:
    """Load a library that is no extension module, and give it the name by which others ask for it."""
    module = pyodide_js._module
    folders = [str(loader.DSO_DIR), str(loader.SITE_PACKAGES), str(PurePosixPath(path).parent)]

    def find(name: str) -> str:
        paths = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in folders]
        return next((path for path in paths if module.FS.findObject(path) is not None), name)

    def find_object(name: str, *_options: object) -> Any:
        return module.FS.findObject(find(name))

    def read_file(name: str, *_options: object) -> Any:
        return module.FS.readFile(find(name))

    functions = {"findObject": create_proxy(find_object), "readFile": create_proxy(read_file)}
    options = {"loadAsync": False, "nodelete": True, "allowUndefined": True, "global": False, "fs": functions}
    try:
        module.loadDynamicLibrary(path, _object(options), _object({}))
    finally:
        for function in functions.values():
            function.destroy()
    libraries = module.LDSO.loadedLibsByName
    setattr(libraries, PurePosixPath(path).name, getattr(libraries, path))


def _object(value: dict[str, Any]) -> Any:
    return to_js(value, dict_converter=js.Object.fromEntries)
