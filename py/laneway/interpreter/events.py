"""IPython's events, see https://ipython.readthedocs.io/en/stable/config/callbacks.html."""

from __future__ import annotations

from typing import Any

from IPython.core.events import EventManager

_BEFORE = ("pre_execute", "pre_run_cell")
"""What is called before the code of a cell or of a comm's hook."""


class Events(EventManager):
    """An interrupt that meets a callback before the code ends the cell. IPython's own class shows it and runs
    the code all the same.
    """

    def trigger(self, event: str, *args: Any, **kwargs: Any) -> None:
        if event not in _BEFORE:
            super().trigger(event, *args, **kwargs)
            return
        for callback in tuple(self.callbacks[event]):
            try:
                callback(*args, **kwargs)
            except Exception:
                if self.print_on_error:
                    given = f"arguments args {args},kwargs {kwargs}"
                    print(f"Error in callback {callback} (for {event}), with {given}:")
                self.shell.showtraceback()
