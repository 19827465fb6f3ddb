"""`connect_server`: a client of a kernel behind a Jupyter server, on this machine or on a cluster. On the
client's event loop.

The server's REST API (jupyter_server, "Kernels API") starts, restarts and ends the kernel; one WebSocket
carries the messages.
"""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import anyio

from ..protocol.errors import ClosedError, KernelError
from ..protocol.message import Message
from ..transports.event_loops import Future, in_thread, running_loop
from ..transports.websocket_client import WebSocketClientTransport
from .client import Client

REST_TIMEOUT = 60.0
"""Seconds that the server may take for one of our requests; a gateway may have to find a machine first."""

SHUTDOWN_PATIENCE = 30.0
"""Seconds for which the end of a kernel is waited for, also where nobody else waits any more."""


def connect_server(
    url: str, token: str | None = None, kernel: str = "laneway", *, timeout: float = 60
) -> Client:
    """A client of a kernel behind the Jupyter server at `url` (Kernel Gateway, Enterprise Gateway; with
    JupyterHub, the user's server): `async with` it, or await it. `timeout` as in `Client`.

    `kernel` is the id of a kernel that runs there, or the name of a kernelspec: then a kernel is started with
    the client and ends with it. `token` authenticates as the server documents it ("Authorization: token
    ...").

    Starting the client raises KernelError, with a sentence, where the server cannot be reached, refuses, or
    has no such kernel.
    """
    return Client(_ServerTransport(url.rstrip("/"), token, kernel), timeout=timeout)


class _RefusedError(KernelError):
    """The server's answer is one of HTTP's errors."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _ServerTransport:
    """A kernel on a server; what we have started there we end."""

    def __init__(self, url: str, token: str | None, kernel: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"token {token}"} if token else {}
        self._kernel = kernel
        self._id: str | None = None
        self._ours = False
        self._deliver: Callable[[Message], None] | None = None
        self._lost: Callable[[Exception], None] | None = None
        self._socket: WebSocketClientTransport | None = None

    silence = 0.0

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`."""
        self._deliver, self._lost = deliver, lost
        names = (await self._ask("GET", "kernelspecs"))["kernelspecs"]
        if self._kernel in names:
            await self._start_kernel()
        elif await self._is_running():
            self._id = self._kernel
        else:
            raise KernelError(
                f"The server has no kernel {self._kernel!r}, neither running nor to be started; "
                f"it can start {', '.join(sorted(names)) or 'none'}."
            )
        await self._open()

    def send(self, message: Message) -> None:
        """See `ClientTransport`."""
        if self._socket is None:
            raise ClosedError("The connection to the server is closed.")
        self._socket.send(message)

    async def restart(self) -> None:
        """See `ClientTransport`. A new connection, so that nothing of the old kernel comes after."""
        await self._close_socket()
        await self._ask("POST", f"kernels/{self._id}/restart", {})
        await self._open()

    async def close(self) -> None:
        """See `ClientTransport`."""
        try:
            await self._close_socket()
        finally:  # also where nobody waits for it any more
            if self._ours and self._id:
                self._ours = False
                with anyio.move_on_after(SHUTDOWN_PATIENCE, shield=True):
                    await self._end_kernel(self._id)

    async def _start_kernel(self) -> None:
        asked = self._asked("POST", "kernels", {"name": self._kernel})
        try:
            await asked.wait()
        finally:  # also where nobody waits any more: the server starts one all the same, which is to be ended
            with anyio.CancelScope(shield=True):
                await asked.wait()
            self._id, self._ours = asked.result()["id"], True

    async def _end_kernel(self, kernel_id: str) -> None:
        with contextlib.suppress(KernelError):  # it is gone already, or the server is
            while True:
                try:
                    return await self._ask("DELETE", f"kernels/{kernel_id}")
                except _RefusedError as error:
                    if error.status < 500:
                        raise
                await anyio.sleep(0.2)  # jupyter_server fails while it restarts a kernel that has died

    async def _is_running(self) -> bool:
        """Ask for this one: gateways list none, unless they are told to."""
        try:
            await self._ask("GET", f"kernels/{quote(self._kernel, safe='')}")
        except _RefusedError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def _open(self) -> None:
        assert self._id
        assert self._deliver
        assert self._lost
        scheme, host, path, _, _ = urlsplit(self._url)
        address = urlunsplit(
            (
                scheme.replace("http", "ws", 1),
                host,
                f"{path}/api/kernels/{quote(self._id)}/channels",
                urlencode({"session_id": uuid.uuid4().hex}),
                "",
            )
        )
        self._socket = WebSocketClientTransport(address, self._headers)
        await self._socket.start(self._deliver, self._lost)

    async def _close_socket(self) -> None:
        if self._socket:
            socket, self._socket = self._socket, None
            await socket.close()

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return await self._asked(method, path, body)

    def _asked(self, method: str, path: str, body: Any = None) -> Future[Any]:
        return in_thread(running_loop(), lambda: self._ask_blocking(method, path, body))

    def _ask_blocking(self, method: str, path: str, body: Any) -> Any:
        address = f"{self._url}/api/{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            address, data, {**self._headers, "Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=REST_TIMEOUT) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            with error:
                reason = _reason(error.read()) or error.reason
            raise _RefusedError(
                error.code, f"The server refuses {method} {address}: {error.code} {reason}"
            ) from None
        except (OSError, ValueError) as error:
            raise KernelError(f"There is no Jupyter server at {self._url}: {error}") from None


def _reason(text: bytes) -> str | None:
    try:
        return json.loads(text).get("message")
    except (ValueError, AttributeError):
        return None
