"""Comms as a client sees them (messaging spec, "Custom Messages"). On the client's event loop."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..protocol.errors import ClosedError, MessagesLostError
from ..protocol.message import Content, Message
from ..transports.event_loops import Bell
from .router import guarded
from .subscription import Backlog

if TYPE_CHECKING:
    from .client import Client
    from .execution import Execution

MessageHook = Callable[[Message], object]
"""Takes a comm message (its data is `message.content["data"]`); what it returns is awaited, beside everything
else, where it is awaitable.
"""


MAX_WAITING, MAX_BYTES = 100_000, 256 * 2**20
"""How many messages of a comm, and bytes of them (roughly), wait to be read before the oldest are dropped."""


class Comm(AsyncIterator[Message]):
    """One comm. Iterate it for the messages of the kernel's end, in order, or give `on_msg` a hook; ends when
    it is closed.

    Where neither is done, 100,000 messages wait, 256 MiB at most. Of more the oldest are dropped, and whoever
    reads then, or gives a hook, is told before anything else: MessagesLostError is raised once, and says how
    many. The comm stays open, and read again it goes on with what is there.
    """

    def __init__(self, comms: Comms, comm_id: str, target_name: str, owner: str | None = None) -> None:
        self.owner = owner
        """The msg_id of the execution to which belongs what the kernel puts out for messages of this comm;
        that of the cell which has opened it, where the kernel has. Another may be set, as that of the cell
        which shows a widget.
        """
        self.comm_id = comm_id
        """The same at both ends."""
        self.target_name = target_name
        """What the other end was asked for by."""
        self.closed = False
        """Has an end closed it?"""
        self._comms = comms
        self._hook: MessageHook | None = None
        self._messages: Backlog[Message] = Backlog(f"The comm {comm_id!r}", MAX_WAITING, room=MAX_BYTES)
        self._lost = 0  # how many of them have been told
        self._arrived = Bell()

    def send(
        self, data: dict[str, Any], buffers: Sequence[Any] = (), metadata: dict[str, Any] | None = None
    ) -> Message:
        """Send a comm_msg, at once. Raises ClosedError where the comm is closed."""
        self._check()
        return self.post("comm_msg", {"data": data}, buffers, metadata)

    def close(self, data: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Close both ends. Harmless if repeated."""
        if not self.closed:
            self.post("comm_close", {"data": data or {}}, (), metadata)
            self.ended()

    def on_msg(self, hook: MessageHook | None) -> None:
        """Call `hook` with each message from now on, and with those that nobody has read yet. None: from now
        on they wait.
        """
        if hook:
            self._tell_of_loss()
        self._hook = hook
        while hook and self._messages:
            self._comms.call(hook, self._messages.take())

    async def __anext__(self) -> Message:
        while not self._messages:
            if self.closed:
                raise StopAsyncIteration
            await self._arrived.wait()
        self._tell_of_loss()
        return self._messages.take()

    # ---- fed by Comms

    def post(
        self, msg_type: str, content: Content, buffers: Sequence[Any], metadata: dict[str, Any] | None
    ) -> Message:
        """Send a message of this comm."""
        whole = {"comm_id": self.comm_id, **content}
        return self._comms.client.post(msg_type, whole, metadata=metadata, buffers=buffers, owner=self.owner)

    def received(self, message: Message) -> None:
        """A comm_msg has come."""
        if self._hook:
            self._comms.call(self._hook, message)
        else:
            self._messages.put(message, message)
            self._arrived.ring()

    def ended(self) -> None:
        """It is closed, at either end or with the client."""
        self.closed = True
        self._comms.forget(self)
        self._arrived.ring()

    def _check(self) -> None:
        if self.closed:
            raise ClosedError(f"The comm {self.comm_id!r} is closed.")

    def _tell_of_loss(self) -> None:
        if lost := self._messages.dropped - self._lost:
            self._lost += lost
            raise MessagesLostError(
                f"{lost} messages of the comm {self.comm_id!r} are lost: they were not read in time. "
                "Read it sooner, or give its on_msg a hook; those that follow are there.",
                lost,
            )


class Comms:
    """The comms of a client: `open` one, or `register_target` to be asked when the kernel opens one."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._comms: dict[str, Comm] = {}
        self._targets: dict[str, Callable[[Comm, Message], object]] = {}

    def open(
        self,
        target_name: str,
        data: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
        *,
        metadata: dict[str, Any] | None = None,
        comm_id: str | None = None,
        owner: str | None = None,
    ) -> Comm:
        """Open a comm to what the kernel has registered as `target_name`, at once. Where there is no such
        target, the kernel closes it. `owner` is that of the comm.
        """
        comm = Comm(self, comm_id or uuid.uuid4().hex, target_name, owner)
        comm.post("comm_open", {"target_name": target_name, "data": data or {}}, buffers, metadata)
        self._comms[comm.comm_id] = comm
        return comm

    def get(self, comm_id: str) -> Comm | None:
        """The open comm of this id."""
        return self._comms.get(comm_id)

    def register_target(self, target_name: str, opened: Callable[[Comm, Message], object]) -> None:
        """Call `opened(comm, message)` when the kernel opens a comm to this target. One to a target that
        nobody has registered stays open: a program may show no widgets, and they work all the same.
        """
        self._targets[target_name] = opened

    # ---- fed by the client

    def receive(self, message: Message, owner: Execution | None) -> None:
        """A comm message has come; `owner` is the execution that has caused it."""
        comm_id = message.content.get("comm_id")
        if not isinstance(comm_id, str):
            return
        comm = self._comms.get(comm_id)
        if message.msg_type == "comm_open":
            target_name = str(message.content.get("target_name"))
            if opened := self._targets.get(target_name):
                comm = self._comms[comm_id] = Comm(
                    self, comm_id, target_name, owner.msg_id if owner else None
                )
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
        """Call user code on behalf of the reader, see `guarded`."""
        result = guarded(hook, message)
        if inspect.isawaitable(result):
            self.client.spawn(awaited(result))


async def awaited(awaitable: Awaitable[object]) -> None:
    """As a coroutine."""
    await awaitable
