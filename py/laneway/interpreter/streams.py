"""stdout and stderr: text is gathered per parent, and sent as few messages, in order, soon.

What is gathered goes out before any other output of the same parent and before its reply, when it is
`MAX_SIZE` large, and when it is `MAX_AGE` old: by a timer, and by a look at the clock in `write`, since a
loop that computes may hold up the timer. A flush sends it at once; code that flushes all the time has a
message each `PACE`. A process that user code forks writes to the file descriptors, which `descriptors.py`
reads where the process is the kernel's.

`OutStream` takes the places of sys.stdout and sys.stderr, once for all kernels of the process; `Streams` are
one kernel's.

Any thread, under the host's guard. Imports: stdlib and `protocol/`.
"""

from __future__ import annotations

import codecs
import io
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, ClassVar, TextIO

from ..protocol.message import Message
from ..protocol.ports import Context
from .run import RUN, Run, Runs

MAX_AGE = 0.05
"""Seconds that text waits for more."""

MAX_SIZE = 2**20
"""Characters of one parent that wait for more."""

PACE = 0.025
"""Seconds from one message to the next, and so the most that text waits, where code flushes all the time."""

AT_ONCE = 4
"""So many flushes in a row send at once."""

BURST = 64
"""So many writes in one message make a burst, and a burst is as many, of less than `SMALL` characters."""

SMALL = 1024


class Streams:
    """The gathered text of one kernel."""

    context: Context
    """The host; there when the kernel runs."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._gathered: dict[str | None, _Gathered] = {}
        self.forked = False
        """Is this a process that was forked off the kernel's?"""
        self.drain: Callable[[], object] = lambda: None
        """Takes what other writers have written by now, see `descriptors.py`."""
        self._watching = False
        self._quiet = False

    def after_fork(self) -> None:
        """This is a child now: what was gathered, and the pipes, are its parent's."""
        self.forked = True
        self.drain = lambda: None
        Burst.going = None

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
        with self.context.guard:
            gathered = self._gathered.get(key)
            if gathered is None:
                gathered = self._gathered[key] = _Gathered(parent, run)
            if not self._watching:
                self._watching = True
                self.context.call_later(MAX_AGE, self._flush_old)
            gathered.add(name, text)
            if gathered.size > MAX_SIZE or time.monotonic() - gathered.since > MAX_AGE:
                self._send(gathered)
            elif gathered.writes > BURST and run and self._runs.is_going(run) and not run.captures:
                Burst.going = gathered.burst = Burst(run, gathered.pieces.append)
                gathered.writes += BURST

    def flush(self) -> None:
        """Send what the current parent has written."""
        if self.forked:
            return
        Burst.going = None
        self.drain()
        if gathered := self._of_current:
            with self.context.guard:
                self._send(gathered)

    def flush_soon(self) -> None:
        """Send what the current parent has written: at once, or with more where code asks all the time."""
        if self.forked:
            return
        self.drain()
        now = time.monotonic()
        gathered = self._of_current
        if gathered is None or not gathered.pieces or now < gathered.due:
            return
        with self.context.guard:
            if (wait := gathered.ahead - (AT_ONCE - 1) * PACE - now) > 0:
                gathered.due = now + wait
                self.context.call_later(wait, lambda: self._flush_due(gathered))
            else:
                self._send_flushed(gathered, now)

    def _flush_due(self, gathered: _Gathered) -> None:
        with self.context.guard:
            now = time.monotonic()
            if 0 < gathered.due <= now:
                self._send_flushed(gathered, now)

    def _send_flushed(self, gathered: _Gathered, now: float) -> None:
        gathered.due = 0
        gathered.ahead = max(gathered.ahead, now) + PACE
        self._send(gathered)

    @property
    def _of_current(self) -> _Gathered | None:
        parent = self._runs.parent
        return self._gathered.get(parent.msg_id if parent else None)

    def flush_all(self) -> None:
        """Send everything."""
        if self.forked:
            return
        self.drain()
        with self.context.guard:
            for gathered in list(self._gathered.values()):
                self._send(gathered)

    def _flush_old(self) -> None:
        with self.context.guard:
            now = time.monotonic()
            quiet = True
            for key, gathered in list(self._gathered.items()):
                if gathered.pieces:
                    quiet = False
                    if now - gathered.since >= MAX_AGE / 2:
                        self._send(gathered)
                elif gathered.run is None or not self._runs.is_going(gathered.run):
                    del self._gathered[key]
            Burst.going = None
            # once more after it was quiet: what was in the middle of a burst has come by then
            self._watching = self._watching and not (quiet and self._quiet)
            self._quiet = quiet
            if self._watching:
                self.context.call_later(MAX_AGE, self._flush_old)

    def _send(self, gathered: _Gathered) -> None:
        Burst.going = None
        for name, text in gathered.take():
            self.context.publish(gathered.parent, "stream", {"name": name, "text": text})


