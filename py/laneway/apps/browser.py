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

from .callback import Handlers, start_callback_kernel
from .pyodide import PyodidePlatform


async def start(post: Any, stopped: Any, settings: Any, safepoints: Any = None) -> Handlers:
    """Start the kernel of this worker.

    `post(message: Uint8Array, buffers: Uint8Array[])` and `stopped()` are JavaScript functions and `settings`
    an object, with the meanings that they have in `start_callback_kernel`; `safepoints` is the worker's
    `Safepoints`, where it shares memory with the page. The handlers' `receive` takes a Uint8Array and an
    array of ArrayBuffers.
    """

    no_buffers = to_js([])

    def send(message: bytes, buffers: list[Any]) -> None:
        post(to_js(message), to_js(buffers) if buffers else no_buffers)

    platform = PyodidePlatform(safepoints)
    capabilities = {
        **platform.capabilities,
        "cross_origin_isolated": bool(getattr(js, "crossOriginIsolated", False)),
    }
    kernel = await start_callback_kernel(
        send, stopped, settings.to_py(), platform=platform, capabilities=capabilities
    )

    def receive(message: Any, buffers: Any) -> None:
        kernel.receive(message.to_bytes(), [buffer.to_bytes() for buffer in buffers])

    return Handlers(receive, kernel.stop)
