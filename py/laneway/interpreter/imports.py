"""Which modules the text of a cell imports: found without running it, so that their packages can be fetched
before. A guess, which may be wrong both ways; what it misses is loaded when it is imported. Stdlib only.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

_RUN_CODE = frozenset({"capture", "prun", "time", "timeit"})
"""Magics whose line and body are code."""

_NEED = {"matplotlib": ("matplotlib", "matplotlib_inline"), "pylab": ("matplotlib", "matplotlib_inline")}
"""What magics import."""

Transform = Callable[[str], str]
"""Makes Python of IPython's syntax."""


def imported_modules(source: str, transform: Transform) -> set[str]:
    """The top-level names that `source`, as IPython has transformed it, imports: by itself, by its magics,
    and by the files of the user's that it imports or runs.
    """
    names: set[str] = set()
    sources = [source]
    while sources:
        text = sources.pop()
        if "import" not in text and "get_ipython()" not in text:
            continue  # most cells
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # whoever runs it says so
        for found, code in _found(tree):
            if code is not None:
                sources.append(_transformed(code, transform))
            elif found not in names:
                names.add(found)
                sources += _own_source(found)
    return names


def _found(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Each module that is imported, or as second value text that is run."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                yield from ((_top(alias.name), None) for alias in aliases)
            case ast.ImportFrom(module=str(module), level=0):
                yield _top(module), None
            case ast.Call(
                func=ast.Name("import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(str(module)), *_],
            ) if not module.startswith("."):
                yield _top(module), None
            case ast.Call(
                func=ast.Attribute(attr="run_line_magic" | "run_cell_magic"),
                args=[ast.Constant(str(magic)), ast.Constant(str(line)), *rest],
            ):
                yield from _of_magic(magic, line, *rest)
            case _:
                pass


def _of_magic(magic: str, line: str, *rest: ast.expr) -> Iterator[tuple[str, str | None]]:
    for module in _NEED.get(magic, ()):
        yield module, None
    words = [word for word in line.split() if not word.startswith("-")]
    if magic == "load_ext" and words:
        yield _top(words[0]), None
    elif magic == "run" and words:
        yield "", _read(Path(words[0]))
    elif magic in _RUN_CODE:
        # before the code there may be options
        starts = (at for at, word in enumerate(words) if word in ("import", "from"))
        yield "", " ".join(words[next(starts, len(words)) :])
        yield from (
            ("", node.value)
            for node in rest
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )


def _own_source(module: str) -> list[str]:
    """The text of a module of the user's."""
    if module in sys.modules or module in sys.stdlib_module_names:
        return []
    try:
        spec = PathFinder.find_spec(module)
    except (ImportError, ValueError):
        return []
    if not (spec and spec.origin) or "site-packages" in spec.origin or not spec.origin.endswith(".py"):
        return []
    return [_read(Path(spec.origin))]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _transformed(code: str, transform: Transform) -> str:
    try:
        return transform(code)
    except SyntaxError:
        return ""


def _top(module: str) -> str:
    return module.partition(".")[0]
