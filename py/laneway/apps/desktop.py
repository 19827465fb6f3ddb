"""The kernel on the desktop: `python -m laneway -f connection.json`.

Joins ThreadHost, IPython and ZMQ in one process, and sees to it that this process ends: with the kernel, with
the program that started it, and in spite of a cell that does not. Runs on the main thread.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .. import console
from ..protocol.backends import Backend
from ..protocol.errors import SettingsError
from ..transports.connection import Connection
from ..transports.zmq_kernel import ZmqKernelTransport
from ..version import __version__
from .parent import watch_parent
from .settings import KernelSettings, Where, described, given, settings

if TYPE_CHECKING:
    import asyncio

    from ..interpreter.arguments import Arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run a kernel until it is shut down. Returns the exit code: 2 where a setting or the connection cannot
    be used, 143 after SIGTERM, which ends it in order.
    """
    if sys.__stderr__:
        faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing to interrupt yet
    try:
        named, settings, others = _parse(sys.argv[1:] if argv is None else argv)
        arguments = _read_arguments(others) if others else None
        if arguments and named is None and (file := arguments.app("connection_file")):
            named = Path(file)
        path, transport = _bind(named, arguments.connection if arguments else {})
        try:
            return _run(transport, path, settings, arguments)
        finally:
            if path != named:
                path.unlink(missing_ok=True)
    except SettingsError as error:
        print(f"laneway: {error}", file=sys.stderr)
        return 2


def _parse(argv: Sequence[str]) -> tuple[Path | None, KernelSettings, Sequence[str]]:
    """The connection file, the settings, and what else there is."""
    if len(argv) == 2 and argv[0] == "-f":  # as kernelspecs have it; argparse takes 3 ms to begin with
        return Path(argv[1]), KernelSettings(), ()
    options, others = _parser().parse_known_args(argv)
    return options.connection_file, given(vars(options)), others


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence, as of everything else that is wrong."""
        raise SettingsError(f"{message[:1].upper()}{message[1:]}.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m laneway",
        description="A Jupyter kernel for Python in which no message waits behind another that it does not"
        " depend on. Jupyter starts it by itself where a notebook's kernel is 'Python (Laneway)'.",
        epilog="Without a connection file the kernel makes one, and says how to connect. IPython's arguments"
        " are understood, too: --Class.trait=value and their short forms. The command `laneway` installs"
        " kernelspecs, runs programs, and says what is missing.",
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
    for setting in settings(Where.DESKTOP):
        parser.add_argument(
            setting.option,
            dest=setting.field,
            action="append" if setting.many else "store",
            metavar="|".join(setting.choices) or setting.metavar,
            help=described(setting),
        )
    parser.add_argument("--version", action="version", version=f"laneway {__version__}")
    return parser


def _read_arguments(argv: Sequence[str]) -> Arguments:
    from ..interpreter.arguments import read_arguments  # slow to import, and seldom needed

    return read_arguments(argv)


def _bind(path: Path | None, fields: Mapping[str, Any]) -> tuple[Path, ZmqKernelTransport]:
    """Listen, before anything slow is imported: what clients send meanwhile waits in the sockets. `fields`
    are those of the connection file that the command line sets.
    """
    connection = Connection.read(path) if path else Connection.new()
    if fields:
        connection = Connection.parse({**connection._asdict(), **fields})
    transport = ZmqKernelTransport(connection)
    said = ""
    try:
        if path is None:
            path = runtime_dir() / f"kernel-{os.getpid()}.json"
            said = f"Connection file: {path}\nTo connect:      jupyter console --existing {path.name}"
        if transport.connection != connection:
            transport.connection.write(path)
        if said:  # who reads it may connect at once
            print(said, flush=True)
    except BaseException:
        transport.close()
        raise
    return path, transport


def runtime_dir() -> Path:
    """Where Jupyter's programs look for running kernels."""
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        folder = Path(jupyter_runtime_dir())
    except ImportError:
        folder = Path(os.environ.get("JUPYTER_RUNTIME_DIR", "~/.local/share/jupyter/runtime")).expanduser()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _run(
    transport: ZmqKernelTransport, path: Path, settings: KernelSettings, arguments: Arguments | None
) -> int:
    from ..hosts.life import OwnProcess
    from ..hosts.threads import ThreadHost
    from ..interpreter.ipython import IPythonInterpreter, Settings

    gc.freeze()
    gc.enable()
    _give_back_memory()
    for name in ("laneway", "traitlets"):
        logging.getLogger(name).addHandler(console.Handler(logging.WARNING))
    own = Settings(own_process=True, profile=settings.profile, connection_file=path, arguments=arguments)
    process = OwnProcess()
    host = ThreadHost(
        IPythonInterpreter(own),
        process=process,
        backend=Backend(settings.backend),
        new_loop=_loop_maker(settings.loop),
    )
    _add_current_folder()
    watch_parent(host.stop)
    host.run(transport)
    if host.terminated:
        process.status = 128 + signal.SIGTERM
    return process.status  # threads that user code has left behind, and its exit handlers, are bounded too


def _loop_maker(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if loop == "uvloop":
        from ..hosts.uv import FairUvloop

        return FairUvloop
    from ..hosts import fair

    return fair.new_event_loop


def _give_back_memory() -> None:
    """Let the system have the memory that imports have used for a moment: glibc would keep it, 3 of 43 MB."""
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def _add_current_folder() -> None:
    """Before installed packages and after the standard library, as IPython does: modules that lie beside a
    notebook can be imported, and none replaces one of Python's.
    """
    if "" in sys.path or sys.flags.safe_path:
        return
    installed = (i for i, path in enumerate(sys.path) if path.endswith(("site-packages", "dist-packages")))
    sys.path.insert(next(installed, 0), "")
