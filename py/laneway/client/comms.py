"""Comms as a client sees them (messaging spec, "Custom Messages"). On the client's event loop."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..protocol.errors import ClosedError
from ..protocol.message import Message

if TYPE_CHECKING:
    from .client import Client

MessageHook = Callable[[Message], object]
"""Takes a comm message (its data is `message.content["data"]`); what it returns is awaited, beside everything
else, where it is awaitable.
"""


class Comm(AsyncIterator[Message]):
    """One comm. Iterate it for the messages of the kernel's end, in order, or give `on_msg` a hook; ends when
    it is closed.
    """

    def __init__(self, comms: Comms, comm_id: str, target_name: str) -> None:
        self.comm_id = comm_id
        self.target_name = target_name
        self.closed = False
        self._comms = comms
        self._hook: MessageHook | None = None
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()

    def send(self, data: dict[str, Any], buffers: Sequence[Any] = ()) -> Message:
        """Send a comm_msg, at once. Raises ClosedError where the comm is closed."""
        self._check()
        return self._comms.client.post("comm_msg", {"comm_id": self.comm_id, "data": data}, buffers=buffers)

    def close(self, data: dict[str, Any] | None = None) -> None:
        """Close both ends. Harmless if repeated."""
        if not self.closed:
            self._comms.client.post("comm_close", {"comm_id": self.comm_id, "data": data or {}})
            self.ended()

    def on_msg(self, hook: MessageHook | None) -> None:
        """Call `hook` with each message from now on, and with those that nobody has read yet."""
        self._hook = hook
        while hook and not self._messages.empty() and (message := self._messages.get_nowait()):
            self._comms.call(hook, message)

    async def __anext__(self) -> Message:
        message = await self._messages.get()
        if message is None:
            self._messages.put_nowait(None)
            raise StopAsyncIteration
        return message

    # ---- fed by Comms

    def received(self, message: Message) -> None:
        """A comm_msg has come."""
        if self._hook:
            self._comms.call(self._hook, message)
        else:
            self._messages.put_nowait(message)

    def ended(self) -> None:
        """It is closed, at either end or with the client."""
        self.closed = True
        self._comms.forget(self)
        self._messages.put_nowait(None)

    def _check(self) -> None:
        if self.closed:
            raise ClosedError(f"The comm {self.comm_id!r} is closed.")


class Comms:
    """The comms of a client: `open` one, or `register_target` to be asked when the kernel opens one."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._comms: dict[str, Comm] = {}
        self._targets: dict[str, Callable[[Comm, Message], object]] = {}
        self._tasks: set[asyncio.Task[object]] = set()

    def open(
        self,
        target_name: str,
        data: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
        *,
        comm_id: str | None = None,
    ) -> Comm:
        """Open a comm to what the kernel has registered as `target_name`, at once. Where there is no such
        target, the kernel closes it.
        """
        comm = Comm(self, comm_id or uuid.uuid4().hex, target_name)
        content = {"comm_id": comm.comm_id, "target_name": target_name, "data": data or {}}
        self.client.post("comm_open", content, buffers=buffers)
        self._comms[comm.comm_id] = comm
        return comm

    def get(self, comm_id: str) -> Comm | None:
        """The open comm of this id."""
        return self._comms.get(comm_id)

    def register_target(self, target_name: str, opened: Callable[[Comm, Message], object]) -> None:
        """Call `opened(comm, message)` when the kernel opens a comm to this target."""
        self._targets[target_name] = opened

    # ---- fed by the client

    def receive(self, message: Message) -> None:
        """A comm message has come."""
        comm_id = message.content.get("comm_id")
        if not isinstance(comm_id, str):
            return
        comm = self._comms.get(comm_id)
        if message.msg_type == "comm_open":
            target_name = str(message.content.get("target_name"))
            if opened := self._targets.get(target_name):
                comm = self._comms[comm_id] = Comm(self, comm_id, target_name)
                self.call(lambda message: opened(comm, message), message)
        elif comm and message.msg_type == "comm_msg":
            comm.received(message)
        elif comm and message.msg_type == "comm_close":
            comm.ended()

    def forget(self, comm: Comm) -> None:
        """`comm` is closed."""
        self._comms.pop(comm.comm_id, None)

    def end(self) -> None:
        """The connection has ended."""
        for comm in list(self._comms.values()):
            comm.ended()

    def call(self, hook: MessageHook, message: Message) -> None:
        """Call user code on behalf of the reader, which neither waits for it nor fails with it: errors go to
        the loop's exception handler.
        """
        loop = asyncio.get_running_loop()
        try:
            result = hook(message)
        except Exception as error:
            loop.call_exception_handler({"message": "A comm hook has raised", "exception": error})
            return
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(result)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
