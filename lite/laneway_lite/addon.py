"""The addon of `jupyter lite build`: puts a kernel folder into the site, and joins JupyterLite to it.

    <site>/static/laneway/           the kernel folder, see `folder.py`
    <site>/static/laneway-pages/     our service worker, and the script that registers it
    <site>/extensions/@jupyterlab/debugger-extension/   JupyterLab's debugger, which JupyterLite's apps lack
    <site>/service-worker.js         both service workers, ours and JupyterLite's own, which remains in build/
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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from doit.tools import config_changed
from jupyterlite_core.addons.base import BaseAddon
from jupyterlite_core.constants import (
    FEDERATED_EXTENSIONS,
    JUPYTER_CONFIG_DATA,
    JUPYTERLITE_JSON,
    LAB_EXTENSIONS,
    LITE_PLUGIN_SETTINGS,
    UTF8,
)
from jupyterlite_core.manager import LiteManager
from traitlets import Bool, List, TraitError, Unicode

from . import folder
from .errors import BuildError
from .folder import BUNDLE, CELL, MANIFEST, SERVICE_WORKER_FILES, is_url, read_json, service_worker_options

PLUGIN = "@laneway/lite:kernel"
DEBUGGER = Path(__file__).parent / "debugger"
DEBUGGER_EXTENSION = "@jupyterlab/debugger-extension"
ONE_DOCUMENT = ("consoles", "edit", "notebooks")
"""JupyterLite's applications that show one document, and nothing beside it."""
KERNEL = "laneway"
STATIC = "static/laneway"
STATIC_PAGES = "static/laneway-pages"
SERVICE_WORKER = "service-worker.js"
WORKER = "lite-worker.js"

Task = dict[str, Any]


