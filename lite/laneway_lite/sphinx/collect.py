"""Finds the examples of a page that are to live, in the order of the page, and notes its cells."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from sphinx import addnodes
from sphinx.domains import Domain

from ..cells import Cell
from ..doctests import REPL
from .node import Look, Piece, laneway_cell

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

KINDS = ("doctest", "jupyter-execute", "myst-nb", "code-block")
"""What `laneway_live` may name."""

BY_DEFAULT = ["doctest", "jupyter-execute", "myst-nb"]
"""What is meant to be run. Code in other blocks may be a part of something."""

PYTHON = frozenset({"python", "python3", "py", "py3", "ipython", "ipython3"})
CONSOLE = frozenset({"default", "pycon", "pycon3", *PYTHON})
"""Languages in which what begins with a prompt is a block of examples."""

OFF = "not-live"
"""The class of a block that stays as it is."""

GALLERY_OUTPUTS = frozenset({"sphx-glr-script-out", "sphx-glr-single-img", "sphx-glr-horizontal"})
"""Classes of what a script of sphinx-gallery has put out."""

MODULE = """\
import importlib
globals().update({{
    name: value
    for name, value in vars(importlib.import_module("{module}")).items()
    if not name.startswith("__")
}})
"""
"""As doctest has it, the examples of a docstring see what its module has."""


class Pages(Domain):
    """The cells of each page."""

    name = "laneway"
    label = "Laneway"
    initial_data: ClassVar[dict[str, Any]] = {"pages": {}, "packages": {}, "salt": ""}

    @classmethod
    def of(cls, env: BuildEnvironment) -> Pages:
        """That of an environment."""
        found = env.domains["laneway"]
        assert isinstance(found, Pages)
        return found

    @property
    def pages(self) -> dict[str, list[Cell]]:
        """By the names of the documents; only those that have cells."""
        return self.data["pages"]

    @property
    def packages(self) -> dict[str, list[str]]:
        """What their cells name as needed."""
        return self.data["packages"]

    @property
    def salt(self) -> str:
        """What outputs depend on besides the code, as it is in this build."""
        return self.data["salt"]

    def clear_doc(self, docname: str) -> None:
        """See the base."""
        self.pages.pop(docname, None)
        self.packages.pop(docname, None)

    def merge_domaindata(self, docnames: AbstractSet[str], otherdata: dict[str, Any]) -> None:
        """See the base."""
        for name, data in otherdata.items():
            if name in ("pages", "packages"):
                self.data[name].update({page: data[page] for page in data if page in docnames})

    def resolve_any_xref(self, *_arguments: Any, **_named: Any) -> list[Any]:
        """See the base: nothing refers to a cell."""
        return []


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Wrap what is to live in `laneway_cell`, and note the cells of the page."""
    page = app.env.docname
    # YAML knows the word, too
    off = str(app.env.metadata[page].get("laneway")).lower() in ("off", "false")
    found = list(_written(doctree) if off else _found(app, doctree))
    if not found:
        return
    before = _before(app, found)
    _add_modules(found)
    _add_unseen(app, found)
    cells = [piece.cell for piece in before]
    for node in found:
        node["page"] = page
        node["pieces"] = [replace(piece, place=len(cells) + i) for i, piece in enumerate(node["pieces"])]
        cells += [piece.cell for piece in node["pieces"]]
    found[0]["before"] = before
    pages = Pages.of(app.env)
    pages.pages[page] = cells
    if packages := sorted({name for node in found for name in node.get("packages", [])}):
        pages.packages[page] = packages


def _written(doctree: nodes.document) -> list[laneway_cell]:
    return list(doctree.findall(laneway_cell))


def _found(app: Sphinx, doctree: nodes.document) -> Iterator[laneway_cell]:
    live = app.config.laneway_live
    gallery = any("sphx-glr-example-title" in _classes(node) for node in doctree.findall(nodes.Element))
    for node in list(doctree.findall()):
        if isinstance(node, laneway_cell):
            yield node
        elif isinstance(node, nodes.Element) and not _settled(node):
            pieces = list(_pieces(node, live, app.config.highlight_language))
            if gallery:  # sphinx-gallery has run them
                pieces = [replace(piece, cell=replace(piece.cell, wanted=False)) for piece in pieces]
            if pieces:
                cell = _wrap(node, pieces)
                if gallery:
                    _take_outputs(cell)
                yield cell


