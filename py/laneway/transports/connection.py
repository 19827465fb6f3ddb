"""Connection: where a kernel's five sockets are and how its messages are signed and encrypted.

It is what a connection file holds (Jupyter client documentation, "Connection files"); the CurveZMQ keys have
the names that jupyter_client's `transport_encryption` gives them. Imports: stdlib, zmq and `protocol/`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import zmq

from ..protocol.errors import SettingsError


class Connection(NamedTuple):
    """The contents of a connection file. A port of 0 is to be chosen by the kernel."""

    shell_port: int = 0
    iopub_port: int = 0
    stdin_port: int = 0
    control_port: int = 0
    hb_port: int = 0
    transport: str = "tcp"
    ip: str = "127.0.0.1"
    """An address; with the transport `ipc`, the beginning of the sockets' paths."""
    key: str = ""
    """Signs messages; empty means that they are not signed."""
    signature_scheme: str = "hmac-sha256"
    curve_publickey: str | None = None
    curve_secretkey: str | None = None
    """The kernel's CurveZMQ keys (Z85); both or none."""

    @classmethod
    def new(cls) -> Self:
        """This machine only, a fresh key, and ports to be chosen."""
        return cls(key=os.urandom(32).hex())

    @classmethod
    def read(cls, path: Path) -> Self:
        """The connection in the file at `path`. Raises SettingsError where it is none."""
        try:
            return cls.parse(json.loads(path.read_bytes()))
        except OSError as error:
            raise SettingsError(
                f"The connection file {path} cannot be read: {error.strerror or error}."
            ) from None
        except (ValueError, RecursionError):
            raise SettingsError(f"The connection file {path} is not JSON.") from None
        except SettingsError as error:
            raise SettingsError(f"The connection file {path} cannot be used. {error}") from None

    @classmethod
    def parse(cls, info: Any) -> Self:
        """The connection in the object of a connection file; fields that are not ours are ignored. Raises
        SettingsError where something is missing or wrong.
        """
        if not isinstance(info, Mapping):
            raise SettingsError("A connection file holds a JSON object.")
        for name in (*_PORTS, "key"):
            if name not in info:
                raise SettingsError(f"It lacks the field {name!r}.")
        known = {name: info[name] for name in cls._fields if name in info}
        for name, value in known.items():
            if name in _PORTS:
                # in an ipc address the port is any number
                if type(value) is not int or value < 0 or (value > 65535 and info.get("transport") != "ipc"):
                    raise SettingsError(f"The field {name!r} must be a port number, not {value!r}.")
            elif not isinstance(value, str) and not (value is None and name.startswith("curve_")):
                raise SettingsError(f"The field {name!r} must be a string.")
        connection = cls(**known)
        if connection.transport not in ("tcp", "ipc"):
            raise SettingsError(f"The transport must be 'tcp' or 'ipc', not {connection.transport!r}.")
        if (connection.curve_publickey is None) != (connection.curve_secretkey is None):
            raise SettingsError("It needs both of 'curve_publickey' and 'curve_secretkey', or neither.")
        if connection.curve_secretkey is not None and not zmq.has("curve"):
            raise SettingsError(
                "It asks for encryption, but the installed libzmq was built without CurveZMQ."
            )
        return connection

    def write(self, path: Path) -> None:
        """Write to `path`, readable for its owner only; what a file there holds beside our fields stays.

        Raises SettingsError where that is not possible.
        """
        try:
            others: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
            mine = {name: value for name, value in self._asdict().items() if value is not None}
            # a new file, which nobody can have put there before; who waits for `path` never sees half of it
            new = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump({**others, **mine}, file, indent=1)
            _replace(new, path)
        except OSError as error:
            raise SettingsError(
                f"The connection file {path} cannot be written: {error.strerror or error}."
            ) from None

    @property
    def ports(self) -> tuple[int, ...]:
        """All five."""
        return tuple(getattr(self, name) for name in _PORTS)

    def url(self, name: str) -> str:
        """The address of the socket `name` (`shell`, `iopub`, `stdin`, `control` or `hb`)."""
        port: int = getattr(self, f"{name}_port")
        if self.transport == "tcp":
            return f"tcp://{self.ip}:{port}"
        return f"ipc://{self.ip}-{port}"

    def bind(self, name: str, socket: zmq.Socket[bytes]) -> Self:
        """Bind the kernel's `socket`; returns the connection with its port. Raises SettingsError where the
        address is taken or is none of this machine's.
        """
        bound = self
        try:
            if self.curve_publickey is not None and self.curve_secretkey is not None:
                socket.curve_publickey = self.curve_publickey.encode()
                socket.curve_secretkey = self.curve_secretkey.encode()
                socket.curve_server = True
            if self.transport == "ipc" and getattr(self, f"{name}_port") == 0:
                bound = self._replace(**{f"{name}_port": self._free_number()})
            socket.bind(bound.url(name))
        except (zmq.ZMQError, ValueError) as error:
            raise SettingsError(f"The {name} socket cannot use {bound.url(name)}: {error}.") from None
        if self.transport == "tcp":
            endpoint = str(socket.get_string(zmq.LAST_ENDPOINT))
            port = int(endpoint.rstrip("\0").rpartition(":")[2])
            bound = self._replace(**{f"{name}_port": port})
        return bound

    def connect(self, name: str, socket: zmq.Socket[bytes]) -> None:
        """Connect a client's `socket`. Raises SettingsError where the address is none."""
        try:
            if self.curve_publickey is not None and self.curve_secretkey is not None:
                # as jupyter_client does: who has the connection file has the kernel's pair and needs no other
                socket.curve_publickey = socket.curve_serverkey = self.curve_publickey.encode()
                socket.curve_secretkey = self.curve_secretkey.encode()
            socket.connect(self.url(name))
        except (zmq.ZMQError, ValueError) as error:
            raise SettingsError(f"The {name} socket cannot use {self.url(name)}: {error}.") from None

    def remove_files(self) -> None:
        """Remove the files that ipc sockets leave when they are closed."""
        if self.transport == "ipc":
            for name in _PORTS:
                Path(f"{self.ip}-{getattr(self, name)}").unlink(missing_ok=True)

    def _free_number(self) -> int:
        used = self.ports
        number = 1
        while number in used or Path(f"{self.ip}-{number}").exists():
            number += 1
        return number


_PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")

PATIENCE = 5.0
"""Seconds in which, on Windows, who reads a file will have closed it."""


def _replace(source: Path, target: Path) -> None:
    """Put a file in the place of another. Windows refuses while somebody reads that one, a client that waits
    for it, say.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            source.replace(target)
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > until:
                source.unlink()
                raise
            time.sleep(0.01)
        else:
            return