class LanewayAddon(BaseAddon):
    """Puts the kernel "Python (Laneway)" into the site; see the module's docstring."""

    __all__: ClassVar[list[str]] = ["status", "pre_build", "post_build", "check"]

    aliases: ClassVar[dict[str, str]] = {"laneway-pyodide": "LanewayAddon.pyodide_url"}

    pyodide_url = Unicode(
        "",
        help="Another Pyodide distribution (0.27 or later) to use instead of the one that comes with "
        "laneway-lite: an URL, or a folder relative to the site's sources. A folder is copied into the site; "
        "of an URL the core is downloaded, and its packages are loaded from there when they are imported.",
    ).tag(config=True)

    wheels = List(
        Unicode(),
        help="Wheels to add to the site: paths or folders, relative to the site's sources, or URLs.",
    ).tag(config=True)

    packages = List(
        Unicode(),
        help="Names of the packages of the Pyodide distribution that the site has, with all that they depend "
        "on, by default all; of a distribution at an URL they are downloaded into the site.",
    ).tag(config=True)

    preload = List(
        Unicode(),
        help="Names of packages of the site to load whenever a kernel starts; others come when they are "
        "imported.",
    ).tag(config=True)

    cells = Bool(
        default_value=False,
        help="Whether the kernel folder has the scripts of `<laneway-cell>`, too, for pages beside "
        "JupyterLite: static/laneway/laneway-cells.js.",
    ).tag(config=True)

    debugger = Bool(
        default_value=True,
        help="Whether the site has JupyterLab's debugger. It works where the page shares memory with the "
        "kernel, or the browser has JSPI; elsewhere it stays off.",
    ).tag(config=True)

    isolation = Bool(
        default_value=True,
        help="Whether a service worker makes the pages cross-origin isolated where the server does not send "
        "the headers for it (COOP, COEP). Without isolation a kernel that computes answers late; with it, "
        "frames of other hosts show nothing unless these allow it.",
    ).tag(config=True)

    offline = Bool(
        default_value=True,
        help="Whether a service worker keeps in the browser what a visitor has loaded, so that the site "
        "works without its server then.",
    ).tag(config=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **kwargs)
        except TraitError as error:  # JupyterLite would go on, and build a site without us
            self.log.error("[lite] [laneway] %s", error)
            sys.exit(1)

    @property
    def output(self) -> Path:
        """The folder in the site that is ours."""
        return self.manager.output_dir / STATIC

    def status(self, manager: LiteManager) -> Iterator[Task]:
        """Say which Pyodide the site will have."""

        def show() -> None:
            print(f"    Pyodide: {self.pyodide_url or 'bundled'}")
            print(f"    wheels: {len(self.wheels)} besides the kernel's")
            print(f"    debugger: {'yes' if self.debugger else 'no'}")
            print(f"    offline: {'what was visited' if self.offline else 'no'}")

        yield self.task(name="laneway", actions=[show])

    def pre_build(self, manager: LiteManager) -> Iterator[Task]:
        """Put the debugger where JupyterLite looks for extensions afterwards."""
        target = self.manager.output_dir / LAB_EXTENSIONS / DEBUGGER_EXTENSION
        yield self._act(
            "debugger",
            self._write_debugger,
            target,
            file_dep=_files(DEBUGGER),
            uptodate=[config_changed(str(self.debugger))],
            targets=[target / "package.json"] if self.debugger else [],
        )

    def post_build(self, manager: LiteManager) -> Iterator[Task]:
        """Write the kernel folder, then the settings."""
        self._guarded(folder.check, self._options)
        target = self.output / MANIFEST
        sources = [*_files(BUNDLE), *(_files(CELL) if self.cells else [])]
        if self.pyodide_url and not is_url(self.pyodide_url):
            sources += _files(self._options.base / self.pyodide_url)
        for wheel in self.wheels:
            path = self._options.base / wheel
            if not is_url(wheel):
                sources += sorted(path.glob("*.whl")) if path.is_dir() else [path]
        yield self._act(
            "folder",
            self._write_folder,
            file_dep=sorted(set(sources)),
            uptodate=[config_changed(repr(self._options))],
            targets=[target],
        )
        # other addons write the same file whenever they see fit: hence always
        yield self._act("settings", self._write_settings, file_dep=[target], uptodate=[False])
        yield self._act("service-worker", self._write_service_worker, file_dep=[target], uptodate=[False])

    def check(self, manager: LiteManager) -> Iterator[Task]:
        """Compare every file of the kernel folder with its hash in the manifest."""
        yield self._act("folder", self._check, file_dep=[self.output / MANIFEST], uptodate=[False])

    @property
    def _options(self) -> folder.Options:
        return folder.Options(
            pyodide=self.pyodide_url,
            wheels=tuple(self.wheels),
            packages=tuple(self.packages),
            preload=tuple(self.preload),
            worker=WORKER,
            cells=self.cells,
            base=self.manager.lite_dir,
        )

    # tasks

    def _act(self, name: str, action: Callable[..., None], *arguments: Any, **task: Any) -> Task:
        """A task of doit; a `BuildError` ends the build with its sentence alone."""
        return self.task(name=name, actions=[(self._guarded, [action, *arguments])], **task)

    def _guarded(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except BuildError as error:
            self.log.error("[lite] [laneway] LanewayAddon.%s", error)
            sys.exit(1)

    def _write_folder(self) -> None:
        manifest = folder.make_folder(self.output, self._options, self.manager.cache_dir / "laneway")
        print(f"    laneway: {folder.summary(manifest)}")

    def _write_debugger(self, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        if self.debugger:
            self.copy_one(DEBUGGER, target)

    def _write_settings(self) -> None:
        path = self.manager.output_dir / JUPYTERLITE_JSON
        config = read_json(path)
        data = config.setdefault(JUPYTER_CONFIG_DATA, {})
        plugins = data.setdefault(LITE_PLUGIN_SETTINGS, {})
        settings = {"kernelURL": f"{STATIC}/"}
        plugins[PLUGIN] = settings | self._from_user(LITE_PLUGIN_SETTINGS, {}).get(PLUGIN, {})
        data["defaultKernelName"] = self._from_user("defaultKernelName", KERNEL)
        if not self.debugger:  # JupyterLite keeps what an earlier build had
            extensions = data.get(FEDERATED_EXTENSIONS, [])
            data[FEDERATED_EXTENSIONS] = [each for each in extensions if each["name"] != DEBUGGER_EXTENSION]
        path.write_text(json.dumps(config, indent=2, sort_keys=True), **UTF8)
        self.maybe_timestamp(path)
        for app in ONE_DOCUMENT:
            self._write_debugger_settings(self.manager.output_dir / app / JUPYTERLITE_JSON)

    def _write_debugger_settings(self, path: Path) -> None:
        """These applications have no place beside the notebook, where the debugger would show a module; so it
        shows it in its own panel.
        """
        if not (self.debugger and path.is_file()):
            return
        config = read_json(path)
        settings = config.setdefault(JUPYTER_CONFIG_DATA, {}).setdefault("settingsOverrides", {})
        own = settings.setdefault(f"{DEBUGGER_EXTENSION}:main", {})
        own.setdefault("showSourcesInMainArea", False)
        path.write_text(json.dumps(config, indent=2, sort_keys=True), **UTF8)
        self.maybe_timestamp(path)

    def _write_service_worker(self) -> None:
        """JupyterLite knows one service worker, at a fixed address: ours and its own become one script."""
        site = self.manager.output_dir
        options = service_worker_options(isolation=self.isolation, offline=self.offline)
        shutil.rmtree(site / STATIC_PAGES, ignore_errors=True)
        addresses = {path.stem: self._copy_hashed(path) for path in sorted(SERVICE_WORKER_FILES.glob("*.js"))}
        (site / SERVICE_WORKER).write_text(
            f'self.lanewayOptions = "{options}";\n'
            f'importScripts("{addresses["service-worker"]}", "build/{SERVICE_WORKER}");\n',
            **UTF8,
        )
        config = read_json(site / JUPYTERLITE_JSON)[JUPYTER_CONFIG_DATA]
        caches = str(config.get("enableServiceWorkerCache", False)).lower()
        # the very address that JupyterLite registers: another one would replace it
        worker = f"../{SERVICE_WORKER}?enableCache={caches}"
        register = f'<script src="../{addresses["register"]}" data-worker="{worker}"'
        script = f'{register} data-options="{options}"></script>'
        for page in site.glob("*/index.html"):
            html = re.sub(r'<script src="[^"]*" data-worker="[^>]*></script>', "", page.read_text(**UTF8))
            page.write_text(html.replace("<head>", f"<head>{script}", 1), **UTF8)
        for path in (site / SERVICE_WORKER, *site.glob("*/index.html")):
            self.maybe_timestamp(path)

    def _copy_hashed(self, path: Path) -> str:
        """Copy a file into the site under a name with its hash; returns its address there."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        address = f"{STATIC_PAGES}/{path.stem}.{digest}{path.suffix}"
        self.copy_one(path, self.manager.output_dir / address)
        return address

    def _from_user(self, key: str, default: Any) -> Any:
        """What the user's own jupyter-lite.json says."""
        path = self.manager.lite_dir / JUPYTERLITE_JSON
        return read_json(path).get(JUPYTER_CONFIG_DATA, {}).get(key, default) if path.is_file() else default

    def _check(self) -> None:
        if faults := folder.verify(self.output):
            raise BuildError(f"{faults[0]} Build the site again.")


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())
