"""IPythonInterpreter: IPython behind the port `Interpreter`.

`handle` finds a method by msg_type. Cells and comm messages run on the thread and in the context of their
lane; the rest is `introspection.py`, on any thread.
"""

from __future__ import annotations

import atexit
import importlib
import os
import sys
import warnings
from collections.abc import Awaitable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from comm.base_comm import CommManager
from IPython.core.completer import IPCompleter, ProvisionalCompleterWarning
from IPython.core.release import version as ipython_version

from ..protocol.errors import LocalProtocolError
from ..protocol.message import Content, Message, as_error
from ..protocol.ports import Context
from ..version import __version__
from . import introspection
from .comms import Comms
from .debugger import Debugger
from .descriptors import Descriptors
from .history import IN_BROWSER, is_busy
from .kernel import KernelFacade
from .profile import find_profile, has_startup, read_config
from .run import Run, Runs, Threads
from .shell import ZMQInteractiveShell, default_config
from .standins import Names, StandIns
from .stdin import Stdin
from .streams import OutStream, Streams

HISTORY_DELAY = 1.0
"""Seconds after a cell that its history is written: a burst of cells is one write."""

EXIT_DELAY = 0.1
"""Seconds after the cell that says `exit` that the kernel ends by itself."""


class Settings(NamedTuple):
    """What an application knows and IPython does not."""

    own_process: bool = False
    """The process is the kernel's: so are file descriptors 1 and 2, the environment and the user's profile.
    """
    profile: str = "default"
    """The IPython profile, for a process of its own."""
    connection_file: Path | None = None
    """Where clients connect, for code that asks."""
    pip_index_urls: Sequence[str] = ()
    """Package indexes that `%pip install` asks first, in a browser."""


