"""Completion: from the objects that are there, where they are enough, else from jedi's analysis too.

IPython asks jedi each time, which takes tens to hundreds of milliseconds. But what `os.pa` can become is
known without it, since `os` is there, be it that the cell itself is yet to import it, and so is what a name
can become in a cell that has no scopes of its own. Jedi knows more where a cell speaks of what has not been
run yet; then it is asked. The names are those that IPython gives, and nothing is imported for them.

On any thread, one at a time.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import pkgutil
import re
import sys
import types
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from IPython.core.completer import (
    Completion,
    IPCompleter,
    ProvisionalCompleterWarning,
    rectify_completions,
)

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

Import = tuple[str, str]
"""The module that an import names, and what it takes from there: `""` is the module itself."""

Bindings = dict[str, Import | None]
"""What a cell binds: name -> the import that does it; None where it may be anything."""


_IGNORED = ("ignore", None, ProvisionalCompleterWarning, None, 0)


def brief_completer(shell: ZMQInteractiveShell) -> IPCompleter:
    """A completer for requests that interrupt other code: without jedi, which can take seconds, and of their
    own, since it may be `shell.Completer` that they interrupt.
    """
    completer = IPCompleter(
        shell=shell,
        namespace=shell.user_ns,
        global_namespace=shell.user_global_ns,
        parent=shell,
        use_jedi=False,
    )
    completer.custom_completers = shell.Completer.custom_completers
    return completer


def completions(
    shell: ZMQInteractiveShell, completer: IPCompleter, code: str, position: int
) -> list[Completion]:
    """What the text before `position`, in code points, can become; all replace the same part of `code`.

    `completer` is the shell's, or another for its namespace.
    """
    if _IGNORED not in warnings.filters:
        # for good: `provisionalcompleter` changes the filters of every thread and changes them back
        warnings.filterwarnings("ignore", category=ProvisionalCompleterWarning)
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
    if _IN_IMPORT.match(line.rpartition(";")[2]):
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
    bindings = _bindings(code, position, match)
    if bindings is None:
        return None
    names = shell.user_ns
    if root in bindings:
        value = _imported(bindings[root])
        if value is None or names.get(root, value) is not value:
            return None
        names = {**names, root: value}
    elif root in names:
        value = names[root]
    elif hasattr(builtins, root):
        value = getattr(builtins, root)
    else:
        return None
    for name in path:
        value = inspect.getattr_static(value, name, None)
        if value is None or (hasattr(value, "__get__") and not isinstance(value, type)):
            return None  # it is computed, which is not ours to do
    found = list(_without_jedi(completer, code, position, names))
    known = {completion.text for completion in found}
    begin = match.end("path") + 1 - match.end() + position
    modules = (
        Completion(begin, position, name, type="module")
        for name in _submodules(value)
        if name.startswith(code[begin:position]) and name not in known
    )
    return (*_with_kinds(found, value), *modules)


def _imported(by: Import | None) -> Any:
    """What an import gives, as far as the modules are there; None where they are not."""
    if by is None:
        return None
    module, name = by
    found = sys.modules.get(module)
    if not name or found is None:
        return found
    return inspect.getattr_static(found, name, None) or sys.modules.get(f"{module}.{name}")


def _submodules(value: object) -> Iterable[str]:
    if not isinstance(value, types.ModuleType):
        return ()
    return (module.name for module in pkgutil.iter_modules(getattr(value, "__path__", [])))


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


def _without_jedi(
    completer: IPCompleter, code: str, position: int, names: dict[str, Any] | None = None
) -> Iterator[Completion]:
    """What IPython itself finds, in `names` or in its own namespace."""
    used, namespace = completer.use_jedi, completer.namespace
    completer.use_jedi, completer.namespace = False, namespace if names is None else names
    try:
        for completion in completer.completions(code, position):
            # IPython's own matches of attributes begin with the dot
            if completion.text.startswith(".") and code[completion.start : completion.start + 1] == ".":
                yield _replaced(completion, start=completion.start + 1, text=completion.text[1:])
            else:
                yield completion
    finally:
        completer.use_jedi, completer.namespace = used, namespace


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


def _bindings(code: str, position: int, match: re.Match[str], *, scopes: bool = True) -> Bindings | None:
    """What the cell binds, but for the unfinished piece of it; None where it cannot be read, or has scopes
    and must not.
    """
    begin = position - len(match[0])
    line_begin = code.rfind("\n", 0, position) + 1
    before, line = code[:line_begin], code[line_begin:begin]
    line_end = code.find("\n", position)
    rest = "" if line_end < 0 else code[line_end:]
    wholes = [f"{before}{line}_{code[position:]}", f"{before}{line}_{_closing(line)}{rest}"]
    root = match[0].partition(".")[0]
    if not re.search(rf"\b{root}\b", line):  # else the line may bind it
        indent = line[: len(line) - len(line.lstrip())]
        wholes.append(f"{before}{indent}pass{rest}")
    for whole in wholes:
        try:
            return _read(ast.parse(whole), scopes)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _closing(line: str) -> str:
    """What closes the brackets that are open at the end of `line`."""
    closing = ""
    for bracket in re.findall(r"[][(){}]", re.sub(r"""(["']).*?\1""", "", line)):
        closing = {"(": ")", "[": "]", "{": "}"}[bracket] + closing if bracket in "([{" else closing[1:]
    return closing


def _read(tree: ast.AST, scopes: bool) -> Bindings | None:
    bindings: Bindings = {}

    def bind(name: str, by: Import | None = None) -> None:
        bindings[name] = by if bindings.get(name, by) == by else None

    for node in ast.walk(tree):
        if not scopes and isinstance(node, _SCOPES):
            return None
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                bind(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bind(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                bind(name)
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                bind(name)
            case ast.Import(names=names):
                for alias in names:
                    name = alias.asname or alias.name.partition(".")[0]
                    bind(name, (alias.name if alias.asname else name, ""))
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                return None
            case ast.ImportFrom(module=module, names=names, level=level):
                for alias in names:
                    bind(alias.asname or alias.name, (module, alias.name) if module and not level else None)
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
