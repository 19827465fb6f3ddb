"""What Python and IPython have once per process, and a kernel needs for itself.

Here, and nowhere else in `interpreter/`, is it taken: once, when the first kernel comes in, and given back
when the last one goes. What was taken asks `PROCESS.kernel`, at each call, to which kernel the calling code
belongs: to that of its run (`run.py`); else to that whose request is being answered (`serving`); else to the
kernel that *owns* the process, if there is one. Code that belongs to none is the program's: it gets what it
would get without us. So kernels may be several, on several threads or on one loop, in a process of their own
or in a running program (`laneway.embed`), and come and go in any order.

| what | who asks for it | in a process that user code forks |
|---|---|---|
| sys.stdout, sys.stderr (`streams.py`) | print, logging | writes to the original: of an owner, its pipes |
| input, getpass (`stdin.py`) | user code, pdb, %debug | an error that says so |
| Thread.start, ThreadPoolExecutor.submit (`run.py`) | whoever starts threads | the same |
| comm.create_comm, get_comm_manager (`comms.py`) | ipywidgets | what is sent is dropped |
| pdb.set_trace, post_mortem (`debugger.py`) | breakpoint() | fail as input does |
| InteractiveShell._instance | IPython.get_ipython, display | the same; displays are text on stdout |
| builtins: get_ipython, display, __IPYTHON__ | modules that cells import | the same |
| sys.displayhook | a cell's last expression | as display |
| `__main__`, seen from a cell | pickle, dataclasses, get_type_hints | the same |
| subclasses of pygments' PythonLexer (`highlighting.py`) | tracebacks | the same |

Of the owner alone:

| what | who asks for it | in a process that user code forks |
|---|---|---|
| `__main__` itself, sys.ps1 (is it interactive?); no exit and quit in builtins | libraries | the same |
| file descriptors 1 and 2 (`descriptors.py`) | C code, other programs | the parent reads what is written |
| sys.modules of ipykernel (`standins.py`) | libraries | the same |
| os.environ (`shell.py`) | programs that cells start | inherited |

Besides, each kernel has in the process: the thread and the connection of IPython's history, and an exit
handler (`Session.after_fork` takes them from a child); in a browser, the import of packages (`packages.py`).
Signals, the switch interval and the event loops are in `hosts/`; faulthandler and gc in `apps/desktop.py`.

Any thread.
"""

from __future__ import annotations

import builtins
import getpass
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import ModuleType
from typing import Any, Protocol

import comm
from IPython.core.display_functions import display
from IPython.core.interactiveshell import InteractiveShell

from ..protocol.ports import Context
from .comms import Comms, make_create_comm, make_get_comm_manager
from .debugger import Debugger, FrontEnd
from .highlighting import Highlighting
from .run import RUN, Runs, run_of_caller, start_in_run, submit_in_run
from .stdin import make_getpass, make_input
from .streams import OutStream, Streams


class Kernel(Protocol):
    """What the process knows of a kernel: `Session` is one."""

    @property
    def runs(self) -> Runs: ...
    @property
    def streams(self) -> Streams: ...
    @property
    def comms(self) -> Comms: ...
    @property
    def shell(self) -> InteractiveShell: ...
    @property
    def context(self) -> Context: ...
    @property
    def debug(self) -> FrontEnd | None: ...

    def after_fork(self) -> None:
        """This is a child of the kernel's process now."""
        ...


Find = Callable[[], Kernel | None]
"""Finds the kernel that the calling code belongs to."""


class Part(Protocol):
    """Something of the process."""

    def install(self) -> None:
        """Take it."""
        ...

    def uninstall(self) -> None:
        """Give it back, where it is still ours."""
        ...


