"""Capture: the output of one run, kept instead of sent. This is what `%%capture` needs: cells that overlap go
on sending theirs.
"""

from __future__ import annotations

import io
from typing import Any


class Capture:
    """Takes `stdout`, `stderr` and `outputs`, each where it is wanted: the rest goes on its way."""

    def __init__(self, *, stdout: bool = True, stderr: bool = True, display: bool = True) -> None:
        self.stdout = io.StringIO() if stdout else None
        self.stderr = io.StringIO() if stderr else None
        self._display = display
        self.outputs: list[dict[str, Any]] = []
        """Keyword arguments of `IPython.utils.capture.RichOutput`."""

    def write(self, name: str, text: str) -> bool:
        """Take text of the stream `name`, or say that it is not wanted."""
        stream = self.stdout if name == "stdout" else self.stderr
        if stream is not None:
            stream.write(text)
        return stream is not None

    def display(self, **output: Any) -> bool:
        """Take rich output, or say that it is not wanted."""
        if self._display:
            self.outputs.append(output)
        return self._display
