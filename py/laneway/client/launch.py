"""`launch` and `connect`: clients of kernels that speak ZMQ. On the client's event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..protocol.errors import ClosedError, KernelDiedError, KernelError, SettingsError
from ..protocol.message import Channel, Message
from ..session import new_session
from ..transports.connection import Connection
from ..transports.zmq_client import ZmqClientTransport
from .client import Client

SHUTDOWN_PATIENCE = 5.0
"""Seconds that a kernel which was asked to end may take before it is killed."""


def connect(connection_file: str | os.PathLike[str]) -> Client:
    """A client of the running kernel that listens as the connection file says. The kernel goes on when the
    client is closed.

    Raises SettingsError where the file cannot be used.
    """
    return Client(ZmqClientTransport(Connection.read(Path(connection_file))))


async def launch(
    argv: Sequence[str] | None = None,
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> Client:
    """Start a kernel process and connect to it; closing the client ends the process.

    `argv` is the command, `{connection_file}` in it stands for that file; by default it is Laneway in this
    Python. Raises KernelError where the process cannot be started, KernelDiedError where it ends at once,
    KernelTimeoutError where it does not answer in `timeout` seconds.
    """
    command = argv or [sys.executable, "-m", "laneway", "-f", "{connection_file}"]
    return await Client(_ProcessTransport(command, cwd, env)).start(timeout)


class _ProcessTransport:
    """ZMQ to a process of our own, which ends with the connection."""

    def __init__(
        self, command: Sequence[str], cwd: str | os.PathLike[str] | None, env: Mapping[str, str] | None
    ) -> None:
        self._command = command
        self._cwd = cwd
        self._env = env
        self._folder = tempfile.TemporaryDirectory(prefix="laneway-")
        self._deliver: Callable[[Message], None] | None = None
        self._lost: Callable[[Exception], None] | None = None
        self._zmq: ZmqClientTransport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._connected = False

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
        await self._finish()
        await self._begin()

    async def close(self) -> None:
        """See `ClientTransport`. The process is asked to end, and killed where it does not."""
        await self._finish()
        self._folder.cleanup()

    @property
    def silence(self) -> float:
        """See `ClientTransport`."""
        return self._zmq.silence if self._zmq else 0

    async def _begin(self) -> None:
        path = Path(self._folder.name) / "kernel.json"
        path.unlink(missing_ok=True)
        Connection.new().write(path)  # the kernel chooses the ports, so that nobody can take them meanwhile
        command = [part.replace("{connection_file}", str(path)) for part in self._command]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._cwd,
                # with it a kernel sees that whoever launched it has died
                env={**(os.environ if self._env is None else self._env), "JPY_PARENT_PID": str(os.getpid())},
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C is for the program that launches
            )
        except OSError as error:
            raise KernelError(f"{command[0]} cannot be started: {error.strerror or error}.") from error
        connected = asyncio.create_task(self._connect(path))
        self._watch = asyncio.create_task(self._process_ended(self._process))
        try:
            await asyncio.wait((connected, self._watch), return_when=asyncio.FIRST_COMPLETED)
            if not connected.done():
                raise death(self._process.returncode or 0)
            await connected
        finally:
            connected.cancel()

    async def _finish(self) -> None:
        if self._watch:
            self._watch.cancel()
        if self._zmq:
            with contextlib.suppress(ClosedError):
                header = new_session().header("shutdown_request")
                self._zmq.send(Message(Channel.CONTROL, header, content={"restart": False}))
            await self._zmq.close()
            self._zmq = None
        connected, self._connected = self._connected, False
        if self._process and self._process.returncode is None:
            patience = SHUTDOWN_PATIENCE if connected else 0  # who has not come up cannot be asked
            try:
                await asyncio.wait_for(self._process.wait(), patience)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def _connect(self, path: Path) -> None:
        while (connection := _chosen(path)) is None:  # noqa: ASYNC110, a file sends no event
            await asyncio.sleep(0.01)
        self._zmq = ZmqClientTransport(connection)
        assert self._deliver
        await self._zmq.start(self._deliver, lambda _error: None)
        self._connected = True

    async def _process_ended(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if self._lost:
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
