"""What the site has beside its pages: the kernel folder, the scripts of pages, the project's own wheel."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.util import logging

from .. import __version__
from ..errors import BuildError
from ..folder import (
    BUNDLE,
    CELL,
    MANIFEST,
    SERVICE_WORKER_FILES,
    Options,
    is_url,
    make_folder,
    service_worker_options,
    wheel_files,
)
from ..lock import LOCK
from .collect import Pages

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

logger = logging.getLogger(__name__)

FOLDER = "laneway"
"""The kernel folder, in `_static`."""

UNRELATED = {"__pycache__", "_build", "build", "dist", "node_modules", "venv"}
"""Folders of a project that are not in its wheel; neither are those with a dot before their name."""


def cache_folder(app: Sphinx) -> Path:
    """What builds leave for the next one: beside Sphinx's own."""
    return Path(app.doctreedir) / "laneway"


def write_folder(app: Sphinx, wheels: list[str]) -> None:
    """Write the kernel folder of the site, unless it is there. Raises `BuildError`."""
    out = Path(app.outdir) / "_static" / FOLDER
    config = app.config
    packages = [*config.laneway_packages]
    packages += [name for page in Pages.of(app.env).packages.values() for name in page]
    options = Options(
        pyodide=config.laneway_pyodide,
        wheels=tuple(wheels),
        packages=tuple(sorted(set(packages))),
        preload=tuple(config.laneway_preload),
        cells=True,
        base=Path(app.confdir),
    )
    cache = cache_folder(app)
    stamp = cache / "folder.json"
    key = json.dumps([str(out), __version__, repr(options), digest(_sources(options, cache))])
    if (out / MANIFEST).is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == key:
        return
    logger.info("laneway: writing the kernel folder ...")
    out.parent.mkdir(parents=True, exist_ok=True)
    make_folder(out, options, cache)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key, encoding="utf-8")


def _sources(options: Options, cache: Path) -> list[Path]:
    return [BUNDLE / LOCK, BUNDLE / options.worker, *sorted(CELL.glob("*")), *wheel_files(options, cache)]


def own_wheels(app: Sphinx) -> list[str]:
    """The wheels that are added, among them the one that is built from the project. Raises `BuildError`."""
    wheels = list(app.config.laneway_wheels)
    if app.config.laneway_project:
        wheels.append(str(_project(app)))
    return wheels


def _project(app: Sphinx) -> Path:
    """The wheel of the project, which is built when its files have changed."""
    project = (Path(app.confdir) / app.config.laneway_project).resolve()
    if not any((project / name).is_file() for name in ("pyproject.toml", "setup.py", "setup.cfg")):
        raise BuildError(f"laneway_project: {project} has neither pyproject.toml nor setup.py.")
    files = [path for path in sorted(project.rglob("*")) if path.is_file() and _related(path, project, app)]
    digest = hashlib.sha256()
    for path in files:
        status = path.stat()
        digest.update(f"{path} {status.st_mtime_ns} {status.st_size}\n".encode())
    folder = cache_folder(app) / "project" / digest.hexdigest()[:16]
    if not (wheels := list(folder.glob("*.whl"))):
        logger.info("laneway: building the wheel of %s ...", project.name)
        command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder)]
        made = subprocess.run([*command, str(project)], capture_output=True, text=True, check=False)
        if made.returncode:
            raise BuildError(
                f"laneway_project: pip could not build {project}; install pip, if there is none, or build "
                f"the wheel and name it in laneway_wheels.\n{made.stderr.strip()}"
            )
        wheels = list(folder.glob("*.whl"))
    return wheels[0]


def _related(path: Path, project: Path, app: Sphinx) -> bool:
    inside = path.relative_to(project).parts[:-1]
    places = (Path(app.outdir), Path(app.doctreedir), Path(app.srcdir))
    return not (
        UNRELATED.intersection(inside)
        or any(part.startswith(".") or part.endswith(".egg-info") for part in inside)
        or any(place != project and path.is_relative_to(place) for place in places)
    )


def digest(files: list[Path]) -> str:
    """Of names and contents; of what is no file (a folder, an URL) only the name."""
    hashed = hashlib.sha256()
    for path in files:
        content = path.read_bytes() if path.is_file() else b""
        hashed.update(path.name.encode() + hashlib.sha256(content).digest())
    return hashed.hexdigest()


def add_scripts(
    app: Sphinx, pagename: str, _template: str, _context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Pages with cells, and no others, load the scripts of `<laneway-cell>`."""
    pages = Pages.of(app.env).pages
    if doctree is None or not (pagename in pages or (pages and app.builder.name == "singlehtml")):
        return
    url = app.config.laneway_kernel_url
    if not url:
        base = FOLDER
    elif is_url(url) or url.startswith("/"):
        base = url.rstrip("/")
    else:
        base = f"../{url.rstrip('/')}"  # relative to the site; Sphinx adds _static
    app.add_css_file(f"{base}/laneway-cells.css")
    app.add_js_file(f"{base}/laneway-cells.js", type="module")


def has_service_worker(app: Sphinx) -> bool:
    """Has the site one? Whoever wants none of what it does has none."""
    return app.config.laneway_isolation or app.config.laneway_offline


def write_service_worker(app: Sphinx) -> None:
    """Put it at the top of the site: it serves the pages in its folder."""
    if has_service_worker(app):
        for path in SERVICE_WORKER_FILES.glob("*.js"):
            shutil.copy(path, app.outdir)


def add_service_worker(
    app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: nodes.document | None
) -> None:
    """Every page registers it, in its head and before all else; themes have scripts where they like."""
    if not (app.builder.format == "html" and has_service_worker(app)):
        return
    options = service_worker_options(
        isolation=app.config.laneway_isolation, offline=app.config.laneway_offline
    )
    script, worker = (context["pathto"](name, 1) for name in ("register.js", "service-worker.js"))
    worker += f"?{options}" if options else ""
    tag = f'<script src="{script}" data-worker="{worker}"></script>\n'
    context["metatags"] = tag + context.get("metatags", "")
