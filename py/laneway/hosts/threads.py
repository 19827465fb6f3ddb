"""ThreadHost: user code on a thread per shell, and nothing else waits for it.

    main thread              the main shell: cells, task cells, comm messages
    one thread per subshell  its cells and comm messages
    control thread           execute_request on the control channel
    introspection thread     completion, inspection, history; timers (so that prints appear while a cell
    blocks)

Which thread a job runs on is decided in `_worker`, and nowhere else. Imports: stdlib and `protocol/`.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

from ..protocol.lanes import Job
from ..protocol.message import Channel, Content
from ..protocol.ports import Interpreter, Transport
from ..protocol.routes import Family
from . import fair
from .base import Host, Question
from .worker import Worker

DEADLINE = 3.0
"""Seconds after which a kernel that was told to stop is overdue."""


class ThreadHost(Host):
    """Runs a kernel on the thread that made it, and on some more that are started when they are needed.

    `overdue` is called, on a thread of its own, where a cell has not ended `DEADLINE` seconds after the
    kernel was told to stop: it swallows KeyboardInterrupt, or is stuck in C. A process exits then; in a
    thread there is nothing that can be done.
    """

    kind = "threads"

    def __init__(
        self,
        interpreter: Interpreter,
        *,
        overdue: Callable[[], None] | None = None,
        capabilities: Mapping[str, Any] | None = None,
    ) -> None:
        own = {
            "input": True,
            "answers_while_blocking": True,
            "interrupts_blocking": _in_main_thread(),
            "runs_while_sleeping": True,
            "runs_while_computing": True,
        }
        super().__init__(interpreter, capabilities={**own, **(capabilities or {})})
        self._overdue = overdue
        self._process = os.getpid()
        self._workers: dict[str, tuple[Worker, threading.Thread]] = {}
        self._watchdog: threading.Timer | None = None

    def run(self, transport: Transport) -> None:
        """`serve` on an event loop of its own, until the kernel has ended."""
        fair.run(self.serve(transport))

    async def serve(self, transport: Transport) -> None:
        """Run the kernel on `transport`, on this thread, until it is shut down.

        Meanwhile Python's threads take turns more often, see `fair.py`, and on the process's main thread
        SIGINT is ours: it interrupts the cell that runs.
        """
        uninstall = self._main.signal.install(self._on_sigint) if _in_main_thread() else None
        interval = sys.getswitchinterval()
        sys.setswitchinterval(min(interval, fair.SWITCH_INTERVAL))
        try:
            await super().serve(transport)
        finally:
            sys.setswitchinterval(interval)
            for worker, _thread in self._workers.values():
                worker.stop()
            for _worker, thread in self._workers.values():
                thread.join(DEADLINE)
            if self._watchdog:
                self._watchdog.cancel()
            if uninstall:
                uninstall()

    def terminate(self) -> None:
        """Stop. To be called from the handler of a signal."""
        self._main.on_signal(None, self.stop)

    def _on_sigint(self, _signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            raise KeyboardInterrupt  # in a process that user code has forked off
        self._main.on_signal(frame, self.interrupt)

    async def _handle(self, job: Job) -> Content | None:
        if job.key.family is Family.EXECUTE and _in_main_thread():
            self._main.signal.renew()
        return await super()._handle(job)

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """See `Context`."""
        self._named_worker(_INTROSPECTION).call_later(delay, call)

    def _worker(self, job: Job) -> Worker:
        channel, family, subshell_id = job.key
        if family in (Family.INTROSPECTION, Family.INFORMATION):
            return self._named_worker(_INTROSPECTION)
        if channel is Channel.CONTROL:
            return self._named_worker("control")
        return self._main if subshell_id is None else self._named_worker(f"subshell {subshell_id}")

    def _named_worker(self, name: str) -> Worker:
        with self.guard:
            if name not in self._workers:
                worker = Worker(self.guard, self._handle, self._finish)
                self._workers[name] = (worker, worker.run_in_thread(f"laneway {name}"))
            return self._workers[name][0]

    def _close_subshell(self, subshell_id: str) -> None:
        if closed := self._workers.pop(f"subshell {subshell_id}", None):
            closed[0].stop()

    def _question(self) -> Question:
        return _QueueQuestion()

    def _begin_to_stop(self) -> None:
        if self._overdue:
            self._watchdog = threading.Timer(DEADLINE, self._overdue)
            self._watchdog.daemon = True
            self._watchdog.start()


_INTROSPECTION = "introspection"


def _in_main_thread() -> bool:
    """Only there can a signal end a blocking call."""
    return threading.current_thread() is threading.main_thread()


class _QueueQuestion:
    def __init__(self) -> None:
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def wait(self) -> str | None:
        return self._answers.get()

    def answer(self, value: str | None) -> None:
        self._answers.put(value)
