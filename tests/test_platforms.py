"""Every module can be imported where POSIX is not: Windows, simulated by taking away what it lacks."""

import subprocess
import sys

PROGRAM = """
import importlib, os, pkgutil, select, signal, sys
import asyncio, IPython.core.application, IPython.core.interactiveshell
import anyio, jupyter_client, rich_click, trio, websockets, zmq

for module, names in {
    os: "fork forkpty getpgrp getppid killpg register_at_fork setsid openpty set_blocking geteuid",
    select: "poll epoll",
    signal: "SIGKILL SIGHUP SIGCHLD SIGUSR1 SIGALRM pthread_kill pthread_sigmask setitimer siginterrupt",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
for name in ("fcntl", "termios", "pty", "resource", "pwd", "grp", "uvloop"):
    sys.modules[name] = None
sys.platform = "win32"  # and not os.name, on which pathlib looks anew each time
import laneway

for module in pkgutil.walk_packages(laneway.__path__, "laneway."):
    if module.name == "laneway.__main__":
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name not in ("js", "pyodide", "pyodide_js", "uvloop"):  # for browsers, or POSIX, only
            raise
    else:
        print(module.name)
"""


def test_every_module_is_imported_on_windows() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert {
        "laneway.hosts.signals",
        "laneway.interpreter.descriptors",
        "laneway.interpreter.processes",
    } <= set(result.stdout.split())
