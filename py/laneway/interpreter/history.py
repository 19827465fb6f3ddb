"""IPython's history, written in batches, and by whoever `IPythonInterpreter` asks to."""

from __future__ import annotations

import sys

from IPython.core.history import HistoryManager

IN_BROWSER = sys.platform == "emscripten"


class History(HistoryManager):
    """Keeps history in IPython's own database; in a browser, where no file lasts, in memory."""

    def store_inputs(self, line_num: int, source: str, source_raw: str | None = None) -> None:
        """A lone surrogate, which SQLite cannot store, would keep every later cell from being stored."""
        super().store_inputs(line_num, _storable(source), source_raw and _storable(source_raw))


def _storable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text
