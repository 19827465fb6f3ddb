"""IPython's shell, with its seams joined to messages."""

from __future__ import annotations

import ast
import atexit
import builtins
import functools
import hashlib
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import Token
from io import BufferedReader, BytesIO
from pathlib import Path
from subprocess import CalledProcessError
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from IPython.core.autocall import ExitAutocall, ZMQExitAutocall
from IPython.core.builtin_trap import BuiltinTrap
from IPython.core.compilerop import CachingCompiler
from IPython.core.display_trap import DisplayTrap
from IPython.core.error import StdinNotImplementedError, UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.oinspect import Inspector
from IPython.core.payload import PayloadManager
from IPython.utils.capture import CapturedIO
from traitlets import CBool, Instance, Type, default
from traitlets.config import Config

from ..protocol.message import Content, error_content
from ..protocol.ports import Context
from . import processes
from .capture import Capture
from .chains import Chains
from .display import LanewayDisplayFormatter, LanewayDisplayHook, LanewayDisplayPublisher
from .events import Events
from .history import IN_BROWSER, History
from .kernel import as_message
from .kernel_magics import KernelMagics
from .magics import AwaitedMagics
from .outputs import Outputs
from .process import PROCESS
from .run import RUN, Run, Runs
from .streams import Streams
from .transformers import PrefilterManager, Transformers

if TYPE_CHECKING:
    from IPython.core.completer import IPCompleter


def default_config() -> Config:
    """Where no thread can be had, history is kept in memory. Elsewhere it is written in batches, not once per
    cell.
    """
    config = Config()
    if IN_BROWSER:
        config.HistoryAccessor.hist_file = ":memory:"
    else:
        config.HistoryManager.db_cache_size = 1_000_000  # never by itself: `Session` says when
    return config


class Payloads(PayloadManager):
    """The payload of a reply, kept per run."""

    def __init__(self, runs: Runs, **traits: Any) -> None:
        super().__init__(**traits)
        self._runs = runs

    @property
    def _payload(self) -> list[Content]:  # pyright: ignore[reportIncompatibleVariableOverride]
        run = self._runs.current
        return run.payload if run else []


_SHARED = ("get_ipython", "exit", "quit")
"""Names of IPython's that must be the kernel's in its cells, although a program may have them, too."""

_ENVIRONMENT = {
    "TERM": "xterm-color",
    "CLICOLOR": "1",
    "CLICOLOR_FORCE": "1",
    "FORCE_COLOR": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
}
"""As in ipykernel: programs that a cell starts have colours, and no pager that waits for a key."""


class Compiler(CachingCompiler):
    """Keeps the source of cells that are the same once, so that a cell run for ever needs no more memory.
    Puts an `await` before the magics that want one, where there are magics: a tree that is walked through for
    each cell would take as long as it takes to compile it.
    """

    await_magics: ast.NodeTransformer | None = None
    path_of: Callable[[str], str] | None = None
    """What a debugger calls a cell, by the code that was sent, while one is attached."""

    def ast_parse(self, source: str, filename: str = "<unknown>", symbol: str = "exec") -> ast.AST:
        tree = self._tree(source, filename, symbol)
        if self.await_magics and "get_ipython().run_" in source:
            tree = self.await_magics.visit(tree)
        return tree

    def _tree(self, *args: str) -> ast.AST:
        """Before Python 3.13 threads that make trees at the same time can disturb each other (CPython's
        gh-106905): one of them gets a SystemError, and tries again.
        """
        for _ in range(10):
            with suppress(SystemError):
                return super().ast_parse(*args)
        return super().ast_parse(*args)

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        """A path, as with ipykernel: rich and debuggers pass over what is called `<...>`, numba and joblib
        know a cell by the name of the folder. No file is there. (Were its name to end in .py, IPython would
        look for it.)
        """
        return self.path_of(raw_code) if self.path_of else self.name_of(transformed_code)

    def name_of(self, transformed_code: str) -> str:
        """What a cell is called that becomes this code, where no debugger is attached."""
        digest = hashlib.sha1(transformed_code.encode(errors="surrogatepass"), usedforsecurity=False)
        return f"{folder_of_cells()}{digest.hexdigest()[:16]}.ipy"