def _settled(node: nodes.Element) -> bool:
    """Is it part of a cell already, or marked to stay as it is?"""
    if OFF in _classes(node):
        return True
    parent = node.parent
    while parent is not None:
        if isinstance(parent, laneway_cell) or parent.get("nb_element") == "cell_code":
            return True
        parent = parent.parent
    return False


def _pieces(node: nodes.Element, live: list[str], default: str) -> Iterator[Piece]:
    """The cells of a block, if it is one that is to live."""
    test = node.get("testnodetype")
    if node.get("nb_element") == "cell_code":
        source = next((part for part in node.findall(nodes.literal_block)), None)
        has_source = any(child.get("nb_element") == "cell_code_source" for child in _children(node))
        if "myst-nb" in live and source is not None and has_source and node.get("hide_mode") != "all":
            raises = "raises-exception" in node.get("cell_metadata", {}).get("tags", ())
            may = {"raises": () if raises else None, "may_end": True}
            yield Piece(_cell(node, source.astext(), **may, wanted=False), 0)
    elif isinstance(node, nodes.literal_block | nodes.doctest_block | nodes.comment):
        language = node.get("language", default).lower()
        text = node.get("test") or node.astext()
        doctest = isinstance(node, nodes.doctest_block) or test == "doctest"
        if "doctest" in live and (doctest or (language in CONSOLE and text.lstrip().startswith(">>>"))):
            yield from _examples(node, text)
        elif "doctest" in live and test == "testsetup":
            cell = _cell(node, text, setup=True, hidden=True, wanted=False)
            for chain in _chains(node):
                yield Piece(replace(cell, chain=chain), 0)
        elif "doctest" in live and test == "testcode":
            hidden = isinstance(node, nodes.comment)
            output = test_output(node)
            raises = () if output is not None and output.astext().startswith("Traceback") else None
            wanted = output is None and not hidden
            # with words between, it is shown behind these
            expected = output.astext() if output is not None and _next(node) is output else ""
            cell = _cell(node, text, hidden=hidden, raises=raises, wanted=wanted)
            yield Piece(cell, 0, None if wanted else expected)
        elif (
            "code-block" in live
            and isinstance(node, nodes.literal_block)
            and test is None
            and "language" in node
            and language in PYTHON
            and text.strip()
            and not text.lstrip().startswith(">>>")
        ):
            yield Piece(_cell(node, text), 0)


def _examples(node: nodes.Element, text: str) -> Iterator[Piece]:
    for cell, expected in _cell(node, text, hidden=isinstance(node, nodes.comment)).split():
        if expected is not None:
            yield Piece(cell, 0, expected, rewritten=True)


def test_output(code: nodes.Element) -> nodes.Element | None:
    """The `.. testoutput::` of a `.. testcode::`: the next one, unless there is code before it."""
    found = code.next_node(
        lambda node: (
            isinstance(node, nodes.Element) and node.get("testnodetype") in ("testcode", "testoutput")
        ),
        descend=False,
        ascend=True,
    )
    return found if isinstance(found, nodes.Element) and found["testnodetype"] == "testoutput" else None


def _next(node: nodes.Element) -> nodes.Node | None:
    return node.next_node(descend=False, siblings=True)


def _cell(node: nodes.Element, code: str, **more: Any) -> Cell:
    documented = _documented(node)
    chain = _chains(node)[0] or (documented["fullname"] if documented else "")
    return Cell(code, where=_where(node), chain=chain, **more)


def _chains(node: nodes.Element) -> list[str]:
    """The groups of sphinx.ext.doctest that a block is in, of which each has names of its own there."""
    return ["" if group in ("default", "*") else group for group in node.get("groups", ["default"])]


def _where(node: nodes.Element) -> str:
    """File and line."""
    line = next((part.line for part in _nearest(node) if part.line), 0)
    return f"{source_of(node)}:{line}" if line else source_of(node)


def source_of(node: nodes.Element) -> str:
    """The file that a block is written in, or, as autodoc says it, `FILE:docstring of NAME`; a block with
    prompts does not say it itself.
    """
    return next((part.source for part in _nearest(node) if part.source), "")


def _nearest(node: nodes.Element) -> Iterator[nodes.Element]:
    """The node, what is before it, then its parent, what is before that, and so on."""
    place: nodes.Element | None = node
    while place is not None:
        yield place
        siblings = place.parent.children[: place.parent.index(place)] if place.parent is not None else []
        yield from (part for part in reversed(siblings) if isinstance(part, nodes.Element))
        place = place.parent


