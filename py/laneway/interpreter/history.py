"""IPython's history, opened when it is first needed, and written in batches, by whoever `IPythonInterpreter`
asks to.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from typing import Any

from IPython.core.history import HistoryManager
from traitlets import default

IN_BROWSER = sys.platform == "emscripten"


class History(HistoryManager):
    """Keeps history in IPython's own database; in a browser, where no file lasts, in memory.

    To open the database and begin a session waits for the disk, and so does not belong to the start of a
    kernel.
    """

    def __init__(self, **traits: Any) -> None:
        self._made = False
        self._opening = threading.RLock()
        super().__init__(**traits)
        self._made = True

    def init_db(self) -> None:
        """Not while the kernel starts."""
        if self._made:
            super().init_db()

    def new_session(self, conn: sqlite3.Connection | None = None) -> None:
        """Not while the kernel starts."""
        if self._made:
            super().new_session(conn)

    def end_session(self) -> None:
        """If there is one."""
        if self.trait_has_value("session_number"):
            super().end_session()

    def close(self) -> None:
        """If it is open."""
        if self.trait_has_value("db"):
            super().close()
        else:
            self._stop_save_thread()

    @default("db")
    def _open(self) -> Any:
        with self._opening:
            if not self.trait_has_value("db"):
                self.init_db()
            return self.db

    @default("session_number")
    def _begin(self) -> int:
        with self._opening:
            if not self.trait_has_value("session_number"):
                try:
                    self.new_session()
                except sqlite3.OperationalError:  # the disk is full or read-only, or the database locked
                    self._switch_to_memory_history()
            return self.session_number

    def store_inputs(self, line_num: int, source: str, source_raw: str | None = None) -> None:
        """A lone surrogate, which SQLite cannot store, would keep every later cell from being stored."""
        super().store_inputs(line_num, _storable(source), source_raw and _storable(source_raw))


def _storable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text
