"""The kernel on the desktop: `python -m laneway -f connection.json`.

Joins ThreadHost, IPython and ZMQ in one process, and sees to it that this process ends: with the kernel, with
the program that started it, and in spite of a cell that does not. Runs on the main thread.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from ..protocol.errors import SettingsError
from ..transports.connection import Connection
from ..transports.zmq_kernel import ZmqKernelTransport
from ..version import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run a kernel until it is shut down. Returns the exit code: 1 where the connection cannot be used, 143
    after SIGTERM, which ends it in order.
    """
    options = _parser().parse_args(argv)
    if sys.__stderr__:
        faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing to interrupt yet
    try:
        path, transport = _bind(options.connection_file)
    except SettingsError as error:
        print(f"laneway: {error}", file=sys.stderr)
        return 1
    try:
        return _run(transport, path, options.profile)
    finally:
        if path != options.connection_file:
            path.unlink(missing_ok=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m laneway",
        description="A Jupyter kernel for Python in which no message waits behind another that it does not"
        " depend on. Jupyter starts it by itself where a notebook's kernel is 'Python (Laneway)'.",
        epilog="Without a connection file the kernel makes one, and says how to connect.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "-f",
        "--f",
        "--connection-file",
        dest="connection_file",
        metavar="FILE",
        type=Path,
        help="the JSON file that says where to listen and how messages are signed; ports that are 0 there are"
        " chosen and written back",
    )
    parser.add_argument(
        "--profile",
        metavar="NAME",
        default="default",
        help="the IPython profile whose configuration and startup files are used (default: %(default)s)",
    )
    parser.add_argument("--version", action="version", version=f"laneway {__version__}")
    return parser


def _bind(path: Path | None) -> tuple[Path, ZmqKernelTransport]:
    """Listen, before anything slow is imported: what clients send meanwhile waits in the sockets."""
    connection = Connection.read(path) if path else Connection.new()
    transport = ZmqKernelTransport(connection)
    try:
        if path is None:
            path = _runtime_dir() / f"kernel-{os.getpid()}.json"
            print(
                f"Connection file: {path}\nTo connect:      jupyter console --existing {path.name}",
                flush=True,
            )
        if transport.connection != connection:
            transport.connection.write(path)
    except BaseException:
        transport.close()
        raise
    return path, transport


def _runtime_dir() -> Path:
    """Where Jupyter's programs look for running kernels."""
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        folder = Path(jupyter_runtime_dir())
    except ImportError:
        folder = Path(os.environ.get("JUPYTER_RUNTIME_DIR", "~/.local/share/jupyter/runtime")).expanduser()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _run(transport: ZmqKernelTransport, path: Path, profile: str) -> int:
    from ..hosts.threads import DEADLINE, ThreadHost
    from ..interpreter.ipython import IPythonInterpreter, Settings

    gc.freeze()
    gc.enable()
    settings = Settings(own_process=True, profile=profile, connection_file=path)
    host = ThreadHost(IPythonInterpreter(settings), overdue=_exit)
    _add_current_folder()
    terminated = False

    def terminate(_signum: int, _frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = True
        host.terminate()

    signal.signal(signal.SIGTERM, terminate)
    _watch_parent(host.stop)
    host.run(transport)
    # Threads that user code has left behind, and its exit handlers, have as long as a cell has.
    timer = threading.Timer(DEADLINE, _exit)
    timer.daemon = True
    timer.start()
    return 128 + signal.SIGTERM if terminated else 0


def _add_current_folder() -> None:
    """Before installed packages and after the standard library, as IPython does: modules that lie beside a
    notebook can be imported, and none replaces one of Python's.
    """
    if "" in sys.path or sys.flags.safe_path:
        return
    installed = (i for i, path in enumerate(sys.path) if path.endswith(("site-packages", "dist-packages")))
    sys.path.insert(next(installed, 0), "")


def _exit() -> None:
    """End the process, whatever holds it."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream:
            stream.flush()
    os._exit(0)


def _watch_parent(gone: Callable[[], None]) -> None:
    """Call `gone` when the program that started the kernel has ended; Jupyter says which one it is."""
    named = os.environ.get("JPY_PARENT_PID", "")
    if not named.isdecimal() or sys.platform == "win32":  # there it is a handle
        return
    parent = int(named)
    is_child = os.getppid() == parent  # there may be a launcher in between

    def watch() -> None:
        while _exists(parent) and (not is_child or os.getppid() == parent):
            time.sleep(1)
        gone()

    threading.Thread(target=watch, name="laneway parent", daemon=True).start()


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
