"""What a cell shows while it waits for packages."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from .shell import ZMQInteractiveShell

Heard = Callable[[int, int], None]
"""Told how many bytes of a file have come and how many there are, 0 where the server does not say."""

Fetch = Callable[[str, Heard, float], Any]
"""Fetches a file in code that cannot await, see `PyodidePlatform.fetch`."""

INTERVAL = 0.3
"""Seconds from one message to the next."""


class Progress:
    """A line in the cell that waits, which disappears when this is left.

    With `patience` it comes after so many seconds, and the cell has not begun: all its output is taken away
    then. Else it comes at once, in the middle of what the cell has output, and becomes empty.
    """

    def __init__(
        self,
        shell: ZMQInteractiveShell,
        wanted: Sequence[str],
        missing: Sequence[str],
        patience: float = 0,
    ) -> None:
        self._shell = shell
        more = len(set(missing) - set(wanted))
        self._text = f"Loading {', '.join(wanted)}"
        if more:
            self._text += f" and {more} more package{'s' if more > 1 else ''}"
        self._patience = patience
        self._bytes: dict[str, tuple[int, int]] = dict.fromkeys(missing, (0, 0))
        self._display = {"display_id": f"laneway-{uuid.uuid4().hex}"}
        self._next = time.monotonic() + patience
        self._is_shown = False

    def __enter__(self) -> Progress:
        self._show("…")
        return self

    def __exit__(self, *exc_info: object) -> None:
        if not self._is_shown:
            return
        if self._patience:
            self._shell.publish("clear_output", {"wait": False})
        else:
            self._publish("update_display_data", {})

    def heard(self, name: str, received: int, total: int) -> None:
        """So many bytes of a package have come; `total` is 0 where that is not known."""
        self._bytes[name] = received, total
        self.refresh()

    def refresh(self) -> None:
        """Show how far it is, if it is time to."""
        come = sum(received for received, _ in self._bytes.values()) / 1e6
        whole = sum(total for _, total in self._bytes.values()) / 1e6
        known = all(total for _, total in self._bytes.values())
        self._show(f"({come:.1f} of {whole:.1f} MB)" if known else f"({come:.1f} MB)")

    def _show(self, state: str) -> None:
        run = self._shell.runs.current
        if run is None or run.request.msg_type != "execute_request" or run.request.content.get("silent"):
            return
        if (now := time.monotonic()) >= self._next:
            self._next = now + INTERVAL
            kind = "update_display_data" if self._is_shown else "display_data"
            self._is_shown = True
            self._publish(kind, {"text/plain": f"{self._text} {state}"})

    def _publish(self, kind: str, data: dict[str, Any]) -> None:
        self._shell.publish(kind, {"data": data, "metadata": {}, "transient": self._display})
