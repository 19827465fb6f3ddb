"""Completion: from the objects that are there, where they are enough, else from jedi's analysis too.

IPython asks jedi each time, which takes tens to hundreds of milliseconds. But what `os.pa` can become is
known without it, since `os` is there, and so is what a name can become in a cell that has no scopes of its
own. Jedi knows more where a cell speaks of what has not been run yet; then it is asked. The names are those
that IPython gives.

On any thread, one at a time.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import re
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from IPython.core.completer import Completion, IPCompleter, rectify_completions

from .shell import ZMQInteractiveShell

_ATTRIBUTE = re.compile(r"(?<![\w.)\]}'\"])(?P<path>[^\W\d]\w*(?:\.[^\W\d]\w*)*)\.\w*$")
_NAME = re.compile(r"(?<![\w.)\]}'\"%!?])[^\W\d]\w*$")
_IMPORT = re.compile(r"^\s*from\s+(?P<module>[\w.]+)\s+import\s+[\w, ]*$")
_IN_IMPORT = re.compile(r"^\s*(?:import|from)\b")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.comprehension)

_STATEMENTS = frozenset(keyword.kwlist) - {
    *("False", "None", "True", "and", "as", "async", "await", "else", "for", "from"),
    *("if", "in", "is", "lambda", "not", "or", "yield"),
}
"""Keywords that begin a statement, and are nothing inside one."""

Bindings = dict[str, "str | None"]
"""What a cell binds: name -> the module that an import gives it; None where it may be anything."""


def completions(
    shell: ZMQInteractiveShell, completer: IPCompleter, code: str, position: int
) -> list[Completion]:
    """What the text before `position`, in code points, can become; all replace the same part of `code`.

    `completer` is the shell's, or another for its namespace.
    """
    found = _from_objects(shell, completer, code, position)
    if found is None:
        found = completer.completions(code, position)
    else:
        found = sorted(found, key=lambda completion: completion.text.startswith("%"))
    return list(rectify_completions(code, found))


def _from_objects(
    shell: ZMQInteractiveShell, completer: IPCompleter, code: str, position: int
) -> Iterable[Completion] | None:
    """None where the objects do not tell all."""
    line = code[:position].rpartition("\n")[2]
    if match := _IMPORT.match(line):
        if (module := sys.modules.get(match["module"])) is None:
            return None
        return _with_kinds(_without_jedi(completer, code, position), module)
    if _IN_IMPORT.match(line):
        return None
    if match := _ATTRIBUTE.search(line):
        return _of_attribute(shell, completer, code, position, match)
    if (match := _NAME.search(line)) and not line[: match.start()].rstrip().endswith("."):
        return _of_name(shell, completer, code, position, match)
    return None


def _of_attribute(
    shell: ZMQInteractiveShell, completer: IPCompleter, code: str, position: int, match: re.Match[str]
) -> Iterable[Completion] | None:
    root, *path = match["path"].split(".")
    if root in shell.user_ns:
        value = shell.user_ns[root]
    elif hasattr(builtins, root):
        value = getattr(builtins, root)
    else:
        return None
    bindings = _bindings(code, position, match)
    if bindings is None:
        return None
    if root in bindings and (bindings[root] is None or sys.modules.get(bindings[root] or "") is not value):
        return None
    if len(re.findall(rf"\b{root}\b", _line(code, position))) > 1:  # it may be bound there, too
        return None
    for name in path:
        value = inspect.getattr_static(value, name, None)
        if value is None or (hasattr(value, "__get__") and not isinstance(value, type)):
            return None  # it is computed, which is not ours to do
    return _with_kinds(_without_jedi(completer, code, position), value)


def _of_name(
    shell: ZMQInteractiveShell, completer: IPCompleter, code: str, position: int, match: re.Match[str]
) -> Iterable[Completion] | None:
    start, prefix = position - len(match[0]), match[0]
    bindings = None if prefix.startswith("_") else _bindings(code, position, match, scopes=False)
    if bindings is None:
        return None
    found = list(_without_jedi(completer, code, position))
    known = {completion.text for completion in found}
    own = (
        Completion(start, position, name, type="variable")
        for name in bindings
        if name.startswith(prefix) and name not in known
    )
    before = code[:start].rpartition("\n")[2].strip()
    unfit = _STATEMENTS if before and not before.endswith((":", ";")) else ()
    return (
        _with_kind_of_name(completion, shell.user_ns)
        for completion in (*found, *own)
        if completion.text not in unfit
    )


def _without_jedi(completer: IPCompleter, code: str, position: int) -> Iterator[Completion]:
    used = completer.use_jedi
    completer.use_jedi = False
    try:
        for completion in completer.completions(code, position):
            # IPython's own matches of attributes begin with the dot
            if completion.text.startswith(".") and code[completion.start : completion.start + 1] == ".":
                yield _replaced(completion, start=completion.start + 1, text=completion.text[1:])
            else:
                yield completion
    finally:
        completer.use_jedi = used


def _with_kinds(completions: Iterable[Completion], value: object) -> Iterator[Completion]:
    for completion in completions:
        yield _replaced(completion, type=_kind(inspect.getattr_static(value, completion.text, None)))


def _with_kind_of_name(completion: Completion, names: Mapping[str, object]) -> Completion:
    name = completion.text
    if completion.type != "variable":
        return completion
    if name in names or hasattr(builtins, name):
        return _replaced(completion, type=_kind(names[name] if name in names else getattr(builtins, name)))
    return _replaced(completion, type="keyword" if keyword.iskeyword(name) else "statement")


def _replaced(completion: Completion, **changed: Any) -> Completion:
    fields = {name: getattr(completion, name) for name in ("start", "end", "text", "type", "signature")}
    return Completion(**{**fields, **changed})


def _line(code: str, position: int) -> str:
    return code[code.rfind("\n", 0, position) + 1 :].partition("\n")[0]


def _bindings(code: str, position: int, match: re.Match[str], *, scopes: bool = True) -> Bindings | None:
    """What the cell binds, but for the unfinished piece of it; None where it cannot be read, or has scopes
    and must not.
    """
    begin = position - len(match[0])
    line_begin = code.rfind("\n", 0, position) + 1
    indent = re.match(r"[ \t]*", code[line_begin:])
    line_end = code.find("\n", position)
    rest = "" if line_end < 0 else code[line_end:]
    for whole in (
        f"{code[:begin]}_{code[position:]}",
        f"{code[:line_begin]}{indent[0] if indent else ''}pass{rest}",
    ):
        try:
            return _read(ast.parse(whole), scopes)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _read(tree: ast.AST, scopes: bool) -> Bindings | None:
    bindings: Bindings = {}
    for node in ast.walk(tree):
        if not scopes and isinstance(node, _SCOPES):
            return None
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                bindings[name] = None
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bindings[name] = None
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                bindings[name] = None
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                bindings[name] = None
            case ast.Import(names=names):
                for alias in names:
                    name = alias.asname or alias.name.partition(".")[0]
                    bindings[name] = alias.name if alias.asname else name
            case ast.ImportFrom(names=names):
                for alias in names:
                    bindings[alias.asname or alias.name] = None
            case _:
                pass
    return bindings


def _kind(value: object) -> str:
    """As jedi calls it."""
    if isinstance(value, types.ModuleType):
        return "module"
    if isinstance(value, type):
        return "class"
    if isinstance(value, property | types.GetSetDescriptorType | types.MemberDescriptorType):
        return "property"
    routine = inspect.isroutine(value) or isinstance(value, classmethod | staticmethod)
    return "function" if routine else "instance"
