"""`embed`: a kernel inside a running program, to look into it and work in it.

    kernel = laneway.embed(globals())
    print(f"jupyter console --existing {kernel.connection_file}")
    ...                                  # the program goes on
    kernel.stop()

The kernel has a thread of its own, on which its cells run, and leaves to the program what is the program's:
signals, file descriptors, `__main__`, and all that is printed or asked by code that no cell has caused; see
`interpreter/process.py`. Joins ThreadHost, IPython and ZMQ.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import threading
from contextvars import Context as Variables
from pathlib import Path
from typing import Any, Self

from ..hosts.threads import ThreadHost
from ..interpreter.ipython import IPythonInterpreter, Settings
from ..protocol.ports import Context
from ..transports.connection import Connection
from ..transports.zmq_kernel import ZmqKernelTransport
from .desktop import runtime_dir

PATIENCE = 10.0
"""Seconds that `stop` waits for the kernel's end."""

_numbers = itertools.count()


def embed(
    namespace: dict[str, Any] | None = None, *, connection_file: str | os.PathLike[str] | None = None
) -> EmbeddedKernel:
    """Start a kernel in this program, and return when it serves.

    `namespace` is what its cells see and change: `globals()`, the `__dict__` of a module, or any dict; what
    they set stays there. By default they have a namespace of their own.

    `connection_file` is where it is written how to connect; a file that is there already says where to listen
    (its ports and its key). By default it is a new one among Jupyter's running kernels.

    Raises SettingsError where the connection file cannot be used.
    """
    return EmbeddedKernel(namespace, Path(connection_file) if connection_file else None)


class EmbeddedKernel:
    """A kernel that runs in this program until `stop`, a client's shutdown_request, `exit` in a cell, or the
    end of the program. As a context manager it stops at the end of the block.
    """

    connection_file: Path
    """For clients: `jupyter console --existing FILE`, `laneway.connect(FILE)`."""

    def __init__(self, namespace: dict[str, Any] | None, connection_file: Path | None) -> None:
        self.connection_file = connection_file or (
            runtime_dir() / f"kernel-{os.getpid()}-embedded-{next(_numbers)}.json"
        )
        self._process = os.getpid()
        self._remove = not self.connection_file.exists()
        given = Connection.new() if self._remove else Connection.read(self.connection_file)
        self._transport = ZmqKernelTransport(given)
        self._interpreter = _Interpreter(
            Settings(namespace=namespace, connection_file=self.connection_file.absolute())
        )
        self._host: ThreadHost | None = None
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="laneway embedded", daemon=True)
        try:
            if self._transport.connection != given or self._remove:
                self._transport.connection.write(self.connection_file)
            Variables().run(self._thread.start)  # it belongs to no cell, even if one starts it
        except BaseException:
            self._transport.close()
            raise
        self._interpreter.started.wait()
        if self._failure:
            raise self._failure
        atexit.register(self._at_exit)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the kernel has ended, `timeout` seconds at most; whether it has. Raises what has ended
        it, if that was an error.
        """
        ended = self._ended.wait(timeout)
        if self._failure:
            raise self._failure
        return ended

    def stop(self) -> None:
        """Interrupt its cells and end it: returns when the program is as it was before. Harmless if it has
        ended. Called by one of its own cells, it returns at once, and the kernel ends after the cell.

        Raises TimeoutError where a cell does not end in `PATIENCE` seconds; nobody can end a thread.
        """
        if os.getpid() != self._process or self._host is None:
            return  # what a fork has left of it has no thread
        self._host.stop()
        if threading.current_thread() is self._thread:
            return
        if not self.wait(PATIENCE):
            raise TimeoutError(
                f"The kernel at {self.connection_file} has not ended after {PATIENCE:g} s: one of its cells"
                " does not stop. It ends with that cell, or with the program."
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "ended" if self._ended.is_set() else "runs"
        return f"<kernel embedded in process {self._process}, {self.connection_file}, {state}>"

    def _run(self) -> None:
        try:
            self._host = ThreadHost(self._interpreter)
            self._host.run(self._transport)
        except BaseException as error:
            self._failure = error
            if self._interpreter.started.is_set():
                raise  # nobody may be waiting for it
        finally:
            atexit.unregister(self._at_exit)
            self._transport.close()
            if self._remove:
                self.connection_file.unlink(missing_ok=True)
            self._ended.set()
            self._interpreter.started.set()

    def _at_exit(self) -> None:
        with contextlib.suppress(TimeoutError):
            self.stop()


class _Interpreter(IPythonInterpreter):
    """Says when it has started."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.started = threading.Event()

    def start(self, context: Context) -> None:
        """See `Interpreter`."""
        super().start(context)
        self.started.set()
