"""`.. laneway::`, a cell with all its options, and `.. jupyter-execute::`, with those of jupyter-sphinx."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.directives.code import CodeBlock
from sphinx.util.logging import get_node_location

from ..cells import Cell
from .node import Look, Piece, laneway_cell


def _mode(argument: str) -> str:
    return directives.choice(argument, ("queue", "task"))


def _lines(argument: str | None) -> str:
    """Those in which breakpoints are set, which may be none."""
    lines = (argument or "").replace(",", " ").split()
    if not all(line.isdecimal() for line in lines):
        raise ValueError(f"give numbers of lines, not {argument!r}")
    return " ".join(lines)


def _names(argument: str | None) -> list[str]:
    return (argument or "").replace(",", " ").split()


class LanewayDirective(CodeBlock):
    """A cell, and a block of code as Sphinx has it. Its code is the content, or the file that the argument
    names.
    """

    final_argument_whitespace = True
    option_spec: ClassVar = {
        "label": directives.unchanged_required,
        **{
            name: convert
            for name, convert in (CodeBlock.option_spec or {}).items()
            if name in ("name", "class", "caption", "linenos", "lineno-start", "emphasize-lines")
        },
        "hidden": directives.flag,
        "setup": directives.flag,
        "autorun": directives.flag,
        "alone": directives.flag,
        "readonly": directives.flag,
        "sandbox": directives.flag,
        "debug": _lines,
        "static": directives.flag,
        "no-output": directives.flag,
        "hide-code": directives.flag,
        "code-below": directives.flag,
        "raises": _names,
        "mode": _mode,
        "kernel": directives.unchanged_required,
        "chain": directives.unchanged_required,
        "packages": _names,
    }

    def run(self) -> list[nodes.Node]:
        """See the base."""
        text = self._text()
        if "hide-code" in self.options and (lost := {"name", "caption"} & self.options.keys()):
            raise self.error(f"With :hide-code: there is no code for :{sorted(lost)[0]}:.")
        self.content = StringList(text.split("\n"), source=self.state_machine.document.current_source)
        self.arguments = ["python"]
        shown = super().run()
        if isinstance(shown[0], nodes.system_message):
            return shown
        node = laneway_cell("", *shown, look=self._look(), packages=self.options.get("packages", []))
        self.set_source_info(node)
        node["pieces"] = self._pieces(text, get_node_location(node) or "")
        return [node]

    def _text(self) -> str:
        if self.arguments and self.content:
            raise self.error("Give either a file or code, not both.")
        if self.arguments:
            relative, path = self.env.relfn2path(self.arguments[0])
            self.env.note_dependency(relative)
            try:
                return Path(path).read_text(encoding="utf-8").rstrip("\n")
            except OSError as error:
                raise self.error(f"{self.arguments[0]} cannot be read: {error.strerror}.") from error
        self.assert_has_content()
        return "\n".join(self.content)

    def _look(self) -> Look:
        options = self.options
        return Look(
            label=options.get("label", ""),
            autorun="autorun" in options,
            readonly="readonly" in options,
            sandbox="sandbox" in options,
            debug=options.get("debug"),
            static="static" in options,
            hide_code="hide-code" in options,
            code_below="code-below" in options,
        )

    def _pieces(self, text: str, where: str) -> list[Piece]:
        return [
            Piece(cell, 0, expected, rewritten=expected is not None)
            for cell, expected in Cell.of(text, where, self.options).split()
        ]


class JupyterExecute(LanewayDirective):
    """The directive of jupyter-sphinx, where that is not loaded itself."""

    option_spec: ClassVar = {
        "hide-code": directives.flag,
        "hide-output": directives.flag,
        "code-below": directives.flag,
        "linenos": directives.flag,
        "lineno-start": directives.nonnegative_int,
        "emphasize-lines": directives.unchanged_required,
        "raises": _names,
        "stderr": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        """See the base."""
        if "hide-code" in self.options and "hide-output" in self.options:
            self.options["hidden"] = None
        return super().run()

    def _look(self) -> Look:
        options = self.options
        return replace(
            super()._look(), hide_output="hide-output" in options, hide_stderr="stderr" not in options
        )

    def _pieces(self, text: str, where: str) -> list[Piece]:
        """What `:raises:` names may be raised, and need not."""
        pieces = super()._pieces(text, where)
        return [replace(piece, cell=replace(piece.cell, may_end=True)) for piece in pieces]
