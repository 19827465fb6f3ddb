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

from ..protocol.errors import ClosedError, KernelDiedError, KernelError
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
        self._zmq: ZmqClientTransport | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`. Raises KernelError where the process cannot be started, or ends."""
        path = Path(self._folder.name) / "kernel.json"
        Connection.new().write(path)  # the kernel chooses the ports, so that nobody can take them meanwhile
        command = [part.replace("{connection_file}", str(path)) for part in self._command]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._cwd,
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise KernelError(f"{command[0]} cannot be started: {error.strerror or error}.") from error
        connected = asyncio.create_task(self._connect(path, deliver))
        self._watch = asyncio.create_task(self._process_ended(self._process, lost))
        await asyncio.wait((connected, self._watch), return_when=asyncio.FIRST_COMPLETED)
        if not connected.done():
            connected.cancel()
            raise _death(self._process)
        await connected

    def send(self, message: Message) -> None:
        """See `ClientTransport`."""
        if self._zmq is None:
            raise ClosedError("The connection to the kernel is closed.")
        self._zmq.send(message)

    async def close(self) -> None:
        """See `ClientTransport`. The process is asked to end, and killed where it does not."""
        process, watch = self._process, self._watch
        if self._zmq:
            with contextlib.suppress(ClosedError):
                header = new_session().header("shutdown_request")
                self._zmq.send(Message(Channel.CONTROL, header, content={"restart": False}))
            await self._zmq.close()
            self._zmq = None
        if process and process.returncode is None:
            try:
                await asyncio.wait_for(process.wait(), SHUTDOWN_PATIENCE)
            except TimeoutError:
                process.kill()
                await process.wait()
        if watch:
            watch.cancel()
        self._folder.cleanup()

    async def _connect(self, path: Path, deliver: Callable[[Message], None]) -> None:
        while 0 in (connection := Connection.read(path)).ports:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # a file sends no event
        self._zmq = ZmqClientTransport(connection)
        await self._zmq.start(deliver, lambda _error: None)

    async def _process_ended(
        self, process: asyncio.subprocess.Process, lost: Callable[[Exception], None]
    ) -> None:
        await process.wait()
        lost(_death(process))


def _death(process: asyncio.subprocess.Process) -> KernelDiedError:
    code = process.returncode or 0
    if code < 0:
        name = signal.Signals(-code).name
        return KernelDiedError(f"The kernel was killed by {name}.", exit_code=code, signal=-code)
    return KernelDiedError(f"The kernel has exited with code {code}.", exit_code=code)
