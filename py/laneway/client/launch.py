"""`launch` and `connect`: clients of kernels that speak ZMQ. On the client's event loop."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio

from ..protocol.errors import ClosedError, KernelDiedError, KernelError, SettingsError
from ..protocol.message import Channel, Message
from ..session import new_session
from ..transports.connection import Connection
from ..transports.event_loops import Future, running_loop
from ..transports.system import Process
from ..transports.zmq_client import ZmqClientTransport
from .client import Client

SHUTDOWN_PATIENCE = 5.0
"""Seconds that a kernel which was asked to end may take before it is killed."""


def connect(connection_file: str | os.PathLike[str], *, timeout: float = 60) -> Client:
    """A client of the running kernel that listens as the connection file says: `async with` it, or await it.
    The kernel goes on when the client is closed.

    Raises SettingsError where the file cannot be used. `timeout` as in `Client`.
    """
    return Client(ZmqClientTransport(Connection.read(Path(connection_file))), timeout=timeout)


def launch(
    argv: Sequence[str] | None = None,
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> Client:
    """A client of a new kernel process: `async with` it, or await it. Closing it ends the process, and all
    that the process has started in its group.

    `argv` is the command, `{connection_file}` in it stands for that file; by default it is Laneway in this
    Python. Starting it raises KernelError where the process cannot be started, KernelDiedError where it ends
    at once, KernelTimeoutError where it does not answer in `timeout` seconds.
    """
    command = argv or [sys.executable, "-m", "laneway", "-f", "{connection_file}"]
    return Client(_ProcessTransport(command, cwd, env), timeout=timeout)


class _ProcessTransport:
    """ZMQ to a process of our own, which ends with the connection."""

    def __init__(
        self, command: Sequence[str], cwd: str | os.PathLike[str] | None, env: Mapping[str, str] | None
    ) -> None:
        self._command = command
        self._cwd = cwd
        self._env = env
        self._deliver: Callable[[Message], None] | None = None
        self._lost: Callable[[Exception], None] | None = None
        self._zmq: ZmqClientTransport | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: Process | None = None
        self._ended: Future[int] | None = None
        self._connecting: anyio.CancelScope | None = None

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`. Raises KernelError where the process cannot be started, or ends."""
        self._deliver, self._lost = deliver, lost
        await self._begin()

    def send(self, message: Message) -> None:
        """See `ClientTransport`."""
        if self._zmq is None:
            raise ClosedError("The connection to the kernel is closed.")
        self._zmq.send(message)

    async def restart(self) -> None:
        """See `ClientTransport`: a new process, and a new connection."""
        await self.close()
        await self._begin()

    async def close(self) -> None:
        """See `ClientTransport`. The process is asked to end, and killed where it does not, or where nobody
        waits for that.
        """
        process, self._process = self._process, None
        ended, self._ended = self._ended, None
        connection, self._zmq = self._zmq, None
        folder, self._folder = self._folder, None
        try:
            if connection and ended and not ended.done:  # who has not come up cannot be asked
                with contextlib.suppress(ClosedError):
                    header = new_session().header("shutdown_request")
                    connection.send(Message(Channel.CONTROL, header, content={"restart": False}))
                    with anyio.move_on_after(SHUTDOWN_PATIENCE):
                        await ended.wait()
        finally:
            if process:
                process.kill()
            if folder:
                folder.cleanup()
            with anyio.CancelScope(shield=True):  # one that was cancelled would not let us wait
                if connection:
                    await connection.close()
                if ended:
                    await ended.wait()

    @property
    def silence(self) -> float:
        """See `ClientTransport`."""
        return self._zmq.silence if self._zmq else 0

    async def _begin(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="laneway-")
        path = Path(self._folder.name) / "kernel.json"
        Connection.new().write(path)  # the kernel chooses the ports, so that nobody can take them meanwhile
        try:
            ended = self._start([part.replace("{connection_file}", str(path)) for part in self._command])
            with anyio.CancelScope() as self._connecting:
                await self._connect(path)
            self._connecting = None
            if ended.done:
                raise death(ended.result())
        except BaseException:
            await self.close()
            raise

    def _start(self, command: Sequence[str]) -> Future[int]:
        loop = running_loop()
        ended: Future[int] = Future()

        def tell(code: int) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(lambda: self._process_ended(ended, code))

        # with it a kernel sees that whoever launched it has died
        env = {**(os.environ if self._env is None else self._env), "JPY_PARENT_PID": str(os.getpid())}
        try:
            self._process = Process(command, self._cwd, env, tell)
        except OSError as error:
            raise KernelError(f"{command[0]} cannot be started: {error.strerror or error}.") from error
        self._ended = ended
        return ended

    async def _connect(self, path: Path) -> None:
        while (connection := _chosen(path)) is None:  # noqa: ASYNC110, a file sends no event
            await anyio.sleep(0.01)
        self._zmq = ZmqClientTransport(connection)
        assert self._deliver
        await self._zmq.start(self._deliver, lambda _error: None)

    def _process_ended(self, ended: Future[int], code: int) -> None:
        ended.set_result(code)
        if ended is not self._ended:  # it was closed
            return
        if self._connecting:
            self._connecting.cancel()
        elif self._lost:
            self._lost(death(code))


def _chosen(path: Path) -> Connection | None:
    """The connection, once the kernel has chosen its ports; some kernels can be seen while they write it."""
    try:
        connection = Connection.read(path)
    except SettingsError:
        return None
    return None if 0 in connection.ports else connection


def death(code: int) -> KernelDiedError:
    """The end of a process, by what it returned; negative is the signal that killed it."""
    if code >= 0:
        return KernelDiedError(f"The kernel has exited with code {code}.", exit_code=code)
    name = {number.value: number.name for number in signal.Signals}.get(-code, "a signal")
    return KernelDiedError(f"The kernel was killed by {name} (signal {-code}).", exit_code=code, signal=-code)
