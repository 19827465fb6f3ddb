"""ClientProtocol: the client's side of the protocol, the twin of `kernel.py`.

A request is filed before it is sent; whatever comes back finds its owner by `parent_header.msg_id`, never by
the order of arrival. Pure: stdlib only; no thread, no clock, no event loop. Source: Jupyter messaging spec
5.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .message import Channel, Content, Message, Stamp


@dataclass(slots=True, eq=False)
class Pending:
    """A request that is on its way. An execute_request is done when its reply and its idle have come, in
    either order; others with the reply.
    """

    request: Message
    busy: bool = False
    idle: bool = False
    reply: Message | None = None

    @property
    def id(self) -> str:
        """The request's msg_id."""
        return self.request.msg_id

    @property
    def done(self) -> bool:
        """Has all come that will come?"""
        return self.reply is not None and (self.idle or self.request.msg_type != "execute_request")


@dataclass(frozen=True, slots=True)
class Busy:
    """The kernel has begun with a request."""

    pending: Pending


@dataclass(frozen=True, slots=True)
class Published:
    """An iopub message, other than the busy and idle of our own requests. `pending` is the request that
    caused it, where it is ours and not done.
    """

    pending: Pending | None
    message: Message


@dataclass(frozen=True, slots=True)
class InputRequested:
    """The code of `pending` asks for a line; `ClientProtocol.answer` makes the answer."""

    pending: Pending
    message: Message


@dataclass(frozen=True, slots=True)
class Replied:
    """The reply has come; an idle may be missing still."""

    pending: Pending


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more will come for `pending`; it is not filed any more."""

    pending: Pending


Event = Busy | Published | InputRequested | Replied | Done


class ClientProtocol:
    """Files requests and finds the owner of what comes back."""

    def __init__(self, stamp: Stamp) -> None:
        self.unclaimed = 0
        """How many replies and questions belonged to nobody (any more), or had no content."""
        self._stamp = stamp
        self._pending: dict[str, Pending] = {}

    @property
    def pending(self) -> Sequence[Pending]:
        """What is filed, in order of the requests."""
        return tuple(self._pending.values())

    def get(self, msg_id: str) -> Pending | None:
        """What is filed under this id."""
        return self._pending.get(msg_id)

    def request(
        self,
        msg_type: str,
        content: Content,
        *,
        channel: Channel = Channel.SHELL,
        msg_id: str | None = None,
        subshell_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> Pending:
        """File a request; `.request` of what is returned is the message to send.

        Raises ValueError where `msg_id` is that of a request which is still pending.
        """
        message = self.message(
            msg_type,
            content,
            channel=channel,
            msg_id=msg_id,
            subshell_id=subshell_id,
            metadata=metadata,
            buffers=buffers,
        )
        return self.file(message)

    def file(self, request: Message) -> Pending:
        """File a request that was made elsewhere. Raises ValueError as `request` does."""
        if request.msg_id in self._pending:
            raise ValueError(f"A request with the id {request.msg_id!r} is still pending; give each its own.")
        pending = self._pending[request.msg_id] = Pending(request)
        return pending

    def message(
        self,
        msg_type: str,
        content: Content,
        *,
        channel: Channel = Channel.SHELL,
        msg_id: str | None = None,
        subshell_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> Message:
        """A message that expects nothing back (comm messages)."""
        extra = {} if subshell_id is None else {"subshell_id": subshell_id}
        header = self._stamp.header(msg_type, msg_id=msg_id, **extra)
        return Message(channel, header, {}, metadata or {}, content, buffers)

    def answer(self, question: Message, value: str) -> Message:
        """The input_reply to the input_request `question`."""
        header = self._stamp.header("input_reply")
        return Message(Channel.STDIN, header, question.header, {}, {"value": value}, (), question.route)

    def receive(self, message: Message) -> list[Event]:
        """Take a message of the kernel. Never raises, whatever it holds."""
        if type(message.content) is not dict:
            self.unclaimed += 1
            return []
        pending = self._pending.get(message.parent_id or "")
        if message.channel is Channel.IOPUB:
            return self._published(pending, message)
        if pending is None:
            self.unclaimed += 1
            return []
        if message.channel is Channel.STDIN:
            return [InputRequested(pending, message)] if message.msg_type == "input_request" else []
        if pending.reply is not None or message.channel is not pending.request.channel:
            self.unclaimed += 1
            return []
        pending.reply = message
        return [Replied(pending), *self._done(pending)]

    def forget(self, pending: Pending) -> None:
        """Nobody waits for `pending` any more; what still comes for it belongs to nobody."""
        if self._pending.get(pending.id) is pending:
            del self._pending[pending.id]

    def _published(self, pending: Pending | None, message: Message) -> list[Event]:
        if pending is None or message.msg_type != "status":
            return [Published(pending, message)]
        state = message.content.get("execution_state")
        if state == "busy":
            pending.busy = True
            return [Busy(pending)]
        if state == "idle":
            pending.idle = True
            return self._done(pending)
        return [Published(pending, message)]

    def _done(self, pending: Pending) -> list[Event]:
        if not pending.done:
            return []
        self.forget(pending)
        return [Done(pending)]
