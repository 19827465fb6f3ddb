"""Monitor: stops code, on `sys.monitoring` (PEP 669; Python 3.12 or later).

    event of Python        asked for                          what it is for
    PY_START, PY_RESUME    with breakpoints, of all code      finds the code that they are in; once per code
    PY_START               with steps in a cell               its next statement, which is code of its own
    LINE                   of code with breakpoints or steps  is this the line?
                           of all code: step in, pause
    PY_RETURN              of code with breakpoints or steps  a step ends where the function was called
    RAISE, PY_UNWIND       with exception filters             is this the exception?

What is not wanted is answered with DISABLE, and costs nothing from then on; each change of what is wanted
begins anew (`_update`). So code without a breakpoint runs at full speed while a debugger is attached.

Code stops by staying in the callback, in a `Hold` of the host's, on its own thread. No event arises there,
so what a front end evaluates runs as it is. Any thread; what is wanted is changed by one at a time.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import weakref
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, NamedTuple

from ..protocol.errors import CellTimeoutError, LocalProtocolError
from ..protocol.ports import Hold
from .variables import References

TOOLS = (3, 4)
"""Those of Python's tool ids that have no name: 0 is for other debuggers."""

_QUIET = (StopIteration, StopAsyncIteration, GeneratorExit, KeyboardInterrupt)
"""They are how code ends, or is ended."""


class NotStoppedError(LocalProtocolError):
    """What is asked for is there only as long as the code is stopped."""


class Point:
    """A breakpoint's conditions. Raises ValueError, with a sentence, where `hit_condition` is none."""

    def __init__(self, condition: str | None, hit_condition: str | None, message: str | None) -> None:
        self.hits = 0
        self._condition = _compiled(condition.strip()) if condition and condition.strip() else None
        self._enough = _hit_condition(hit_condition) if hit_condition and hit_condition.strip() else None
        self._message = _compiled(f"f{message!r}") if message else None

    def is_hit(self, frame: FrameType, log: Callable[[str], None]) -> bool:
        """Whether code is to stop here."""
        if self._condition:
            try:
                if not evaluate(self._condition, frame):
                    return False
            except Exception:
                return True  # who has written it sees where it fails
        self.hits += 1
        if self._enough and not self._enough(self.hits):
            return False
        if self._message:
            try:
                log(str(evaluate(self._message, frame)))
            except Exception as error:
                log(f"{type(error).__name__}: {error}")
            return False
        return True


def _compiled(expression: str) -> CodeType:
    try:
        return compile(expression, "<breakpoint>", "eval")
    except SyntaxError as error:
        raise ValueError(f"{expression!r} is no expression: {error.msg}.") from None


_HIT = re.compile(r"\s*(==|=|>=|>|<=|<|%)?\s*(\d+)\s*")


def _hit_condition(text: str) -> Callable[[int], bool]:
    match = _HIT.fullmatch(text)
    if match is None or (match[1] == "%" and not int(match[2])):
        raise ValueError(f"{text!r} is no hit condition: write a number, or one after ==, >=, >, <=, < or %.")
    n = int(match[2])
    match match[1]:
        case "%":
            return lambda hits: hits % n == 0
        case ">":
            return lambda hits: hits > n
        case "<":
            return lambda hits: hits < n
        case "<=":
            return lambda hits: hits <= n
        case "==" | "=":
            return lambda hits: hits == n
        case _:
            return lambda hits: hits >= n


def evaluate(code: CodeType, frame: FrameType) -> Any:
    """The value of an expression in `frame`."""
    namespace, local = frame.f_globals, frame.f_locals
    if local is not namespace and any(isinstance(constant, CodeType) for constant in code.co_consts):
        # a lambda or generator expression finds global names only
        namespace = {**namespace, **local}
    return eval(code, namespace, local)


class Frame(NamedTuple):
    """A frame of stopped code, and the line where it is."""

    frame: FrameType
    line: int


