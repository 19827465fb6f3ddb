"""The guard: threads take turns, and an interrupt waits until its thread has left."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from laneway.hosts.guard import Guard


def interrupt() -> None:
    raise KeyboardInterrupt


def test_who_is_outside_is_not_postponed() -> None:
    guard = Guard()
    assert not guard.postpone(threading.get_ident(), interrupt)
    with guard:
        pass
    assert not guard.postpone(threading.get_ident(), interrupt)


def test_an_interrupt_comes_on_leaving_the_outermost() -> None:
    guard = Guard()
    reached = False

    def work() -> None:
        nonlocal reached
        with guard:
            with guard:
                assert guard.postpone(threading.get_ident(), interrupt)
            reached = True

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached
    with guard:
        pass  # it came once


def test_who_waits_for_the_guard_is_postponed_too() -> None:
    guard = Guard()
    entering = threading.Event()
    interrupted = threading.Event()

    def work() -> None:
        entering.set()
        try:
            with guard:
                pass
        except KeyboardInterrupt:
            interrupted.set()

    with guard:
        thread = threading.Thread(target=work)
        thread.start()
        entering.wait()
        while not guard.postpone(thread.ident or 0, interrupt):
            pass  # it is about to enter
        assert thread.is_alive()
    thread.join()
    assert interrupted.is_set()


def test_threads_take_turns() -> None:
    guard = Guard()
    total = 0

    def work() -> None:
        nonlocal total
        for _ in range(2000):
            with guard:
                before = total
                total = before + 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total == 8000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork.")
def test_a_forked_process_enters_whoever_was_inside() -> None:
    guard = Guard()
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with guard:
            inside.set()
            leave.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        # in a thread, so that a failure ends
        entering = threading.Thread(target=guard.__enter__, daemon=True)
        entering.start()
        entering.join(20)
        os._exit(entering.is_alive())
    leave.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