class Process:
    """The one that we are in. Use `PROCESS`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._serving: ContextVar[Kernel | None] = ContextVar("laneway_serving", default=None)
        self._kernels: list[Kernel] = []
        self._owner: Kernel | None = None
        self._patches = _make_patches(self._find, self._find_streams)
        self.debugger = Debugger(self._find, lambda: self._owner is not None)
        self.highlighting = Highlighting()
        # what is installed: for all, for the owner, for others beside it
        self._parts: list[Part] = []
        self._own_parts: list[Part] = []
        self._guest_parts: list[Part] = []

    @property
    def kernel(self) -> Kernel | None:
        """That which the calling code belongs to; None where it is the program's."""
        run = run_of_caller()
        if run is not None and (kernel := run.runs.kernel):
            return kernel
        return self._serving.get() or self._owner

    @property
    def is_serving(self) -> bool:
        """Is the calling code part of the answer to a request, and no cell's?"""
        return self._serving.get() is not None

    @contextmanager
    def serving(self, kernel: Kernel) -> Generator[None]:
        """Code inside belongs to `kernel`, and to none of its runs."""
        run, served = RUN.set(None), self._serving.set(kernel)
        try:
            yield
        finally:
            self._serving.reset(served)
            RUN.reset(run)

    def enter(self, kernel: Kernel, own_parts: Sequence[Part] | None = None) -> None:
        """`kernel` begins to run. With `own_parts` it becomes the owner of the process, unless there is one,
        and they are installed.
        """
        with self._lock:
            owns = own_parts is not None and self._owner is None
            if owns:
                self._owner = kernel
            if not self._kernels:
                _install([*self._patches, self.debugger, self.highlighting], self._parts)
            for patch in self._patches:
                if patch.lost:
                    patch.renew()
            self._kernels.append(kernel)
            kernel.runs.kernel = kernel
            if owns:
                main = OwnMain(kernel.shell.user_module)
                _install([main, *_own_patches(), *(own_parts or ())], self._own_parts)
            elif len(self._guests) == 1:
                _install([Main(self._find)], self._guest_parts)

    def leave(self, kernel: Kernel) -> None:
        """`kernel` ends. Harmless if it has left."""
        with self._lock:
            if kernel not in self._kernels:
                return
            if self._owner is kernel:
                _uninstall(self._own_parts)
                self._owner = None
            elif len(self._guests) == 1:
                _uninstall(self._guest_parts)
            kernel.runs.kernel = None
            self._kernels.remove(kernel)
            if not self._kernels:
                _uninstall(self._parts)

    @property
    def _guests(self) -> list[Kernel]:
        return [kernel for kernel in self._kernels if kernel is not self._owner]

    def renew(self) -> None:
        """A cell begins. A terminal's IPython in the same process may have taken things for its own cells."""
        for patch in self._patches:
            if patch.contested and self._kernels:
                patch.renew()

    def after_fork(self) -> None:
        """In the child."""
        self._lock = threading.RLock()  # whose thread may have stayed behind
        for kernel in self._kernels:
            kernel.after_fork()

    def _find(self) -> Kernel | None:
        return self.kernel

    def _find_streams(self) -> Streams | None:
        kernel = self.kernel
        return kernel.streams if kernel else None


def _install(parts: Iterable[Part], installed: list[Part]) -> None:
    for part in parts:
        part.install()
        installed.append(part)


def _uninstall(installed: list[Part]) -> None:
    while installed:
        installed.pop().uninstall()


_ABSENT: Any = object()


class Patch:
    """An attribute of a module or a class; in its place is what `make` makes of it, once, with the patch as
    argument. `original` is what was there, which may be `_ABSENT`, as may be what is put there. `contested`:
    others take it while kernels run, and do not ask.
    """

    original: Any

    def __init__(
        self, where: Any, name: str, make: Callable[[Patch], object], *, contested: bool = False
    ) -> None:
        self._where = where
        self._name = name
        self._make = make
        self._ours: Any = None
        self.contested = contested

    def install(self) -> None:
        """Put ours in place."""
        self.original = self._present
        self._ours = self._make(self)
        self._put(self._ours)

    def renew(self) -> None:
        """Put it there again, where somebody else has come since."""
        if self._present is not self._ours:
            self.original = self._present
            self._put(self._ours)

    @property
    def lost(self) -> bool:
        """Has somebody put the original back?"""
        return self._present is self.original is not self._ours

    def uninstall(self) -> None:
        """Put the original back. What somebody else has put there since may refer to ours, which then does
        what the original does.
        """
        if self._present is self._ours:
            self._put(self.original)

    @property
    def _present(self) -> Any:
        return vars(self._where).get(self._name, _ABSENT)

    def _put(self, value: object) -> None:
        if value is not _ABSENT:
            setattr(self._where, self._name, value)
        elif self._present is not _ABSENT:
            delattr(self._where, self._name)