class Stop:
    """Code that has stopped, on one thread."""

    def __init__(
        self,
        thread: int,
        reason: str,
        frames: dict[int, Frame],
        hold: Hold,
        ids: Iterable[int],
        guard: AbstractContextManager[object],
    ) -> None:
        self.thread = thread
        self.reason = reason
        self.frames = frames
        """By id, the innermost first."""
        self.exception: BaseException | None = None
        self.points: list[int] = []
        """Ids of breakpoints."""
        self.references = References(ids)
        self.hold = hold
        self.action: str | None = None
        """How it is to go on, once somebody has said so."""
        self._guard = guard
        self._pending: set[Future[Any]] = set()
        self._ended = False

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        """Call `function` on the stopped stack. Raises NotStoppedError, here or in the future, where that has
        gone on.

        An interrupt that comes meanwhile ends both: the call, whose future raises it, and the stopped code.
        """
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody can
        if threading.get_ident() == self.thread:
            self._run(future, function)
            return future
        with self._guard:
            if self._ended:
                raise NotStoppedError("The code has gone on.")
            self._pending.add(future)
        self.hold.post(lambda: self._run(future, function))
        return future

    def _run(self, future: Future[Any], function: Callable[[], Any]) -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:
            error = raised
        with self._guard:  # a lock of the future's that an interrupt has left locked would stay so
            self._pending.discard(future)
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        if isinstance(error, KeyboardInterrupt | CellTimeoutError):
            self.hold.interrupt(type(error))

    def go(self, action: str) -> None:
        """Let it go on: `continue`, `next`, `stepIn` or `stepOut`. It is not `stopped` from now on, although
        it may take a moment until it goes.
        """
        self.action = action
        self.hold.release()

    def end(self) -> None:
        """It goes on."""
        with self._guard:
            self._ended = True
            for future in self._pending:
                future.set_exception(NotStoppedError("The code has gone on."))
            self._pending.clear()
        self.frames.clear()
        self.references.clear()
        self.exception = None


@dataclass
class _Step:
    """A thread stops at the next line of one of these frames, or of any user code called."""

    frames: set[FrameType]
    into: bool
    reason: str
    run: object
    """For which cell it goes."""
    leaving: FrameType | None = None
    """Where this one returns to, it stops, too: more may be called in that line."""
    cell: str | None = None
    """The name of a cell at whose next statement it stops, too."""
    codes: set[int] = field(default_factory=set[int])

    def __post_init__(self) -> None:
        self.codes = {id(frame.f_code) for frame in self.frames}

    def add(self, frame: FrameType) -> None:
        """One more frame, of code that has begun meanwhile."""
        self.frames.add(frame)
        self.codes.add(id(frame.f_code))


