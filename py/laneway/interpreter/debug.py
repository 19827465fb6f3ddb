"""Debug: answers debug_requests. It joins the session of a front end (`protocol/debug.py`), what stops code
(`monitor.py`), and what is shown of values (`variables.py`).

    what is asked                                      who answers
    the session: debugInfo, dumpCell, where to stop    the calling thread, at once
    frames, variables, evaluate                        the stopped code's stack
    variables and evaluate where nothing has stopped   the calling thread, in the cells' namespace

Imported with the first debug_request. Python's monitoring, and the names of cells that are paths of the front
end's, are taken while one is attached.
"""

from __future__ import annotations

import asyncio
import builtins
import keyword
import linecache
import re
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from copy import copy
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, cast

from IPython.core.inputtransformer2 import leading_empty_lines, leading_indent

from ..protocol.debug import CAPABILITIES, FILTERS, DebugSession
from ..protocol.errors import KernelError, LocalProtocolError, RemoteProtocolError
from ..protocol.message import Content, Message
from .monitor import Frame, Monitor, NotStoppedError, Point, Stop, evaluate
from .process import PROCESS
from .run import run_of_caller
from .shell import folder_of_cells
from .variables import References, set_name, text, write_back

if TYPE_CHECKING:
    from .ipython import Session

AVAILABLE = sys.version_info >= (3, 12)
"""Has this Python `sys.monitoring`?"""

_SUFFIX = ".ipy"
_EVALUATED = "<debugger>"


