"""The signals of the process's main thread: SIGINT, sent by us to interrupt the code there or by somebody
else, and SIGTERM.

A SIGINT ends blocking system calls of the main thread. But one that comes just before a system call does not
end it: CPython only notes it then. So what has been noted and not been handled is sent again. SIGTERM is
acted upon by the thread that watches, for the main one may be in C.

A process that user code forks off has neither: its signals are Python's own again. Stdlib only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path
from types import CodeType, FrameType
from weakref import WeakSet

from . import calls, fair
from .children import interrupt_children

_INTERVAL = 0.01
"""Seconds after which a signal that had no effect is sent again; each time they double, but where the handler
asks for the next one.
"""

_ECHO = 0.005
"""Seconds within which one that was sent a moment too late arrives."""

_OURS = str(Path(__file__).parents[1])
_ASYNCIO = str(Path(asyncio.__file__).parent)

CALLBACKS: set[CodeType] = {asyncio.Handle._run.__code__}  # pyright: ignore[reportPrivateUsage]
"""Where event loops call what they have been given."""

FOREIGN_LOOPS: dict[CodeType, tuple[str, ...]] = {fair.WAIT_IN_TOOLKIT: ()}
"""Where other event loops than asyncio's run on the thread, and the folders of their own code."""


Handler = Callable[[int, "FrameType | None"], object]
"""What Python calls on a signal, with its number and where the main thread is."""


class MainSignals:
    """The signals of a worker on the main thread. `guard` is its host's."""

    def __init__(self, guard: AbstractContextManager[object]) -> None:
        self._guard = guard
        self._own = False  # on its way, and sent by us
        self._sent = -inf
        self._noted = False  # by CPython, and not handled yet
        self._wanted: Callable[[], bool] | None = None
        self._aimed = False
        self._pause = _INTERVAL
        self._reader = self._writer = -1
        self._handlers: dict[int, Handler] = {}
        self._saved: dict[int, object] = {}
        self._terminate: Callable[[], object] = lambda: None
        self._wake: Callable[[], object] = lambda: None

    # ---- from any thread, in the guard

    def insist(self, wanted: Callable[[], bool], *, aimed: bool) -> None:
        """Send SIGINT, and again as long as it is `wanted`: `os.system` ignores it, and ends its program
        only.

        `aimed` at the code on the main thread: nobody else's programs get it.
        """
        self.send_later(wanted, aimed=aimed)
        self._send()

    def send_later(self, wanted: Callable[[], bool], *, aimed: bool) -> None:
        """The same, but first in a moment: for the handler itself, which a signal at once would call again,
        inside of itself.
        """
        self._wanted, self._aimed = wanted, aimed
        self._pause = _INTERVAL
        if self._writer >= 0:  # else no thread watches: on Windows, and where this worker has no signals
            with contextlib.suppress(BlockingIOError):  # it has been woken often enough
                os.write(self._writer, b"\0")

    def _send(self) -> None:
        self._own = True
        self._sent = time.monotonic()
        if not self._aimed and os.getpgrp() == os.getpid():  # as Jupyter starts it
            os.killpg(0, signal.SIGINT)
        else:
            interrupt_children(threading.main_thread().native_id or 0)
            _nudge()

    # ---- on the main thread

    def install(
        self,
        interrupt: Handler,
        terminate: Callable[[], object] | None = None,
        wake: Callable[[], object] = lambda: None,
    ) -> None:
        """Make SIGINT call `interrupt`, here, and SIGTERM `terminate`, on any thread. `wake` ends a wait in
        C that no signal ends, a GUI toolkit's: Python handles signals only when it runs.
        """
        self._wake = wake
        self._handlers = {signal.SIGINT: interrupt}
        if terminate:
            self._terminate = terminate
            self._handlers[signal.SIGTERM] = lambda _signum, _frame: None  # the watching thread acts
        if sys.platform != "win32":
            self._reader, self._writer = os.pipe()
            os.set_blocking(self._reader, False)
            os.set_blocking(self._writer, False)
            stop, stopper = os.pipe()
            previous = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            thread = threading.Thread(target=self._watch, args=(stop,), name="laneway signals", daemon=True)
            thread.start()
            self._unwatch = lambda: self._stop_watching(previous, stopper, thread, stop)
        self._saved = {number: signal.signal(number, handler) for number, handler in self._handlers.items()}
        _installed.add(self)

    def uninstall(self) -> None:
        """Undo `install`."""
        _installed.discard(self)
        for number, previous in self._saved.items():
            if self._is_ours(number):
                signal.signal(number, previous)  # pyright: ignore[reportArgumentType], what it gave us
        self._handlers = {}
        self._unwatch()

    def _stop_watching(self, previous: int, stopper: int, thread: threading.Thread, stop: int) -> None:
        signal.set_wakeup_fd(previous)
        os.write(stopper, b"\0")  # to close it would not do: forked processes have it, too
        os.close(stopper)
        thread.join()
        for descriptor in (self._reader, self._writer, stop):
            os.close(descriptor)
        self._reader = self._writer = -1

    def _unwatch(self) -> None:
        """What `install` puts here undoes it."""

    def renew(self) -> None:
        """SIGINT is ours again, if code has made it its own."""
        if self._handlers and not self._is_ours(signal.SIGINT):
            signal.signal(signal.SIGINT, self._handlers[signal.SIGINT])

    def taken(self) -> bool:
        """To be called by the handler. Is it ours?"""
        with self._guard:
            self._read()
            self._noted = False
            ours = self._own or time.monotonic() - self._sent < _ECHO
            self._own = False
            return ours

    def _is_ours(self, number: int) -> bool:
        return number in self._handlers and signal.getsignal(number) == self._handlers[number]

    # ---- in a process that was forked off, on its only thread

    def forget(self) -> None:
        """Signals to this process are none of the kernel's."""
        signal.set_wakeup_fd(-1)
        for number, default in (
            (signal.SIGINT, signal.default_int_handler),
            (signal.SIGTERM, signal.SIG_DFL),
        ):
            if self._is_ours(number):
                signal.signal(number, default)
        for descriptor in (self._reader, self._writer):
            os.close(descriptor)
        self._reader = self._writer = -1
        self._handlers, self._unwatch = {}, lambda: None

    # ---- the watching thread

    def _watch(self, stop: int) -> None:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        poll.register(stop)
        while not any(ready == stop for ready, _ in poll.poll()):
            self._pause = _INTERVAL
            while self._rest():
                pass

    def _rest(self) -> bool:
        """Let the signal have its effect, and send it again if it has none."""
        with self._guard:
            self._noted = signal.SIGINT in self._read() or self._noted
            pause, self._pause = self._pause, min(2 * self._pause, 1)
        self._wake()
        time.sleep(pause)
        with self._guard:
            ours = self._is_ours(signal.SIGINT)
            if self._wanted and self._wanted() and ours:
                self._send()
                return True
            if self._wanted:
                self._wanted = None
                self._own = False
            self._noted = self._noted and ours
            if self._noted:
                _nudge()
            return self._noted

    def _read(self) -> bytes:
        """The signals noted since the last time: those of the process, not only SIGINT."""
        if self._reader < 0:
            return b""
        with contextlib.suppress(BlockingIOError):
            noted = os.read(self._reader, 4096)
            if signal.SIGTERM in noted and self._is_ours(signal.SIGTERM):
                self._terminate()
            return noted
        return b""


