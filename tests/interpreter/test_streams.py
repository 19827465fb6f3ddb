"""Streams: few messages, complete, in order, of the right parent, soon."""

from __future__ import annotations

import contextvars
import io
import sys
import threading
import time

import pytest

from laneway.interpreter import streams as streams_module
from laneway.interpreter.run import RUN, Run, Runs
from laneway.interpreter.streams import Streams

from .context import RecordingContext, request


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def streams(context: RecordingContext, runs: Runs) -> Streams:
    return Streams(context, runs)


def begin(runs: Runs, msg_id: str) -> contextvars.Context:
    """A context in which the cell `msg_id` runs."""
    context = contextvars.copy_context()
    context.run(runs.begin, Run(request("execute_request", {"code": ""}, msg_id)))
    return context


def test_pieces_are_joined_and_streams_keep_their_order(
    context: RecordingContext, runs: Runs, streams: Streams
) -> None:
    cell = begin(runs, "1")
    for stream, text in (("out", "a"), ("out", "b"), ("err", "c"), ("out", "d"), ("out", "")):
        cell.run((streams.stdout if stream == "out" else streams.stderr).write, text)
    assert context.published == []
    cell.run(streams.flush)
    assert context.texts() == [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")]
    cell.run(streams.flush)
    assert len(context.published) == 3


def test_each_parent_has_its_own(context: RecordingContext, runs: Runs, streams: Streams) -> None:
    first, second = begin(runs, "1"), begin(runs, "2")
    for i in range(3):
        first.run(streams.stdout.write, f"a{i}")
        second.run(streams.stdout.write, f"b{i}")
    first.run(streams.flush)
    assert context.texts("1") == [("stdout", "a0a1a2")]
    assert context.texts("2") == []
    streams.flush_all()
    assert context.texts("2") == [("stdout", "b0b1b2")]


def test_a_timer_sends_what_is_old(
    context: RecordingContext, runs: Runs, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    cell = begin(runs, "1")
    cell.run(streams.stdout.write, "x")
    now += streams_module.MAX_AGE
    while context.timers:  # it asks for another turn as long as there is something to look after
        context.timers.pop(0)()
        now += streams_module.MAX_AGE
    assert context.texts() == [("stdout", "x")]
    cell.run(streams.stdout.write, "y")
    assert context.timers


def test_a_loop_that_writes_is_seen_without_a_timer(
    context: RecordingContext, runs: Runs, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    cell = begin(runs, "1")
    for _ in range(10):
        cell.run(streams.stdout.write, "x")
        now += streams_module.MAX_AGE / 4
    assert "".join(text for _, text in context.texts()) in ("xxxxx", "xxxxxx", "xxxxxxxxxx")


def test_much_text_is_sent_in_parts(context: RecordingContext, runs: Runs, streams: Streams) -> None:
    cell = begin(runs, "1")
    for _ in range(5):
        cell.run(streams.stdout.write, "x" * (streams_module.MAX_SIZE // 2 + 1))
    assert [len(text) for _, text in context.texts()] == [streams_module.MAX_SIZE + 2] * 2


def test_a_thread_without_a_context_writes_for_the_last_cell(
    context: RecordingContext, runs: Runs, streams: Streams
) -> None:
    begin(runs, "1")
    thread = threading.Thread(target=streams.stdout.write, args=("from a thread",))
    thread.start()
    thread.join()
    streams.flush_all()
    assert context.texts() == [("stdout", "from a thread")]


def test_threads_lose_nothing(context: RecordingContext, runs: Runs, streams: Streams) -> None:
    begin(runs, "1")

    def work(name: int) -> None:
        for i in range(1000):
            streams.stdout.write(f"{name}:{i}\n")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    streams.flush_all()
    lines = "".join(text for _, text in context.texts()).splitlines()
    for name in range(4):
        assert [line for line in lines if line.startswith(f"{name}:")] == [f"{name}:{i}" for i in range(1000)]


def test_it_is_a_text_stream(context: RecordingContext, runs: Runs, streams: Streams) -> None:
    begin(runs, "1")
    out = streams.stdout
    assert isinstance(out, io.TextIOBase)
    assert (out.writable(), out.isatty(), out.encoding, out.closed) == (True, False, "utf-8", False)
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


def test_it_takes_the_places_and_gives_them_back(streams: Streams) -> None:
    before = sys.stdout, sys.stderr
    streams.install()
    try:
        assert (sys.stdout, sys.stderr) == (streams.stdout, streams.stderr)
    finally:
        streams.uninstall()
    assert (sys.stdout, sys.stderr) == before


def test_bursts_lose_nothing_and_keep_their_order(
    context: RecordingContext, runs: Runs, streams: Streams
) -> None:
    """Two threads of a cell write as fast as they can, another sends what is old all the time."""
    cell = begin(runs, "1")
    done = threading.Event()

    def write(name: str) -> None:
        for i in range(50_000):
            print(f"{name}{i}", file=streams.stderr if i % 1000 == 0 else streams.stdout)

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
    assert streams.burst is None


def test_a_burst_ends_with_its_run(context: RecordingContext, runs: Runs, streams: Streams) -> None:
    cell = begin(runs, "1")

    def burst() -> None:
        for _ in range(streams_module.BURST + 2):
            streams.stdout.write("x")

    cell.run(burst)
    assert streams.burst is not None
    assert context.texts() == []
    cell.run(streams.flush)
    assert streams.burst is None
    runs.end(cell[RUN])  # type: ignore[arg-type]
    cell.run(burst)
    assert streams.burst is None, "What it has left behind is not in a hurry."
    cell.run(streams.flush)
    assert context.texts() == [("stdout", "x" * (streams_module.BURST + 2))] * 2
