"""The magics that belong to a kernel rather than to IPython: what a terminal does otherwise goes to the
client.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core import page
from IPython.core.display import Javascript
from IPython.core.display_functions import display
from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class

from ..protocol.backends import Backend

if TYPE_CHECKING:
    from .shell import ZMQInteractiveShell


@magics_class
class KernelMagics(Magics):
    """IPython registers what is marked here."""

    shell: ZMQInteractiveShell  # pyright: ignore[reportIncompatibleVariableOverride]

    @line_magic
    def edit(self, line: str) -> None:
        """Ask the client to open a file in its editor: %edit [-n LINE] [FILE | OBJECT | HISTORY RANGE]

        Without an argument, or with code from the history, a temporary file is made. What is edited does not
        run by itself: the kernel does not learn when the editor is done.
        """
        from IPython.core.magics.code import CodeMagics, MacroToEdit

        options, target = self.parse_options(line, "prn:")
        try:
            filename, number, _ = CodeMagics._find_edit_target(  # pyright: ignore
                self.shell, target, options, ["", ""]
            )
        except MacroToEdit:
            raise UsageError("%edit cannot edit a macro; %macro defines it anew.") from None
        self.shell.payload_manager.write_payload(
            {"source": "edit_magic", "filename": str(Path(filename).resolve()), "line_number": number}
        )

    @line_magic
    def clear(self, line: str) -> None:
        """Clear the terminal, where the client is one."""
        self.shell.system("cls" if sys.platform == "win32" else "clear")

    @line_magic
    def less(self, line: str) -> None:
        """Show a file in the pager: %less FILE"""
        self._page_file(line)

    @line_magic
    def more(self, line: str) -> None:
        """Show a file in the pager: %more FILE"""
        self._page_file(line)

    @line_magic
    def man(self, line: str) -> None:
        """Show a manual page in the pager: %man NAME"""
        page.page(self.shell.getoutput(f"man {line} | col -b", split=False))

    @line_magic
    def autosave(self, line: str) -> None:
        """Set how often the classic notebook saves: %autosave SECONDS; 0 is never."""
        if not line.isdecimal():
            raise UsageError(f"%autosave needs a number of seconds, not {line!r}.")
        script = Javascript(f"IPython.notebook.set_autosave_interval({line}000)")
        display(script, include=["application/javascript"])
        print(f"Autosaving every {line} seconds" if int(line) else "Autosave disabled")

    @line_magic
    def autoawait(self, line: str) -> None:
        """Say what cells await, or set it: %autoawait [on | off | asyncio | trio]"""
        context, word = self.shell.context, line.strip().lower()
        if word in ("on", "true", "off", "false"):
            self.shell.autoawait = word in ("on", "true")
        elif word:
            try:
                context.backend = Backend(word)
            except ValueError:
                raise UsageError(
                    f"%autoawait takes on, off, asyncio or trio, as far as the kernel has it; not {line!r}."
                ) from None
            self.shell.autoawait = True
        else:
            is_on = "on" if self.shell.autoawait else "off"
            print(f"IPython autoawait is `{is_on}`, and set to use `{context.backend.value}`")

    @line_magic
    def connect_info(self, line: str) -> None:
        """Say how another client connects to this kernel."""
        path = self._connection_file()
        print(
            f"{json.dumps(json.loads(path.read_text()), indent=2)}\n\n"
            f"A client of this machine connects with\n    jupyter console --existing {path}\n"
            "and one of another machine with a file that has this content."
        )

    @line_magic
    def qtconsole(self, line: str) -> Any:
        """Open a Qt console on this kernel."""
        path = self._connection_file()
        if importlib.util.find_spec("qtconsole") is None:
            raise UsageError(
                "%qtconsole needs the package qtconsole; install it, or use `jupyter console --existing`."
            )
        return subprocess.Popen([sys.executable, "-m", "qtconsole", "--existing", str(path), *line.split()])

    @line_magic
    def jobs(self, line: str) -> None:
        """Show what runs and what is queued in this kernel; see `laneway.jobs`."""
        from . import jobs  # seldom needed

        print(jobs.table(jobs.jobs()))

    @line_magic
    def cancel(self, line: str) -> None:
        """End a job, and no other: %cancel ID, where a beginning or an end of it will do"""
        from . import jobs

        if not line:
            raise UsageError("Say which job: %cancel ID. %jobs shows them.")
        job = jobs.find(line.strip())
        if job is None or not job.cancel():
            raise UsageError(f"There is no job {line.strip()!r}, or more than one. %jobs shows them.")

    @line_magic
    def subshell(self, line: str) -> None:
        """Say on which subshell and thread this cell runs."""
        import threading

        parent = self.shell.runs.parent
        thread = threading.current_thread()
        print(
            f"subshell id: {parent.subshell_id if parent else None}\nthread: {thread.name} ({thread.ident})"
        )

    def _page_file(self, name: str) -> None:
        if not name:
            raise UsageError("Say which file: %less FILE")
        text = Path(name).expanduser().read_text(errors="replace")
        page.page(self.shell.pycolorize(text) if name.endswith(".py") else text)

    def _connection_file(self) -> Path:
        path = self.shell.config.IPKernelApp.get("connection_file")
        if not path:
            raise UsageError("This kernel has no connection file: no other client can connect to it.")
        return Path(path)
