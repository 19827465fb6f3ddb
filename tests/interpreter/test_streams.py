"""Streams: few messages, complete, in order, of the right parent, soon."""

from __future__ import annotations

import contextvars
import io
import itertools
import sys
import threading
import time

import pytest

from laneway.interpreter import streams as streams_module
from laneway.interpreter.run import RUN, Run, Runs
from laneway.interpreter.streams import Burst, OutStream, Streams

from .context import RecordingContext, request


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def streams(context: RecordingContext, runs: Runs) -> Streams:
    streams = Streams(runs)
    streams.context = context
    return streams


@pytest.fixture
def stdout(streams: Streams) -> OutStream:
    return OutStream("stdout", sys.__stdout__, lambda: streams)


@pytest.fixture
def stderr(streams: Streams) -> OutStream:
    return OutStream("stderr", sys.__stderr__, lambda: streams)


def begin(runs: Runs, msg_id: str) -> contextvars.Context:
    """A context in which the cell `msg_id` runs."""
    context = contextvars.copy_context()
    context.run(runs.begin, Run(request("execute_request", {"code": ""}, msg_id), runs))
    return context


def test_pieces_are_joined_and_streams_keep_their_order(
    context: RecordingContext, runs: Runs, streams: Streams, stdout: OutStream, stderr: OutStream
) -> None:
    cell = begin(runs, "1")
    for stream, text in (("out", "a"), ("out", "b"), ("err", "c"), ("out", "d"), ("out", "")):
        cell.run((stdout if stream == "out" else stderr).write, text)
    assert context.published == []
    cell.run(streams.flush)
    assert context.texts() == [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")]
    cell.run(streams.flush)
    assert len(context.published) == 3


def test_each_parent_has_its_own(
    context: RecordingContext, runs: Runs, streams: Streams, stdout: OutStream
) -> None:
    first, second = begin(runs, "1"), begin(runs, "2")
    for i in range(3):
        first.run(stdout.write, f"a{i}")
        second.run(stdout.write, f"b{i}")
    first.run(streams.flush)
    assert context.texts("1") == [("stdout", "a0a1a2")]
    assert context.texts("2") == []
    streams.flush_all()
    assert context.texts("2") == [("stdout", "b0b1b2")]


def test_a_timer_sends_what_is_old(
    context: RecordingContext, runs: Runs, monkeypatch: pytest.MonkeyPatch, stdout: OutStream
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    cell = begin(runs, "1")
    cell.run(stdout.write, "x")
    now += streams_module.MAX_AGE
    while context.timers:  # it asks for another turn as long as there is something to look after
        context.timers.pop(0)()
        now += streams_module.MAX_AGE
    assert context.texts() == [("stdout", "x")]
    cell.run(stdout.write, "y")
    assert context.timers


def test_a_loop_that_writes_is_seen_without_a_timer(
    context: RecordingContext, runs: Runs, monkeypatch: pytest.MonkeyPatch, stdout: OutStream
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    cell = begin(runs, "1")
    for _ in range(10):
        cell.run(stdout.write, "x")
        now += streams_module.MAX_AGE / 4
    assert "".join(text for _, text in context.texts()) in ("xxxxx", "xxxxxx", "xxxxxxxxxx")


def test_who_flushes_all_the_time_has_few_messages_soon(
    context: RecordingContext, runs: Runs, monkeypatch: pytest.MonkeyPatch, stdout: OutStream
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    cell = begin(runs, "1")

    def text() -> str:
        return "".join(text for _, text in context.texts())

    for written in range(10_000):
        cell.run(print, "x", end="", file=stdout, flush=True)
        now += 1e-4
        assert (written - len(text())) * 1e-4 <= streams_module.PACE + 1e-4
    assert len(context.texts()) <= 1 / streams_module.PACE + streams_module.AT_ONCE
    now += streams_module.PACE  # and then it computes, and does not print
    for timer in context.timers:
        timer()
    assert text() == "x" * 10_000


def test_who_flushes_now_and_then_has_a_message_at_once(
    context: RecordingContext,
    runs: Runs,
    streams: Streams,
    monkeypatch: pytest.MonkeyPatch,
    stdout: OutStream,
    stderr: OutStream,
) -> None:
    now = itertools.count(100, 1e-6)
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    cell = begin(runs, "1")
    for i in range(streams_module.AT_ONCE):
        cell.run(print, i, file=stdout, flush=True)
        assert context.texts()[-1] == ("stdout", f"{i}\n")
    cell.run(print, "more", file=stderr, flush=True)
    assert len(context.texts()) == streams_module.AT_ONCE
    cell.run(streams.flush)  # the reply does not wait
    assert context.texts()[-1] == ("stderr", "more\n")


def test_much_text_is_sent_in_parts(context: RecordingContext, runs: Runs, stdout: OutStream) -> None:
    cell = begin(runs, "1")
    for _ in range(5):
        cell.run(stdout.write, "x" * (streams_module.MAX_SIZE // 2 + 1))
    assert [len(text) for _, text in context.texts()] == [streams_module.MAX_SIZE + 2] * 2


def test_a_thread_without_a_context_writes_for_the_last_cell(
    context: RecordingContext, runs: Runs, streams: Streams, stdout: OutStream
) -> None:
    begin(runs, "1")
    thread = threading.Thread(target=stdout.write, args=("from a thread",))
    thread.start()
    thread.join()
    streams.flush_all()
    assert context.texts() == [("stdout", "from a thread")]


def test_threads_lose_nothing(
    context: RecordingContext, runs: Runs, streams: Streams, stdout: OutStream
) -> None:
    begin(runs, "1")

    def work(name: int) -> None:
        for i in range(1000):
            stdout.write(f"{name}:{i}\n")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    streams.flush_all()
    lines = "".join(text for _, text in context.texts()).splitlines()
    for name in range(4):
        assert [line for line in lines if line.startswith(f"{name}:")] == [f"{name}:{i}" for i in range(1000)]


def test_it_is_a_text_stream(
    context: RecordingContext, runs: Runs, streams: Streams, stdout: OutStream
) -> None:
    begin(runs, "1")
    out = stdout
    assert isinstance(out, io.TextIOBase)
    assert (out.writable(), out.isatty(), out.encoding, out.closed) == (True, False, "UTF-8", False)
    assert out.fileno() == sys.__stdout__.fileno()  # type: ignore[union-attr]
    out.writelines(["a", "b"])
    assert out.write("c") == 1
    with pytest.raises(TypeError, match="must be str, not bytes"):
        out.write(b"bytes")  # type: ignore[arg-type]
    out.buffer.write("é".encode()[:1])
    out.buffer.write("é".encode()[1:])
    out.close()
    out.flush()
    streams.flush_all()
    assert context.texts() == [("stdout", "abcé")]


def test_bursts_lose_nothing_and_keep_their_order(
    context: RecordingContext, runs: Runs, streams: Streams, stdout: OutStream, stderr: OutStream
) -> None:
    """Two threads of a cell write as fast as they can, another sends what is old all the time."""
    cell = begin(runs, "1")
    done = threading.Event()

    def write(name: str) -> None:
        for i in range(50_000):
            print(f"{name}{i}", file=stderr if i % 1000 == 0 else stdout)

    def tick() -> None:
        while not done.is_set():
            for timer in context.timers[:1]:
                context.timers.remove(timer)
                timer()

    threads = [threading.Thread(target=cell.copy().run, args=(write, name)) for name in "ab"]
    ticking = threading.Thread(target=tick)
    for thread in (*threads, ticking):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    ticking.join()
    cell.run(streams.flush)
    text = "".join(text for _, text in context.texts())
    for name in "ab":
        own = [
            piece
            for piece in text.replace("\n", " ").replace("b", " b").replace("a", " a").split()
            if name in piece
        ]
        assert own == [f"{name}{i}" for i in range(50_000)]
    assert Burst.going is None


def test_a_message_has_an_end_also_in_bursts(
    context: RecordingContext,
    runs: Runs,
    streams: Streams,
    stdout: OutStream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    cell = begin(runs, "1")
    text = "x" * (streams_module.SMALL - 1)
    written = 5 * streams_module.MAX_SIZE // len(text)
    cell.run(lambda: [stdout.write(text) for _ in range(written)])
    cell.run(streams.flush)
    sizes = [len(text) for _, text in context.texts()]
    assert sum(sizes) == written * len(text)
    assert max(sizes) < streams_module.MAX_SIZE + 2 * streams_module.BURST * streams_module.SMALL


def test_a_burst_ends_with_its_run(
    context: RecordingContext, runs: Runs, streams: Streams, stdout: OutStream
) -> None:
    cell = begin(runs, "1")

    def burst() -> None:
        for _ in range(streams_module.BURST + 2):
            stdout.write("x")

    cell.run(burst)
    assert Burst.going is not None
    assert context.texts() == []
    cell.run(streams.flush)
    assert Burst.going is None
    runs.end(cell[RUN])  # type: ignore[arg-type]
    cell.run(burst)
    assert Burst.going is None, "What it has left behind is not in a hurry."
    cell.run(streams.flush)
    assert context.texts() == [("stdout", "x" * (streams_module.BURST + 2))] * 2