def _make_patches(find: Find, streams: Callable[[], Streams | None]) -> list[Patch]:
    def stdout(patch: Patch) -> OutStream:
        return OutStream("stdout", patch.original, streams)

    def stderr(patch: Patch) -> OutStream:
        return OutStream("stderr", patch.original, streams)

    return [
        Patch(sys, "stdout", stdout),
        Patch(sys, "stderr", stderr),
        Patch(builtins, "input", lambda patch: make_input(find, patch.original)),
        Patch(getpass, "getpass", lambda patch: make_getpass(find, patch.original)),
        Patch(threading.Thread, "start", lambda patch: start_in_run(patch.original)),
        Patch(ThreadPoolExecutor, "submit", lambda patch: submit_in_run(patch.original)),
        Patch(comm, "create_comm", lambda patch: make_create_comm(find, patch.original)),
        Patch(comm, "get_comm_manager", lambda patch: make_get_comm_manager(find, patch.original)),
        Patch(builtins, "display", _constant(display)),
        Patch(builtins, "__IPYTHON__", _constant(True)),
        Patch(builtins, "get_ipython", partial(_make_get_ipython, find), contested=True),
        Patch(InteractiveShell, "_instance", partial(_ShellOfCaller, find), contested=True),
        Patch(sys, "displayhook", partial(_make_displayhook, find), contested=True),
    ]


def _own_patches() -> list[Patch]:
    """Prompts, by which scripts know that they run interactively; `exit` is the shell's."""
    return [
        Patch(sys, "ps1", _constant("In : ")),
        Patch(sys, "ps2", _constant("...: ")),
        Patch(sys, "ps3", _constant("Out: ")),
        Patch(builtins, "exit", _constant(_ABSENT)),
        Patch(builtins, "quit", _constant(_ABSENT)),
    ]


def _constant(value: object) -> Callable[[Patch], object]:
    return lambda _: value


class _ShellOfCaller:
    """`InteractiveShell._instance`, where traitlets keeps a singleton: the shell of the kernel that the
    calling code belongs to.
    """

    def __init__(self, find: Find, patch: Patch) -> None:
        self._find = find
        self._patch = patch

    def __get__(self, instance: object, owner: type) -> InteractiveShell | None:
        kernel = self._find()
        original = self._patch.original
        return kernel.shell if kernel else None if original is _ABSENT else original


def _make_get_ipython(find: Find, patch: Patch) -> Callable[[], InteractiveShell | None]:
    def get_ipython() -> InteractiveShell | None:
        """The shell of the kernel that calls."""
        kernel = find()
        if kernel:
            return kernel.shell
        if patch.original is _ABSENT:
            raise NameError("name 'get_ipython' is not defined")
        return patch.original()

    return get_ipython


def _make_displayhook(find: Find, patch: Patch) -> Callable[[object], object]:
    def displayhook(value: object) -> object:
        """Show the value of an expression."""
        kernel = find()
        hook: Any = kernel.shell.displayhook if kernel else patch.original
        return hook(value)

    return displayhook


class OwnMain:
    """`module` as `__main__`."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._saved: ModuleType | None = None

    def install(self) -> None:
        """Put it in place."""
        self._saved = sys.modules.get("__main__")
        sys.modules["__main__"] = self._module

    def uninstall(self) -> None:
        """Put the program's back."""
        if self._saved and sys.modules.get("__main__") is self._module:
            sys.modules["__main__"] = self._saved


class Main:
    """The program's `__main__`, which remains what it is, but is for the code of a kernel the module of its
    cells: pickle and annotations look for names there.
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        self._module = sys.modules["__main__"]
        self._saved = type(self._module)

    def install(self) -> None:
        """Change the class of the module, which its own code does not see."""
        find = self._find

        class MainModule(self._saved):
            """`__main__`, whose it is depends on who asks."""

            def __getattribute__(self, name: str) -> Any:
                kernel = find()
                module = kernel.shell.user_module if kernel else self
                return super().__getattribute__(name) if module is self else getattr(module, name)

            def __setattr__(self, name: str, value: Any) -> None:
                kernel = find()
                module = kernel.shell.user_module if kernel else self
                if module is self:
                    super().__setattr__(name, value)
                else:
                    setattr(module, name, value)

        self._module.__class__ = MainModule

    def uninstall(self) -> None:
        """Give it its class back."""
        object.__setattr__(self._module, "__class__", self._saved)


PROCESS = Process()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROCESS.after_fork)
