"""The watch over the program that started the kernel. What the kernel does then is in test_desktop.py and
test_life.py; Windows is simulated.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from laneway.apps import parent
from laneway.apps.parent import watch_parent


@pytest.mark.parametrize("told", [True, False], ids=["told", "looks"])
def test_an_end_is_noticed(monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """On Linux without any look meanwhile: an idle kernel does nothing."""
    looks, gone, sleep = threading.Event(), threading.Event(), time.sleep

    def look(_seconds: float) -> None:
        looks.set()
        sleep(0.001)

    monkeypatch.setattr(parent, "time", SimpleNamespace(sleep=look))
    if not told:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    elif not hasattr(os, "pidfd_open"):
        pytest.skip("This system has no descriptors of processes.")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setenv("JPY_PARENT_PID", str(process.pid))
    watch_parent(gone.set)
    assert told or looks.wait(20)
    assert not gone.is_set()
    process.communicate(b"\n", 20)
    assert gone.wait(20)
    assert looks.is_set() is not told


def test_on_windows_a_thread_waits_for_the_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, gone = threading.Event(), threading.Event()
    waited: list[tuple[int | None, int]] = []

    def wait(handle: ctypes.c_void_p, timeout: ctypes.c_uint32) -> int:
        waited.append((handle.value, timeout.value))
        ended.wait()
        return 0

    monkeypatch.setattr(sys, "platform", "win32")
    windows = SimpleNamespace(kernel32=SimpleNamespace(WaitForSingleObject=wait))
    monkeypatch.setattr(ctypes, "windll", windows, raising=False)
    monkeypatch.setenv("JPY_PARENT_PID", "1234")
    watch_parent(gone.set)
    assert not gone.is_set()
    ended.set()
    assert gone.wait(20)
    assert waited == [(1234, 0xFFFFFFFF)]


@pytest.mark.parametrize("named", ["", "nobody", "-1"])
def test_without_a_parent_nothing_is_watched(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", named)
    before = threading.active_count()
    watch_parent(lambda: None)
    assert threading.active_count() == before
