"""Magics that await: `%time`, `%timeit` and `%%capture` of code with `await` in it, and those that others
add.

IPython runs a magic as a function call, which cannot await. So a call of such a magic at the top level of a
cell becomes `await get_ipython().await_magic(...)`, in the syntax tree. Where code awaits nothing, and inside
functions, the magic stays IPython's own.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import time
import timeit
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from IPython.core.displayhook import DisplayHook
from IPython.core.error import UsageError
from IPython.core.magic_arguments import parse_argstring

if TYPE_CHECKING:
    from types import CodeType

    from .shell import ZMQInteractiveShell

_OPTIONS = r"^(-[\w-]+([ \t]+|$)(\d+([ \t]+|$))?)+"
"""Those of a magic, in its line, before code."""

AwaitedMagic = Callable[[str, "str | None"], Awaitable[Any]]
"""`magic(line, cell)`; `cell` is None for a line magic."""


class AwaitedMagics:
    """The magics of a shell that can await."""

    def __init__(self, shell: ZMQInteractiveShell) -> None:
        self._shell = shell
        self._magics: dict[str, AwaitedMagic] = {}
        self._always: set[str] = set()
        self.transformer: ast.NodeTransformer = _AwaitMagics(self.awaits)
        """What puts the `await` into the syntax tree of a cell; `Compiler` applies it."""
        for magic in (self.time, self.timeit, self.capture):
            self._magics[magic.__name__] = magic
        # IPython's own takes the place of sys.stdout, and so the output of all that runs meanwhile
        self._always.add("capture")

    def add(self, name: str, magic: AwaitedMagic) -> None:
        """From now on `%name` is `magic`, whatever its code is."""
        self._magics[name] = magic
        self._always.add(name)

    def awaits(self, name: str, line: str, cell: str = "") -> bool:
        """Does the magic `name` await something when it is given this code?"""
        if name not in self._magics:
            return False
        if name in self._always:
            return True
        words = ("await", "async", *self._always)  # without one of them there is nothing to look for
        return any(
            any(word in code for word in words) and self._has_await(code)
            for code in (re.sub(_OPTIONS, "", line), cell)
        )

    async def run(self, name: str, line: str, cell: str | None = None) -> Any:
        """Run the magic."""
        return await self._magics[name](line, cell)

    # ---- the magics

    async def time(self, line: str, cell: str | None) -> Any:
        """`%time` and `%%time`: say how long the code takes, and return the value of its last expression."""
        from IPython.core.magics.execution import (  # it is slow to import, and there when it is needed
            _format_time,  # pyright: ignore[reportPrivateUsage]
        )
        from IPython.utils.timing import clock2

        options, words = parse_argstring(self._own("time").time, line, partial=True)
        if words and cell:
            raise UsageError("Can't use statement directly after '%%time'!")
        codes = self._compile(cell or " ".join(words), "<timed>")
        wall, cpu, failure, value = time.time(), clock2(), None, None
        try:
            value = await self._evaluate(codes)
        except (Exception, KeyboardInterrupt) as error:
            failure = error
        taken, (user, system) = time.time() - wall, clock2()
        user, system = user - cpu[0], system - cpu[1]
        print(
            f"CPU times: user {_format_time(user)}, sys: {_format_time(system)}, "
            f"total: {_format_time(user + system)}\nWall time: {_format_time(taken)}"
        )
        if failure and (isinstance(failure, KeyboardInterrupt) or not options.no_raise_error):
            raise failure
        return value

    async def timeit(self, line: str, cell: str | None) -> Any:
        """`%timeit` and `%%timeit`."""
        from IPython.core.magics.execution import TimeitResult

        options, statement = self._own("timeit").parse_options(
            line, "n:r:tcp:qov:", posix=False, strict=False, preserve_non_opts=True
        )
        timer = time.time if "t" in options else time.process_time if "c" in options else timeit.default_timer
        inner = self._timed(*(("pass", statement) if cell is None else (statement, cell)))
        number, repeat = int(options.get("n", 0)), int(options.get("r", 7))
        if number == 0:  # as many as take 0.2 s
            for number in (10**power for power in range(10)):
                if await inner(itertools.repeat(None, number), timer) >= 0.2:
                    break
        runs = [await inner(itertools.repeat(None, number), timer) for _ in range(repeat)]
        best, worst = min(runs) / number, max(runs) / number
        result = TimeitResult(number, repeat, best, worst, runs, 0, int(options.get("p", 3)))
        if "q" not in options:
            print(result)
        if "v" in options:
            self._shell.user_ns[options.v] = result
        return result if "o" in options else None

    async def capture(self, line: str, cell: str | None) -> None:
        """`%%capture`: run the cell, and keep what it puts out."""
        options = parse_argstring(self._own("capture").capture, line)
        code = cell or ""
        with self._shell.capture(
            stdout=not options.no_stdout, stderr=not options.no_stderr, display=not options.no_display
        ) as captured:
            await self._shell.run_cell_async(
                code, store_history=False, transformed_cell=self._shell.transform_cell(code)
            )
        if DisplayHook.semicolon_at_end_of_expression(code):
            self._shell.user_ns.pop(options.output, None)
        elif options.output:
            self._shell.user_ns[options.output] = captured

    # ---- code

    def _own(self, name: str) -> Any:
        """IPython's magics among which `name` is."""
        return self._shell.find_cell_magic(name).__self__  # pyright: ignore

    def _has_await(self, code: str) -> bool:
        try:
            tree = self._shell.compile.ast_parse(self._shell.transform_cell(code))
        except (SyntaxError, ValueError):
            return False
        return _FindAwait().found_in(tree) or _FindMagic(self.awaits).found_in(tree)

    def _compile(self, source: str, name: str) -> list[CodeType]:
        """The statements, then the last expression, if there is one."""
        shell = self._shell
        tree = shell.transform_ast(shell.compile.ast_parse(shell.transform_cell(source)))
        parts: list[tuple[ast.Module | ast.Expression, str]] = []
        if tree.body and isinstance(last := tree.body[-1], ast.Expr):
            parts.append((ast.Expression(last.value), "eval"))
            tree.body.pop()
        parts.insert(0, (tree, "exec"))
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        return [compile(part, name, mode, flags) for part, mode in parts]

    async def _evaluate(self, codes: list[CodeType]) -> Any:
        value = None
        for code in codes:
            value = eval(code, self._shell.user_ns)
            if code.co_flags & inspect.CO_COROUTINE:
                value = await value
        return value

    def _timed(self, setup: str, statement: str) -> Any:
        shell = self._shell
        template = (
            "async def inner(_it, _timer):\n    _t0 = _timer()\n    for _i in _it:\n        pass\n"
            "    return _timer() - _t0\n"
        )
        tree = ast.parse(template)
        before, body = (
            shell.transform_ast(shell.compile.ast_parse(shell.transform_cell(part))).body
            for part in (setup, statement)
        )
        inner: Any = tree.body[0]
        inner.body[1].body = body
        inner.body[:0] = before
        namespace: dict[str, Any] = {}
        exec(compile(ast.fix_missing_locations(tree), "<magic-timeit>", "exec"), shell.user_ns, namespace)
        return namespace["inner"]


class _TopLevel(ast.NodeTransformer):
    """Does not look into functions and classes, where no `await` of a cell can be."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node


class _Find(_TopLevel):
    found = False

    def found_in(self, tree: ast.AST) -> bool:
        self.visit(tree)
        return self.found


class _FindAwait(_Find):
    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) or getattr(node, "is_async", 0):
            self.found = True
        return super().generic_visit(node)


class _AwaitMagics(_TopLevel):
    """Puts `await get_ipython().await_magic(...)` in the place of each magic that awaits."""

    def __init__(self, awaits: Callable[..., bool]) -> None:
        self._awaits = awaits

    def visit_Call(self, node: ast.Call) -> ast.expr:
        match node:
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Call(func=ast.Name("get_ipython")), attr="run_line_magic" | "run_cell_magic"
                ) as func,
                args=[ast.Constant(str(name)), *rest],
            ) if self._awaits(name, *(str(arg.value) for arg in rest if isinstance(arg, ast.Constant))):
                func.attr = "await_magic"
                return ast.copy_location(ast.Await(node), node)
            case _:
                self.generic_visit(node)
                return node


class _FindMagic(_Find, _AwaitMagics):
    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.found = self.found or isinstance(super().visit_Call(node), ast.Await)
        return node