class Debug:
    """That of one kernel; `main` is the thread of its main shell."""

    def __init__(self, kernel: Session, main: int) -> None:
        self._kernel = kernel
        self._shell = kernel.shell
        self._context = kernel.context
        self._session = DebugSession(folder_of_cells(), _SUFFIX)
        self._session.thread(main)
        self._monitor = Monitor(
            guard=self._context.guard,
            hold=self._context.hold,
            stopped=self._stopped,
            continued=self._continued,
            log=self._log,
            may_stop=self._may_stop,
            run=run_of_caller,
        )
        self._idle = References(self._monitor.ids)
        """What is shown of the namespace where nothing has stopped."""
        self._has_shown = False
        """Is the first traceback made?"""
        self._parent: Message | None = None
        """In whose name events are sent."""
        self._names: dict[str, str] = {}
        """What a cell was called that was run before a front end came -> its path."""
        self._breakpoint_ids: dict[str, list[int]] = {}
        self._commands: dict[str, Callable[[Content], Content | Future[Content] | None]] = {
            "debugInfo": lambda _: self._session.info(self._stopped_threads()),
            "dumpCell": lambda arguments: {"sourcePath": self._dump(arguments["code"])},
            "inspectVariables": self._inspect_variables,
            "richInspectVariables": self._rich_inspect_variables,
            "copyToGlobals": self._copy_to_globals,
            "initialize": self._initialize,
            "attach": self._attach,
            "configurationDone": lambda _: None,
            "disconnect": self._disconnect,
            "threads": self._threads,
            "modules": self._modules,
            "source": self._source,
            "setBreakpoints": self._set_breakpoints,
            "setFunctionBreakpoints": self._set_function_breakpoints,
            "setExceptionBreakpoints": self._set_exception_breakpoints,
            "pause": self._pause,
            "stackTrace": self._stack_trace,
            "scopes": self._scopes,
            "variables": self._variables,
            "exceptionInfo": self._exception_info,
            "evaluate": self._evaluate,
            "completions": self._completions,
            "setVariable": self._set_variable,
            "setExpression": self._set_expression,
            "continue": self._continue,
            "next": lambda arguments: self._go(arguments, "next"),
            "stepIn": lambda arguments: self._go(arguments, "stepIn"),
            "stepOut": lambda arguments: self._go(arguments, "stepOut"),
        }

    # ---- for the interpreter

    def handle(self, request: Message) -> Content | Awaitable[Content]:
        """debug_reply, or what becomes it where stopped code has to answer."""
        content = request.content
        try:
            asked = self._session.read(content)
            if asked.command in ("initialize", "attach"):
                self._parent = request
            with self._not_stopping():
                body = self._commands[asked.command](asked.arguments)
            if not isinstance(body, Future):
                return self._session.response(content, body)
            if not body.done():
                return self._later(content, body)
            return self._session.response(content, body.result())
        except (Exception, KeyboardInterrupt) as error:
            return self._refusal(content, error)

    def interject(self, request: Message) -> Content | None:
        """The same in the middle of other code; None where it has to come again."""
        content = self.handle(request)
        if isinstance(content, dict):
            return content
        cast(Any, content).close()
        return None

    def _not_stopping(self) -> AbstractContextManager[None]:
        """What is asked is answered here; code of a user's that this calls does not stop."""
        stopped = threading.get_ident() in self._monitor.stops  # no event arises there
        return nullcontext() if stopped else PROCESS.serving(self._kernel)

    async def _later(self, request: Content, body: Future[Content]) -> Content:
        try:
            return self._session.response(request, await asyncio.wrap_future(body))
        except (Exception, KeyboardInterrupt) as error:
            return self._refusal(request, error)

    def _refusal(self, request: Content, error: BaseException) -> Content:
        ours = isinstance(error, KernelError)
        message = str(error) if ours else f"{type(error).__name__}: {_text_of(error)}"
        return self._session.refusal(request, message)

    @property
    def attached(self) -> bool:
        """Is a front end there?"""
        return self._session.attached

    def stop_here(self, frame: FrameType) -> None:
        """`breakpoint()` was called in `frame`, and a front end is attached."""
        self._monitor.stop_here(frame)

    def ended(self, run: object) -> None:
        """A cell has ended."""
        self._monitor.ended(run)

    def detach(self) -> None:
        """What is stopped goes on, and nothing stops any more. Harmless if repeated."""
        self._session.detach()
        self._shell.compile.path_of = None
        self._monitor.uninstall()
        self._exchange(_keep_empty_lines, leading_empty_lines)

    # ---- what stops

    def _may_stop(self) -> bool:
        """Code that only answers a request never waits; other kernels' code, and a program's, is not ours."""
        return not PROCESS.is_serving and PROCESS.kernel is self._kernel

    def _stopped(self, stop: Stop) -> None:
        body: Content = {
            "reason": stop.reason,
            "threadId": self._session.thread(stop.thread),
            "allThreadsStopped": stop.hold.alone,
            "preserveFocusHint": False,
        }
        if stop.exception is not None:
            body |= {"description": "Paused on exception", "text": type(stop.exception).__name__}
        self._event("stopped", **body)

    def _continued(self, stop: Stop) -> None:
        thread = self._session.thread(stop.thread)
        self._event("continued", threadId=thread, allThreadsContinued=stop.hold.alone)

    def _log(self, message: str) -> None:
        self._event("output", category="console", output=message + "\n")

    def _event(self, name: str, **body: Any) -> None:
        self._context.publish(self._parent, "debug_event", self._session.event(name, **body))

    def _stopped_threads(self) -> list[int]:
        return [self._session.thread(stop.thread) for stop in self._monitor.stopped]

    # ---- who is there

    def _initialize(self, _arguments: Content) -> Content:
        if not AVAILABLE:
            version = ".".join(map(str, sys.version_info[:2]))
            raise LocalProtocolError(f"The debugger needs Python 3.12 or later; this is Python {version}.")
        if self._context.no_hold:
            raise LocalProtocolError(self._context.no_hold)
        self.detach()
        self._monitor.install()
        self._exchange(leading_empty_lines, _keep_empty_lines)
        self._session.attach()
        self._shell.compile.path_of = self._session.path
        return CAPABILITIES

    def _exchange(self, transform: Transform, other: Transform) -> None:
        """Put another one in the place of one of IPython's transforms of cells, where it is there."""
        transforms: list[Transform] = self._shell.input_transformer_manager.cleanup_transforms
        if transform in transforms:
            transforms[transforms.index(transform)] = other

    def _attach(self, arguments: Content) -> None:
        self._monitor.set_just_my_code(arguments.get("justMyCode") is not False)
        self._event("initialized")
        if not self._has_shown:
            self._has_shown = True
            with suppress(Exception):  # whatever a user's own way to show errors does
                self._show_one_error()

    def _show_one_error(self) -> None:
        """Make a traceback, and throw it away. The first one takes long, for modules and the rules by which
        code is coloured: 0.1 s, many times that in a browser, and the interrupt of what is stopped shows one.
        """
        PROCESS.highlighting.quicken()
        try:
            self._value_of_cells("1 / 0")
        except ZeroDivisionError as error:
            shown: Any = copy(self._shell.InteractiveTB)  # which keeps the last one, for `%debug`
            shown.structured_traceback(type(error), error, error.__traceback__)

    def _disconnect(self, _arguments: Content) -> None:
        attached = self._session.attached
        self.detach()
        if attached:
            self._event("terminated")

    # ---- what there is

    def _threads(self, _arguments: Content) -> Content:
        main = self._session.ident(1)
        threads: list[Content] = []
        for thread in threading.enumerate():
            ident = thread.ident
            if ident is None or thread.name in ("laneway introspection", "laneway debugger"):
                continue
            name = "MainThread" if ident == main else thread.name.removeprefix("laneway ")
            threads.append({"id": self._session.thread(ident), "name": name})
        return {"threads": sorted(threads, key=lambda thread: thread["id"])}

    def _modules(self, arguments: Content) -> Content:
        modules: list[Content] = []
        for name, module in list(sys.modules.items()):
            path = getattr(getattr(module, "__spec__", None), "origin", None)
            if isinstance(path, str) and path.endswith(".py"):
                modules.append({"id": len(modules), "name": name, "path": path})
        start = arguments.get("startModule") or 0
        size = arguments.get("moduleCount") or len(modules)
        return {"modules": modules[start : start + size], "totalModules": len(modules)}

    def _source(self, arguments: Content) -> Content:
        path = (arguments.get("source") or {}).get("path")
        if not path:
            raise RemoteProtocolError("'source' lacks the field 'source.path'.")
        source = self._source_of(path)
        if source is None:
            raise LocalProtocolError(f"There is no source of {path!r}.")
        return {"content": source}

    def _source_of(self, path: str) -> str | None:
        if path in self._session.sources:
            return self._session.sources[path]
        if lines := linecache.getlines(path):
            return "".join(lines)
        try:
            return Path(path).read_text()
        except (OSError, ValueError):
            return None

    def _dump(self, code: str) -> str:
        path = self._session.dump(code)
        with suppress(Exception):  # it is no Python: it was not run, then
            transformed = self._shell.transform_cell(code)
            self._names[self._shell.compile.name_of(transformed)] = path
        return path

    # ---- where to stop

    def _set_breakpoints(self, arguments: Content) -> Content:
        path: str = arguments["source"]["path"]
        lines = self._lines(path)
        points: dict[int, Point] = {}
        answers: list[Content] = []
        for wanted in arguments.get("breakpoints") or []:
            line = next((line for line in lines or [] if line >= wanted["line"]), None)
            answer: Content = {"id": next(self._monitor.ids), "line": line or wanted["line"]}
            answer |= {"source": {"path": path}, "verified": False}
            if line is None and lines is not None:
                answer["message"] = "No code is there."
            else:
                try:
                    points[answer["line"]] = _point(wanted)
                    answer["verified"] = lines is not None
                except ValueError as error:
                    answer["message"] = str(error)
            if lines is None:  # a cell of before a restart, say: it stops there when it runs
                answer.setdefault("message", f"There is no source of {path!r} yet.")
            answers.append(answer)
        kept = [
            {**wanted, "line": answer["line"]}
            for wanted, answer in zip(arguments.get("breakpoints") or [], answers, strict=True)
        ]
        self._session.breakpoints.pop(path, None)
        if kept:
            self._session.breakpoints[path] = kept
        self._monitor.set_breakpoints([path, *self._names_of(path)], points)
        return {"breakpoints": answers}

    def _names_of(self, path: str) -> list[str]:
        return [name for name, known in self._names.items() if known == path]

    def _lines(self, path: str) -> list[int] | None:
        """The lines that have code, or None where nobody knows."""
        source = self._source_of(path)
        if source is None:
            return None
        if path in self._session.sources:
            with suppress(Exception):  # what is no Python has no code either, see below
                source = self._shell.transform_cell(source)
        try:
            code = compile(source, path, "exec", flags=_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (SyntaxError, ValueError):
            return []
        return sorted(_lines_of(code))

    def _set_function_breakpoints(self, arguments: Content) -> Content:
        points: dict[str, Point] = {}
        answers: list[Content] = []
        for wanted in arguments["breakpoints"]:
            answer: Content = {"id": next(self._monitor.ids), "verified": True}
            try:
                points[wanted["name"]] = _point(wanted)
            except ValueError as error:
                answer |= {"verified": False, "message": str(error)}
            answers.append(answer)
        self._monitor.set_functions(points)
        return {"breakpoints": answers}

    def _set_exception_breakpoints(self, arguments: Content) -> Content:
        wanted: list[str] = arguments["filters"]
        self._monitor.set_filters(wanted)
        return {
            "breakpoints": [
                {"verified": True}
                if name in FILTERS
                else {"verified": False, "message": f"There is no filter {name!r}; use {', '.join(FILTERS)}."}
                for name in wanted
            ]
        }

    def _pause(self, arguments: Content) -> None:
        self._monitor.pause(self._ident(arguments["threadId"]))

    def _ident(self, thread: int) -> int:
        ident = self._session.ident(thread)
        if ident is None:
            raise LocalProtocolError(f"There is no thread {thread}.")
        return ident

    # ---- what has stopped

    def _stop_of_thread(self, thread: int) -> Stop:
        ident = self._ident(thread)
        for stop in self._monitor.stopped:
            if stop.thread == ident:
                return stop
        raise NotStoppedError(f"Thread {thread} is not stopped.")

    def _stop_of_frame(self, number: int) -> Stop:
        for stop in self._monitor.stopped:
            if number in stop.frames:
                return stop
        raise NotStoppedError(f"There is no frame {number}, or not any more.")

    def _in_frame(self, number: int | None, call: Callable[[Stop, Frame], Content]) -> Future[Content] | None:
        """Call it on the stack that has the frame; None where no frame was named."""
        if not number:
            return None
        stop = self._stop_of_frame(number)

        def called() -> Content:
            if number not in stop.frames:
                raise NotStoppedError(f"There is no frame {number}, or not any more.")
            return call(stop, stop.frames[number])

        return stop.call(called)

    def _stack_trace(self, arguments: Content) -> Content:
        stop = self._stop_of_thread(arguments["threadId"])
        frames = list(stop.frames.items())
        start = arguments.get("startFrame") or 0
        size = arguments.get("levels") or len(frames)
        shown = [self._frame(number, frame) for number, frame in frames[start : start + size]]
        return {"stackFrames": shown, "totalFrames": len(frames)}

    def _frame(self, number: int, frame: Frame) -> Content:
        code = frame.frame.f_code
        path = self._path(code.co_filename)
        return {
            "id": number,
            "name": code.co_qualname,
            "line": frame.line,
            "column": 1,
            "source": {"name": Path(path).name, "path": path, "sourceReference": 0},
        }

    def _path(self, filename: str) -> str:
        """What a front end calls a file, or a cell that was run before it came."""
        if filename not in self._names and filename.startswith(folder_of_cells()):
            lines = linecache.getlines(filename)
            if filename not in self._session.sources and lines:
                self._names[filename] = self._session.dump("".join(lines).rstrip("\n"))
        return self._names.get(filename, filename)

    def _scopes(self, arguments: Content) -> Future[Content] | None:
        def scopes(stop: Stop, frame: Frame) -> Content:
            names, namespace = frame.frame.f_locals, frame.frame.f_globals
            found: list[Content] = [{"name": "Locals", "presentationHint": "locals", "expensive": False}]
            found[0]["variablesReference"] = stop.references.scope(names, frame.frame, self._hides)
            if names is not namespace:
                number = stop.references.scope(namespace, frame.frame, self._hides)
                found.append({"name": "Globals", "variablesReference": number, "expensive": False})
            return {"scopes": found}

        if not arguments["frameId"]:
            raise NotStoppedError("There is no frame 0.")
        return self._in_frame(arguments["frameId"], scopes)

    def _hides(self, namespace: Mapping[str, Any], name: str) -> bool:
        """Is this name Python's or IPython's own, in a namespace of cells?"""
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance], users may do anything
            return True
        if name.startswith("__") and name.endswith("__"):
            return True
        if namespace.get("get_ipython") is None:
            return False
        hidden = self._shell.user_ns_hidden
        return _HISTORY.fullmatch(name) is not None or (
            name in hidden and hidden[name] is namespace.get(name)
        )

    def _variables(self, arguments: Content) -> Content | Future[Content]:
        number: int = arguments["variablesReference"]
        if not number:  # JupyterLab unfolds functions, whatever is said of them
            return {"variables": []}
        if number in self._idle:
            return {"variables": self._idle.children(number, arguments)}
        stop = self._stop_of_reference(number)
        return stop.call(lambda: {"variables": stop.references.children(number, arguments)})

    def _stop_of_reference(self, number: int) -> Stop:
        for stop in self._monitor.stopped:
            if number in stop.references:
                return stop
        raise NotStoppedError(f"There are no variables {number}, or not any more.")

    def _exception_info(self, arguments: Content) -> Content | Future[Content]:
        stop = self._stop_of_thread(arguments["threadId"])

        def info() -> Content:
            error = stop.exception
            if error is None:
                raise LocalProtocolError("It is not for an exception that the code has stopped.")
            import traceback

            shown = "".join(traceback.format_exception(error))
            kind = type(error)
            return {
                "exceptionId": kind.__name__,
                "description": _text_of(error),
                "breakMode": "always",
                "details": {
                    "message": _text_of(error),
                    "typeName": kind.__name__,
                    "fullTypeName": f"{kind.__module__}.{kind.__qualname__}",
                    "stackTrace": shown,
                },
            }

        return stop.call(info)

    # ---- the cells' namespace, where nothing has stopped; else the frame's

    def _inspect_variables(self, _arguments: Content) -> Content:
        self._idle.clear()
        number = self._idle.scope(self._shell.user_ns, None, self._hides)
        return {"variables": self._idle.children(number)}

    def _rich_inspect_variables(self, arguments: Content) -> Content | Future[Content]:
        """JupyterLab sends what stands before a value, also before that of an item; and it asks again after
        each step, when the name may be out of sight. Where it gets no data it says so.
        """
        name: str = arguments["variableName"]

        def formatted(*namespaces: Mapping[str, Any]) -> Content:
            for namespace in namespaces:
                if name in namespace:
                    data, metadata = self._shell.display_formatter.format(namespace[name])
                    return {"data": data, "metadata": metadata}
            return {"data": {}, "metadata": {}}

        return self._in_frame(
            arguments.get("frameId"),
            lambda _, frame: formatted(frame.frame.f_locals, frame.frame.f_globals),
        ) or formatted(self._shell.user_ns, self._shell.user_global_ns)

    def _copy_to_globals(self, arguments: Content) -> Content | Future[Content]:
        source: str = arguments["srcVariableName"]

        def copy(_stop: Stop, frame: Frame) -> Content:
            names = frame.frame.f_locals
            if source not in names:
                raise LocalProtocolError(f"There is no variable {source!r}.")
            self._shell.user_ns[arguments["dstVariableName"]] = names[source]
            return {}

        return self._in_frame(arguments["srcFrameId"], copy) or {}

    def _value_of_cells(self, expression: str) -> Any:
        code = compile(expression.strip(), _EVALUATED, "eval", dont_inherit=True)
        return eval(code, self._shell.user_global_ns, self._shell.user_ns)

    def _evaluate(self, arguments: Content) -> Content | Future[Content]:
        expression: str = arguments["expression"].strip()
        statements = arguments.get("context") not in ("hover", "watch", "variables")

        def shown(value: Any, references: References, frame: FrameType | None) -> Content:
            if value is _NO_VALUE:
                return {"result": "", "variablesReference": 0}
            described = references.described("", value, frame, expression)
            result = {"result": described.pop("value"), **described}
            del result["name"]
            if value is None and statements:  # as any prompt of Python's: `print()` says enough
                result["result"] = ""
            return result

        def in_frame(stop: Stop, frame: Frame) -> Content:
            value = self._run(
                expression, statements, frame.frame.f_globals, frame.frame.f_locals, frame.frame
            )
            return shown(value, stop.references, frame.frame)

        later = self._in_frame(arguments.get("frameId"), in_frame)
        if later is not None:
            return later
        value = self._run(expression, statements, self._shell.user_global_ns, self._shell.user_ns, None)
        return shown(value, self._idle, None)

    def _run(
        self,
        source: str,
        statements: bool,
        namespace: dict[str, Any],
        names: Mapping[str, Any],
        frame: FrameType | None,
    ) -> Any:
        """The value of an expression, or `_NO_VALUE` of statements, where they are allowed."""
        try:
            code = compile(source, _EVALUATED, "eval", dont_inherit=True)
        except SyntaxError:
            if not statements:
                raise
        else:
            return evaluate(code, frame) if frame else eval(code, namespace, names)
        exec(compile(source, _EVALUATED, "exec", dont_inherit=True), namespace, names)
        if frame is not None:
            write_back(frame)
        return _NO_VALUE

    def _completions(self, arguments: Content) -> Content | Future[Content]:
        text_, line = arguments["text"], max(1, arguments.get("line") or 1)
        lines = text_.split("\n")
        position = sum(len(before) + 1 for before in lines[: line - 1]) + max(0, arguments["column"] - 1)

        def completed(namespace: dict[str, Any]) -> Content:
            found = _DOTTED.search(text_[:position])
            path, _dot, word = (found[0] if found else "").rpartition(".")
            try:
                names = dir(eval(path, namespace)) if path else [*namespace, *keyword.kwlist, *dir(builtins)]
            except Exception:
                names = []
            labels = sorted({name for name in names if name.startswith(word)})
            start = min(position, len(text_)) - len(word)
            return {"targets": [{"label": label, "start": start, "length": len(word)} for label in labels]}

        def in_frame(_stop: Stop, frame: Frame) -> Content:
            return completed({**frame.frame.f_globals, **frame.frame.f_locals})

        return self._in_frame(arguments.get("frameId"), in_frame) or completed(dict(self._shell.user_ns))

    def _set_variable(self, arguments: Content) -> Content | Future[Content]:
        number, name, value = (arguments[key] for key in ("variablesReference", "name", "value"))

        def evaluated(frame: FrameType | None) -> Any:
            return _value(value, frame) if frame else self._value_of_cells(value)

        if number in self._idle:
            return self._idle.assign(number, name, evaluated)
        stop = self._stop_of_reference(number)
        return stop.call(lambda: stop.references.assign(number, name, evaluated))

    def _set_expression(self, arguments: Content) -> Content | Future[Content]:
        target, value = arguments["expression"], arguments["value"]
        statement = f"{target} = ({value}\n)"

        def in_frame(stop: Stop, frame: Frame) -> Content:
            here = frame.frame
            if target.isidentifier():
                set_name(here, here.f_locals, target, _value(value, here))
            else:
                self._run(statement, True, here.f_globals, here.f_locals, here)
            described = stop.references.described(target, _value(target, here), here, target)
            return {key: described[key] for key in ("value", "type", "variablesReference")}

        later = self._in_frame(arguments.get("frameId"), in_frame)
        if later is not None:
            return later
        self._run(statement, True, self._shell.user_global_ns, self._shell.user_ns, None)
        return {"value": text(self._value_of_cells(target))}

    # ---- how it goes on

    def _continue(self, arguments: Content) -> Content:
        stop = self._stop_of_thread(arguments["threadId"])
        stop.go("continue")
        return {"allThreadsContinued": stop.hold.alone}

    def _go(self, arguments: Content, action: str) -> None:
        self._stop_of_thread(arguments["threadId"]).go(action)


Transform = Callable[[list[str]], list[str]]


def _keep_empty_lines(lines: list[str]) -> list[str]:
    """In place of IPython's transform that drops those before the first line: front ends count them. A cell's
    magic has to be in the first line.
    """
    code = leading_empty_lines(lines)
    if code and code[0].startswith("%%"):
        return code
    return [*lines[: len(lines) - len(code)], *leading_indent(code)]


_NO_VALUE = object()
_HISTORY = re.compile(r"_\d*|__|___|_i+|_i\d+|_[di]h|_oh")
_DOTTED = re.compile(r"[\w.]*$")
_TOP_LEVEL_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def _point(wanted: Content) -> Point:
    return Point(wanted.get("condition"), wanted.get("hitCondition"), wanted.get("logMessage"))


def _lines_of(code: CodeType) -> set[int]:
    lines = {line for _start, _end, line in code.co_lines() if line}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            lines |= _lines_of(constant)
    return lines


def _value(expression: str, frame: FrameType) -> Any:
    return evaluate(compile(expression.strip(), _EVALUATED, "eval", dont_inherit=True), frame)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:
        return f"<its str() raised {type(failure).__name__}>"
