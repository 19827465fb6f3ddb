"""File descriptors 1 and 2: what other programs, C code and forked processes write there, as stdout and
stderr of the run that is going on, where the process is the kernel's.

POSIX only; one thread waits for what comes, and whoever flushes takes what has come by then, so that it is
there before the reply. Imports: stdlib, `protocol/`.
"""

from __future__ import annotations

import codecs
import contextlib
import faulthandler
import os
import select
import sys
import threading

from .. import console
from ..protocol.ports import Context
from .run import Runs
from .streams import Streams

_CHUNK = 1 << 16
_CHUNKS = 64
"""How many chunks are taken in a row, while others wait."""

_F_SETPIPE_SZ = 1031
"""Linux: how much a pipe holds. A writer that keeps Python's lock waits for us in vain when it is full."""


class Descriptors:
    """While installed, both are pipes; `console` speaks to the stderr of before."""

    def __init__(self, context: Context, runs: Runs, streams: Streams) -> None:
        self._guard = context.guard
        self._runs = runs
        self._streams = streams
        self._pipes: list[_Pipe] = []
        self._poll = select.poll()
        self._stop = -1
        self._thread: threading.Thread | None = None

    def install(self) -> None:
        """Take the places of the descriptors, where the process has them."""
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream:
                stream.flush()
        with contextlib.suppress(OSError):
            self._pipes = [_Pipe(1, "stdout"), _Pipe(2, "stderr")]
        if not self._pipes:
            return
        for pipe in self._pipes:
            self._poll.register(pipe.reader, select.POLLIN)
        console.stream = os.fdopen(os.dup(self._pipes[1].original), "w")
        if faulthandler.is_enabled():
            faulthandler.enable(console.stream)  # nobody reads a pipe when the process crashes
        wake, self._stop = os.pipe()
        self._thread = threading.Thread(
            target=self._watch, args=(wake,), name="laneway descriptors", daemon=True
        )
        self._thread.start()
        self._streams.drain = self._drain

    def uninstall(self) -> None:
        """Put them back; what was written by then is taken."""
        if not self._thread:
            return
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream:
                stream.flush()
        for pipe in self._pipes:
            pipe.restore()
        self._drain()
        self._streams.drain = lambda: None
        os.write(self._stop, b"\0")  # to close it would not do: forked processes have it, too
        self._thread.join()
        os.close(self._stop)
        for pipe in self._pipes:
            pipe.close()
        if console.stream:
            if faulthandler.is_enabled() and sys.__stderr__:
                faulthandler.enable(sys.__stderr__)
            console.stream.close()
            console.stream = None

    def _drain(self) -> None:
        with self._guard:
            if not self._poll.poll(0):  # asked for each print
                return
            for pipe in self._pipes:
                if text := pipe.read():
                    self._streams.write_for(self._runs.foreground, pipe.name, text)

    def _watch(self, wake: int) -> None:
        with os.fdopen(wake, "rb", buffering=0):
            poll = select.poll()
            for descriptor in (wake, *(pipe.reader for pipe in self._pipes)):
                poll.register(descriptor, select.POLLIN)
            while not any(ready == wake for ready, _ in poll.poll()):
                self._drain()


class _Pipe:
    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self._descriptor = descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.original = os.dup(descriptor)
        # kept: were the last one closed (by `os.dup2(devnull, 1)`, say), the reader would be ready for ever
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        if sys.platform == "linux":
            import fcntl  # POSIX only

            with contextlib.suppress(OSError):
                fcntl.fcntl(self._writer, _F_SETPIPE_SZ, 1 << 20)
        os.dup2(self._writer, descriptor)

    def read(self) -> str:
        """What has come, a bounded part of it."""
        chunks: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while len(chunks) < _CHUNKS and (chunk := os.read(self.reader, _CHUNK)):
                chunks.append(chunk)
        return self._decoder.decode(b"".join(chunks)) if chunks else ""

    def restore(self) -> None:
        """Put the original back."""
        os.dup2(self.original, self._descriptor)

    def close(self) -> None:
        """After the last `read`."""
        for descriptor in (self.reader, self._writer, self.original):
            os.close(descriptor)
