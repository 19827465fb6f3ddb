"""Windows of real toolkits on a virtual display, while a kernel runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator

import anyio
import pytest

import laneway
from laneway.client.client import Client
from tests.conformance.checks import output, run, soon

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="its event loop cannot wait inside a toolkit"),
]

_GTK = """
import gi
gi.require_version("Gtk", "{version}")
from gi.repository import GLib, Gtk
window = Gtk.Window()
window.{show}()
def tick():
    global count
    count += 1
    window.set_title(str(count))
    return True
GLib.timeout_add(5, tick)
count = 0
"""

_COUNTERS = {
    "tk": """
import tkinter
window = tkinter.Tk()
def tick():
    global count
    count += 1
    label.config(text=str(count))
    window.after(5, tick)
label = tkinter.Label(window)
label.pack()
count = 0
tick()
""",
    "qt": """
from PySide6 import QtCore, QtWidgets
window = QtWidgets.QLabel()
window.show()
def tick():
    global count
    count += 1
    window.setText(str(count))
timer = QtCore.QTimer()
timer.timeout.connect(tick)
timer.start(5)
count = 0
""",
    "gtk3": _GTK.format(version="3.0", show="show_all"),
    "gtk4": _GTK.format(version="4.0", show="present"),
}
_SOON = {
    "tk": "import tkinter\nwindow = tkinter.Tk()\nwindow.after(1, {})",
    "qt": "from PySide6 import QtCore\nQtCore.QTimer.singleShot(1, {})",
    "gtk3": "from gi.repository import GLib\nGLib.timeout_add(1, {})",
    "gtk4": "from gi.repository import GLib\nGLib.timeout_add(1, {})",
}
"""Lets the toolkit call a function."""

_NEEDS = {
    "tk": "import tkinter; tkinter.Tk()",
    "qt": "from PySide6 import QtWidgets; QtWidgets.QApplication([])",
    "gtk3": "import gi; gi.require_version('Gtk', '3.0'); gi.require_foreign('cairo')",
    "gtk4": "import gi; gi.require_version('Gtk', '4.0'); gi.require_foreign('cairo')",
}
"""What goes where all of it is installed. Qt ends the process where a library of X is missing."""

_GOES_ON = """
import time
def goes_on(seen):
    end = time.monotonic() + 60
    while count < seen + 5 and time.monotonic() < end:
        pass
    return count >= seen + 5
"""


@pytest.fixture(scope="module")
def display() -> Generator[str]:
    """A virtual one."""
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        pytest.skip("Xvfb is not installed (Debian: apt-get install xvfb)")
    command = (xvfb, "-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout
        yield ":" + server.stdout.readline().decode().strip()
        server.terminate()


@pytest.fixture
async def kc(display: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Client, None]:
    """A kernel that sees it. Toolkits stay in a process for good."""
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    async with laneway.launch() as kc:
        yield kc


@pytest.fixture(params=_NEEDS)
async def gui(request: pytest.FixtureRequest, display: str) -> str:
    """A toolkit that is installed."""
    command = [sys.executable, "-c", _NEEDS[request.param]]
    done = await anyio.run_process(command, env={**os.environ, "DISPLAY": display}, check=False)
    if done.returncode:
        said = done.stderr.decode().strip().splitlines() or ["it has said nothing"]
        pytest.skip(f"{request.param} is not installed, or lacks something: {said[-1]}")
    return request.param


async def test_windows_respond(gui: str, kc: Client) -> None:
    assert (await run(kc, f"%gui {gui}")).stderr == ""
    await run(kc, _GOES_ON + _COUNTERS[gui])
    subshell = await kc.create_subshell()
    # while a cell of a subshell computes, and the main shell does nothing
    assert (await run(kc, "print(goes_on(count))", subshell=subshell)).stdout == "True\n"
    # while a cell awaits: what a callback sets wakes it, and all else is answered
    waits = kc.execute("import asyncio\nevent = asyncio.Event()\nprint('ready')\nawait event.wait()\n'woken'")
    await output(waits, "ready")
    assert "goes_on" in (await soon(kc.complete("goes_")))["matches"]
    again = "before = tick\ndef tick():\n    event.set()\n    return before()"
    if gui == "tk":
        await run(kc, again, mode="task")
    else:
        await run(kc, "asyncio.get_running_loop().call_later(0.01, event.set)\nNone", mode="task")
    assert (await soon(waits)).status == "ok"
    assert (await run(kc, "print(goes_on(count))", subshell=subshell)).stdout == "True\n"
    # and not when there is nothing to be served any more
    await run(kc, "%gui")
    seen = (await run(kc, "count")).result
    await run(kc, "await asyncio.sleep(0.05)")
    assert (await run(kc, "count")).result == seen


async def test_an_interrupt_ends_a_callback_and_a_wait(gui: str, kc: Client) -> None:
    await run(kc, f"%gui {gui}\nimport asyncio, os, signal")
    await run(kc, "def computes():\n    print('ready', flush=True)\n    while True: pass")
    cell = kc.execute(f"{_SOON[gui].format('computes')}\nawait asyncio.sleep(1000)")
    await output(cell, "ready")
    await soon(kc.interrupt())
    assert (await soon(cell)).reply["ename"] == "KeyboardInterrupt"
    # the toolkit waits in C, where no signal ends the wait
    cell = kc.execute("print('ready')\nawait asyncio.sleep(1000)")
    await output(cell, "ready")
    subshell = await kc.create_subshell()
    # which is a stop of all that runs, so of this, too
    await soon(kc.execute("os.kill(os.getpid(), signal.SIGINT)", subshell=subshell))
    assert (await soon(cell)).reply["ename"] == "KeyboardInterrupt"


async def test_figures_have_windows(gui: str, kc: Client) -> None:
    code = (
        f"%matplotlib {gui}\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nplt.get_backend()"
    )
    assert (await run(kc, code)).result == {"text/plain": f"'{gui}agg'"}
    drawn = "import asyncio\nwhile plt.gcf().stale: await asyncio.sleep(0.01)"
    await run(kc, drawn)


async def test_what_cannot_be_is_said(kc: Client) -> None:
    assert "does not know the toolkit 'wx'" in (await run(kc, "%gui wx")).stderr
    subshell = await kc.create_subshell()
    assert "main shell" in (await run(kc, "%gui tk", subshell=subshell)).stderr