def folder_of_cells() -> str:
    """Where the code of cells seems to lie; it ends in a separator."""
    return _folder_of_cells(os.getpid())


@functools.cache
def _folder_of_cells(process: int) -> str:
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:  # there is none that can be written to, which is not needed
        folder = os.sep
    return str(Path(folder, f"ipykernel_{process}")) + os.sep


_CODE = frozenset({"definition", "init_definition", "call_def", "source"})


class LanewayInspector(Inspector):
    """Makes code HTML only where somebody sees it, which takes longer than all the rest of an inspection."""

    def _append_info_field(
        self, bundle: Any, title: str, key: str, info: Any, omit_sections: list[str], formatter: Any
    ) -> None:
        if key in _CODE and not getattr(self.parent, "enable_html_pager", False):
            formatter = self._plain
        super()._append_info_field(bundle, title, key, info, omit_sections, formatter)

    def _plain(self, text: str) -> dict[str, str | None]:
        return {"text/plain": self.format(text), "text/html": ""}


class _NoBuiltinTrap(BuiltinTrap):
    """IPython puts its names into builtins for each cell; here they stay as long as there are kernels."""

    def activate(self) -> None:
        pass

    def deactivate(self) -> None:
        pass


class _NoDisplayTrap(DisplayTrap):
    """Likewise for sys.displayhook: another kernel's cell may begin before this one's ends."""

    def set(self) -> None:
        PROCESS.renew()

    def unset(self) -> None:
        pass


class _Exit(ZMQExitAutocall):
    """`exit`; `exit(True)` keeps the kernel. `exit(3)` or `exit("why")`, which a script says that has failed,
    ends the cell as well, with SystemExit. In a namespace that is a program's, too, the program's own code
    gets the `exit` that it had, or ends.
    """

    def __init__(self, shell: ZMQInteractiveShell, original: Callable[..., object] = sys.exit) -> None:
        super().__init__(shell)
        self._original = original

    def set_ip(self, ip: object) -> None:
        """IPython says who calls; a terminal's may."""

    def __call__(self, keep_kernel: bool | int | str = False) -> None:
        kernel = PROCESS.kernel
        why = () if isinstance(keep_kernel, bool) or not keep_kernel else (keep_kernel,)
        if kernel is None or kernel.shell is not self._ip:
            self._original(*why)
            return
        super().__call__(keep_kernel is True)
        if why:
            sys.exit(*why)