class Burst:
    """Many small writes by the code of a run in its own thread: so many of them are only put aside, as fast
    as it goes. The others look at the clock, at what else is written, at where the text belongs.
    """

    __slots__ = ("append", "left", "run", "size", "thread")

    going: ClassVar[Burst | None] = None
    """The last of all kernels. Ends with each message that is sent, and with the run."""

    def __init__(self, run: Run, append: Callable[[tuple[str, str]], None]) -> None:
        self.run = run
        self.thread = threading.get_ident()
        self.append = append
        self.left = BURST
        self.size = 0


class _Gathered:
    """What one parent has written and was not sent: pieces, in order, by stream."""

    def __init__(self, parent: Message | None, run: Run | None) -> None:
        self.parent = parent
        self.run = run
        self.since = time.monotonic()
        self.size = 0
        self.writes = 0
        self.pieces: deque[tuple[str, str]] = deque()
        self.burst: Burst | None = None
        """The last one, where `size` lacks what it has put aside."""
        self.due = 0.0
        """When a timer sends what was flushed, or 0."""
        self.ahead = 0.0
        """When what flushes have sent would be over, at a message each `PACE`."""

    def add(self, name: str, text: str) -> None:
        if not self.pieces:
            self.since = time.monotonic()
        self.pieces.append((name, text))
        self.writes += 1
        self.size += len(text)
        if self.burst:
            self.size += self.burst.size
            self.burst = None

    def take(self) -> list[tuple[str, str]]:
        """The text, adjoining pieces of a stream as one."""
        taken = [self.pieces.popleft() for _ in range(len(self.pieces))]
        self.size = self.writes = 0
        self.burst = None
        self.since = time.monotonic()
        return [
            (name, "".join([text for _, text in pieces]))
            for name, pieces in groupby(taken, key=itemgetter(0))
        ]


class OutStream(io.TextIOBase):
    """sys.stdout or sys.stderr: what a kernel's code writes becomes `stream` messages of the kernel whose
    streams `find` finds. For who belongs to no kernel it is `original`, which lends it a file descriptor.
    """

    def __init__(self, name: str, original: TextIO | None, find: Callable[[], Streams | None]) -> None:
        super().__init__()
        self._name = name
        self._original = original
        self._find = find
        self._bytes = _Bytes(self)

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        burst = Burst.going
        if (
            burst is not None
            and burst.left
            and burst.run is RUN.get()
            and burst.thread == threading.get_ident()
            and (size := len(text)) < SMALL
        ):
            burst.left -= 1
            burst.size += size
            burst.append((self._name, text))
            return len(text)
        streams = self._find()
        if streams is not None and not streams.forked:
            if text:
                streams.write(self._name, text)
        elif self._original:
            self._original.write(text)
            if streams is not None:
                self._original.flush()
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        streams = self._find()
        if streams is not None:
            streams.flush_soon()
        elif self._original:
            self._original.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._original is None:
            raise io.UnsupportedOperation("fileno")
        return self._original.fileno()

    def isatty(self) -> bool:
        program = self._of_program
        return program is not None and program.isatty()

    def close(self) -> None:
        """Does nothing: a kernel's stdout outlives its cells, and a program's this."""

    @property
    def name(self) -> str:
        program = self._of_program
        return f"<{self._name}>" if program is None else program.name

    @property
    def mode(self) -> str:
        program = self._of_program
        return "w" if program is None else program.mode

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        program = self._of_program
        return "UTF-8" if program is None else program.encoding

    @property
    def errors(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        program = self._of_program
        return "replace" if program is None else program.errors

    @property
    def buffer(self) -> Any:
        """For who writes bytes."""
        program = self._of_program
        return self._bytes if program is None else program.buffer

    def __getattr__(self, name: str) -> Any:
        """What else the program's own has, `reconfigure` say."""
        if not name.startswith("_") and (program := self._of_program) is not None:
            return getattr(program, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def _of_program(self) -> TextIO | None:
        """The original, for code that belongs to no kernel."""
        return self._original if self._find() is None else None


class _Bytes(io.RawIOBase):
    """Bytes written to `stdout.buffer` in a kernel, as text."""

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
