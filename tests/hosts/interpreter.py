"""An interpreter whose cells are coroutines of the test: hosts without IPython."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from laneway.client.execution import Execution
from laneway.protocol.message import Content, Message
from laneway.protocol.ports import Context

Cell = Callable[[Context, Message], Awaitable[Any] | Any]

WHO: ContextVar[str] = ContextVar("who", default="nobody")


def say(context: Context, request: Message) -> None:
    """Let the test know that the cell runs."""
    context.publish(request, "stream", {"name": "stdout", "text": "."})


async def said(execution: Execution) -> None:
    """Wait until the cell runs."""
    await anext(aiter(execution))


class ScriptedInterpreter:
    """The code of a cell is the name of one of `cells`; what that raises becomes an error reply."""

    def __init__(self, **cells: Cell) -> None:
        self.info = {"implementation": "scripted"}
        self.cells = cells
        self.stopped = False
        self.context: Context | None = None

    def start(self, context: Context) -> None:
        """See `Interpreter`."""
        self.context = context

    def stop(self) -> None:
        """See `Interpreter`."""
        self.stopped = True

    def interject(self, request: Message) -> Content | None:
        """See `Interpreter`."""
        return {"status": "ok"}

    async def handle(self, request: Message) -> Content | None:
        """See `Interpreter`."""
        assert self.context
        if request.msg_type != "execute_request":
            return {"status": "ok"}
        result = self.cells[request.content["code"]](self.context, request)
        if isinstance(result, Awaitable):
            result = await result
        return {"status": "ok", "result": result}