_installed: WeakSet[MainSignals] = WeakSet()


# Between `fork` and `forget` a signal to the child would be written into the pipe that is its parent's:
# it waits.
_OURS_TO_HANDLE = (signal.SIGINT, signal.SIGTERM)


def _before_fork() -> None:
    if _installed:
        signal.pthread_sigmask(signal.SIG_BLOCK, _OURS_TO_HANDLE)


def _after_fork_in_parent() -> None:
    if _installed:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS_TO_HANDLE)


def _after_fork_in_child() -> None:
    installed = list(_installed)
    for signals in installed:
        signals.forget()
    _installed.clear()
    if installed:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS_TO_HANDLE)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )


def _nudge() -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def in_user_code(frame: FrameType | None) -> bool:
    """Is an event loop whose thread is at `frame` in a task or callback that is neither asyncio's nor
    ours? Or in one of a GUI toolkit or of trio?
    """
    called: list[str] = []
    while frame and frame.f_code not in CALLBACKS and frame.f_code not in FOREIGN_LOOPS:
        called.append(frame.f_code.co_filename)
        frame = frame.f_back
    if frame and frame.f_code in FOREIGN_LOOPS:
        own = (_OURS, *FOREIGN_LOOPS[frame.f_code])
        return any(not file.startswith(own) for file in called)
    while called and called[-1].startswith(_ASYNCIO):
        called.pop()
    if frame is None or not called:
        return False
    return called[-1] == calls.__file__ or not called[-1].startswith(_OURS)
