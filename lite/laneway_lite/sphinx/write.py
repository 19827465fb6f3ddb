"""Nodes of cells become `<laneway-cell>` in pages, and code with its output elsewhere."""

from __future__ import annotations

import hashlib
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.osutil import relative_uri

from ..cells import Cache, Output, groups_of
from ..outputs import pictures, to_html, to_text
from . import site
from .collect import Pages, notebook_cell, test_output
from .node import Look, Piece, laneway_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx
    from sphinx.builders import Builder

logger = logging.getLogger(__name__)


def is_live(builder: Builder) -> bool:
    """Does it make pages for browsers?"""
    return builder.format == "html" and not getattr(builder, "embedded", False)


class ForPages(SphinxPostTransform):
    """See the module. Before Sphinx chooses languages of code (400), and behind MyST-NB's own (199)."""

    default_priority = 300

    def run(self, **_kwargs: Any) -> None:
        """See the base."""
        cells = list(self.document.findall(laneway_cell))
        kept = _Kept(self.app)
        live = is_live(self.app.builder)
        for node in cells:
            made = self._live(node, kept) if live else self._plain(node, kept)
            # not `replace_self`, which hands names and classes on to the first of them
            node.parent.replace(node, list(made))

    # ---- in a page

    def _live(self, node: laneway_cell, kept: _Kept) -> Iterator[nodes.Node]:
        for piece in node.get("before", []):
            yield from self._hidden(node, piece)
        look: Look = node["look"]
        if _is_test(node) and node["pieces"][-1].expected and (output := test_output(node)) is not None:
            output.parent.remove(output)  # it is shown once
        for piece in node["pieces"]:
            if piece.cell.hidden:
                yield from self._hidden(node, piece)
                continue
            if look.static:
                start, end = _raw('<div class="laneway-static">\n'), _raw("</div>\n")
            else:
                start, end = self._start(node, piece, look), _raw("</laneway-cell>\n")
            if (notebook := notebook_cell(node)) is not None:
                # what it has put out is there already, behind its code
                notebook.insert(0, start)
                notebook.append(end)
                yield notebook
                continue
            if (text := piece.expected) is None:
                shown = to_html(self._built(node, piece, kept), self._picture)
            else:
                shown = f'<pre class="laneway-text">{escape(text, quote=False)}</pre>' if text else ""
            taken = node.children[1:]  # what another extension has put out
            del node[1:]
            outputs = [_raw('<div class="laneway-outputs">'), *taken, _raw(f"{shown}</div>\n")]
            code = self._code(node, piece)
            # in a cell the code comes first, wherever it is shown
            parts = [*outputs, *code] if look.static and look.code_below else [*code, *outputs]
            if code and code[0].parent is not None:
                # a caption stays above, also when the code is edited
                code[0].parent.replace(code[0], [start, *parts, end])
                yield from node.children
            else:
                yield from (start, *parts, end)

    def _code(self, node: laneway_cell, piece: Piece) -> list[nodes.Node]:
        """The author's block, if it is shown as it is."""
        look: Look = node["look"]
        code = piece.cell.code
        if look.hide_code:
            return [] if look.static else [_raw(f"<pre>{escape(code, quote=False)}</pre>\n")]
        if piece.rewritten:
            return [nodes.literal_block(code, code, language="python", force=False, linenos=False)]
        # a literal block, or what another extension has made of it
        block = node.children[0]
        captioned = isinstance(block, nodes.container) and block.get("literal_block")
        return [block.children[-1] if captioned else block]

    def _hidden(self, node: laneway_cell, piece: Piece) -> Iterator[nodes.Node]:
        yield self._start(node, piece, Look())
        yield _raw(f"<pre>{escape(piece.cell.code, quote=False)}</pre></laneway-cell>\n")

    def _start(self, node: laneway_cell, piece: Piece, look: Look) -> nodes.raw:
        cell = piece.cell
        kernel = cell.kernel
        if self.app.builder.name == "singlehtml":
            kernel = f"{node['page']} {kernel}".strip()  # one page of many
        said: dict[str, str | bool] = {
            "label": look.label,
            "kernel": kernel,
            "chain": cell.chain,
            "mode": "task" if cell.task else "",
            "hide-code": look.hide_code,
            "code-below": look.code_below,
            "setup": cell.setup,
            "hidden": cell.hidden,
            "alone": cell.alone,
            "raises": cell.raises is not None,
            "allow-errors": piece.rewritten,  # as for doctest: the next example is tried nevertheless
            "autorun": look.autorun,
            "readonly": look.readonly,
            "sandbox": look.sandbox,
            "debug": look.debug or look.debug is not None,
        }
        written = [
            f" {name}" if value is True else f' {name}="{escape(str(value))}"'
            for name, value in said.items()
            if value
        ]
        return _raw(f"<laneway-cell{''.join(written)}>\n")

    def _picture(self, content: bytes, suffix: str) -> str:
        """A file of the site, like the pictures of its pages."""
        builder = self.app.builder
        name = f"_images/laneway-{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
        path = Path(builder.outdir, name)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f"{path.name}.{id(self)}.new")
            new.write_bytes(content)
            new.replace(path)
        return relative_uri(builder.get_target_uri(self.env.docname), name)

    # ---- elsewhere

    def _plain(self, node: laneway_cell, kept: _Kept) -> Iterator[nodes.Node]:
        if all(piece.cell.hidden for piece in node["pieces"]):
            return
        look: Look = node["look"]
        code = [] if look.hide_code else node.children
        outputs = [
            shown
            for piece in node["pieces"]
            for output in self._built(node, piece, kept)
            if (shown := self._plain_output(output))
        ]
        yield from [*outputs, *code] if look.code_below else [*code, *outputs]

    def _plain_output(self, output: Output) -> nodes.Element | None:
        if any(True for _ in pictures(output)) and (image := self._image(output)):
            return image
        text = to_text(output).rstrip("\n")
        return nodes.literal_block(text, text, language="none", force=False) if text else None

    def _image(self, output: Output) -> nodes.image | None:
        content, suffix = next(pictures(output))
        if suffix not in ("png", "jpg"):
            return None  # not every format can show it
        name = f"laneway-{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
        path = site.cache_folder(self.app) / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        uri = relative_uri("", str(path)) if not path.is_absolute() else str(path)
        self.env.images.add_file(self.env.docname, uri)
        return nodes.image("", uri=uri, candidates={"*": uri}, alt="")

    # ---- everywhere

    def _built(self, node: laneway_cell, piece: Piece, kept: _Kept) -> list[Output]:
        """What is shown of that which a cell has put out at the build."""
        look: Look = node["look"]
        outputs = kept.of(node["page"], piece)
        if look.hide_stderr and (text := "".join(_stderr(outputs))):
            said = f"A cell has written to stderr, which is shown with :stderr: only:\n{text.rstrip()}"
            logger.warning(said, location=node, type="laneway", subtype="stderr")
            outputs = [output for output in outputs if not any(_stderr([output]))]
        return [] if look.hide_output else outputs


class _Kept:
    """What the cells have put out, page by page."""

    def __init__(self, app: Sphinx) -> None:
        self._app = app
        self._pages: dict[str, dict[int, list[Output]]] = {}

    def of(self, page: str, piece: Piece) -> list[Output]:
        if not piece.cell.wanted or not self._app.config.laneway_execute:
            return []
        if page not in self._pages:
            pages = Pages.of(self._app.env)
            cache = Cache(site.cache_folder(self._app) / "outputs", pages.salt)
            cells = pages.pages.get(page, [])
            groups = groups_of(cells, Path(self._app.env.doc2path(page)).parent)
            self._pages[page] = {
                place: outputs for group in groups.values() for place, outputs in cache.outputs(group).items()
            }
        return self._pages[page].get(piece.place, [])


def _stderr(outputs: list[Output]) -> Iterator[str]:
    for output in outputs:
        if output["type"] == "stream" and output["content"]["name"] == "stderr":
            yield output["content"]["text"]


def _is_test(node: laneway_cell) -> bool:
    child = node.children[0]
    return isinstance(child, nodes.Element) and child.get("testnodetype") == "testcode"


def _raw(html: str) -> nodes.raw:
    return nodes.raw("", html, format="html")
