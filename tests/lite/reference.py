"""Which examples of a documentation work under doctest: `python reference.py DOCS DOCTREES`, as JSON.

    {page: {"cells": [[{"code", "want", "error", "flags", "works"}, ...], ...],
            "left": [text of a block, ...]}}

`cells` are those that `laneway_lite.sphinx` has made, in their order, hidden ones left out, each with its
examples; `left` are the blocks with prompts that do not live. An example works where `sphinx.ext.doctest` (if
the project uses it) or `doctest` of the module whose docstring it is in, or of the page, says so. Runs in the
Python that has built the documentation, into DOCTREES.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import json
import pickle
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import sphinx.ext.doctest
from docutils import nodes
from sphinx.cmd.build import main as sphinx_build

from laneway_lite.sphinx.collect import source_of
from laneway_lite.sphinx.node import laneway_cell

worked: dict[tuple[str, str, str], int] = {}
"""What works, by file, source and expected output; the flags with which it does."""


class Noting(sphinx.ext.doctest.SphinxDocTestRunner):
    """Notes what works."""

    def report_start(self, out: Any, test: doctest.DocTest, example: doctest.Example) -> None:
        """Say nothing."""

    def report_success(self, out: Any, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        """Note it."""
        worked[Path(test.filename or "").name, example.source, example.want] = self.optionflags


def file_of(block: nodes.Element) -> str:
    """The name of the file that it is written in."""
    return Path(source_of(block).partition(":docstring of")[0]).name


def block_of(node: laneway_cell) -> nodes.Element:
    """What the author has written."""
    kinds = (nodes.literal_block, nodes.doctest_block, nodes.comment)
    return next(part for part in node.findall(nodes.Element) if isinstance(part, kinds))


def packages_of(doctree: nodes.document) -> set[str]:
    """The packages whose docstrings are in a page."""
    sources = [source_of(block_of(node)) for node in doctree.findall(laneway_cell)]
    return {found[1] for source in sources if (found := re.search(r"docstring of (\w+)", source))}


def run_page(doctree: nodes.document) -> None:
    """Run what is not in docstrings, as `doctest.testfile` does."""
    names: dict[str, Any] = {}
    for node in doctree.findall(laneway_cell):
        block = block_of(node)
        if "docstring of" not in source_of(block) and node["pieces"][-1].rewritten:
            test = doctest.DocTestParser().get_doctest(block.astext(), names, "page", file_of(block), None)
            Noting().run(test, out=lambda _text: None, clear_globs=False)
            names = test.globs


def judged(example: doctest.Example, file: str) -> dict[str, Any]:
    """See the module."""
    key = (file, example.source, example.want)
    flags = worked.get(key, 0)
    for flag, on in example.options.items():
        flags = flags | flag if on else flags & ~flag
    error = example.exc_msg
    want = example.want if error is None else ""
    return {"code": example.source, "want": want, "error": error, "flags": flags, "works": key in worked}


def cells_of(doctree: nodes.document) -> list[list[dict[str, Any]]]:
    """See the module."""
    cells: list[list[dict[str, Any]]] = []
    for node in doctree.findall(laneway_cell):
        block = block_of(node)
        examples = doctest.DocTestParser().get_examples(block.get("test") or block.astext())
        for piece in node["pieces"]:
            mine: list[doctest.Example] = []
            while piece.rewritten and examples and not (mine and mine[-1].exc_msg is not None):
                mine.append(examples.pop(0))
            if piece.cell.hidden:
                continue
            cells.append([judged(example, file_of(block)) for example in mine])
    return cells


def left_in(doctree: nodes.document) -> list[str]:
    """See the module."""
    live = {id(part) for cell in doctree.findall(laneway_cell) for part in cell.findall()}
    return [
        node.astext()
        for node in doctree.findall(nodes.Element)
        if isinstance(node, nodes.literal_block | nodes.doctest_block)
        and id(node) not in live
        and node.astext().lstrip().startswith(">>>")
    ]


if __name__ == "__main__":
    docs, doctrees = sys.argv[1:]
    sphinx.ext.doctest.SphinxDocTestRunner = Noting  # where the builder looks it up
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory() as out:
        if "sphinx.ext.doctest" in Path(docs, "conf.py").read_text(encoding="utf-8"):
            sphinx_build(["-b", "doctest", "-d", str(Path(out, "doctrees")), docs, out])
        read = {
            path.relative_to(doctrees).with_suffix("").as_posix(): pickle.loads(path.read_bytes())
            for path in sorted(Path(doctrees).rglob("*.doctree"))
        }
        for package in set[str]().union(*map(packages_of, read.values())):
            importlib.import_module(package)
            for name, module in sorted(sys.modules.items()):
                if name.partition(".")[0] == package:
                    for test in doctest.DocTestFinder().find(module, name):
                        Noting().run(test, out=lambda _text: None)
        for doctree in read.values():
            run_page(doctree)
    found = {name: {"cells": cells_of(doctree), "left": left_in(doctree)} for name, doctree in read.items()}
    json.dump({name: page for name, page in found.items() if page["cells"] or page["left"]}, sys.stdout)
