"""The MkDocs plugin: examples in fences become live cells, with what they put out when the site was built.

    mkdocs.yml:  plugins: [search, laneway]

    ```laneway
    print("Hello")
    ```

The fence takes `label="..."`, `kernel="..."`, `chain="..."` and `mode="task"`, the words `hidden`, `setup`,
`autorun`, `alone`, `readonly`, `sandbox`, `raises`, `allow-errors`, `hide-code`, `code-below` and
`no-output`, and `debug` or `debug="7"`, see README.md. A fence alone knows neither the other cells of its
page nor the site: so the plugin runs them, when all pages are rendered, and adds the kernel folder. Without
the plugin (Markdown with pymdownx.superfences elsewhere) `fence` and `validator` make elements without
outputs.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from mkdocs.config import base, config_options
from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin, get_plugin_logger
from mkdocs.utils import get_relative_url

from .cells import Cache, Cell, Failure, Group, groups_of, run_groups
from .doctests import REPL
from .errors import BuildError
from .folder import Options, make_folder
from .outputs import to_html

logger = get_plugin_logger(__name__)

FENCES = "pymdownx.superfences"
WORDS = (
    *("hidden", "setup", "autorun", "alone", "readonly", "sandbox", "raises", "allow-errors"),
    *("hide-code", "code-below"),
)
VALUES = ("label", "kernel", "chain", "mode")
DEBUG = "debug"
"""A word, or the lines in which breakpoints are set."""
NO_OUTPUT = "no-output"
FOLDER = "laneway"


def validator(
    _language: str, inputs: dict[str, Any], options: dict[str, Any], _attributes: dict[str, Any], _md: Any
) -> bool:
    """Whether a fence has our options and no others, for superfences."""
    for name, value in inputs.items():
        has_value = isinstance(value, str) and value != name
        if name not in ((*VALUES, DEBUG) if has_value else (*WORDS, NO_OUTPUT, DEBUG)):
            return False
        options[name] = value
    return True


def fence(source: str, _language: str, _class: str, options: dict[str, Any], md: Any, **_more: Any) -> str:
    """The element of a fence, for superfences."""
    return _element(source, options, md, "")


def _element(code: str, options: dict[str, Any], md: Any, outputs: str) -> str:
    if "laneway-cell" not in md.block_level_elements:
        md.block_level_elements.append("laneway-cell")  # or it comes into a paragraph, which ends it
    values = [f' {name}="{escape(str(options[name]))}"' for name in VALUES if options.get(name)]
    words = [f" {name}" for name in WORDS if name in options]
    if DEBUG in options:
        lines = options[DEBUG] if options[DEBUG] not in (True, DEBUG) else ""
        values.append(f' {DEBUG}="{escape(lines)}"')
    if "setup" in options and "hidden" not in options:
        words.append(" hidden")
    highlighted = md.preprocessors["fenced_code_block"].highlight(
        src=code, language="python", options={}, md=md, classes=[], id_value="", attrs={}
    )
    return (
        f"<laneway-cell{''.join(values)}{''.join(words)}>{highlighted}"
        f'<div class="laneway-outputs">{outputs}</div></laneway-cell>'
    )


class LanewayConfig(base.Config):
    """The plugin's options in mkdocs.yml; paths are relative to it."""

    wheels = config_options.Type(list, default=[])
    packages = config_options.Type(list, default=[])
    preload = config_options.Type(list, default=[])
    pyodide = config_options.Type(str, default="")
    kernel_url = config_options.Type(str, default="")
    execute = config_options.Type(bool, default=True)
    on_error = config_options.Choice(("error", "warning"), default="error")
    timeout = config_options.Type((int, float), default=60)


