"""Laneway: a Python kernel for Jupyter in which no message waits behind another that it does not depend on.

    protocol/ decides · hosts/ run · interpreter/ executes user code · transports/ carry · apps/ join them ·
    client/ asks

Where does a message go? `protocol/routes.py`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .version import __version__

if TYPE_CHECKING:
    from .apps.callback import Handlers, start_callback_kernel
    from .apps.in_process import in_process
    from .client.client import Client, ExecResult, Execution
    from .client.jupyter import ConcurrentKernelClient, ConcurrentKernelManager
    from .client.launch import connect, launch
    from .client.server import connect_server
    from .protocol.errors import (
        ClientClosedError,
        KernelDiedError,
        KernelError,
        KernelRestartedError,
        KernelTimeoutError,
    )


__all__ = [
    "Client",
    "ClientClosedError",
    "ConcurrentKernelClient",
    "ConcurrentKernelManager",
    "ExecResult",
    "Execution",
    "Handlers",
    "KernelDiedError",
    "KernelError",
    "KernelRestartedError",
    "KernelTimeoutError",
    "__version__",
    "connect",
    "connect_server",
    "in_process",
    "launch",
    "start_callback_kernel",
]

_HOMES = {
    "Client": "client.client",
    "ExecResult": "client.client",
    "Execution": "client.client",
    "Handlers": "apps.callback",
    "ClientClosedError": "protocol.errors",
    "ConcurrentKernelClient": "client.jupyter",
    "ConcurrentKernelManager": "client.jupyter",
    "KernelDiedError": "protocol.errors",
    "KernelError": "protocol.errors",
    "KernelRestartedError": "protocol.errors",
    "KernelTimeoutError": "protocol.errors",
    "connect": "client.launch",
    "connect_server": "client.server",
    "in_process": "apps.in_process",
    "launch": "client.launch",
    "start_callback_kernel": "apps.callback",
}


def __getattr__(name: str) -> object:
    """Import public names when they are first used: a client needs no IPython, and a kernel no client."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
