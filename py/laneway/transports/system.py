"""What differs between operating systems, and between asyncio's event loops, at the client's end. Imports:
stdlib.

    what                     Linux, macOS            Windows
    a socket is readable     `loop.add_reader`       a thread selects and calls on the loop: the proactor loop
                                                     has no `add_reader`
    a process ends           a thread waits for it   the same: no SIGCHLD, no child watcher, on any loop
    a process and its own    a session, `killpg`     CREATE_NEW_PROCESS_GROUP; the process alone is killed
    a launcher dies          the kernel sees it by JPY_PARENT_PID, if it can

The second column is tested as far as an event loop without `add_reader` and without subprocesses goes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from .event_loops import EventLoop

Call = Callable[[], object]


def watch(loop: EventLoop, calls: Mapping[int, Call]) -> Call:
    """Call on `loop` what belongs to a descriptor of a socket whenever it is readable; returns how to end
    that. It may be ended when the loop is closed.
    """
    try:
        for descriptor, call in calls.items():
            loop.add_reader(descriptor, call)
    except NotImplementedError:
        return _SelectorThread(loop, calls).close

    def end() -> None:
        if not loop.is_closed():  # which has let go of its descriptors
            for descriptor in calls:
                loop.remove_reader(descriptor)

    return end


class _SelectorThread:
    """Waits in a thread until descriptors are readable. While their calls are on their way to the loop it
    does not look: they would be readable still.
    """

    def __init__(self, loop: EventLoop, calls: Mapping[int, Call]) -> None:
        self._loop = loop
        self._calls = calls
        self._ours, self._theirs = socket.socketpair()
        self._looked_after = threading.Semaphore(0)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="laneway-client", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._looked_after.release()
        self._ours.send(b"\0")
        self._thread.join()
        self._ours.close()
        self._theirs.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._theirs, selectors.EVENT_READ)
            for descriptor in self._calls:
                selector.register(descriptor, selectors.EVENT_READ)
            while not self._closed:
                readable = [key.fd for key, _ in selector.select()]
                try:
                    self._loop.call_soon_threadsafe(partial(self._look_after, readable))
                except RuntimeError:  # the loop is closed
                    return
                self._looked_after.acquire()

    def _look_after(self, readable: Sequence[int]) -> None:
        try:
            for descriptor in readable:
                if not self._closed and (call := self._calls.get(descriptor)):
                    call()
        finally:
            self._looked_after.release()


class Process:
    """A program that runs, and what it has started in its group. `ended` is called from a thread, with what
    it has returned (negative: the signal that killed it).

    Raises OSError where it cannot be started.
    """

    def __init__(
        self, command: Sequence[str], cwd: Any, env: Mapping[str, str], ended: Callable[[int], object]
    ) -> None:
        windows = sys.platform == "win32"
        # of a group of its own: a terminal's Ctrl-C is for the program that launches
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) if windows else 0
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            start_new_session=not windows,
            creationflags=flags,
        )
        self._ended = ended
        self._waiter = threading.Thread(target=self._wait, name="laneway-process", daemon=True)
        self._waiter.start()

    @property
    def running(self) -> bool:
        """Has it not ended yet?"""
        return self._process.returncode is None

    def kill(self) -> None:
        """Kill what is left of it and of its group, at once. Harmless if repeated."""
        with contextlib.suppress(OSError):  # it has ended
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def _wait(self) -> None:
        self._ended(self._process.wait())