class ZMQInteractiveShell(InteractiveShell):
    """One shell per kernel. Many programs know by the name of this class that they run in a kernel, some by
    that of its module.

    `namespace`, if it is given, is a running program's: it keeps its own names, whatever IPython calls its
    own, and loses IPython's when the shell ends.
    """

    __module__ = "ipykernel.zmqshell"

    compile: Compiler
    compiler_class = Type(Compiler)
    displayhook_class = Type(LanewayDisplayHook)
    display_pub_class = Type(LanewayDisplayPublisher)
    inspector_class = Type(LanewayInspector)
    payload_manager = Instance(PayloadManager)

    exiter = Instance(ExitAutocall)
    autoindent = CBool(False)

    _made = False
    runs: Runs
    streams: Streams
    context: Context
    """The host; there when the session is attached."""
    kernel: Any = None
    """What packages find as `get_ipython().kernel`."""
    explain: Callable[[BaseException], None] | None = None
    """Improves the message of an error that is to be shown."""

    def __init__(
        self,
        runs: Runs,
        streams: Streams,
        *,
        own_process: bool = False,
        namespace: dict[str, Any] | None = None,
        **traits: Any,
    ) -> None:
        self.runs = runs
        self.streams = streams
        self._own_process = own_process
        self._given = None if namespace is None else frozenset(namespace)
        self._shared = {name: (namespace or {})[name] for name in _SHARED if name in (namespace or {})}
        self._count = 1
        self._reserve: BufferedReader | None = None
        self._reserve_size = 0
        self._making_completer = threading.Lock()
        super().__init__(user_module=_module_of(namespace), user_ns=namespace, **traits)
        if "_oh" in (self._given or ()):  # another IPython's: results are its own
            self.cache_size = self.displayhook.cache_size = 0
        self.awaited_magics = AwaitedMagics(self)
        self.compile.await_magics = self.awaited_magics.transformer
        self._made = True
        self.set_hook("show_in_pager", self._page, 99)
        self.events.register("post_execute", self._show_first_figures)

    # ---- execution counts: each run has its own, given out when it begins

    @property
    def execution_count(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """IPython has one for all; cells that overlap, on several threads too, need one each."""
        run = self.runs.own
        return self._count if run is None or run.next_count is None else run.next_count

    @execution_count.setter
    def execution_count(self, count: int) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        run = self.runs.own
        if run is None or run.next_count is None:
            self._count = count
        else:
            run.next_count = count

    def begin(self, run: Run, *, counted: bool) -> None:
        """`run`, a cell, begins. If it is `counted`, the next one has another count."""
        with self.context.guard:
            run.execution_count = run.next_count = self._count
            self._count += counted
            self.runs.begin(run)

    def end(self, run: Run) -> None:
        """`run` has ended, if it has begun. What its code has made of the count holds for those that come."""
        with self.context.guard:
            if not self.runs.is_going(run):
                return
            self.runs.end(run)
            self.keep_reserve(self._reserve_size)
            if run.next_count not in (None, run.execution_count, (run.execution_count or 0) + 1):
                self._count = run.next_count

    def keep_reserve(self, size: int) -> None:
        """Put `size` bytes by for the answer to a cell that uses up all memory."""
        self._reserve_size = size
        if size and self._reserve is None:
            with suppress(MemoryError):
                # a buffer that nobody reads into: no page of it is touched until the memory is needed
                self._reserve = BufferedReader(BytesIO(), size)

    # ---- output

    def publish(
        self,
        msg_type: str,
        content: Content,
        *,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> None:
        """Send output in the name of the current run, after what it has printed. In a forked process, whose
        messages cannot be sent, print what has a text.
        """
        if self.streams.forked:
            _print(msg_type, content)
            return
        self.streams.flush()
        self.context.publish(self.runs.parent, msg_type, content, metadata=metadata, buffers=buffers)

    def _show_first_figures(self) -> None:
        """Where a library is the first to plot, matplotlib-inline (0.1) puts off its set-up until the cell
        has ended, and so would show the cell's figures with the next one.
        """
        inline = sys.modules.get("matplotlib_inline.backend_inline")
        if inline is None:
            return
        self.events.unregister("post_execute", self._show_first_figures)
        put_off = [
            call
            for call in self.events.callbacks["post_run_cell"]
            if getattr(call, "__module__", "") == inline.__name__
        ]
        for set_up in put_off:
            set_up()
        if put_off:
            inline.flush_figures()

    @contextmanager
    def capture(self, **wanted: bool) -> Generator[CapturedIO]:
        """Keep the output of the current run; `wanted` are arguments of `Capture`."""
        capture = Capture(**wanted)
        run = self.runs.current
        self.streams.flush()
        if run:
            run.captures.append(capture)
        try:
            yield CapturedIO(capture.stdout, capture.stderr, capture.outputs)
        finally:
            self.streams.drain()
            if run:
                run.captures.remove(capture)

    @functools.cached_property
    def chains(self) -> Chains:
        """Cells that share this shell and do not disturb each other's names, for the pages that show them."""
        return Chains(self.user_ns)

    async def await_magic(self, name: str, line: str, cell: str | None = None) -> Any:
        """What a magic that awaits becomes, see `magics.py`."""
        return await self.awaited_magics.run(name, line, cell)

    @property
    def run_cell_is_replaced(self) -> bool:
        """Has a package put a function of its own into the place of `run_cell`, to see each cell?"""
        return getattr(self.run_cell, "__func__", None) is not InteractiveShell.run_cell

    # ---- IPython's seams

    @default("input_transformer_manager")
    def _default_input_transformer_manager(self) -> Transformers:
        return Transformers()

    def init_prefilter(self) -> None:
        self.prefilter_manager = PrefilterManager(shell=self, parent=self)
        self.configurables.append(self.prefilter_manager)  # pyright: ignore[reportArgumentType]
        self.prefilter = self.prefilter_manager.prefilter_lines

    def init_completer(self) -> None:
        """Not while the kernel starts: it takes some milliseconds and half a megabyte."""

    @functools.cached_property
    def Completer(self) -> IPCompleter:  # noqa: N802 - the name it has in IPython
        """Made when it is asked for."""
        with self._making_completer:
            if "Completer" not in vars(self):
                super().init_completer()
            return vars(self)["Completer"]

    @property
    def configurables(self) -> list[Any]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What `%config` finds: the completer, too."""
        if self._made:
            assert self.Completer
        return self._configurables

    @configurables.setter
    def configurables(self, configurables: list[Any]) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._configurables = configurables

    @default("exiter")
    def _exiter(self) -> ExitAutocall:
        return _Exit(self)

    def init_sys_modules(self) -> None:
        """`__main__` is of the process, see `process.py`; so are the others."""

    def init_prompts(self) -> None:
        pass

    def init_events(self) -> None:
        super().init_events()
        callbacks = self.events.callbacks
        self.events = Events(self, callbacks)
        self.events.callbacks = callbacks

    def init_builtins(self) -> None:
        self.builtin_trap = _NoBuiltinTrap(self)

    def init_displayhook(self) -> None:
        with self._keeping_names():
            super().init_displayhook()
        self.display_trap = _NoDisplayTrap(self.displayhook)

    def init_user_ns(self) -> None:
        with self._keeping_names():
            super().init_user_ns()
            if self._given is not None:
                del self.user_ns["open"]  # IPython's refuses the descriptors 0, 1 and 2
        for name, original in self._shared.items():
            ours = self._get_ipython_or(original) if name == "get_ipython" else _Exit(self, original)
            self.user_ns[name] = ours

    def _get_ipython_or(self, original: Callable[[], object]) -> Callable[[], object]:
        def get_ipython() -> object:
            """The shell of who calls: this one in a cell of its own."""
            kernel = PROCESS.kernel
            return kernel.shell if kernel else original()

        return get_ipython

    @contextmanager
    def _keeping_names(self) -> Generator[None]:
        kept = {name: value for name, value in self.user_ns.items() if name in (self._given or ())}
        yield
        self.user_ns.update(kept)

    def reset(self, new_session: bool = True, aggressive: bool = False) -> None:
        """As IPython's, but that what is a program's stays in its namespace."""
        if self._given is None:
            super().reset(new_session, aggressive)
            return
        module, namespace = self._leave_namespace()
        super().reset(new_session, aggressive)
        for name in namespace.keys() - self._given - {"__builtin__", "__builtins__", "__name__"}:
            del namespace[name]
        self.user_module, self.user_ns = module, namespace
        self.init_user_ns()

    def prepare(self) -> None:
        """Make what would be made when it is needed first."""
        self.display_formatter.format(1)
        assert self.Completer

    def stop(self) -> None:
        """Give back what IPython has in the process, and a namespace that is a program's without IPython's
        names.
        """
        if self._given is not None:
            results = {name: getattr(self.displayhook, name) for name in ("_", "__", "___")}
            hidden = {**self.user_ns_hidden, **results, "__builtin__": builtins}
            _, namespace = self._leave_namespace()
            for name in hidden.keys() - self._given:
                if namespace.get(name) is hidden[name]:
                    del namespace[name]
            namespace.update(self._shared)
        atexit.unregister(self.atexit_operations)
        self.atexit_operations()

    def atexit_operations(self) -> None:
        """Once: Python 3.14 calls what was unregistered while the program's end was under way."""
        if hasattr(self, "tempfiles"):
            super().atexit_operations()

    def _leave_namespace(self) -> tuple[ModuleType, dict[str, Any]]:
        """Work in one that is empty; returns the module and the namespace of before."""
        before = self.user_module, self.user_ns
        self.user_module = ModuleType("__main__")
        self.user_ns = vars(self.user_module)
        return before

    def after_fork(self) -> None:
        """This is a child of the kernel's process now, which has its own end, and no history."""
        atexit.unregister(self.atexit_operations)
        if self.history_manager:
            self.history_manager.after_fork()

    def init_display_formatter(self) -> None:
        self.display_formatter = LanewayDisplayFormatter(parent=self)
        self.configurables.append(self.display_formatter)  # pyright: ignore[reportArgumentType]

    def init_payload(self) -> None:
        self.payload_manager = Payloads(self.runs, parent=self)

    def init_history(self) -> None:
        self.history_manager = History(shell=self, parent=self)
        self.outputs = self.history_manager.outputs = Outputs(lambda: self.context.guard)
        self.configurables.append(self.history_manager)  # pyright: ignore[reportArgumentType]

    def init_environment(self) -> None:
        if self._own_process:
            os.environ.update(_ENVIRONMENT)
        if self._own_process or IN_BROWSER:
            os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")

    def init_magics(self) -> None:
        super().init_magics()
        self.register_magics(KernelMagics)
        self.magics_manager.register_alias("ed", "edit")
        self.magics_manager.register_lazy("store", "IPython.extensions.storemagic", "line")

    def system_piped(self, cmd: str) -> None:
        """As IPython's, but that an interrupt ends the cell; the exit code becomes `_exit_code`."""
        if os.name != "posix" or IN_BROWSER or cmd.rstrip().endswith("&"):
            super().system_piped(cmd)
            return
        code = processes.system(self.var_expand(cmd, depth=1))
        self.user_ns["_exit_code"] = code
        if self.system_raise_on_error and code != 0:
            raise CalledProcessError(code, cmd)

    system = system_piped

    def get_parent(self) -> dict[str, Any]:
        """The request of the running cell, as ipykernel's shell says it."""
        return self.kernel.get_parent()

    def set_parent(self, parent: Mapping[str, Any]) -> None:
        """From now on the calling code outputs in the name of the request `parent`, see `get_parent`."""
        self.set_thread_parent(parent)

    def set_thread_parent(self, parent: Mapping[str, Any]) -> Token[Run | None]:
        """The same; returns what `reset_thread_parent` takes."""
        request = as_message(parent)
        return RUN.set(self.runs.find(request) if request else None)

    def reset_thread_parent(self, token: Token[Run | None]) -> None:
        """Undo the call of `set_thread_parent` that has returned `token`, in the same thread or task."""
        RUN.reset(token)

    @property
    def parent_header(self) -> dict[str, Any]:
        """As `get_parent`."""
        return self.kernel.get_parent()

    @parent_header.setter
    def parent_header(self, parent: Mapping[str, Any]) -> None:
        self.set_parent(parent)

    def init_virtualenv(self) -> None:
        """A kernel is started in the environment that it is meant to run in."""

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Show an exception without our own frames: how a cell is run, interrupted or asked is no concern of
        its.
        """
        if run := self.runs.current:
            self.context.spare_job(run.request.msg_id)
        value = sys.exc_info()[1] if exc_tuple is None else exc_tuple[1]
        if isinstance(value, BaseExceptionGroup) and (interrupt := _only_interrupts(value)):
            value = interrupt
        if isinstance(value, MemoryError):
            self._reserve = None
        if isinstance(value, BaseException):
            _hide_ours(value)
            if self.explain:
                self.explain(value)
            exc_tuple = (type(value), value, value.__traceback__)
        if isinstance(value, BaseExceptionGroup):  # IPython would print it on stderr
            value.__traceback__ = value.__traceback__ and value.__traceback__.tb_next  # and leave out itself
            lines = "".join(traceback.format_exception(value)).splitlines()
            self._showtraceback(type(value), value, lines)
            return
        PROCESS.highlighting.quicken()
        super().showtraceback(exc_tuple, *args, **kwargs)

    def debugger(self, force: bool = False) -> None:
        """After `%pdb on` the debugger comes by itself, also where nobody can be asked: the error is enough
        then.
        """
        try:
            super().debugger(force=force)
        except StdinNotImplementedError:
            if not self.call_pdb:
                raise

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        # IPython's seam for the display of errors, whatever its name says
        error = error_content(getattr(etype, "__name__", str(etype)), _text(evalue), stb)
        if run := self.runs.current:
            run.error = error
            if run.displays:
                run.display_error = error
        self.publish("error", {key: value for key, value in error.items() if key != "status"})

    def _format_exception_for_storage(
        self, exception: BaseException, filename: str | None = None, running_compiled_code: bool = False
    ) -> dict[str, Any]:
        """What `%notebook` writes of an error: what was shown. IPython makes the same traceback once more."""
        run = self.runs.own
        if run is None or run.error is None:
            return super()._format_exception_for_storage(exception, filename, running_compiled_code)
        return {name: run.error[name] for name in ("ename", "evalue", "traceback")}

    def set_next_input(self, text: str, replace: bool = False) -> None:
        """Offer `text` as the next cell, or in place of this one."""
        payload = {"source": "set_next_input", "text": text, "replace": replace}
        self.payload_manager.write_payload(payload)

    def ask_exit(self) -> None:
        """End the kernel, once this cell has been answered."""
        keep = self.keepkernel_on_exit is True
        self.exit_now = not keep
        self.payload_manager.write_payload({"source": "ask_exit", "keepkernel": keep})

    keepkernel_on_exit: bool | None = None
    """IPython's `exit` sets it."""

    def enable_gui(self, gui: str | None = None) -> None:
        """Serve the windows of a toolkit, see `gui.py`, or of none again. `inline` needs none, and asyncio's
        loop runs anyway.
        """
        if gui in (None, "inline", "asyncio"):
            self.context.enable_gui(None)
            return
        from .gui import make_waiter  # only when it is needed

        try:
            self.context.enable_gui(lambda: make_waiter(gui))
        except RuntimeError as error:
            raise UsageError(str(error)) from None

    def _page(
        self, _shell: Any, data: str | dict[str, Any], start: int = 0, *_args: Any, **_kwargs: Any
    ) -> None:
        bundle = data if isinstance(data, dict) else {"text/plain": data}
        self.payload_manager.write_payload({"source": "page", "data": bundle, "start": max(0, start)})


def _only_interrupts(group: BaseExceptionGroup[Any]) -> BaseException | None:
    """One of the interrupts that `group` consists of, which came by way of the group."""
    _, others = group.split(KeyboardInterrupt)
    if others is not None:
        return None
    error: BaseException = group
    entries = _entries(error.__traceback__)
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
        entries += _entries(error.__traceback__)
    return error.with_traceback(_joined(entries))


_PACKAGE = str(Path(__file__).parents[1])


def _hide_ours(value: BaseException | None) -> None:
    """Take our frames out of the traceback of `value` and of those that it comes from."""
    seen: set[int] = set()
    while value is not None and id(value) not in seen:
        seen.add(id(value))
        value.__traceback__ = _without_ours(value.__traceback__)
        value = value.__cause__ or value.__context__


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    entries = _entries(traceback)
    # the first one IPython takes away by itself
    return _joined(entries[:1] + [entry for entry in entries[1:] if not _is_ours(entry)])


def _entries(traceback: TracebackType | None) -> list[TracebackType]:
    """One for each frame, from the outermost on."""
    entries: list[TracebackType] = []
    while traceback:
        entries.append(traceback)
        traceback = traceback.tb_next
    return entries


def _joined(entries: list[TracebackType]) -> TracebackType | None:
    """Copies of `entries`, as one traceback."""
    joined = None
    for entry in reversed(entries):
        joined = TracebackType(joined, entry.tb_frame, entry.tb_lasti, _line(entry))
    return joined


def _line(entry: TracebackType) -> int:
    """Where an interrupt arises between two lines, or code was made by a program, Python knows no line."""
    return entry.tb_lineno or entry.tb_frame.f_code.co_firstlineno


def _is_ours(entry: TracebackType) -> bool:
    return entry.tb_frame.f_code.co_filename.startswith(_PACKAGE)


def _module_of(namespace: dict[str, Any] | None) -> ModuleType | None:
    """The module whose namespace this is."""
    name = None if namespace is None else namespace.get("__name__")
    module = sys.modules.get(name) if isinstance(name, str) else None
    return module if module and vars(module) is namespace else None


def _print(msg_type: str, content: Content) -> None:
    if msg_type == "error":
        print("\n".join(content["traceback"]), file=sys.stderr)
    elif text := content.get("data", {}).get("text/plain"):
        print(text)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"<its str() raised {type(error).__name__}>"
