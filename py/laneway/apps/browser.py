"""The kernel in a page's worker, on Pyodide: `start` is what `@laneway/kernel` calls when Python has been
loaded.

Here, and nowhere else, JavaScript's values become Python's and Python's become JavaScript's.
"""

from __future__ import annotations

from typing import Any

# Pyodide's modules are there in Pyodide only, and their stubs are not installed.
# pyright: reportMissingImports=false
import js
from pyodide.ffi import to_js

from ..hosts.pyodide import PyodidePlatform
from ..version import __version__ as VERSION  # noqa: N812, what JavaScript compares with its own
from . import (
    late,  # noqa: F401 # pyright: ignore[reportUnusedImport], for JavaScript, while nothing else is there
    snapshot,
)
from .callback import Handlers, start_callback_kernel

__all__ = ["VERSION", "start"]

SHORT = 4096
"""Bytes of a message that goes to JavaScript as text. The page is sent text in a third of the time of bytes,
but Pyodide makes long texts of JavaScript slowly, a second for 10 MB that are not ASCII.
"""


async def start(post: Any, stopped: Any, settings: Any, safepoints: Any = None) -> Handlers:
    """Start the kernel of this worker.

    `post(message: string | Uint8Array, buffers: Uint8Array[], ...)`, which takes these two of one message or
    of several, and `stopped()` are JavaScript functions and `settings` an object, with the meanings that they
    have in `start_callback_kernel`; `settings.missing` has a sentence for each thing that the page knows not
    to work; `safepoints` is the worker's `Safepoints`, where messages reach it while code runs. The handlers'
    `receive` takes a Uint8Array and an array of ArrayBuffers.
    """

    no_buffers = to_js([])
    waiting: list[Any] = []

    def send(message: bytes, buffers: list[Any]) -> None:
        envelope = message.decode() if len(message) < SHORT else to_js(message)
        waiting.extend((envelope, to_js(buffers) if buffers else no_buffers))

    def flush() -> None:
        if waiting:
            parts = tuple(waiting)
            waiting.clear()
            post(*parts)

    given = settings.to_py()
    platform = PyodidePlatform(safepoints, given.pop("missing", ()))
    year = js.Date.new().getFullYear()
    offsets = [int(js.Date.new(year, month, 1).getTimezoneOffset()) for month in (0, 6)]
    # Node 20 has no navigator
    language = getattr(getattr(js, "navigator", None), "language", "C").replace("-", "_") + ".UTF-8"
    kernel = await start_callback_kernel(
        send,
        stopped,
        given,
        platform=platform,
        capabilities=platform.capabilities,
        fetch=platform.fetch,
        session=snapshot.take(language, offsets),
        flush=flush,
    )

    def receive(message: Any, buffers: Any) -> None:
        kernel.receive(message.to_bytes(), [buffer.to_bytes() for buffer in buffers])

    return Handlers(receive, kernel.stop)
