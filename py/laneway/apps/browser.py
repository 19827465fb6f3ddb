"""The kernel in a page's worker, on Pyodide: `start` is what `@laneway/kernel` calls when Python has been
loaded.

Here, and nowhere else, JavaScript's values become Python's and Python's become JavaScript's.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

# Pyodide's modules are there in Pyodide only, and their stubs are not installed.
# pyright: reportMissingImports=false
import js
from pyodide.ffi import can_run_sync, run_sync, to_js

from ..protocol.errors import StdinNotAvailableError
from .callback import Handlers, start_callback_kernel


async def start(post: Any, stopped: Any, settings: Any) -> Handlers:
    """Start the kernel of this worker.

    `post(message: Uint8Array, buffers: Uint8Array[])` and `stopped()` are JavaScript functions and `settings`
    an object, with the meanings that they have in `start_callback_kernel`. The handlers' `receive` takes a
    Uint8Array and an array of ArrayBuffers.
    """

    def send(message: bytes, buffers: list[Any]) -> None:
        post(to_js(message), to_js(buffers))

    kernel = await start_callback_kernel(
        send,
        stopped,
        settings.to_py(),
        block_on=_block_on,
        capabilities={
            "input": _can_switch_stacks(),
            "jspi": _can_switch_stacks(),
            "cross_origin_isolated": bool(getattr(js, "crossOriginIsolated", False)),
        },
    )

    def receive(message: Any, buffers: Any) -> None:
        kernel.receive(message.to_bytes(), [buffer.to_bytes() for buffer in buffers])

    return Handlers(receive, kernel.stop)


def _can_switch_stacks() -> bool:
    return hasattr(js.WebAssembly, "Suspending")


def _block_on(answer: Awaitable[str | None]) -> str | None:
    if not can_run_sync():
        raise StdinNotAvailableError(
            "input() is not available here: it needs JavaScript Promise Integration (JSPI), "
            "which this browser does not have, or it was called from a JavaScript callback."
        )
    return run_sync(answer)
