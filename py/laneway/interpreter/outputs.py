"""What cells have shown, which IPython keeps so that `%notebook` can write it: bounded. Any thread."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from IPython.core.history import HistoryOutput

LIMIT = 16 * 2**20
"""Bytes that are kept, roughly. The oldest goes first."""

CELLS = 1000
"""So many cells' outputs are kept, as of `Out`."""

_OVERHEAD = 700
"""Bytes that an output needs besides what it shows."""

_SAMPLE = 100
"""How many items of a structure are measured; the others are taken to be like them."""


class Outputs(defaultdict[int, list[HistoryOutput]]):
    """By execution count, as IPython has it, which keeps all, and for its class. What is to count here goes
    through `keep`. `guard` gives the host's.
    """

    def __init__(self, guard: Callable[[], AbstractContextManager[object]]) -> None:
        super().__init__(list)
        self._guard = guard
        self._kept: deque[_Kept] = deque()  # oldest first
        self._displays: dict[str, _Kept] = {}  # by display_id
        self._size = 0

    def keep(
        self,
        count: int,
        kind: Literal["display_data", "execute_result"],
        bundle: dict[str, Any],
        display_id: str | None = None,
    ) -> None:
        """Keep an output of cell `count`."""
        kept = _Kept(
            count, HistoryOutput(output_type=kind, bundle=bundle), _OVERHEAD + _size_of(bundle), display_id
        )
        with self._guard():
            self[count].append(kept.output)
            self._kept.append(kept)
            if display_id is not None:
                self._displays[display_id] = kept
            self._size += kept.size
            while self._kept[0].count <= count - CELLS:
                self._forget_oldest()
            self._bound()

    def revise(self, display_id: str | None, bundle: dict[str, Any]) -> None:
        """A display shows something else now: the old is not kept, so that a status which changes for ever
        needs no more memory.
        """
        size = _OVERHEAD + _size_of(bundle)
        with self._guard():
            if display_id is not None and (kept := self._displays.get(display_id)):
                kept.output.bundle = bundle
                self._size += size - kept.size
                kept.size = size
                self._bound()

    def clear(self) -> None:
        """Forget all, as `%reset` wants it."""
        with self._guard():
            super().clear()
            self._kept.clear()
            self._displays.clear()
            self._size = 0

    def _bound(self) -> None:
        while self._size > LIMIT:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        oldest = self._kept.popleft()
        self._size -= oldest.size
        if oldest.display_id is not None and self._displays.get(oldest.display_id) is oldest:
            del self._displays[oldest.display_id]
        outputs = self.get(oldest.count, [])
        if oldest.output in outputs:
            outputs.remove(oldest.output)
        if not outputs:
            self.pop(oldest.count, None)


@dataclass(slots=True, eq=False, repr=False)
class _Kept:
    """An output, and where it is."""

    count: int
    output: HistoryOutput
    size: int
    display_id: str | None


def _size_of(value: Any) -> int:
    """Roughly, and soon."""
    if isinstance(value, str | bytes):
        return 50 + len(value)
    if isinstance(value, Mapping):
        return 100 + _size_of_items(value.values(), len(value))
    if isinstance(value, Sequence):
        return 50 + _size_of_items(value, len(value))
    return 50


def _size_of_items(items: Any, count: int) -> int:
    if not count:
        return 0
    measured = min(count, _SAMPLE)
    return sum(map(_size_of, islice(items, measured))) * count // measured
