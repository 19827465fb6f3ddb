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
    from .apps.embed import EmbeddedKernel, embed
    from .apps.in_process import in_process
    from .client.client import Client, ExecResult, Execution
    from .client.jupyter import ConcurrentKernelClient, ConcurrentKernelManager
    from .client.launch import connect, launch
    from .client.pool import Pool
    from .client.server import connect_server
    from .interpreter.jobs import Job, current_job, jobs
    from .interpreter.threads import call, run
    from .protocol.errors import (
        CellTimeoutError,
        ClientClosedError,
        DebugError,
        KernelDiedError,
        KernelError,
        KernelRestartedError,
        KernelTimeoutError,
        MessagesLostError,
    )
    from .protocol.jobs import JobInfo


__all__ = [
    "CellTimeoutError",
    "Client",
    "ClientClosedError",
    "ConcurrentKernelClient",
    "ConcurrentKernelManager",
    "DebugError",
    "EmbeddedKernel",
    "ExecResult",
    "Execution",
    "Handlers",
    "Job",
    "JobInfo",
    "KernelDiedError",
    "KernelError",
    "KernelRestartedError",
    "KernelTimeoutError",
    "MessagesLostError",
    "Pool",
    "__version__",
    "call",
    "connect",
    "connect_server",
    "current_job",
    "embed",
    "in_process",
    "jobs",
    "launch",
    "run",
    "start_callback_kernel",
]

_HOMES = {
    "Client": "client.client",
    "EmbeddedKernel": "apps.embed",
    "ExecResult": "client.client",
    "Execution": "client.client",
    "Handlers": "apps.callback",
    "CellTimeoutError": "protocol.errors",
    "ClientClosedError": "protocol.errors",
    "DebugError": "protocol.errors",
    "ConcurrentKernelClient": "client.jupyter",
    "ConcurrentKernelManager": "client.jupyter",
    "Job": "interpreter.jobs",
    "JobInfo": "protocol.jobs",
    "KernelDiedError": "protocol.errors",
    "KernelError": "protocol.errors",
    "KernelRestartedError": "protocol.errors",
    "KernelTimeoutError": "protocol.errors",
    "MessagesLostError": "protocol.errors",
    "call": "interpreter.threads",
    "Pool": "client.pool",
    "connect": "client.launch",
    "connect_server": "client.server",
    "current_job": "interpreter.jobs",
    "embed": "apps.embed",
    "in_process": "apps.in_process",
    "jobs": "interpreter.jobs",
    "launch": "client.launch",
    "run": "interpreter.threads",
    "start_callback_kernel": "apps.callback",
}


def __getattr__(name: str) -> object:
    """Import public names when they are first used: a client needs no IPython, and a kernel no client."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
