"""The node of a live cell."""

from __future__ import annotations

from dataclasses import dataclass

from docutils import nodes

from ..cells import Cell


@dataclass(frozen=True)
class Piece:
    """A cell that a node becomes; a block of examples may be several."""

    cell: Cell
    place: int
    """Among the cells of its page."""
    expected: str | None = None
    """What the author says it puts out. None: what it has put out, or what is in the node."""
    rewritten: bool = False
    """Is its code not what the node shows?"""


@dataclass(frozen=True)
class Look:
    """How a page shows a cell: attributes of `<laneway-cell>`."""

    label: str = ""
    autorun: bool = False
    readonly: bool = False
    sandbox: bool = False
    static: bool = False
    """Has it run at the build only, since readers cannot run it?"""
    hide_code: bool = False
    code_below: bool = False
    """Is its output above its code?"""
    hide_output: bool = False
    """Is it run at the build for its errors only?"""
    hide_stderr: bool = False
    """Is what it has written to stderr at the build a warning there, and not shown?"""
    debug: str | None = None
    """The lines in which breakpoints are set, which may be none; None: it is not debugged."""


class laneway_cell(nodes.General, nodes.Element):  # noqa: N801 - nodes are named so
    """Around what the author has written. Attributes:

    `page`      the name of the document
    `pieces`    list of `Piece`
    `look`      `Look`
    `before`    cells that nobody sees, which come before it: list of `Piece`
    """
