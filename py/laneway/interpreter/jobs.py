"""Jobs, for code that a kernel runs: `laneway.jobs()`, `laneway.current_job()`, and what these give.

Any thread.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from ..protocol.errors import KernelError
from ..protocol.jobs import JobInfo
from ..protocol.ports import Context
from .process import PROCESS
from .run import run_of_caller


class Job(JobInfo):
    """A job as it was when it was listed. `await job` waits for its end."""

    def cancel(self) -> bool:
        """End it, and no other: one that is queued never runs; in one that runs KeyboardInterrupt arises,
        again and again until it has ended; a task is cancelled. False where it has ended already.
        """
        return _context().cancel_job(self.id)

    def __await__(self) -> Generator[Any, Any, None]:
        current = current_job()
        if current and current.id == self.id:
            raise RuntimeError("A job cannot wait for its own end.")
        ended, soon = _event()

        def end() -> None:
            with suppress(RuntimeError):  # nobody waits: the loop is closed
                soon(ended.set)

        _context().when_job_ended(self.id, end)
        yield from ended.wait().__await__()


def _event() -> tuple[Any, Callable[[Callable[[], object]], object]]:
    """An event of the library whose task asks, and what calls its `set` from any thread."""
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.Event(), trio.lowlevel.current_trio_token().run_sync_soon
    return asyncio.Event(), asyncio.get_running_loop().call_soon_threadsafe


def jobs() -> list[Job]:
    """What runs in this kernel, the cell that asks included, then what is queued, then the tasks that cells
    have made. Raises KernelError where no kernel runs the code that asks.
    """
    return [Job(*job) for job in _context().jobs()]


def current_job() -> Job | None:
    """The cell or hook to which the code that asks belongs, also where that is a task or a thread of its;
    None where it has ended.
    """
    run = run_of_caller()
    job = run and _context().job(run.request.msg_id)
    return Job(*job) if job else None


def _context() -> Context:
    kernel = PROCESS.kernel
    if kernel is None:
        raise KernelError(
            "Only code that a kernel runs can ask for its jobs; a client has `await kc.jobs()`."
        )
    return kernel.context


def table(listed: list[Job]) -> str:
    """`listed`, for people."""
    rows = [("state", "seconds", "lane", "mode", "code", "id")]
    for job in listed:
        seconds = "" if job.elapsed is None else f"{job.elapsed:.1f}"
        if job.timeout is not None:
            seconds += f" of {job.timeout:g}"
        mode = job.mode if job.kind == "cell" else job.kind
        rows.append((job.state, seconds, job.lane, mode, job.code[:40], job.id))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join((*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[-1]))
        for row in rows
    )


def find(text: str) -> Job | None:
    """The job that `text` means: its id, or how no other's begins or ends."""
    listed = jobs()
    for job in listed:
        if job.id == text:
            return job
    found = [job for job in listed if job.id.startswith(text) or job.id.endswith(text)]
    return found[0] if len(found) == 1 else None
