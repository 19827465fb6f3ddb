"""Chains: cells that share a namespace and do not disturb each other in it, like docstrings' examples.

Cells of no chain, "", see each other's names. Those of a chain see these, and over them their own:

    x = 1                         ""    x: 1
    enter("a"); x = 2; y = 2      "a"   x: 2, y: 2
    enter("b"); x                 "b"   x: 1
    enter("a"); x                 "a"   x: 2
    enter("");  x                 ""    x: 1

What several of them have set changes hands when another is entered. All else stays in the namespace (`y`),
for a callback or a task that is still to come. Objects are not copied.
"""

from __future__ import annotations

import re
from typing import Any

_COUNTED = re.compile(r"_{1,3}|_i{1,3}|_i?\d+")
"""Names of inputs and results, which IPython sets for every cell."""


class Chains:
    """Those of a namespace, of which IPython has one."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._chain = ""
        self._common: dict[str, Any] = {}
        """What the namespace had when it was left by the cells of no chain."""
        self._own: dict[str, dict[str, Any]] = {}
        """What each chain has set."""
        self._given: dict[str, Any] = {}
        """What was there for the cells of this chain when it was entered."""

    def enter(self, chain: str) -> None:
        """The next cell is one of this chain."""
        if chain == self._chain:
            return
        names = self._snapshot()
        if not self._chain:
            self._common = names
        else:
            own, given = self._own.get(self._chain, {}), self._given
            self._own[self._chain] = {
                name: value
                for name, value in names.items()
                if name in own or name not in given or given[name] is not value
            }
            self._names.update(self._common)
        own = self._own.get(chain, {})
        self._names.update(own)
        self._chain, self._given = chain, {**self._common, **own}

    def _snapshot(self) -> dict[str, Any]:
        return {name: value for name, value in self._names.items() if not _COUNTED.fullmatch(name)}