class IPythonInterpreter:
    """Runs IPython. While it runs, sys.stdout and sys.stderr, input and getpass, and the package comm are its
    own.

    `settings`: see `Settings`.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._session: Session | None = None

    @property
    def info(self) -> Mapping[str, Any]:
        """See `Interpreter`."""
        python = ".".join(map(str, sys.version_info[:3]))
        return {
            "implementation": "laneway",
            "implementation_version": __version__,
            "language_info": {
                "name": "python",
                "version": python,
                "mimetype": "text/x-python",
                "file_extension": ".py",
                "pygments_lexer": "ipython3",
                "codemirror_mode": {"name": "ipython", "version": 3},
                "nbconvert_exporter": "python",
            },
            "banner": f"Python {python} · IPython {ipython_version} · Laneway {__version__}",
            "help_links": [
                {"text": "Python Reference", "url": f"https://docs.python.org/{python.rpartition('.')[0]}"},
                {"text": "IPython Reference", "url": "https://ipython.readthedocs.io"},
            ],
        }

    def start(self, context: Context) -> None:
        """See `Interpreter`."""
        self._session = Session(context, self._settings)

    def handle(self, request: Message) -> Content | Awaitable[Content] | None:
        """See `Interpreter`."""
        assert self._session, "Start the interpreter first."
        return self._session.handle(request)

    def interject(self, request: Message) -> Content | None:
        """See `Interpreter`."""
        assert self._session, "Start the interpreter first."
        return self._session.interject(request)

    def stop(self) -> None:
        """See `Interpreter`."""
        if self._session:
            self._session.stop()
            self._session = None


class _Part(Protocol):
    """Something of the process that is ours while the interpreter runs."""

    def install(self) -> None: ...

    def uninstall(self) -> None: ...


class Session:
    """The interpreter while it runs."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self._context = context
        self._runs = runs = Runs()
        self._streams = streams = Streams(context, runs)
        profile = find_profile(settings.profile) if settings.own_process else None
        config = default_config()
        if profile:
            config.merge(read_config(profile))
        if settings.connection_file:
            config.IPKernelApp.connection_file = str(settings.connection_file)
        self._shell = shell = ZMQInteractiveShell.instance(
            context=context,
            runs=runs,
            streams=streams,
            own_process=settings.own_process,
            config=config,
            profile_dir=profile,
        )
        self._comms = comms = Comms(shell.publish, shell.showtraceback, shell.events.trigger)
        shell.kernel = KernelFacade(shell, comms.manager)
        self._history_scheduled = False
        # once, for good: `provisionalcompleter` changes the filters of every thread and changes them back
        warnings.filterwarnings("ignore", category=ProvisionalCompleterWarning)
        if IN_BROWSER:
            from .pip import Pip  # it needs Pyodide

            Pip(shell, settings.pip_index_urls).install()
        self._installed: list[_Part] = [
            streams,
            Stdin(context, runs, streams),
            comms,
            Threads(),
            Debugger(),
        ]
        if settings.own_process or IN_BROWSER:
            self._installed.append(self._stand_ins())
        if settings.own_process and os.name == "posix":
            self._installed.append(Descriptors(context, runs, streams))
        for part in self._installed:
            part.install()
        if profile and has_startup(profile, config):
            self._app().start()

    def stop(self) -> None:
        """Undo what was installed; write what is left."""
        self._streams.flush_all()
        for part in reversed(self._installed):
            part.uninstall()
        self._write_history()
        atexit.unregister(self._shell.atexit_operations)
        self._shell.atexit_operations()
        if self._shell.history_manager:
            self._shell.history_manager.close()
        if app := sys.modules.get(f"{__package__}.kernelapp"):
            app.IPKernelApp.clear_instance()
        ZMQInteractiveShell.clear_instance()

    def _app(self) -> Any:
        """Our stand-in for ipykernel's application."""
        from .kernelapp import IPKernelApp  # seldom needed

        return IPKernelApp.instance(self._shell)

    def _stand_ins(self) -> StandIns:
        """Names that packages look for in ipykernel's modules."""

        def package() -> dict[str, Any]:
            return {"__version__": "7.0.0", "version_info": (7, 0, 0), "__getattr__": attribute}

        def attribute(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return getattr(importlib.import_module("ipykernel.connect"), name)

        def comm() -> dict[str, Any]:
            return {
                "Comm": self._comms.comm_class,
                "CommManager": CommManager,
                "BaseComm": self._comms.comm_class,
            }

        def kernel() -> dict[str, Any]:
            return {"Kernel": KernelFacade, "IPythonKernel": KernelFacade}

        def kernelapp() -> dict[str, Any]:
            return {"IPKernelApp": type(self._app()), **kernel()}

        def connect() -> dict[str, Any]:
            self._app()
            from .kernelapp import get_connection_file

            return {"get_connection_file": get_connection_file}

        always: dict[str, Names] = {
            "ipykernel": package,
            "ipykernel.comm": comm,
            "ipykernel.comm.comm": comm,
            "ipykernel.comm.manager": comm,
            "ipykernel.ipkernel": kernel,
            "ipykernel.kernelapp": kernelapp,
            "ipykernel.kernelbase": kernel,
            "ipykernel.zmqshell": lambda: {"ZMQInteractiveShell": ZMQInteractiveShell},
            "ipykernel.iostream": lambda: {"OutStream": OutStream},
        }
        return StandIns("ipykernel", always, {"ipykernel.connect": connect}, ["ipykernel.zmqshell"])

    def handle(self, request: Message) -> Content | Awaitable[Content] | None:
        """Serve one request."""
        content = request.content
        match request.msg_type:
            case "execute_request":
                return self._execute(request)
            case "comm_open" | "comm_msg" | "comm_close":
                return self._comm(request)
            case "complete_request":
                return introspection.complete(self._shell, self._shell.Completer, content)
            case "inspect_request":
                return introspection.inspect(self._shell, content)
            case "is_complete_request":
                return introspection.is_complete(self._shell, content)
            case "history_request":
                return introspection.history(self._shell, content)
            case "comm_info_request":
                return self._comm_info(content)
            case other:
                raise LocalProtocolError(f"The interpreter does not know {other!r}.")

    def interject(self, request: Message) -> Content | None:
        """Serve one request in the middle of other code."""
        match request.msg_type:
            case "complete_request":
                return introspection.complete(self._shell, self._brief_completer, request.content)
            case "inspect_request":
                return introspection.inspect(self._shell, request.content)
            case "is_complete_request":
                return introspection.is_complete(self._shell, request.content)
            case "comm_info_request":
                return self._comm_info(request.content)
            case "history_request" if not is_busy():
                return introspection.history(self._shell, request.content)
            case _:
                return None

    async def _execute(self, request: Message) -> Content:
        shell, content = self._shell, request.content
        code: str = content["code"]
        silent = bool(content.get("silent"))
        store_history = content.get("store_history") is not False and not silent
        run = Run(request)
        shell.begin(run, counted=store_history)
        try:
            return await self._execute_run(run, code, silent, store_history)
        finally:
            shell.end(run)

    async def _execute_run(self, run: Run, code: str, silent: bool, store_history: bool) -> Content:
        shell, content = self._shell, run.request.content
        if not silent:
            shell.publish("execute_input", {"code": code, "execution_count": run.execution_count})
        failure: BaseException | None
        try:
            failure = await self._run_cell(code, silent, store_history, run.request.metadata.get("cellId"))
        except BaseException as error:  # an interrupt that came between IPython's own lines
            if run.error is None:  # else IPython stumbled over the error that it has shown
                shell.showtraceback((type(error), error, error.__traceback__))
            failure = error
        reply: Content
        if failure is None:
            expressions = content.get("user_expressions")
            values = shell.user_expressions(expressions) if expressions else {}
            reply = {"status": "ok", "user_expressions": values}
        else:
            reply = run.error or as_error(failure)
        self._streams.flush()
        if store_history:
            self._schedule_history()
        if shell.exit_now:
            shell.exit_now = False
            # a client that asks whether the kernel is alive first (jupyter console) is to see the reply
            self._context.call_later(EXIT_DELAY, self._context.stop)
        return {**reply, "execution_count": run.execution_count, "payload": run.payload}

    async def _run_cell(
        self, code: str, silent: bool, store_history: bool, cell_id: str | None
    ) -> BaseException | None:
        """Run the cell as IPython does, and return the error that ended it."""
        shell = self._shell
        bad_input = None
        try:
            transformed = shell.transform_cell(code)
        except Exception:
            transformed = code
            bad_input = sys.exc_info()
        try:
            result = await shell.run_cell_async(
                code,
                store_history=store_history,
                silent=silent,
                transformed_cell=transformed,
                preprocessing_exc_tuple=bad_input,
                cell_id=cell_id,
            )
        finally:
            shell.events.trigger("post_execute")
        if not silent:
            shell.events.trigger("post_run_cell", result)
        return result.error_before_exec or result.error_in_exec

    def _comm(self, request: Message) -> None:
        run = Run(request)
        self._runs.begin(run)
        try:
            self._comms.handle(request)
            self._streams.flush()
        finally:
            self._runs.end(run)

    @cached_property
    def _brief_completer(self) -> IPCompleter:
        return introspection.brief_completer(self._shell)

    def _comm_info(self, content: Content) -> Content:
        return {"status": "ok", "comms": self._comms.info(content.get("target_name"))}

    def _schedule_history(self) -> None:
        if not (self._history_scheduled or IN_BROWSER):
            self._history_scheduled = True
            self._context.call_later(HISTORY_DELAY, self._write_history)

    def _write_history(self) -> None:
        self._history_scheduled = False
        if self._shell.history_manager:
            self._shell.history_manager.writeout_cache()
