"""Debugger: the requests of the Debug Adapter Protocol (DAP) as calls, its events as they come. On the
client's event loop.

    attach                        a kernel has one debugger: of several clients the last that attached has it
    dump_cell, set_breakpoints    in a cell they are set at the path that its code has
    Client.execute                -> event `stopped`
    stack_trace, scopes, variables, evaluate ...
    next ... continue_            it goes on, and may stop again
    disconnect                    what is stopped goes on, and nothing stops any more

Source: messaging spec 5.5, "Debug request" and "Additions to the DAP". What calls give has the shapes of DAP:
https://microsoft.github.io/debug-adapter-protocol/specification.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, Self

from ..protocol.errors import DebugError, KernelError
from ..protocol.message import Content, Message
from .subscription import Subscription

if TYPE_CHECKING:
    from .client import Client

MAIN_THREAD = 1


class Debugger:
    """The debugger of a client's kernel: `Client.debugger`. `async with` attaches, and disconnects.

    Calls raise DebugError where the kernel refuses, as it does before `attach`, and else what
    `Client.request` raises; they take its `timeout`, too. A thread that is not named is the one that has
    stopped last, else the main one.
    """

    def __init__(self, client: Client) -> None:
        self.attached = False
        """Has this client attached, and not disconnected since?"""
        self.stopped: dict[int, Content] = {}
        """Thread -> the body of its event `stopped`, the last one at the end."""
        self._client = client
        self._seq = count(1)

    # ---- who is there

    async def attach(self, *, just_my_code: bool = True, **options: Any) -> Content:
        """Begin, or begin anew: code stops where it is to, also in libraries unless `just_my_code`.
        Returns what the kernel's debugger can (DAP's Capabilities).
        """
        info = self._client.info
        known = "laneway" in info or "debugger" in info.get("supported_features", ())
        if not known and info.get("debugger") is not True:
            # it would not answer; ours says why it has none
            raise DebugError(f"The kernel {info.get('implementation')} has no debugger.", "initialize")
        self.end()
        who = {"clientID": "laneway", "clientName": "Laneway", "adapterID": "", "locale": "en"}
        counts = {"pathFormat": "path", "linesStartAt1": True, "columnsStartAt1": True}
        can = {"supportsVariableType": True, "supportsVariablePaging": True}
        capabilities = await self.request("initialize", {**who, **counts, **can}, **options)
        await self.request("attach", {"justMyCode": just_my_code}, **options)
        self.attached = True
        return capabilities

    async def disconnect(self, **options: Any) -> None:
        """End: what is stopped goes on, and breakpoints are gone."""
        await self.request("disconnect", {"restart": False, "terminateDebuggee": False}, **options)
        self.end()

    async def terminate(self, *, just_my_code: bool = True, **options: Any) -> None:
        """What is stopped goes on, breakpoints are gone, and the debugger stays: JupyterLab's "Terminate"."""
        await self.disconnect(**options)
        await self.attach(just_my_code=just_my_code, **options)

    async def __aenter__(self) -> Self:
        await self.attach()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self.attached and self._client.alive:
            await self.disconnect()

    async def info(self, **options: Any) -> Content:
        """What the kernel's debugger is, and knows; also before `attach`."""
        return await self.request("debugInfo", **options)

    # ---- where to stop

    async def dump_cell(self, code: str, **options: Any) -> str:
        """The path of a cell with this code, for `set_breakpoints`; a frame of the cell names it, too."""
        return (await self.request("dumpCell", {"code": code}, **options))["sourcePath"]

    async def set_breakpoints(
        self, path: str, breakpoints: Iterable[int | Mapping[str, Any]], **options: Any
    ) -> list[Content]:
        """Set the breakpoints of a file or cell, in the place of those it had: lines from 1 on, or
        `{"line": 3}` with a `condition`, a `hitCondition` (`3`, `>= 3`, `% 3`) or a `logMessage`, in which
        `{expression}` is a value, and which does not stop.

        Returns DAP's Breakpoints: one that is not `verified` says why in its `message`; one on a line without
        code moves to the next line.
        """
        wanted = [{"line": point} if isinstance(point, int) else dict(point) for point in breakpoints]
        content = {"source": {"path": path}, "breakpoints": wanted}
        return (await self.request("setBreakpoints", content, **options))["breakpoints"]

    async def set_function_breakpoints(
        self, functions: Iterable[str | Mapping[str, Any]], **options: Any
    ) -> list[Content]:
        """Stop where these functions begin, and no others."""
        wanted = [{"name": point} if isinstance(point, str) else dict(point) for point in functions]
        return (await self.request("setFunctionBreakpoints", {"breakpoints": wanted}, **options))[
            "breakpoints"
        ]

    async def set_exception_breakpoints(self, filters: Iterable[str], **options: Any) -> None:
        """Stop at exceptions: `raised`, `uncaught`, `userUnhandled`; of other kernels, see `attach`."""
        await self.request("setExceptionBreakpoints", {"filters": list(filters)}, **options)

    # ---- what has stopped

    async def threads(self, **options: Any) -> list[Content]:
        """`{id, name}` of each."""
        return (await self.request("threads", **options))["threads"]

    async def stack_trace(
        self,
        thread: int | None = None,
        *,
        start_frame: int | None = None,
        levels: int | None = None,
        **options: Any,
    ) -> list[Content]:
        """The frames of a thread, the innermost first: `{id, name, line, source: {path}}` and so on."""
        content = _given(startFrame=start_frame, levels=levels)
        return (await self.request("stackTrace", self._thread(thread) | content, **options))["stackFrames"]

    async def scopes(self, frame: int, **options: Any) -> list[Content]:
        """`{name, variablesReference}` of the locals and the globals of a frame."""
        return (await self.request("scopes", {"frameId": frame}, **options))["scopes"]

    async def variables(
        self,
        reference: int,
        *,
        filter: Literal["indexed", "named"] | None = None,  # noqa: A002, DAP's name
        start: int | None = None,
        count: int | None = None,
        **options: Any,
    ) -> list[Content]:
        """The variables of a scope, or the members of a variable, by its `variablesReference`; of a long
        container those from `start` on, `count` of them.
        """
        content = {"variablesReference": reference, **_given(filter=filter, start=start, count=count)}
        return (await self.request("variables", content, **options))["variables"]

    async def inspect_variables(self, **options: Any) -> list[Content]:
        """The names of the cells, where nothing has stopped."""
        return (await self.request("inspectVariables", **options))["variables"]

    async def rich_inspect_variables(self, name: str, frame: int | None = None, **options: Any) -> Content:
        """A variable as a cell would show it: `{data, metadata}`."""
        return await self.request(
            "richInspectVariables", {"variableName": name, **_given(frameId=frame)}, **options
        )

    async def copy_to_globals(
        self, name: str, frame: int, as_name: str | None = None, **options: Any
    ) -> None:
        """Give a variable of a frame to the cells, under this name."""
        content = {"srcVariableName": name, "dstVariableName": as_name or name, "srcFrameId": frame}
        await self.request("copyToGlobals", content, **options)

    async def set_variable(self, reference: int, name: str, value: str, **options: Any) -> Content:
        """`value` is an expression. Returns what it has become: `{value, type, variablesReference}`."""
        content = {"variablesReference": reference, "name": name, "value": value}
        return await self.request("setVariable", content, **options)

    async def set_expression(
        self, expression: str, value: str, frame: int | None = None, **options: Any
    ) -> Content:
        """The same of anything that can be assigned to, as `point.x` or `table["a"]`."""
        content = {"expression": expression, "value": value, **_given(frameId=frame)}
        return await self.request("setExpression", content, **options)

    async def evaluate(
        self,
        expression: str,
        frame: int | None = None,
        *,
        context: Literal["repl", "hover", "watch", "variables"] = "repl",
        **options: Any,
    ) -> Content:
        """`{result, type, variablesReference}` of an expression, in a frame or in the namespace of the cells;
        `repl` takes statements as well.
        """
        content = {"expression": expression, "context": context, **_given(frameId=frame)}
        return await self.request("evaluate", content, **options)

    async def completions(
        self,
        text: str,
        frame: int | None = None,
        *,
        line: int | None = None,
        column: int | None = None,
        **options: Any,
    ) -> list[Content]:
        """What `text` can be completed with there (both from 1 on), by default at its end."""
        lines = text.split("\n")
        line = line or len(lines)
        column = column or len(lines[line - 1]) + 1
        content = {"text": text, "line": line, "column": column, **_given(frameId=frame)}
        return (await self.request("completions", content, **options))["targets"]

    async def exception_info(self, thread: int | None = None, **options: Any) -> Content:
        """The exception at which a thread has stopped: `{exceptionId, description, details}`."""
        return await self.request("exceptionInfo", self._thread(thread), **options)

    async def source(self, path: str, **options: Any) -> str:
        """The text of a file or cell."""
        content = {"source": {"path": path}, "sourceReference": 0}
        return (await self.request("source", content, **options))["content"]

    # ---- how it goes on; each returns when the kernel has taken it, and an event says where it has come

    async def pause(self, thread: int | None = None, **options: Any) -> None:
        """Stop where it is."""
        await self.request("pause", self._thread(thread), **options)

    async def continue_(self, thread: int | None = None, **options: Any) -> None:
        """Go on to the next breakpoint."""
        await self._go("continue", thread, options)

    async def next(self, thread: int | None = None, **options: Any) -> None:
        """Go on to the next line."""
        await self._go("next", thread, options)

    async def step_in(self, thread: int | None = None, **options: Any) -> None:
        """Go on into what this line calls."""
        await self._go("stepIn", thread, options)

    async def step_out(self, thread: int | None = None, **options: Any) -> None:
        """Go on until this function has returned."""
        await self._go("stepOut", thread, options)

    # ---- beneath and beside

    async def request(self, command: str, arguments: Content | None = None, **options: Any) -> Content:
        """Send any request, and return the body of its response. Not every kernel knows all of them."""
        request = {
            "type": "request",
            "seq": next(self._seq),
            "command": command,
            "arguments": arguments or {},
        }
        response = await self._client.debug(request, **options)
        if response.get("success") is True:
            return response.get("body") or {}
        said = response.get("message") or response.get("evalue")
        raise DebugError(str(said or f"The debugger does not answer {command!r}."), command)

    def events(self, *names: str) -> DebugEvents:
        """The events from now on, or those of these names only: iterate them, and `close` them."""
        return DebugEvents(
            self._client.subscribe(
                lambda message: (
                    message.msg_type == "debug_event" and (not names or message.content.get("event") in names)
                )
            )
        )

    # ---- fed by the client

    def receive(self, message: Message) -> None:
        """A debug_event has come."""
        event, body = message.content.get("event"), message.content.get("body") or {}
        thread = body.get("threadId", MAIN_THREAD)
        if event == "terminated" or (event == "continued" and body.get("allThreadsContinued")):
            self.stopped.clear()
        elif event in ("stopped", "continued"):
            self.stopped.pop(thread, None)
            if event == "stopped":
                self.stopped[thread] = body

    def end(self) -> None:
        """It has ended, or its kernel has."""
        self.attached = False
        self.stopped.clear()

    def _thread(self, thread: int | None) -> Content:
        return {"threadId": thread or next(reversed(self.stopped), MAIN_THREAD)}

    async def _go(self, command: str, thread: int | None, options: Mapping[str, Any]) -> None:
        """Adapters need not say `continued` to who has asked for it. The next stop may be told before the
        answer.
        """
        content = self._thread(thread)
        number: int = content["threadId"]
        stop = self.stopped.pop(number, None)
        try:
            await self.request(command, content, **options)
        except KernelError as error:
            if isinstance(error, DebugError) and stop is not None:
                self.stopped.setdefault(number, stop)
            raise


class DebugEvents(AsyncIterator[Content]):
    """What `Debugger.events` gives: `{event, body}` of each. It ends with the client, or with `close`."""

    def __init__(self, messages: Subscription) -> None:
        self._messages = messages

    def close(self) -> None:
        """End it; what it holds can still be read."""
        self._messages.close()

    async def __anext__(self) -> Content:
        return (await anext(self._messages)).content


def _given(**fields: Any) -> Content:
    """DAP knows no null."""
    return {name: value for name, value in fields.items() if value is not None}
