"""`input` and `getpass.getpass` ask the client of the cell that calls them.

Both are replaced while a kernel runs: neither has a seam, and sys.stdin cannot know a prompt or a password.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from IPython.core.error import StdinNotImplementedError

from ..protocol.errors import StdinNotAvailableError

if TYPE_CHECKING:
    from .process import Find, Kernel


def make_input(find: Find, original: Callable[..., str]) -> Callable[..., str]:
    """`input`, for the kernel that `find` finds; the program's where there is none."""

    def input(prompt: object = "", /) -> str:  # noqa: A001, that is what it is
        """Ask the user for a line of text, with `prompt` before it."""
        kernel = find()
        return _ask(kernel, str(prompt), False) if kernel else original(prompt)

    return input


def make_getpass(find: Find, original: Callable[..., str]) -> Callable[..., str]:
    """`getpass.getpass`, likewise."""

    def getpass(prompt: str = "Password: ", stream: object = None, **options: object) -> str:
        """Ask the user for a password, which is not shown. In a kernel `stream` and `echo_char` have no
        meaning.
        """
        kernel = find()
        return _ask(kernel, prompt, True) if kernel else original(prompt, stream, **options)

    return getpass


def _ask(kernel: Kernel, prompt: str, password: bool) -> str:
    if kernel.streams.forked:
        raise StdinNotImplementedError(
            "input() cannot ask from a process that was forked off the kernel; ask before the fork."
        )
    kernel.streams.flush()
    run = kernel.runs.current
    try:
        return kernel.context.ask(run and run.request, prompt, password)
    except StdinNotAvailableError as error:
        sentence = str(error)
        if run and kernel.runs.is_going(run) and not run.request.content.get("allow_stdin"):
            # programs know this error, and some its words
            function = "getpass" if password else "raw_input"
            sentence = f"{function} was called, but this frontend does not support input requests."
        raise StdinNotImplementedError(sentence) from None
