"""IPythonInterpreter: IPython behind the port `Interpreter`.

`handle` finds a method by msg_type. Cells and comm messages run on the thread and in the context of their
lane; the rest is `introspection.py`, on any thread.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import threading
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from comm.base_comm import CommManager
from traitlets import TraitError

from ..protocol.errors import LocalProtocolError, RemoteProtocolError, SettingsError
from ..protocol.message import Content, Message, as_error
from ..protocol.ports import Context
from ..version import __version__
from . import introspection
from .comms import Comms
from .descriptors import Descriptors
from .history import IN_BROWSER, is_busy
from .kernel import KernelFacade
from .process import PROCESS, Part
from .profile import find_profile, has_startup, read_config
from .run import Run, Runs
from .shell import ZMQInteractiveShell, default_config
from .standins import Names, StandIns
from .streams import OutStream, Streams

if TYPE_CHECKING:
    from IPython.core.completer import IPCompleter

    from .arguments import Arguments
    from .debug import Debug
    from .packages import Packages
    from .progress import Fetch

HISTORY_DELAY = 1.0
"""Seconds after a cell that its history is written: a burst of cells is one write."""

COMM_PATIENCE = 0.05
"""Seconds after which a cell that may await a comm message, and has not taken it, does something else."""

EXIT_DELAY = 0.1
"""Seconds after the cell that says `exit` that the kernel ends by itself."""


class Settings(NamedTuple):
    """What an application knows and IPython does not."""

    own_process: bool = False
    """The process is the kernel's: so are file descriptors 1 and 2, the environment and the user's profile.
    """
    namespace: dict[str, Any] | None = None
    """That of a running program, for cells; by default they have their own."""
    profile: str | None = None
    """The IPython profile, for a process of its own; by default that of `arguments`, else "default"."""
    arguments: Arguments | None = None
    """What else the command line says."""
    connection_file: Path | None = None
    """Where clients connect, for code that asks."""
    pip_index_urls: Sequence[str] = ()
    """Package indexes that `%pip install` asks first, in a browser."""
    packages_on_import: bool = True
    """In a browser, whether what Pyodide's lock has is loaded when it is imported."""
    fetch: Fetch | None = None
    """In a browser, what fetches a file in code that cannot await, so that it can be interrupted."""
    reserve: int = 8 << 20 if IN_BROWSER else 0
    """Bytes that are kept for the answer to a cell that has used up all memory, which a browser bounds. (A
    desktop kills the process instead.)
    """


class IPythonInterpreter:
    """Runs IPython. What it takes in the process while it runs is in `process.py`.

    `settings`: see `Settings`. `session`: one that has been made before, for the same settings.
    """

    def __init__(self, settings: Settings | None = None, session: Session | None = None) -> None:
        self._settings = settings or Settings()
        self._session = session

    @property
    def info(self) -> Mapping[str, Any]:
        """See `Interpreter`."""
        python = ".".join(map(str, sys.version_info[:3]))
        return {
            "implementation": "laneway",
            "implementation_version": __version__,
            "language_info": KernelFacade.language_info,
            "banner": KernelFacade.banner,
            "debugger": sys.version_info >= (3, 12),  # which has sys.monitoring
            "help_links": [
                {"text": "Python Reference", "url": f"https://docs.python.org/{python.rpartition('.')[0]}"},
                {"text": "IPython Reference", "url": "https://ipython.readthedocs.io"},
            ],
        }

    def start(self, context: Context) -> None:
        """See `Interpreter`."""
        try:
            self._session = self._session or Session(self._settings)
        except TraitError as error:
            raise SettingsError(f"The configuration cannot be used: {error}") from None
        self._session.attach(context, self._settings)

    def handle(self, request: Message) -> Content | Awaitable[Content | None] | None:
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


