"""`input` and `getpass.getpass` ask the client of the cell that calls them."""

from __future__ import annotations

import builtins
import getpass

from IPython.core.error import StdinNotImplementedError

from ..protocol.errors import StdinNotAvailableError
from ..protocol.ports import Context
from .run import Runs
from .streams import Streams


class Stdin:
    """Replaces both functions while a kernel runs: neither has a seam, and sys.stdin cannot know a prompt or
    a password.
    """

    def __init__(self, context: Context, runs: Runs, streams: Streams) -> None:
        self._context = context
        self._runs = runs
        self._streams = streams
        self._saved = builtins.input, getpass.getpass

    def install(self) -> None:
        """Put ours in place."""
        builtins.input, getpass.getpass = self.input, self.getpass

    def uninstall(self) -> None:
        """Put Python's back."""
        builtins.input, getpass.getpass = self._saved

    def input(self, prompt: object = "", /) -> str:
        """Ask the user for a line of text, with `prompt` before it."""
        return self._ask(str(prompt), False)

    def getpass(
        self, prompt: str = "Password: ", stream: object = None, *, echo_char: str | None = None
    ) -> str:
        """Ask the user for a password, which is not shown. `stream` and `echo_char` have no meaning here."""
        return self._ask(prompt, True)

    def _ask(self, prompt: str, password: bool) -> str:
        self._streams.flush()
        try:
            return self._context.ask(self._runs.parent, prompt, password)
        except StdinNotAvailableError as error:
            raise StdinNotImplementedError(str(error)) from None  # the one that programs know
