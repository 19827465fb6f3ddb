"""A client's end of the Pyodide kernel in Node. The frames are described in node_kernel.mjs."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path

from laneway.protocol.errors import ClosedError
from laneway.protocol.message import Message
from laneway.protocol.wire import decode_envelope, encode_envelope
from laneway.transports.encoding import json_codec
from tests.page import KERNEL


class NodeTransport:
    """Starts the kernel of the Pyodide in `folder`, and ends it when it is closed. `isolated`: does it share
    memory with its page?
    """

    def __init__(self, folder: Path = KERNEL, *, isolated: bool = True) -> None:
        self._folder = folder
        self._isolated = isolated
        self._json = json_codec()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """See `ClientTransport`."""
        self._process = await asyncio.create_subprocess_exec(
            "node",
            str(Path(__file__).with_name("node_kernel.mjs")),
            str(self._folder),
            *(() if self._isolated else ("--plain",)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        ready = asyncio.Event()
        self._reader = asyncio.create_task(self._read(self._process, ready, deliver, lost))
        done, _ = await asyncio.wait(
            (self._reader, waiting := asyncio.create_task(ready.wait())), return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()
        assert self._reader not in done, "The kernel in Node did not start; what it says is on stderr."

    def send(self, message: Message) -> None:
        """See `ClientTransport`."""
        if self._process is None or self._process.stdin is None or self._process.returncode is not None:
            raise ClosedError("The kernel in Node has ended.")
        parts = [encode_envelope(self._json, message), *(bytes(buffer) for buffer in message.buffers)]
        frame = struct.pack("<I", len(parts)) + b"".join(struct.pack("<I", len(p)) + p for p in parts)
        self._process.stdin.write(struct.pack("<I", len(frame)) + frame)

    silence = 0.0

    async def restart(self) -> None:
        """See `ClientTransport`."""
        raise NotImplementedError

    async def close(self) -> None:
        """See `ClientTransport`."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            await self._process.wait()
        if self._reader:
            await asyncio.wait((self._reader,))

    async def _read(
        self,
        process: asyncio.subprocess.Process,
        ready: asyncio.Event,
        deliver: Callable[[Message], None],
        lost: Callable[[Exception], None],
    ) -> None:
        assert process.stdout
        try:
            while True:
                (size,) = struct.unpack("<I", await process.stdout.readexactly(4))
                envelope, *buffers = _parts(await process.stdout.readexactly(size))
                if envelope.startswith(b'{"ready"'):
                    ready.set()
                else:
                    deliver(decode_envelope(self._json, envelope, buffers))
        except asyncio.IncompleteReadError:
            lost(ClosedError("The kernel in Node has ended."))


def _parts(frame: bytes) -> list[bytes]:
    (count,) = struct.unpack_from("<I", frame)
    parts: list[bytes] = []
    at = 4
    for _ in range(count):
        (size,) = struct.unpack_from("<I", frame, at)
        parts.append(frame[at + 4 : at + 4 + size])
        at += 4 + size
    return parts
