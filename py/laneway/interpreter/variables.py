"""What a debugger shows of values: a line of text each, and what is in them, page by page.

Values are a user's: their `__repr__` may fail, and costs what it costs; no more than that fails. Any thread.
"""

from __future__ import annotations

import ctypes
import reprlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import BuiltinFunctionType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple, cast

from ..protocol.errors import LocalProtocolError
from ..protocol.message import Content

PAGE = 500
"""How many items of a value are shown where nobody says how many."""

_LEAVES = (
    *(str, bytes, bytearray, int, float, complex, type(None), type, ModuleType),
    *(FunctionType, BuiltinFunctionType, MethodType),
)
"""Values that are shown whole."""

_INDEXED = (list, tuple, set, frozenset, deque)


class _Repr(reprlib.Repr):
    """One line of text that is not too long, at a cost that is not too high."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 50
        self.maxstring = self.maxother = self.maxlong = 2000

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            shown = repr(x)
        except Exception as error:
            return f"<{type(x).__name__}: its repr() raised {type(error).__name__}>"
        return shown if len(shown) <= self.maxother else f"{shown[: self.maxother]}…"


_repr = _Repr()


def text(value: object) -> str:
    """`value` as one line. Raises no Exception."""
    try:
        return _repr.repr(value)
    except Exception as error:
        return f"<{type(value).__name__}: its repr() raised {type(error).__name__}>"


Hides = Callable[[Mapping[str, Any], str], bool]
"""Whether a name in a namespace is nobody's concern."""


class Reference(NamedTuple):
    """A value with something in it. `frame`: in whose names a new value is to be read; `hides`: where it is
    these names; `expression`: what a program would write for it.
    """

    value: Any
    frame: FrameType | None
    hides: Hides | None
    expression: str | None


class References:
    """Values by number, for as long as somebody may ask."""

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids = iter(ids)
        self._all: dict[int, Reference] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._all

    def clear(self) -> None:
        """Forget all."""
        self._all.clear()

    def scope(self, names: Mapping[str, Any], frame: FrameType | None, hides: Hides) -> int:
        """A number for the names of `frame`."""
        return self._add(Reference(names, frame, hides, None))

    def _add(self, reference: Reference) -> int:
        number = next(self._ids)
        self._all[number] = reference
        return number

    def described(
        self, name: str, value: Any, frame: FrameType | None, expression: str | None = None
    ) -> Content:
        """`value` as the DAP's Variable."""
        indexed, named = _sizes(value)
        number = self._add(Reference(value, frame, None, expression)) if indexed or named else 0
        described: Content = {
            "name": name,
            "value": text(value),
            "type": type(value).__name__,
            "variablesReference": number,
        }
        if indexed:
            described["indexedVariables"] = indexed
        if named and indexed:
            described["namedVariables"] = named
        if expression is not None:
            described["evaluateName"] = expression
        return described

    def children(self, number: int, content: Mapping[str, Any] | None = None) -> list[Content]:
        """What is in the value of this number; `content` may have `filter` (`indexed` or `named`), `start`
        and `count`.
        """
        content = content or {}
        reference = self._all[number]
        wanted: str | None = content.get("filter")
        start = max(0, content.get("start") or 0)
        size = content.get("count") or 0
        stop = start + (size if size > 0 else PAGE)
        found: list[Content] = []
        for seen, (name, value, expression) in enumerate(_items(reference, wanted)):
            if seen < start:
                continue
            if seen < stop:
                found.append(self.described(name, value, reference.frame, expression))
            elif size > 0:
                break
            else:
                more = f"more than {stop - start} items: ask for pages"
                found.append({"name": "…", "value": more, "type": "", "variablesReference": 0})
                break
        return found

    def assign(self, number: int, name: str, evaluated: Callable[[FrameType | None], Any]) -> Content:
        """Give what is called `name` in there a new value, which `evaluated` finds. Returns it as the body of
        setVariable's response. Raises LocalProtocolError where nothing can be set.
        """
        value, frame, hides, _expression = self._all[number]
        new = evaluated(frame)
        if hides:
            set_name(frame, value, name, new)
        elif isinstance(value, dict):
            keys = [key for key in cast("dict[Any, Any]", value) if text(key) == name]
            if not keys:
                raise LocalProtocolError(f"There is no key {name}.")
            value[keys[0]] = new
        elif isinstance(value, list | deque) and name.isdigit():
            value[int(name)] = new
        elif isinstance(value, tuple | set | frozenset):
            raise LocalProtocolError(f"Items of a {type(value).__name__} cannot be set one by one.")
        else:
            setattr(value, name, new)
        described = self.described(name, new, frame)
        return {key: described[key] for key in ("value", "type", "variablesReference")}


def set_name(frame: FrameType | None, names: Any, name: str, value: Any) -> None:
    """`name = value` in `frame`, whose names these are."""
    if frame is None or frame.f_locals is frame.f_globals or names is frame.f_globals:
        names[name] = value
        return
    frame.f_locals[name] = value
    write_back(frame)


def write_back(frame: FrameType) -> None:
    """What was changed in the local names of a function reaches it. From Python 3.13 on it does by itself."""
    if sys.version_info < (3, 13):
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))


def _sizes(value: Any) -> tuple[int, int]:
    """How many items `value` has, and whether it has something by name."""
    try:
        if isinstance(value, _LEAVES):
            return 0, 0
        if isinstance(value, _INDEXED):
            return len(cast("list[Any]", value)), 0
        if isinstance(value, dict):
            return 0, len(cast("dict[Any, Any]", value))
        return 0, next(_attributes(value), None) is not None
    except Exception:
        return 0, 0


_Item = tuple[str, Any, str | None]


def _items(reference: Reference, wanted: str | None) -> Iterator[_Item]:
    value, _frame, hides, expression = reference

    def below(suffix: str) -> str | None:
        return None if expression is None else expression + suffix

    if hides:
        for name in list(value):
            if wanted != "indexed" and not hides(value, name):
                yield name, value[name], name
    elif isinstance(value, _INDEXED):
        ordered = isinstance(value, list | tuple | deque)
        for index, item in enumerate(cast("list[Any]", value) if wanted != "named" else ()):
            yield str(index), item, below(f"[{index}]") if ordered else None
    elif isinstance(value, dict):
        entries = cast("dict[Any, Any]", value)
        for key, item in list(entries.items()) if wanted != "indexed" else ():
            shown = text(key)
            plain = isinstance(key, str | int | float | bool | bytes | None)
            yield shown, item, below(f"[{key!r}]") if plain else None
    elif wanted != "indexed":
        for name, item in _attributes(value):
            yield name, item, below(f".{name}")


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds: no code of its class is run."""
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__"):
                with suppress(AttributeError):  # not set, or called otherwise in the class
                    yield name, object.__getattribute__(value, name)
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return
    yield from list(attributes.items())