def _documented(node: nodes.Element) -> dict[str, str] | None:
    """The object in whose docstring a block is: its module, and its name in full."""
    docstring = re.search(r"docstring of ([\w.]+)", source_of(node))
    parent: nodes.Element | None = node.parent
    while parent is not None and not (isinstance(parent, addnodes.desc) and parent.get("domain") == "py"):
        parent = parent.parent
    signature = parent.next_node(addnodes.desc_signature) if parent is not None else None
    if not docstring or not signature or not signature.get("module"):
        return None
    return {
        "module": _module(docstring[1]) or signature["module"],
        "fullname": f"{signature['module']}.{signature['fullname']}",
    }


def _module(name: str) -> str:
    """The module that an object is in: autodoc has imported it."""
    while name and name not in sys.modules:
        name = name.rpartition(".")[0]
    return name


def _add_modules(found: list[laneway_cell]) -> None:
    """A docstring's cells have the names of its module, whatever other docstrings have made of these."""
    had: set[Cell] = set()
    for node in found:
        if documented := _documented(node):
            first: Cell = node["pieces"][0].cell
            code = MODULE.format(module=documented["module"]).strip()
            cell = Cell(code, "", first.kernel, first.chain, setup=True, hidden=True, wanted=False)
            if cell not in had:
                had.add(cell)
                node["pieces"] = [Piece(replace(cell, where=first.where), 0), *node["pieces"]]


def _add_unseen(app: Sphinx, found: list[laneway_cell]) -> None:
    """Cells of a notebook that MyST-NB does not show (`remove-cell`), or not as code, run in their turn."""
    shown = {cell["cell_index"]: node for node in found if (cell := notebook_cell(node)) is not None}
    if not shown:
        return
    # where MyST-NB puts the notebook that it has run
    path = Path(app.outdir).parent / "jupyter_execute" / f"{app.env.docname}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.is_file() else []
    unseen: list[Piece] = []
    for place, cell in enumerate(cells):
        if node := shown.get(place):
            node["pieces"] = [*unseen, *node["pieces"]]
            unseen = []
        elif cell["cell_type"] == "code" and (code := "".join(cell["source"]).strip()):
            raises = () if "raises-exception" in cell["metadata"].get("tags", ()) else None
            where = f"{path}, cell {place}"
            unseen.append(Piece(Cell(code, where, raises=raises, may_end=True, hidden=True, wanted=False), 0))


def notebook_cell(node: laneway_cell) -> nodes.Element | None:
    """The cell of MyST-NB that it is made of, if it is."""
    child = node.children[0]
    return child if isinstance(child, nodes.Element) and child.get("nb_element") == "cell_code" else None


def _before(app: Sphinx, found: list[laneway_cell]) -> list[Piece]:
    """What runs first, and nobody sees."""
    setup: list[str] = [app.config.laneway_setup, getattr(app.config, "doctest_global_setup", "")]
    if any(piece.rewritten for node in found for piece in node["pieces"]):
        setup.append(REPL)
    code = "\n".join(text.strip("\n") for text in setup if text.strip())
    if not code:
        return []
    kernels = dict.fromkeys(piece.cell.kernel for node in found for piece in node["pieces"])
    where = _where(found[0])
    return [
        Piece(Cell(code, where=where, kernel=kernel, setup=True, hidden=True, wanted=False), place)
        for place, kernel in enumerate(kernels)
    ]


def _wrap(node: nodes.Element, pieces: list[Piece]) -> laneway_cell:
    shown = node
    parent = node.parent
    if isinstance(parent, nodes.container) and parent.get("literal_block"):
        shown = parent  # with a caption
    cell = laneway_cell("", pieces=pieces, look=Look())
    cell.source, cell.line = node.source, node.line
    shown.parent.replace(shown, cell)
    cell += shown
    return cell


def _take_outputs(cell: laneway_cell) -> None:
    """What sphinx-gallery has put behind code is the output of the cell."""
    while (after := _next(cell)) is not None and isinstance(after, nodes.Element):
        classes = {name for part in after.findall(nodes.Element) for name in _classes(part)}
        html = isinstance(after, nodes.raw) and "output_html" in after.astext()
        if not (html or GALLERY_OUTPUTS & classes or after.tagname == "imgsgnode"):
            break
        after.parent.remove(after)
        cell += after


def _classes(node: nodes.Element) -> list[str]:
    return node.get("classes", [])


def _children(node: nodes.Element) -> list[nodes.Element]:
    return [child for child in node.children if isinstance(child, nodes.Element)]
