"""The addon of `jupyter lite build`: puts Pyodide, the kernel and all its wheels into the site.

    <site>/static/laneway/pyodide/   Pyodide's core, wheels, pyodide-lock.json
    <site>/static/laneway/simple/    the site's own pip index, with the same wheels
    <site>/static/laneway/isolation/ what makes pages cross-origin isolated, where the server does not
    <site>/service-worker.js         JupyterLite's own, which remains in build/, and ours before it
    <site>/*/index.html              with the script that registers it
    <site>/jupyter-lite.json         the settings of the labextension; the default kernel, unless one is set

No page so built asks another host for anything, unless `pyodide_url` names one, and then only for packages
that are not in the site. Runs at build time only, under doit: tasks that have nothing to do are skipped. URLs
in the settings are relative to JupyterLite's base URL.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urljoin, urlsplit

from doit.tools import config_changed
from jupyterlite_core.addons.base import BaseAddon
from jupyterlite_core.constants import (
    JUPYTER_CONFIG_DATA,
    JUPYTERLITE_JSON,
    LITE_PLUGIN_SETTINGS,
    UTF8,
)
from jupyterlite_core.manager import LiteManager
from packaging.utils import canonicalize_name
from packaging.version import Version
from traitlets import Bool, List, Unicode

from . import index, lock
from .errors import BuildError

PLUGIN = "@laneway/lite:kernel"
KERNEL = "laneway"
BUNDLE = Path(__file__).parent / "bundle"
ISOLATION = Path(__file__).parent / "isolation"
STATIC = "static/laneway"
SERVICE_WORKER = "service-worker.js"
CORE = {"pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip"}

OLDEST_PYTHON = Version("3.12")
"""The Python of Pyodide 0.27, the oldest that the kernel runs on."""

DEFAULT_PACKAGES = ("laneway", "micropip", "ipywidgets", "msgspec", "pydantic")
"""What is loaded at the start of a kernel, with all that it depends on, where the site has it."""

Task = dict[str, Any]


class LanewayAddon(BaseAddon):
    """Puts the kernel "Python (Laneway)" into the site; see the module's docstring."""

    __all__: ClassVar[list[str]] = ["status", "pre_build", "post_build", "check"]

    aliases: ClassVar[dict[str, str]] = {"laneway-pyodide": "LanewayAddon.pyodide_url"}

    pyodide_url = Unicode(
        "",
        help="Another Pyodide distribution (0.27 or later) to use instead of the one that comes with "
        "laneway-lite: an URL, or a folder relative to the site's sources. A folder is copied into the site; "
        "of an URL the core is downloaded, and its packages are loaded from there when they are needed.",
    ).tag(config=True)

    wheels = List(
        Unicode(),
        help="Wheels to add to the site: paths or folders, relative to the site's sources, or URLs.",
    ).tag(config=True)

    packages = List(
        Unicode(),
        help="Names of packages of the site to load whenever a kernel starts, besides the kernel's own.",
    ).tag(config=True)

    isolation = Bool(
        default_value=True,
        help="Whether a service worker makes the pages cross-origin isolated where the server does not send "
        "the headers for it (COOP, COEP). Without isolation a kernel that computes answers late; with it, "
        "frames of other hosts show nothing unless these allow it.",
    ).tag(config=True)

    @property
    def output(self) -> Path:
        """The folder in the site that is ours."""
        return self.manager.output_dir / STATIC

    def status(self, manager: LiteManager) -> Iterator[Task]:
        """Say which Pyodide the site will have."""

        def show() -> None:
            print(f"    Pyodide: {self.pyodide_url or 'bundled'}")
            print(f"    wheels: {len(self.wheels)} besides the kernel's")

        yield self.task(name="laneway", actions=[show])

    def pre_build(self, manager: LiteManager) -> Iterator[Task]:
        """Download what the options name by URL, once."""
        self._guarded(self._validate)
        for url in filter(_is_url, self.wheels):
            target = self._cache(url)
            yield self._act(
                f"fetch:{target.name}", self._fetch, url, target, targets=[target], uptodate=[True]
            )
        if _is_url(self.pyodide_url):
            folder = self._source()
            targets = [folder / "python_stdlib.zip"]
            yield self._act("fetch:pyodide", self._fetch_core, folder, targets=targets, uptodate=[True])

    def post_build(self, manager: LiteManager) -> Iterator[Task]:
        """Write Pyodide, wheels, lock and index, then the settings."""
        source, wheels = self._source(), self._wheel_files()
        target = self.output / "pyodide" / lock.LOCK
        yield self._act(
            "pyodide",
            self._write_pyodide,
            source,
            wheels,
            file_dep=[*{*_files(source), *_files(BUNDLE), *wheels}],
            uptodate=[
                config_changed({"pyodide": self.pyodide_url, "wheels": [str(path) for path in wheels]})
            ],
            targets=[target],
        )
        # other addons write the same file whenever they see fit: hence always
        yield self._act("settings", self._write_settings, file_dep=[target], uptodate=[False])
        yield self._act("isolation", self._write_isolation, file_dep=[target], uptodate=[False])

    def check(self, manager: LiteManager) -> Iterator[Task]:
        """Compare every wheel of the site with the hash in the lock."""
        yield self._act("lock", self._check, file_dep=[self.output / "pyodide" / lock.LOCK], uptodate=[False])

    # what the options name

    def _validate(self) -> None:
        for wheel in self.wheels:
            path = self.manager.lite_dir / wheel
            if _is_url(wheel) or path.is_dir():
                continue
            if not wheel.endswith(".whl"):
                raise BuildError(
                    f"LanewayAddon.wheels: {wheel!r} is neither a wheel (.whl), a folder nor an URL."
                )
            if not path.is_file():
                raise BuildError(f"LanewayAddon.wheels: there is no file {path}.")
        if _is_url(self.pyodide_url) or (self._source() / lock.LOCK).is_file():
            return
        if self.pyodide_url:
            raise BuildError(
                f"LanewayAddon.pyodide_url: {self._source()} holds no {lock.LOCK}; "
                "give the folder or the URL of a Pyodide distribution."
            )
        raise BuildError("laneway-lite lacks its bundle: run `make` in its sources, or install it again.")

    def _source(self) -> Path:
        """The folder that holds the Pyodide distribution, or of one at an URL the core."""
        if _is_url(self.pyodide_url):
            return self._cache(self._base_url())
        return (self.manager.lite_dir / self.pyodide_url).resolve() if self.pyodide_url else BUNDLE

    def _base_url(self) -> str:
        """The folder part of `pyodide_url`, which may also name `pyodide.mjs` in it."""
        return re.sub(r"[^/]+\.m?js$", "", self.pyodide_url).rstrip("/") + "/"

    def _cache(self, url: str) -> Path:
        """Where what is downloaded from an URL is kept, under its own name."""
        key = hashlib.sha256(url.encode()).hexdigest()[:16]
        return self.manager.cache_dir / "laneway" / key / unquote(urlsplit(url).path.rpartition("/")[2])

    def _wheel_files(self) -> list[Path]:
        files: list[Path] = []
        for wheel in self.wheels:
            path = self._cache(wheel) if _is_url(wheel) else (self.manager.lite_dir / wheel).resolve()
            files += sorted(path.glob("*.whl")) if path.is_dir() else [path]
        return files

    # tasks

    def _act(self, name: str, action: Callable[..., None], *arguments: Any, **task: Any) -> Task:
        """A task of doit; a `BuildError` ends the build with its sentence alone."""
        return self.task(name=name, actions=[(self._guarded, [action, *arguments])], **task)

    def _guarded(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except BuildError as error:
            self.log.error("[lite] [laneway] %s", error)
            sys.exit(1)

    def _fetch(self, url: str, target: Path) -> None:
        try:
            self.fetch_one(url, target)
        except (OSError, ValueError) as error:
            raise BuildError(
                f"{url} cannot be downloaded ({error}): is the address right, the network up?"
            ) from error

    def _fetch_core(self, folder: Path) -> None:
        self._fetch(self._base_url() + lock.LOCK, folder / lock.LOCK)
        glue = (
            "pyodide.asm.mjs" if _python(_read(folder / lock.LOCK)) >= Version("3.14") else "pyodide.asm.js"
        )
        for name in ("pyodide.mjs", glue, "pyodide.asm.wasm", "python_stdlib.zip"):
            self._fetch(self._base_url() + name, folder / name)

    def _write_pyodide(self, source: Path, wheels: Sequence[Path]) -> None:
        shutil.rmtree(self.output, ignore_errors=True)
        target = self.output / "pyodide"
        target.mkdir(parents=True)
        packages = self._copy_distribution(source, target)
        ours = [lock.read_wheel(path) for path in sorted(BUNDLE.glob("*.whl"))]
        if source != BUNDLE:
            packages = lock.add_wheels(packages, ours, required=False)
            if KERNEL not in packages["packages"]:
                raise BuildError(
                    f"LanewayAddon.pyodide_url: the packages of {self.pyodide_url} do not go together with "
                    "the kernel's own; take a newer Pyodide."
                )
        added = [lock.read_wheel(path) for path in wheels]
        packages = lock.add_wheels(packages, added)
        names = {package["file_name"] for package in packages["packages"].values()}
        indexed: dict[str, tuple[str, str]] = {}
        for wheel in [*ours, *added]:
            if (name := wheel.path.name) in names:
                self.copy_one(wheel.path, target / name)
                indexed[wheel.name] = (f"pyodide/{name}", lock.digest(wheel.path))
        index.write_index(self.output / "simple", indexed)
        lock.write_lock(packages, target / lock.LOCK)

    def _copy_distribution(self, source: Path, target: Path) -> lock.Lock:
        """Copy the core, and of a folder the packages that it has; return the lock of what can be loaded."""
        found = _read(source / lock.LOCK)
        if _python(found) < OLDEST_PYTHON:
            raise BuildError(
                f"LanewayAddon.pyodide_url: {self.pyodide_url} has Python {_python(found)}; "
                "the kernel needs Pyodide 0.27 (Python 3.12) or later."
            )
        for path in _files(source):
            if path.name in CORE:
                self.copy_one(path, target / path.name)
        packages: dict[str, Any] = {}
        for name, package in found["packages"].items():
            file_name = package["file_name"]
            if _is_url(self.pyodide_url):
                packages[name] = {**package, "file_name": urljoin(self._base_url(), file_name)}
            elif (source / file_name).is_file():
                self.copy_one(source / file_name, target / file_name)
                packages[name] = package
        return {**found, "packages": packages}

    def _write_settings(self) -> None:
        packages = _read(self.output / "pyodide" / lock.LOCK)["packages"]
        for name in self.packages:
            if canonicalize_name(name) not in packages:
                raise BuildError(
                    f"LanewayAddon.packages: {name!r} is not in the site; "
                    "add its wheel to LanewayAddon.wheels."
                )
        settings = {
            "indexURL": f"{STATIC}/pyodide/",
            "packages": [
                name for name in (*DEFAULT_PACKAGES, *self.packages) if canonicalize_name(name) in packages
            ],
            "pipIndexURLs": [f"{STATIC}/simple/{index.TEMPLATE}"],
        }
        path = self.manager.output_dir / JUPYTERLITE_JSON
        config = _read(path)
        data = config.setdefault(JUPYTER_CONFIG_DATA, {})
        plugins = data.setdefault(LITE_PLUGIN_SETTINGS, {})
        plugins[PLUGIN] = settings | self._from_user(LITE_PLUGIN_SETTINGS, {}).get(PLUGIN, {})
        data["defaultKernelName"] = self._from_user("defaultKernelName", KERNEL)
        path.write_text(json.dumps(config, indent=2, sort_keys=True), **UTF8)
        self.maybe_timestamp(path)

    def _write_isolation(self) -> None:
        """JupyterLite knows one service worker, at a fixed address: ours and its own become one script."""
        site = self.manager.output_dir
        original = f"build/{SERVICE_WORKER}"
        script = ""
        if self.isolation:
            for name in ("isolate.js", "isolation.js"):
                self.copy_one(ISOLATION / name, self.output / "isolation" / name)
            imports = f'importScripts("{STATIC}/isolation/isolation.js", "{original}");\n'
            (site / SERVICE_WORKER).write_text(imports, **UTF8)
            config = _read(site / JUPYTERLITE_JSON)[JUPYTER_CONFIG_DATA]
            caches = str(config.get("enableServiceWorkerCache", False)).lower()
            # the very address that JupyterLite registers: another one would replace it
            worker = f"../{SERVICE_WORKER}?enableCache={caches}"
            script = f'<script src="../{STATIC}/isolation/isolate.js" data-worker="{worker}"></script>'
        else:
            self.copy_one(site / original, site / SERVICE_WORKER)
        for page in site.glob("*/index.html"):
            html = re.sub(r'<script src="[^"]*/isolate\.js"[^>]*></script>', "", page.read_text(**UTF8))
            page.write_text(html.replace("<head>", f"<head>{script}", 1), **UTF8)
        for path in (site / SERVICE_WORKER, *site.glob("*/index.html")):
            self.maybe_timestamp(path)

    def _from_user(self, key: str, default: Any) -> Any:
        """What the user's own jupyter-lite.json says."""
        path = self.manager.lite_dir / JUPYTERLITE_JSON
        return _read(path).get(JUPYTER_CONFIG_DATA, {}).get(key, default) if path.is_file() else default

    def _check(self) -> None:
        folder = self.output / "pyodide"
        for name, package in _read(folder / lock.LOCK)["packages"].items():
            if _is_url(package["file_name"]):
                continue
            if lock.digest(folder / package["file_name"]) != package["sha256"]:
                raise BuildError(
                    f"{package['file_name']} ({name}) is not what the lock says: build the site again."
                )


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(**UTF8))


def _python(packages: lock.Lock) -> Version:
    return Version(packages["info"]["python"])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())
