"""stdout and stderr: text is gathered per parent, and sent as few messages, in order, soon.

What is gathered goes out before any other output of the same parent and before its reply, when it is
`MAX_SIZE` large, and when it is `MAX_AGE` old: by a timer, and by a look at the clock in `write`, since a
loop that computes may hold up the timer. A process that user code forks writes to the file descriptors, which
`descriptors.py` reads.

Any thread, under the host's guard. Imports: stdlib and `protocol/`.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, TextIO
from weakref import WeakSet

from ..protocol.message import Message
from ..protocol.ports import Context
from .run import RUN, Run, Runs

MAX_AGE = 0.05
"""Seconds that text waits for more."""

MAX_SIZE = 2**20
"""Characters of one parent that wait for more."""

BURST = 64
"""So many writes in one message make a burst, and a burst is as many, of less than `SMALL` characters."""

SMALL = 1024


class Streams:
    """The gathered text of one kernel, and its `stdout` and `stderr`."""

    def __init__(self, context: Context, runs: Runs) -> None:
        self._context = context
        self._runs = runs
        self._gathered: dict[str | None, _Gathered] = {}
        self._saved: tuple[TextIO, TextIO] | None = None
        self.forked = False
        """Is this a process that was forked off the kernel?"""
        self.drain: Callable[[], object] = lambda: None
        """Takes what other writers have written by now, see `descriptors.py`."""
        self.burst: Burst | None = None
        """Ends with each message that is sent, and with the run."""
        self._watching = False
        self._quiet = False
        _all.add(self)
        self.stdout = OutStream(self, "stdout", sys.__stdout__)
        self.stderr = OutStream(self, "stderr", sys.__stderr__)

    def install(self) -> None:
        """Take the places of sys.stdout and sys.stderr."""
        self._saved = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self.stdout, self.stderr

    def uninstall(self) -> None:
        """Give them back, where they are still ours, and send what is left."""
        if self._saved:
            if sys.stdout is self.stdout:
                sys.stdout = self._saved[0]
            if sys.stderr is self.stderr:
                sys.stderr = self._saved[1]
        self.flush_all()

    def write(self, name: str, text: str) -> None:
        """Gather `text` for the current run, after what other writers have written."""
        self.drain()
        self.write_for(self._runs.current, name, text)

    def write_for(self, run: Run | None, name: str, text: str) -> None:
        """Gather `text` for `run`."""
        if run and any(capture.write(name, text) for capture in reversed(run.captures)):
            return
        parent = run.request if run else None
        key = parent.msg_id if parent else None
        with self._context.guard:
            gathered = self._gathered.get(key)
            if gathered is None:
                gathered = self._gathered[key] = _Gathered(parent, run)
            if not self._watching:
                self._watching = True
                self._context.call_later(MAX_AGE, self._flush_old)
            gathered.add(name, text)
            if gathered.size > MAX_SIZE or time.monotonic() - gathered.since > MAX_AGE:
                self._send(gathered)
            elif gathered.writes > BURST and run and self._runs.is_going(run) and not run.captures:
                self.burst = Burst(run, gathered.pieces.append)
                gathered.writes += BURST

    def flush(self) -> None:
        """Send what the current parent has written."""
        if self.forked:
            return
        self.burst = None
        self.drain()
        parent = self._runs.parent
        if gathered := self._gathered.get(parent.msg_id if parent else None):
            with self._context.guard:
                self._send(gathered)

    def flush_all(self) -> None:
        """Send everything."""
        self.drain()
        with self._context.guard:
            for gathered in list(self._gathered.values()):
                self._send(gathered)

    def _flush_old(self) -> None:
        with self._context.guard:
            now = time.monotonic()
            quiet = True
            for key, gathered in list(self._gathered.items()):
                if gathered.pieces:
                    quiet = False
                    if now - gathered.since >= MAX_AGE / 2:
                        self._send(gathered)
                elif gathered.run is None or not self._runs.is_going(gathered.run):
                    del self._gathered[key]
            self.burst = None
            # once more after it was quiet: what was in the middle of a burst has come by then
            self._watching = self._watching and not (quiet and self._quiet)
            self._quiet = quiet
            if self._watching:
                self._context.call_later(MAX_AGE, self._flush_old)

    def _send(self, gathered: _Gathered) -> None:
        self.burst = None
        for name, text in gathered.take():
            self._context.publish(gathered.parent, "stream", {"name": name, "text": text})


_all: WeakSet[Streams] = WeakSet()


def _after_fork() -> None:
    for streams in _all:
        streams.forked, streams.burst = True, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Burst:
    """Many small writes by the code of a run in its own thread: so many of them are only put aside, as fast
    as it goes. The others look at the clock, at what else is written, at where the text belongs.
    """

    __slots__ = ("append", "left", "run", "thread")

    def __init__(self, run: Run, append: Callable[[tuple[str, str]], None]) -> None:
        self.run = run
        self.thread = threading.get_ident()
        self.append = append
        self.left = BURST


class _Gathered:
    """What one parent has written and was not sent: pieces, in order, by stream."""

    def __init__(self, parent: Message | None, run: Run | None) -> None:
        self.parent = parent
        self.run = run
        self.since = time.monotonic()
        self.size = 0
        self.writes = 0
        self.pieces: deque[tuple[str, str]] = deque()

    def add(self, name: str, text: str) -> None:
        if not self.pieces:
            self.since = time.monotonic()
        self.pieces.append((name, text))
        self.writes += 1
        self.size += len(text)

    def take(self) -> list[tuple[str, str]]:
        """The text, adjoining pieces of a stream as one."""
        taken = [self.pieces.popleft() for _ in range(len(self.pieces))]
        self.size = self.writes = 0
        self.since = time.monotonic()
        return [
            (name, "".join([text for _, text in pieces]))
            for name, pieces in groupby(taken, key=itemgetter(0))
        ]


class OutStream(io.TextIOBase):
    """A text stream whose text becomes `stream` messages. `original` lends it a file descriptor."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, streams: Streams, name: str, original: TextIO | None) -> None:
        super().__init__()
        self.name = f"<{name}>"
        self.mode = "w"
        self._streams = streams
        self._stream_name = name
        self._original = original
        self.buffer = _Bytes(self)
        """For who writes bytes."""

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        burst = self._streams.burst
        if (
            burst is not None
            and burst.left
            and burst.run is RUN.get()
            and burst.thread == threading.get_ident()
            and len(text) < SMALL
        ):
            burst.left -= 1
            burst.append((self._stream_name, text))
        elif self._streams.forked and self._original:
            self._original.write(text)
            self._original.flush()
        elif text:
            self._streams.write(self._stream_name, text)
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._streams.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._original is None:
            raise io.UnsupportedOperation("fileno")
        return self._original.fileno()

    def isatty(self) -> bool:
        return False

    def close(self) -> None:
        """Does nothing: a kernel's stdout outlives its cells."""


class _Bytes(io.RawIOBase):
    """Bytes written to `stdout.buffer`, as text."""

    def __init__(self, stream: OutStream) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._stream.write(self._decoder.decode(bytes(data)))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()
