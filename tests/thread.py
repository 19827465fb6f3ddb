"""Something that runs on a thread of its own while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def in_thread(run: Callable[[], object]) -> AsyncGenerator[None, None]:
    """Begin `run`, and wait in the end until it has returned; the event loop goes on."""
    thread = threading.Thread(target=run, name="kernel")
    thread.start()
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(thread.join)
