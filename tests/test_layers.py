"""The layers hold: who may import whom, and what the protocol may touch."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "py" / "laneway"

PURE = frozenset(
    """
    __future__ abc collections contextlib dataclasses enum hashlib hmac itertools re struct typing
    """.split()  # noqa: SIM905, one line is easier to read than twelve
)
"""What `protocol/` may import of the standard library: nothing that waits, or differs from run to run."""

IMPURE_CALLS = ("open", "print", "input", "exec", "eval", "__import__")

MAY_IMPORT = {
    "protocol": {"protocol"},
    "hosts": {"protocol", "hosts", "console", "session"},
    "interpreter": {"protocol", "interpreter", "console", "version"},
    "transports": {"protocol", "transports", "console", "session"},
    "client": {"protocol", "transports", "client", "session"},
    "apps": {
        *("protocol", "hosts", "interpreter", "transports", "client", "apps"),
        *("console", "session", "version"),
    },
}


def imports(source: str, package: str) -> Iterator[str]:
    """The modules that a module of `laneway.<package>` imports, at whatever level, with full names."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            above = ["laneway", package][: 2 - (node.level - 1)]
            yield from (
                ".".join([*above, node.module] if node.module else [*above, n.name]) for n in node.names
            )


def impurities(source: str) -> Iterator[str]:
    """What a module of `protocol/` does that it must not."""
    for name in imports(source, "protocol"):
        if name.split(".")[0] not in PURE and not name.startswith("laneway.protocol"):
            yield f"imports {name}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncFunctionDef) and not _is_declaration(node):
            yield f"has the coroutine function {node.name}"
        elif isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield "awaits"
        elif isinstance(node, ast.Global):
            yield "changes globals"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            yield f"calls {node.func.id}"


def _is_declaration(function: ast.AsyncFunctionDef) -> bool:
    """The ports declare coroutine functions of others: a docstring, and dots."""
    *docstring, last = function.body
    dots = isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant) and last.value.value is ...
    return dots and len(docstring) <= 1


def modules(package: str) -> list[Path]:
    found = sorted((PACKAGE / package).glob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("path", modules("protocol"), ids=lambda path: path.name)
def test_the_protocol_is_pure(path: Path) -> None:
    assert list(impurities(path.read_text())) == []
    assert sys.stdlib_module_names | {"__future__"} >= PURE


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("import time", "imports time"),
        ("import orjson", "imports orjson"),
        ("from ..hosts.base import Host", "imports laneway.hosts.base"),
        ("from .. import session", "imports laneway.session"),
        ("def f():\n    import threading", "imports threading"),
        ("async def f(): return 1", "has the coroutine function f"),
        ("async def f():\n    await x", "awaits"),
        ("print('x')", "calls print"),
        ("def f():\n    global x\n    x = 1", "changes globals"),
    ],
)
def test_what_is_not_pure_is_found(planted: str, found: str) -> None:
    assert found in list(impurities(planted))


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_nobody_imports_what_is_above_or_beside(package: str) -> None:
    for path in modules(package):
        for name in imports(path.read_text(), package):
            if name.startswith("laneway."):
                assert name.split(".")[1] in MAY_IMPORT[package], f"{path.name} imports {name}"


def test_the_public_names_are_there() -> None:
    import laneway

    for name in laneway.__all__:
        assert getattr(laneway, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = laneway.no_such_name  # pyright: ignore[reportAttributeAccessIssue]
