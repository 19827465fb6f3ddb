"""Quick colours for the code in tracebacks.

stack_data, which IPython has read the frames, makes a subclass of pygments' PythonLexer for each of them, and
pygments compiles the rules of every class anew: two thirds of the time of a traceback. There is no seam for
it. So while kernels run, such a subclass, which has no rules of its own, gets those of PythonLexer, compiled
once.
"""

from __future__ import annotations

from typing import Any

_OWN = frozenset({"tokens", "get_tokendefs", "process_tokendef", "flags", "token_variants"})
"""What a class has that has rules of its own."""


class Highlighting:
    """A `Part` of the process. Any thread."""

    def __init__(self) -> None:
        self._lexer: Any = None

    def install(self) -> None:
        """Nothing yet: pygments' lexers are imported with the first traceback."""

    def quicken(self) -> None:
        """A traceback is to be made."""
        if self._lexer is not None:
            return
        from pygments.lexers.python import PythonLexer

        PythonLexer()  # compiles its rules

        def share(cls: Any) -> None:
            if cls.__bases__ == (PythonLexer,) and _OWN.isdisjoint(cls.__dict__):
                cls._tokens = PythonLexer._tokens  # pyright: ignore[reportAttributeAccessIssue], its metaclass has it

        if "__init_subclass__" not in PythonLexer.__dict__:
            self._lexer = PythonLexer
            self._lexer.__init_subclass__ = classmethod(share)

    def uninstall(self) -> None:
        """Put back what was there: nothing."""
        if self._lexer is not None:
            del self._lexer.__init_subclass__
            self._lexer = None
