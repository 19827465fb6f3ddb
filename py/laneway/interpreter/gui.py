"""GUI toolkits: each is a `Waiter`, inside which the shell's event loop waits. So windows respond between
cells and while a cell awaits, and a loop that is idle costs nothing.

A wait ends after each batch of events: what they have put on the loop is run. Callbacks of a toolkit are user
code that no cell awaits: what they raise the toolkit shows in its own way, and an interrupt of whatever runs
ends one that computes.

Nothing is imported before it is asked for. The main shell's thread.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError

from ..protocol.ports import Waiter

_BATCH = 20
"""So many events at most are handled in one poll."""


class Tk:
    """tkinter. Its own Tcl interpreter has no window; events of a thread are served for all interpreters."""

    def __init__(self) -> None:
        import tkinter

        self._tk = tkinter.Tcl().tk
        self._readable = tkinter.READABLE
        self._now = 1 << 1  # Tcl's TCL_DONT_WAIT

    def wait(self, descriptor: int, timeout: float | None) -> None:
        """See `Waiter`."""
        self._tk.createfilehandler(descriptor, self._readable, _nothing)
        timer = None
        try:
            if timeout is not None:
                timer = self._tk.createtimerhandler(_milliseconds(timeout), _nothing)
            self._tk.dooneevent(0)
        finally:
            if timer is not None:
                timer.deletetimerhandler()
            self._tk.deletefilehandler(descriptor)

    def poll(self) -> None:
        """See `Waiter`."""
        for _ in range(_BATCH):
            if not self._tk.dooneevent(self._now):
                return


class Qt:
    """Qt, whichever binding IPython finds: PySide6, PyQt6 and older ones."""

    def __init__(self) -> None:
        if sys.platform == "linux" and not (
            os.environ.get("DISPLAY")
            or os.environ.get("WAYLAND_DISPLAY")
            or os.environ.get("QT_QPA_PLATFORM")
        ):
            raise UsageError("There is no display: Qt would end the process.")
        from IPython.external import qt_for_kernel

        core: Any = vars(qt_for_kernel)["QtCore"]
        self._application = core.QCoreApplication.instance()
        if self._application is None:
            widgets: Any = importlib.import_module(f"{core.__name__.rpartition('.')[0]}.QtWidgets")
            self._application = widgets.QApplication([" "])
            self._application.setQuitOnLastWindowClosed(False)
        self._core = core
        self._dispatcher = core.QAbstractEventDispatcher.instance()
        self._timer = core.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setTimerType(core.Qt.TimerType.PreciseTimer)
        self._notifier: Any = None
        self._watched = -1

    def wait(self, descriptor: int, timeout: float | None) -> None:
        """See `Waiter`."""
        if descriptor != self._watched:
            kind = self._core.QSocketNotifier.Type.Read
            self._notifier, self._watched = self._core.QSocketNotifier(descriptor, kind), descriptor
        self._notifier.setEnabled(True)
        if timeout is not None:
            self._timer.start(_milliseconds(timeout))
        try:
            self._dispatcher.processEvents(self._core.QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        finally:
            self._notifier.setEnabled(False)
            self._timer.stop()

    def poll(self) -> None:
        """See `Waiter`."""
        self._dispatcher.processEvents(self._core.QEventLoop.ProcessEventsFlag.AllEvents)


class Gtk:
    """GTK 3 and 4, by PyGObject: both run on GLib's main context."""

    def __init__(self, version: str) -> None:
        import gi  # pyright: ignore[reportMissingImports], seldom there, and without types

        gi.require_version("Gtk", version)
        from gi.repository import (  # pyright: ignore[reportMissingImports]
            GLib,
            Gtk,
        )

        started: Any = Gtk.init_check() if version == "4.0" else Gtk.init_check([])[0]
        if not started:
            raise UsageError("GTK finds no display.")
        self._glib: Any = GLib
        self._context: Any = GLib.MainContext.default()

    def wait(self, descriptor: int, timeout: float | None) -> None:
        """See `Waiter`."""
        glib = self._glib
        sources = [glib.unix_fd_add_full(0, descriptor, glib.IOCondition.IN, _stays)]
        if timeout is not None:
            sources.append(glib.timeout_add(_milliseconds(timeout), _stays))
        try:
            self._context.iteration(True)
        finally:
            for source in sources:
                glib.source_remove(source)

    def poll(self) -> None:
        """See `Waiter`."""
        for _ in range(_BATCH):
            if not self._context.iteration(False):
                return


_WAITERS: dict[str, Callable[[], Waiter]] = {
    "tk": Tk,
    "qt": Qt,
    "qt5": Qt,
    "qt6": Qt,
    "gtk": lambda: Gtk("3.0"),
    "gtk3": lambda: Gtk("3.0"),
    "gtk4": lambda: Gtk("4.0"),
}


def make_waiter(gui: str) -> Waiter:
    """That of the toolkit that `%gui` and `%matplotlib` call so.

    Raises UsageError where there is none of that name, and where it cannot be used here.
    """
    if gui not in _WAITERS:
        raise UsageError(f"Laneway does not know the toolkit {gui!r}; it knows {', '.join(_WAITERS)}.")
    try:
        return _WAITERS[gui]()
    except (ImportError, ValueError) as error:
        raise UsageError(f"The toolkit {gui!r} cannot be used here: {error}") from None


def _milliseconds(seconds: float) -> int:
    return min(int(seconds * 1000 + 0.999), 2**31 - 1)


def _nothing(*_args: object) -> None:
    """The wait ends, and that is all."""


def _stays(*_args: object) -> bool:
    """The same, for GLib, which is to keep what has called."""
    return True