class Session:
    """The interpreter while it runs.

    Made in two steps. What is made first belongs to no process and no page yet, and can lie in a memory
    snapshot; `attach` does the rest, once.
    """

    context: Context
    """The host; there when the session is attached."""
    debug: Debug | None = None
    """There since the first debug_request."""

    def __init__(self, settings: Settings) -> None:
        self.runs = runs = Runs()
        self.streams = streams = Streams(runs)
        self._profile = profile = None
        self._config = config = default_config()
        self._arguments = settings.arguments
        self._connection_file = settings.connection_file
        if settings.own_process:
            self._profile = profile = find_profile(settings.profile, settings.arguments)
            config.merge(read_config(profile, settings.arguments))
        if settings.connection_file:
            config.IPKernelApp.connection_file = str(settings.connection_file)
        self.shell = shell = ZMQInteractiveShell(
            runs=runs,
            streams=streams,
            own_process=settings.own_process,
            namespace=settings.namespace,
            config=config,
            profile_dir=profile,
        )
        self.comms = comms = Comms(shell.publish, shell.showtraceback, shell.events.trigger, runs.is_going)
        self._busy_loops: set[asyncio.AbstractEventLoop] = set()
        """Those that have not taken a comm message yet which was meant for them."""
        shell.kernel = KernelFacade(shell, comms.manager)
        self._history_scheduled = False
        self._packages: Packages | None = None

    def attach(self, context: Context, settings: Settings) -> None:
        """Begin to run: in this process, for this host."""
        shell, runs, streams = self.shell, self.runs, self.streams
        self.context = shell.context = streams.context = context
        self._thread = threading.get_ident()
        shell.kernel.attach()
        shell.keep_reserve(settings.reserve)
        own: list[Part] = [self._stand_ins()]
        if settings.own_process and os.name == "posix":
            own.append(Descriptors(context, runs, streams))
        PROCESS.enter(self, own if settings.own_process or IN_BROWSER else None)
        if IN_BROWSER:
            from .packages import Packages  # both need Pyodide
            from .pip import Pip

            self._packages = Packages(shell, context, settings.fetch)
            Pip(shell, settings.pip_index_urls, self._packages).install()
            if settings.packages_on_import:
                self._packages.install()
        if self._profile and has_startup(self._profile, self._config):
            self._app().start()

    def stop(self) -> None:
        """Undo what was installed; write what is left."""
        if self.debug:
            self.debug.detach()
        self.streams.flush_all()
        if self._packages:
            self._packages.uninstall()
        PROCESS.leave(self)
        self.comms.stop()
        self.streams.flush_all()
        self._write_history()
        self.shell.stop()
        app = sys.modules.get(f"{__package__}.kernelapp")
        if app and app.IPKernelApp.initialized() and app.IPKernelApp.instance().shell is self.shell:
            app.IPKernelApp.clear_instance()

    def after_fork(self) -> None:
        """See `Kernel`."""
        self.streams.after_fork()
        self.shell.after_fork()

    def _app(self) -> Any:
        """Our stand-in for ipykernel's application."""
        from .kernelapp import IPKernelApp  # seldom needed

        return IPKernelApp.instance(self.shell, self._arguments.rest if self._arguments else ())

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
                "Comm": self.comms.comm_class,
                "CommManager": CommManager,
                "BaseComm": self.comms.comm_class,
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

    def handle(self, request: Message) -> Content | Awaitable[Content | None] | None:
        """Serve one request."""
        match request.msg_type:
            case "execute_request":
                return self._execute(request)
            case "comm_open" | "comm_msg" | "comm_close":
                return self._comm(request)
            case "debug_request":
                return self._debug().handle(request)
            case _:
                with PROCESS.serving(self):
                    return self._answer(request)

    def interject(self, request: Message) -> Content | None:
        """Serve one request in the middle of other code."""
        if request.msg_type in ("execute_request", "comm_open", "comm_msg", "comm_close"):
            return None
        if request.msg_type == "history_request" and is_busy():
            return None
        if request.msg_type == "debug_request":
            return self._debug().interject(request)
        with PROCESS.serving(self):
            return self._answer(request, brief=True)

    def _debug(self) -> Debug:
        if self.debug is None:
            from .debug import Debug  # seldom needed

            self.debug = Debug(self, self._thread)
        return self.debug

    def _answer(self, request: Message, *, brief: bool = False) -> Content:
        """Serve what runs no code of a cell; `brief` where that code waits meanwhile."""
        content = request.content
        match request.msg_type:
            case "complete_request":
                completer = self._brief_completer if brief else self.shell.Completer
                return introspection.complete(self.shell, completer, content)
            case "inspect_request":
                return introspection.inspect(self.shell, content)
            case "is_complete_request":
                return introspection.is_complete(self.shell, content)
            case "history_request":
                return introspection.history(self.shell, content)
            case "comm_info_request":
                return self._comm_info(content)
            case "connect_request":
                return self._connect_info()
            case other:
                raise LocalProtocolError(f"The interpreter does not know {other!r}.")

    async def _execute(self, request: Message) -> Content:
        shell, content = self.shell, request.content
        code: str = content["code"]
        silent = bool(content.get("silent"))
        store_history = content.get("store_history") is not False and not silent
        run = Run(request, self.runs)
        try:
            shell.begin(run, counted=store_history)
            return await self._execute_run(run, code, silent, store_history)
        finally:
            shell.end(run)
            PROCESS.debugger.end(run)
            if self.debug:
                self.debug.ended(run)

    async def _execute_run(self, run: Run, code: str, silent: bool, store_history: bool) -> Content:
        shell, content = self.shell, run.request.content
        if not silent:
            shell.publish("execute_input", {"code": code, "execution_count": run.execution_count})
        failure: BaseException | None
        try:
            failure = await self._run_cell(run, code, silent, store_history)
        except BaseException as error:  # an interrupt that came between IPython's own lines
            if run.error is None:  # else IPython stumbled over the error that it has shown
                shell.showtraceback((type(error), error, error.__traceback__))
            failure = error
        reply = run.display_error if failure is None else run.error or as_error(failure)
        if reply is None:
            expressions = content.get("user_expressions")
            values = shell.user_expressions(expressions) if expressions else {}
            reply = {"status": "ok", "user_expressions": values}
        self.streams.flush()
        if store_history:
            self._schedule_history()
        if shell.exit_now:
            shell.exit_now = False
            # a client that asks whether the kernel is alive first (jupyter console) is to see the reply
            self.context.call_later(EXIT_DELAY, self.context.stop)
        return {**reply, "execution_count": run.execution_count, "payload": run.payload}

    async def _run_cell(self, run: Run, code: str, silent: bool, store_history: bool) -> BaseException | None:
        """Run the cell as IPython does, and return the error that ended it."""
        shell = self.shell
        cell_id = run.request.metadata.get("cellId")
        bad_input = None
        try:
            transformed = shell.transform_cell(code)
        except Exception:
            transformed = code
            bad_input = sys.exc_info()
        run.code = transformed
        if self._packages and bad_input is None:
            await self._packages.prepare(transformed)
        if shell.run_cell_is_replaced and not shell.should_run_async(code, transformed_cell=transformed):
            result = shell.run_cell(code, store_history=store_history, silent=silent, cell_id=cell_id)
            return result.error_before_exec or result.error_in_exec
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

    def _comm(self, request: Message) -> Awaitable[None] | None:
        loop = self.comms.loop_for(request)
        if loop is None or loop in self._busy_loops or asyncio.current_task() is None:  # trio cannot await it
            self._handle_comm(request)
            return None
        return self._handle_comm_on(loop, request)

    async def _handle_comm_on(self, loop: asyncio.AbstractEventLoop, request: Message) -> None:
        """Handle a comm message on the thread of a cell that may await it (its future belongs to that loop),
        or here, where that cell does not await: it computes, and a front end has chosen a subshell for that.
        """
        handled: Future[None] = Future()

        def handle() -> None:
            if not handled.set_running_or_notify_cancel():
                self._busy_loops.discard(loop)
                return
            try:
                self._handle_comm(request)
            except BaseException as error:
                handled.set_exception(error)
            else:
                handled.set_result(None)

        loop.call_soon_threadsafe(handle, context=copy_context())
        done = asyncio.wrap_future(handled)
        await asyncio.wait([done], timeout=COMM_PATIENCE)
        self._busy_loops.add(loop)
        if handled.cancel():
            self._handle_comm(request)
        else:
            self._busy_loops.discard(loop)
            await done

    def _handle_comm(self, request: Message) -> None:
        run = Run(request, self.runs)
        self.runs.begin(run)
        try:
            self.comms.handle(request)
            self.streams.flush()
        finally:
            self.runs.end(run)

    @cached_property
    def _brief_completer(self) -> IPCompleter:
        from .completion import brief_completer  # seldom needed

        return brief_completer(self.shell)

    def _comm_info(self, content: Content) -> Content:
        return {"status": "ok", "comms": self.comms.info(content.get("target_name"))}

    def _connect_info(self) -> Content:
        """connect_reply: the ports (messaging spec, "Connect")."""
        if self._connection_file is None:
            raise RemoteProtocolError("This kernel has no ports.")
        connection = json.loads(self._connection_file.read_bytes())
        return {"status": "ok", **{name: port for name, port in connection.items() if name.endswith("_port")}}

    def _schedule_history(self) -> None:
        if not (self._history_scheduled or IN_BROWSER or self.streams.forked):
            self._history_scheduled = True
            self.context.call_later(HISTORY_DELAY, self._write_history)

    def _write_history(self) -> None:
        self._history_scheduled = False
        if self.shell.history_manager:
            self.shell.history_manager.writeout_cache()
