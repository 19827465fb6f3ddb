"""IPython's history, opened when it is first needed, and written in batches, by whoever `IPythonInterpreter`
asks to.
"""

from __future__ import annotations

import sys
import threading
from importlib.util import find_spec
from typing import Any

from IPython.core import history
from IPython.core.history import HistoryManager
from traitlets import default

IN_BROWSER = sys.platform == "emscripten"


class History(HistoryManager):
    """Keeps history in IPython's own database; in a browser, where no file lasts, in memory.

    To open the database and begin a session waits for the disk, and so does not belong to the start of a
    kernel; nor does SQLite, nor IPython's thread that saves: here whoever asks to write does that.
    """

    def __init__(self, **traits: Any) -> None:
        self._made = self._by_default = False
        self._opening = threading.RLock()
        super().__init__(**traits)
        self._made = True
        if self._by_default:
            self.enabled = find_spec("_sqlite3") is not None  # a Pyodide may leave it out

    def init_db(self) -> None:
        """Not while the kernel starts."""
        if self._made:
            super().init_db()

    def new_session(self, conn: Any = None) -> None:
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

    def after_fork(self) -> None:
        """In the child. SQLite's connection is the parent's: to use it, even to close it, could spoil what
        the parent writes. So it is kept, and there is no history.
        """
        self._parents = self._trait_values.get("db")
        self.enabled = False
        self.db = history.DummyDB()

    @default("enabled")
    def _not_yet(self) -> bool:
        """While it is made, where no configuration says it: IPython would start its thread, with SQLite."""
        self._by_default = True
        return False

    @default("db")
    def _open(self) -> Any:
        with self._opening:
            if not self.trait_has_value("db"):
                try:
                    self.init_db()
                except ImportError:  # it is there, and does not work
                    self.enabled = False
                    self.init_db()
            return self.db

    @default("session_number")
    def _begin(self) -> int:
        with self._opening:
            if not self.trait_has_value("session_number"):
                assert self.db is not None  # it is opened now, and it may turn out that there is none
                try:
                    self.new_session()
                except Exception as error:
                    if not _says_no_disk(error):
                        raise
                    self._switch_to_memory_history()
                if not self.trait_has_value("session_number"):
                    self.session_number = 0  # there is no history
            return self.session_number

    def store_inputs(self, line_num: int, source: str, source_raw: str | None = None) -> None:
        """Store a cell. As with `Out`, only the latest have a name (`_i7`) of their own, and what they have
        shown; `In` has all.
        """
        raw = _storable(source if source_raw is None else source_raw)
        super().store_inputs(line_num, _storable(source), raw)
        if self.shell is not None and (kept := self.shell.cache_size):
            for names in (self.shell.user_ns, self.shell.user_ns_hidden):
                names.pop(f"_i{line_num - kept}", None)
            self.output_hist_reprs.pop(line_num - kept, None)
            self.exceptions.pop(line_num - kept, None)


def is_busy() -> bool:
    """Whether this thread is in the middle of IPython's history, whose locks are not re-entrant."""
    frame = sys._getframe()  # pyright: ignore[reportPrivateUsage], the one way to see who calls
    while frame := frame.f_back:
        if frame.f_code.co_filename == history.__file__:
            return True
    return False


def _says_no_disk(error: Exception) -> bool:
    """Is the disk full or read-only, or the database locked?"""
    sqlite3 = sys.modules.get("sqlite3")
    return sqlite3 is not None and isinstance(error, sqlite3.OperationalError)


def _storable(text: str) -> str:
    """Without lone surrogates, which SQLite cannot store: every later cell would not be stored either. Cells
    that are the same are kept once.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode(errors="backslashreplace").decode()
    return sys.intern(text.rstrip("\n"))
