"""`start_callback_kernel`: a kernel behind two functions. This is the public seam of the browser side; it
works in CPython as well.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import console
from ..hosts.loop import LoopHost
from ..interpreter.ipython import IPythonInterpreter, Session, Settings
from ..interpreter.progress import Fetch
from ..protocol.ports import Interpreter, Platform
from ..transports.callback import CallbackTransport, SendCallback
from .settings import KernelSettings, Where


@dataclass(frozen=True)
class Handlers:
    """A running kernel, seen from outside. To be used on the kernel's event loop."""

    receive: Callable[[bytes | str, Sequence[Any]], None]
    """`receive(message, buffers)`: take one envelope. Returns at once and never raises; malformed messages
    are dropped and said on stderr.
    """
    stop: Callable[[], None]
    """Begin to end the kernel, as a shutdown_request does."""


async def start_callback_kernel(
    send: SendCallback,
    stopped: Callable[[], object] | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    platform: Platform | None = None,
    capabilities: Mapping[str, Any] | None = None,
    interpreter: Interpreter | None = None,
    session: Session | None = None,
    fetch: Fetch | None = None,
    flush: Callable[[], object] | None = None,
) -> Handlers:
    """Start a kernel on the running event loop (asyncio, Pyodide's webloop).

    `send(message, buffers)` is called with each message of the kernel and must return at once. A message is
    an *envelope*: UTF-8 JSON of `{"channel", "header", "parent_header", "metadata", "content"}` with the
    fields of the Jupyter messaging spec; its binary buffers go beside it. `stopped()` is called once, when
    the kernel has ended, be it by `Handlers.stop` or by a shutdown_request.

    `settings`: those of `settings.py` that are for a browser, by their keys: `pipIndexURLs`, for example.
    `platform` lets it answer while code blocks, see `LoopHost`; `capabilities` are added to what kernel_info
    says of the host; `interpreter` replaces IPython; `session` is IPython's, where it has been made before;
    `fetch` fetches the files of packages in a browser, see `Settings`; `flush()` is called after one or more
    calls of `send`, which may keep what they were given until then.

    Raises SettingsError where a setting is unknown or cannot be used.
    """
    checked = KernelSettings.read(settings or {}, Where.BROWSER)
    transport = CallbackTransport(send, flush)
    own = Settings(pip_index_urls=checked.pip_index_urls, fetch=fetch)
    host = LoopHost(
        interpreter or IPythonInterpreter(own, session),
        platform=platform,
        capabilities=capabilities,
    )

    async def serve() -> None:
        try:
            await host.serve(transport)
        except Exception:
            if not host.started.is_set():
                raise
            console.say("laneway: the kernel has failed and ends.\n" + traceback.format_exc())
        finally:
            _kernels.discard(task)
            if stopped and host.started.is_set():
                stopped()

    task = asyncio.create_task(serve(), name="laneway kernel")
    _kernels.add(task)
    started = asyncio.create_task(host.started.wait())
    await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
    started.cancel()
    if task.done():
        await task  # it could not start: raises why
    return Handlers(transport.receive, host.stop)


_kernels: set[asyncio.Task[None]] = set()
"""Event loops hold their tasks weakly; a kernel lives until it has ended."""