class LanewayPlugin(BasePlugin[LanewayConfig]):
    """See the module."""

    def __init__(self) -> None:
        self._page = ""
        self._cells: dict[str, list[Cell]] = {}
        self._addresses: set[str] = set()

    # ---- called by MkDocs, in this order

    def on_config(self, config: Any) -> Any:
        """Add the fence."""
        if FENCES not in config.markdown_extensions:
            config.markdown_extensions.append(FENCES)
        fences = config.mdx_configs.setdefault(FENCES, {}).setdefault("custom_fences", [])
        ours = {"name": "laneway", "class": "laneway", "validator": validator, "format": self._fence}
        # `mkdocs serve` builds again and again
        fences[:] = [known for known in fences if known["name"] != "laneway"] + [ours]
        return config

    def on_page_markdown(self, markdown: str, *, page: Any, **_more: Any) -> str:
        """A page begins."""
        self._page = page.file.src_uri
        self._cells.pop(self._page, None)
        return markdown

    def on_env(self, env: Any, *, config: Any, files: Any) -> Any:
        """All pages are rendered: run their cells, and put in what has come of them."""
        cache = Cache(self._cache(config) / "outputs")
        groups: dict[str, list[Group]] = {}
        for uri, cells in self._cells.items():
            folder = Path(config.docs_dir, uri).parent
            groups[uri] = list(groups_of(cells, folder).values())
        every = [group for page in groups.values() for group in page]
        if self.config.execute:
            try:
                self._report(run_groups(every, cache, self.config.timeout))
            except BuildError as error:
                raise PluginError(f"laneway: {error}") from error
            cache.prune(every)
        self._addresses = set()
        for uri, page_groups in groups.items():
            page = files.get_file_from_path(uri).page
            self._addresses.add(page.url)
            shown = {
                place: outputs for group in page_groups for place, outputs in cache.outputs(group).items()
            }
            for place, cell in enumerate(self._cells[uri]):
                wanted = self.config.execute and cell.wanted and not cell.hidden
                html = to_html(shown.get(place, [])) if wanted else ""
                page.content = page.content.replace(_mark(place), html)
        return env

    def on_post_page(self, output: str, *, page: Any, **_more: Any) -> str:
        """Pages with cells, and no others, load the scripts."""
        if page.url not in self._addresses or page.file.src_uri not in self._cells:
            return output
        folder = self.config.kernel_url.rstrip("/")
        if not folder.startswith(("http:", "https:", "/")):
            folder = get_relative_url(folder or FOLDER, page.url)
        head = (
            f'<link rel="stylesheet" href="{folder}/laneway-cells.css">\n'
            f'<script type="module" src="{folder}/laneway-cells.js"></script>\n</head>'
        )
        return output.replace("</head>", head, 1)

    def on_post_build(self, *, config: Any) -> None:
        """Write the kernel folder."""
        if not self._cells or self.config.kernel_url:
            return
        options = Options(
            pyodide=self.config.pyodide,
            wheels=tuple(self.config.wheels),
            packages=tuple(self.config.packages),
            preload=tuple(self.config.preload),
            cells=True,
            base=Path(config.config_file_path).parent,
        )
        try:
            make_folder(Path(config.site_dir) / FOLDER, options, self._cache(config))
        except BuildError as error:
            raise PluginError(f"laneway: {error}") from error

    # ---- within

    def _fence(
        self, source: str, _language: str, _class: str, options: dict[str, Any], md: Any, **_more: Any
    ) -> str:
        cells = self._cells.setdefault(self._page, [])
        parts = Cell.of(source, self._page, options).split()
        html = ""
        repl = Cell(REPL.strip(), kernel=options.get("kernel", ""), setup=True, hidden=True, wanted=False)
        if parts and parts[0][1] is not None and repl not in cells:
            cells.append(repl)
            html += _element(repl.code, {"setup": True, "kernel": repl.kernel}, md, "")
        for cell, expected in parts:
            shown = dict(options)
            if expected is None:
                outputs = _mark(len(cells))
            else:
                outputs = (
                    f'<pre class="laneway-text">{escape(expected, quote=False)}</pre>' if expected else ""
                )
                shown["allow-errors"] = True  # as for doctest
                if cell.raises is not None:
                    shown["raises"] = True
            cells.append(cell)
            html += _element(cell.code, shown, md, outputs)
        return html

    def _report(self, failures: list[Failure]) -> None:
        for failure in failures:
            say = logger.error if self.config.on_error == "error" else logger.warning
            say("%s: A cell has failed: %s", failure.where, failure.sentence)
        if failures and self.config.on_error == "error":
            raise PluginError(
                f"laneway: {len(failures)} cells have failed, see above. A cell that is to fail says so "
                "(raises); with `on_error: warning` the build goes on."
            )

    def _cache(self, config: Any) -> Path:
        return Path(config.config_file_path).parent / ".cache" / "laneway"


def _mark(place: int) -> str:
    """Where the output of a cell comes."""
    return f"<!--laneway {place}-->"