class Monitor:
    """Stops code of the process while it is installed.

    `guard` is the host's (see `Context`); `hold` makes a place where code can stay; `stopped` and `continued`
    hear of stops, on the stopped stack; `log` has what log points say; `may_stop` says whether the calling
    code may stop at all, `run` for which cell it runs.
    """

    def __init__(
        self,
        *,
        guard: AbstractContextManager[object],
        hold: Callable[[], Hold],
        stopped: Callable[[Stop], None],
        continued: Callable[[Stop], None],
        log: Callable[[str], None],
        may_stop: Callable[[], bool],
        run: Callable[[], object],
    ) -> None:
        self.stops: dict[int, Stop] = {}
        """By thread."""
        self.just_my_code = True
        self.ids = count(1)
        """Of frames and variables: no two are the same."""
        self._guard = guard
        self._hold = hold
        self._stopped = stopped
        self._continued = continued
        self._log = log
        self._may_stop = may_stop
        self._run = run
        self._tool: int | None = None
        self._process = os.getpid()
        self._points: dict[str, dict[int, Point]] = {}
        self._functions: dict[str, Point] = {}
        self._filters: frozenset[str] = frozenset()
        self._steps: dict[int, _Step] = {}
        self._pausing: set[int] = set()
        self._watched: dict[int, weakref.ref[CodeType]] = {}  # by id: code that is the same is equal, too
        self._users: dict[str, bool] = {}
        self._numbers: dict[int, dict[int, int]] = {}
        """By thread: `id` of the frames of its last stop -> their numbers. A frame keeps its number from stop
        to stop: a front end goes on to ask for what it shows.
        """

    # ---- its life

    @property
    def installed(self) -> bool:
        """Does it stop code?"""
        return self._tool is not None

    def install(self) -> None:
        """Begin to stop code. Raises LocalProtocolError where other tools have taken Python's monitoring."""
        if self._tool is not None:
            return
        for tool in TOOLS:
            try:
                _mon.use_tool_id(tool, "laneway")
            except ValueError:
                continue
            self._tool = tool
            break
        else:
            raise LocalProtocolError("Other tools have taken all of Python's monitoring; end one of them.")
        for event, call in self._callbacks:
            _mon.register_callback(self._tool, event, call)

    def uninstall(self) -> None:
        """Let all that is stopped go on, and stop no more."""
        with self._guard:
            tool, self._tool = self._tool, None
            self._points, self._functions, self._filters = {}, {}, frozenset()
            self._steps.clear()
            self._pausing.clear()
            self._numbers.clear()
            if tool is not None:
                _mon.set_events(tool, 0)
                for reference in self._watched.values():
                    if (code := reference()) is not None:
                        _mon.set_local_events(tool, code, 0)
                self._watched.clear()
                for event, _call in self._callbacks:
                    _mon.register_callback(tool, event, None)
                _mon.free_tool_id(tool)
        for stop in list(self.stops.values()):
            stop.go("continue")

    @property
    def _callbacks(self) -> list[tuple[int, Callable[..., Any]]]:
        events = _mon.events
        return [
            (events.PY_START, self._on_start),
            (events.PY_RESUME, self._on_resume),
            (events.LINE, self._on_line),
            (events.PY_RETURN, self._on_return),
            (events.RAISE, self._on_raise),
            (events.PY_UNWIND, self._on_unwind),
        ]

    def _update(self) -> None:
        """What is wanted has changed."""
        if self._tool is None:
            return
        events, wanted = _mon.events, 0
        if self._points or self._functions:
            wanted |= events.PY_START | events.PY_RESUME
        if any(step.cell for step in self._steps.values()):
            wanted |= events.PY_START
        if self._pausing or any(step.into for step in self._steps.values()):
            wanted |= events.LINE
        if "raised" in self._filters:
            wanted |= events.RAISE
        if self._filters & {"uncaught", "userUnhandled"}:
            wanted |= events.PY_UNWIND
        _mon.set_events(self._tool, wanted)
        _mon.restart_events()

    def _watch(self, code: CodeType) -> None:
        with self._guard:
            if self._tool is not None and (id(code) not in self._watched or not self._watched[id(code)]()):
                self._watched[id(code)] = weakref.ref(code)
                _mon.set_local_events(self._tool, code, _mon.events.LINE | _mon.events.PY_RETURN)

    # ---- where to stop

    def set_breakpoints(self, filenames: Sequence[str], points: dict[int, Point]) -> None:
        """Stop at these lines of the code in a file, in place of those before. It may have several names."""
        with self._guard:
            for filename in filenames:
                if points:
                    self._points[filename] = points
                else:
                    self._points.pop(filename, None)
            for frame in sys._current_frames().values():  # pyright: ignore[reportPrivateUsage]
                here: FrameType | None = frame
                while here is not None:  # what runs already does not start any more
                    if here.f_code.co_filename in filenames and _has_lines(here.f_code, points):
                        self._watch(here.f_code)
                    here = here.f_back
            self._update()

    def set_functions(self, points: dict[str, Point]) -> None:
        """Stop in functions of these names, simple or qualified."""
        with self._guard:
            self._functions = points
            self._update()

    def set_filters(self, filters: Iterable[str]) -> None:
        """Stop on exceptions, see `FILTERS`."""
        with self._guard:
            self._filters = frozenset(filters)
            self._update()

    def pause(self, thread: int) -> None:
        """Stop a thread at its next line of user code."""
        with self._guard:
            self._pausing.add(thread)
            self._update()

    def ended(self, run: object) -> None:
        """A cell has ended: who has gone through it step by step does not go on in the next."""
        if any(step.run is run for step in self._steps.values()):
            with self._guard:
                self._steps = {thread: step for thread, step in self._steps.items() if step.run is not run}
                self._update()

    def is_user(self, code: CodeType) -> bool:
        """Is this code of a cell, or of a file that is no library's?"""
        name = code.co_filename
        if name not in self._users:
            self._users[name] = not _is_machinery(name) and not (self.just_my_code and _is_library(name))
        return self._users[name]

    def set_just_my_code(self, wanted: bool) -> None:
        """Whether steps and exceptions pass over libraries."""
        self.just_my_code = wanted
        self._users.clear()

    # ---- events. Each callback's frame is called by the monitored one.

    def _on_start(self, code: CodeType, _offset: int) -> Any:
        if (points := self._points.get(code.co_filename)) and _has_lines(code, points):
            self._watch(code)
        functions = self._functions
        if functions and (point := functions.get(code.co_qualname) or functions.get(code.co_name)):
            frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
            if point.is_hit(frame, self._log):  # it stops where its body begins
                step = _Step({frame}, False, "function breakpoint", self._run())
                self._set_step(threading.get_ident(), step)
            return None
        step = self._steps.get(threading.get_ident())
        if step and step.cell == code.co_filename and _is_statement(code) and step.run is self._run():
            step.add(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
            self._watch(code)
        return _mon.DISABLE

    def _on_resume(self, code: CodeType, _offset: int) -> Any:
        if (points := self._points.get(code.co_filename)) and _has_lines(code, points):
            self._watch(code)
        return _mon.DISABLE

    def _on_line(self, code: CodeType, line: int) -> Any:
        points = self._points.get(code.co_filename)
        point = points.get(line) if points else None
        steps = self._steps
        if point is None and not steps and not self._pausing:
            return _mon.DISABLE
        frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        if point is not None and point.is_hit(frame, self._log):
            return self._stop(frame, "breakpoint")
        thread = threading.get_ident()
        step = steps.get(thread)
        if step is not None and frame in step.frames:
            return self._stop(frame, step.reason)
        if self.is_user(code):
            if thread in self._pausing:
                return self._stop(frame, "pause")
            if step is not None and step.into:
                return self._stop(frame, step.reason)
            return None
        if point is None and not any(id(code) in step.codes for step in steps.values()):
            return _mon.DISABLE
        return None

    def _on_return(self, code: CodeType, _offset: int, _value: object) -> Any:
        steps = self._steps
        if not any(step.leaving and step.leaving.f_code is code for step in steps.values()):
            return _mon.DISABLE
        frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        step = steps.get(threading.get_ident())
        if step and step.leaving is frame and (caller := self._caller(frame)):
            self._stop(caller, step.reason)
        return None

    def _on_raise(self, code: CodeType, _offset: int, error: BaseException) -> None:
        if not self.is_user(code) or isinstance(error, _QUIET):
            return
        entry = error.__traceback__  # its first entry is this frame's; those behind it were left already
        while entry and (entry := entry.tb_next):
            if self.is_user(entry.tb_frame.f_code):
                return
        self._stop(sys._getframe(1), "exception", error)  # pyright: ignore[reportPrivateUsage]

    def _on_unwind(self, code: CodeType, _offset: int, error: BaseException) -> None:
        if not self.is_user(code) or isinstance(error, _QUIET):
            return
        frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        back = frame.f_back
        if back is not None and self.is_user(back.f_code):
            return
        if "userUnhandled" not in self._filters and any(self._callers(frame)):
            return  # one of them may handle it
        self._stop(frame, "exception", error)

    # ---- stopping

    @property
    def stopped(self) -> list[Stop]:
        """Those that nobody has let go on."""
        return [stop for stop in list(self.stops.values()) if stop.action is None]

    def stop_here(self, frame: FrameType) -> None:
        """Stop the calling code; `frame` is where it is, as it sees it."""
        self._stop(frame, "breakpoint")

    def _stop(self, frame: FrameType, reason: str, error: BaseException | None = None) -> None:
        thread = threading.get_ident()
        if self._tool is None or os.getpid() != self._process or not self._may_stop():
            return
        if thread in self.stops:
            return  # it is evaluated there
        with self._guard:
            self._pausing.discard(thread)
            self._steps.pop(thread, None)
            self._update()
        frames = self._numbered(thread, self._frames(frame, error))
        stop = Stop(thread, reason, frames, self._hold(), self.ids, self._guard)
        stop.exception = error
        self.stops[thread] = stop
        try:
            # once it is held: who hears of it asks for the jobs, which say so by then
            stop.hold.post(lambda: self._stopped(stop))
            stop.hold.stay()
        finally:
            self.stops.pop(thread, None)
            stop.end()
            self._continued(stop)
        if stop.action not in (None, "continue"):
            self._step(frame, thread, stop.action)

    def _step(self, frame: FrameType, thread: int, action: str) -> None:
        callers = list(self._callers(frame))
        frames = {*callers} if action == "stepOut" else {frame, *callers}
        step = _Step(frames, action == "stepIn", "step", self._run(), leaving=frame)
        outermost = (callers or [frame])[-1].f_code
        if frames and _is_statement(outermost):
            step.cell = outermost.co_filename
        self._set_step(thread, step)

    def _set_step(self, thread: int, step: _Step) -> None:
        with self._guard:
            self._steps = {**self._steps, thread: step}
            for frame in (*step.frames, step.leaving):
                if frame:
                    self._watch(frame.f_code)
            self._update()

    def _callers(self, frame: FrameType) -> Iterator[FrameType]:
        """The frames of user code that have called `frame`, the innermost first: those of the cell, and not
        of the program that runs the kernel.
        """
        back = frame.f_back
        while back is not None and not back.f_code.co_filename.startswith(_OURS):
            if self.is_user(back.f_code):
                yield back
            back = back.f_back

    def _caller(self, frame: FrameType) -> FrameType | None:
        """The user code that gets what `frame` returns, be it by way of a library."""
        back = frame.f_back
        while back is not None and not self.is_user(back.f_code):
            if _is_machinery(back.f_code.co_filename):
                return None
            back = back.f_back
        return back

    def _numbered(self, thread: int, frames: Iterable[Frame]) -> dict[int, Frame]:
        known, numbered = self._numbers.get(thread, {}), dict[int, Frame]()
        for one in frames:  # a traceback has a frame twice that has raised an exception again
            number = known.get(id(one.frame))
            numbered[next(self.ids) if number is None or number in numbered else number] = one
        self._numbers[thread] = {id(one.frame): number for number, one in numbered.items()}
        return numbered

    def _frames(self, frame: FrameType, error: BaseException | None) -> list[Frame]:
        """The stopped frame, and those of user code that have called it. Before them, where an exception
        leaves it, those that it has left.
        """
        frames: list[Frame] = []
        entry: TracebackType | None = error.__traceback__ if error else None
        while entry:
            if entry.tb_frame is not frame:
                frames.insert(0, Frame(entry.tb_frame, entry.tb_lineno))
            entry = entry.tb_next
        for here in (frame, *self._callers(frame)):
            frames.append(Frame(here, here.f_lineno or here.f_code.co_firstlineno))
        return [one for one in frames if one.frame is frame or self.is_user(one.frame.f_code)]


def _has_lines(code: CodeType, lines: Container[int]) -> bool:
    """Is one of these lines in the code? Of what is defined in it, that is its own affair."""
    return any(line in lines for _start, _end, line in code.co_lines() if line)


def _is_statement(code: CodeType) -> bool:
    """Is this a statement of a cell (or a module)? IPython compiles and runs them one by one."""
    return code.co_name == "<module>"


def _is_machinery(filename: str) -> bool:
    """Is this what runs cells, or no file at all?"""
    return filename.startswith(("<", _OURS, _IPYTHON, _ASYNCIO))


def _is_library(filename: str) -> bool:
    if filename.startswith(_STDLIB):
        return True
    parts = Path(filename).parts
    return "site-packages" in parts or "dist-packages" in parts


def _folder(module: str) -> str:
    file = getattr(sys.modules.get(module), "__file__", None)
    return str(Path(file).parent) + os.sep if file else "<"


_mon: Any = vars(sys).get("monitoring")
_OURS = str(Path(__file__).parents[1]) + os.sep
_IPYTHON = _folder("IPython")
_ASYNCIO = _folder("asyncio")
_STDLIB = str(Path(os.__file__).parent) + os.sep
