"""The Sphinx extension: examples of a documentation become live cells, with what they put out when it was
built.

    conf.py:  extensions = ["laneway_lite.sphinx"]

    reading     directive.py  `.. laneway::`, a node with a cell
                collect.py    doctest blocks and others become such nodes; the cells of each page are noted
    then        here          the cells whose output is wanted run (`cells.py`); the kernel folder is written
    writing     write.py      nodes become `<laneway-cell>`, or code and output where the format is not HTML

Reading and writing may go on in several processes: what they share is in Sphinx's environment and, as files,
beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.errors import ExtensionError
from sphinx.util import logging

from .. import __version__
from ..cells import Cache, Group, groups_of, run_groups
from ..errors import BuildError
from . import site
from .collect import BY_DEFAULT, KINDS, Pages, collect
from .directive import JupyterExecute, LanewayDirective
from .node import laneway_cell
from .write import ForPages, is_live

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment
    from sphinx.util.typing import ExtensionMetadata

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_config_value("laneway_live", BY_DEFAULT, "env", {list, tuple})
    app.add_config_value("laneway_setup", "", "env", {str})
    app.add_config_value("laneway_execute", True, "env", {bool})
    app.add_config_value("laneway_on_error", "error", "html", {str})
    app.add_config_value("laneway_timeout", 60, "", {int, float})
    app.add_config_value("laneway_project", "", "html", {str})
    app.add_config_value("laneway_wheels", [], "html", {list, tuple})
    app.add_config_value("laneway_packages", [], "html", {list, tuple})
    app.add_config_value("laneway_preload", [], "html", {list, tuple})
    app.add_config_value("laneway_pyodide", "", "html", {str})
    app.add_config_value("laneway_kernel_url", "", "html", {str})
    app.add_config_value("laneway_isolation", False, "html", {bool})
    app.add_config_value("laneway_offline", False, "html", {bool})
    app.add_node(laneway_cell)
    app.add_domain(Pages)
    app.add_directive("laneway", LanewayDirective)
    app.add_post_transform(ForPages)
    app.connect("config-inited", _configured)
    # behind Sphinx's own collectors, which note a page's metadata
    app.connect("doctree-read", collect, priority=600)
    app.connect("env-updated", _updated)
    app.connect("html-page-context", site.add_scripts)
    app.connect("html-page-context", site.add_service_worker)
    return {"version": __version__, "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}


def _configured(app: Sphinx, config: Any) -> None:
    for kind in config.laneway_live:
        if kind not in KINDS:
            raise ExtensionError(f"laneway_live: {kind!r} is unknown; choose among {', '.join(KINDS)}.")
    if config.laneway_on_error not in ("error", "warning"):
        raise ExtensionError('laneway_on_error: write "error" or "warning".')
    if "jupyter-execute" in config.laneway_live and "jupyter_sphinx" not in app.extensions:
        app.add_directive("jupyter-execute", JupyterExecute)


def _updated(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Run what has changed, and write the kernel folder."""
    live = is_live(app.builder)
    if live:
        site.write_service_worker(app)
    pages = Pages.of(env).pages
    if not pages:
        return []
    try:
        wheels = site.own_wheels(app) if live or app.config.laneway_execute else []
        Pages.of(env).data["salt"] = site.digest([Path(app.confdir, wheel) for wheel in wheels])
        if live and not app.config.laneway_kernel_url:
            site.write_folder(app, wheels)
        return _run(app, env) if app.config.laneway_execute else []
    except BuildError as error:
        raise ExtensionError(f"laneway: {error}") from error


def _run(app: Sphinx, env: BuildEnvironment) -> list[str]:
    pages = Pages.of(env)
    cache = Cache(site.cache_folder(app) / "outputs", pages.salt)
    groups: dict[str, list[Group]] = {}
    for page, cells in pages.pages.items():
        groups[page] = list(groups_of(cells, Path(env.doc2path(page)).parent).values())
    every = [group for page in groups.values() for group in page]
    new = [page for page in groups if not all(cache.has(group) for group in groups[page])]
    if new:
        logger.info("laneway: running the cells of %d pages ...", len(new))
    failures = run_groups(every, cache, app.config.laneway_timeout)
    cache.prune(every)
    stop = app.config.laneway_on_error == "error"
    for failure in failures:
        sentence = f"A cell has failed: {failure.sentence}"
        if stop:
            logger.error(sentence, location=failure.where)
        else:
            logger.warning(sentence, location=failure.where, type="laneway", subtype="cell")
    if failures and stop:
        raise ExtensionError(
            f"laneway: {len(failures)} cells have failed, see above. A cell that is to fail says so "
            '(:raises:); with laneway_on_error = "warning" the build goes on.'
        )
    return new
