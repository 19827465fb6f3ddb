"""ClientProtocol: the client's side of the protocol, the twin of `kernel.py`.

A request is filed before it is sent; whatever comes back finds its owner by `parent_header.msg_id`, never by
the order of arrival. Pure: stdlib only; no thread, no clock, no event loop. Time is told: `now` is in seconds
from any moment, and `next_deadline` says when `tick` wants to be called. Source: Jupyter messaging spec 5.5.

What ends a request that is filed:

    what happens                                   event
    reply, of a cell also idle, in either order    Done
    reply, and no idle for IDLE_GRACE              Done, `pending.idle` is False; outputs begin the grace anew
    its time is over                               Failed, with KernelTimeoutError
    its time is over, and it is to be interrupted  Overdue; from then on as if it were abandoned
    `abandon`                                      Failed, once it has ended, or after INTERRUPT_GRACE
    `forget`                                       none
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import KernelTimeoutError
from .message import Channel, Content, Message, Stamp

_NEVER = float("inf")

INTERRUPT_GRACE = 2.0
"""Seconds that a cell which was interrupted for its caller has to end, before it is abandoned."""

IDLE_GRACE = 2.0
"""Seconds after a reply, or an output that comes later, that a missing idle is waited for."""

IDLE_LIMIT = 30.0
"""Seconds after a reply up to which outputs of others, too, say that the idle may still come."""


@dataclass(slots=True, eq=False)
class Pending:
    """A request that is on its way. An execute_request is done when its reply and its idle have come, in
    either order; others with the reply.
    """

    request: Message
    began: float = 0
    """When it was filed."""
    interrupt: bool = False
    """Is it to be interrupted when its time is over?"""
    busy: bool = False
    idle: bool = False
    asking: bool = False
    """A question of its code is open."""
    reply: Message | None = None
    replied: float = -_NEVER
    """When the reply came."""
    expires: float = _NEVER
    """When its time is over."""
    grace: float = _NEVER
    """When its end is not waited for any more."""
    failure: Exception | None = None
    """What it fails with when it has ended."""

    @property
    def id(self) -> str:
        """The request's msg_id."""
        return self.request.msg_id

    @property
    def done(self) -> bool:
        """Has all come that will come?"""
        return self.reply is not None and (self.idle or self.request.msg_type != "execute_request")

    @property
    def phase(self) -> str:
        """What is being waited for: `queued`, `running`, `awaiting stdin` or `awaiting idle`."""
        if self.asking:
            return "awaiting stdin"
        if self.reply is not None:
            return "awaiting idle"
        return "running" if self.busy else "queued"

    @property
    def deadline(self) -> float:
        """When something is to be done about it."""
        return min(self.expires, self.grace)


@dataclass(slots=True)
class Busy:
    """The kernel has begun with a request."""

    pending: Pending


@dataclass(slots=True)
class Published:
    """An iopub message, other than the busy and idle of our own requests. `pending` is the request that
    caused it, where it is ours and not done.
    """

    pending: Pending | None
    message: Message


@dataclass(slots=True)
class InputRequested:
    """The code of `pending` asks for a line; `ClientProtocol.answer` makes the answer."""

    pending: Pending
    message: Message


@dataclass(slots=True)
class Replied:
    """The reply has come; an idle may be missing still."""

    pending: Pending


@dataclass(slots=True)
class Done:
    """Nothing more will come for `pending`; it is not filed any more."""

    pending: Pending


@dataclass(slots=True)
class Failed:
    """Nobody waits for `pending` any more, which is not filed any more."""

    pending: Pending
    error: Exception


@dataclass(slots=True)
class Overdue:
    """The time of `pending` is over: the kernel is to be told to interrupt it."""

    pending: Pending


Event = Busy | Published | InputRequested | Replied | Done | Failed | Overdue


class ClientProtocol:
    """Files requests and finds the owner of what comes back."""

    def __init__(self, stamp: Stamp) -> None:
        self.unclaimed = 0
        """How many replies and questions belonged to nobody (any more), or had no content."""
        self.aims = False
        """Can the kernel interrupt one cell, and no other?"""
        self._stamp = stamp
        self._pending: dict[str, Pending] = {}
        self._deadline = _NEVER  # not later than the first
        self._heard = -_NEVER  # when something was last published
        self._owned = 0

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
        now: float = 0,
        timeout: float | None = None,
        interrupt: bool = False,
    ) -> Pending:
        """File a request; `.request` of what is returned is the message to send. See `file`."""
        message = self.message(
            msg_type,
            content,
            channel=channel,
            msg_id=msg_id,
            subshell_id=subshell_id,
            metadata=metadata,
            buffers=buffers,
        )
        return self.file(message, now=now, timeout=timeout, interrupt=interrupt)

    def file(
        self, request: Message, *, now: float = 0, timeout: float | None = None, interrupt: bool = False
    ) -> Pending:
        """File a request that was made elsewhere. It may take `timeout` seconds from `now` on; is it to be
        interrupted then?

        Raises ValueError where its id is that of a request which is still pending, or `timeout` is no time.
        """
        if request.msg_id in self._pending:
            raise ValueError(f"A request with the id {request.msg_id!r} is still pending; give each its own.")
        limit = _NEVER if timeout is None else timeout
        if not limit >= 0:
            raise ValueError(f"The timeout is {timeout}; give a number of seconds from 0 on, or None.")
        pending = Pending(request, now, interrupt, expires=now + limit)
        self._pending[request.msg_id] = pending
        self._note(pending)
        return pending

    def message(
        self,
        msg_type: str,
        content: Content,
        *,
        channel: Channel = Channel.SHELL,
        msg_id: str | None = None,
        owner: str | None = None,
        subshell_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> Message:
        """A message that expects nothing back (comm messages). `owner` is the id of the execution that owns
        what it causes: its own id begins with that, so that no table of such messages is needed.
        """
        if owner is not None and msg_id is None:
            self._owned += 1
            msg_id = f"{owner}.{self._owned}"
        extra = {} if subshell_id is None else {"subshell_id": subshell_id}
        header = self._stamp.header(msg_type, msg_id=msg_id, **extra)
        return Message(channel, header, {}, metadata or {}, content, buffers)

    def answer(self, question: Message, value: str) -> Message:
        """The input_reply to the input_request `question`."""
        if pending := self._pending.get(question.parent_id or ""):
            pending.asking = False
        header = self._stamp.header("input_reply")
        return Message(Channel.STDIN, header, question.header, {}, {"value": value}, (), question.route)

    @staticmethod
    def owners(message: Message) -> Sequence[str]:
        """The ids of the executions to one of which `message` belongs: the one that caused it, or the one
        that has sent the comm message which did.
        """
        parent = message.parent_id
        return (parent, parent.rpartition(".")[0]) if parent else ()

    def receive(self, message: Message, now: float = 0) -> list[Event]:
        """Take a message of the kernel. Never raises, whatever it holds."""
        if type(message.content) is not dict:
            self.unclaimed += 1
            return []
        pending = self._pending.get(message.parent_id or "")
        if message.channel is Channel.IOPUB:
            self._heard = now
            return self._published(pending, message, now)
        if pending is None:
            self.unclaimed += 1
            return []
        if message.channel is Channel.STDIN:
            if message.msg_type != "input_request":
                return []
            pending.asking = True
            return [InputRequested(pending, message)]
        if pending.reply is not None or message.channel is not pending.request.channel:
            self.unclaimed += 1
            return []
        pending.reply, pending.replied = message, now
        pending.asking = False
        self._await_idle(pending, now)
        return [Replied(pending), *self._done(pending)]

    def next_deadline(self) -> float | None:
        """When `tick` wants to be called, at the latest; None where nothing is waited for with a limit."""
        return None if self._deadline == _NEVER else self._deadline

    def tick(self, now: float) -> list[Event]:
        """Say what time it is."""
        if now < self._deadline:
            return []
        due = [self._due(pending, now) for pending in self.pending if pending.deadline <= now]
        self._deadline = min((pending.deadline for pending in self._pending.values()), default=_NEVER)
        return [event for event in due if event]

    def abandon(self, pending: Pending, error: Exception, now: float) -> None:
        """`pending` was interrupted, and fails with `error` when it has ended, or after a grace."""
        pending.failure = error
        pending.asking = False
        pending.expires = _NEVER
        pending.grace = now + INTERRUPT_GRACE
        self._note(pending)

    def forget(self, pending: Pending) -> None:
        """Nobody waits for `pending` any more; what still comes for it belongs to nobody."""
        if self._pending.get(pending.id) is pending:
            del self._pending[pending.id]
        if not self._pending:
            self._deadline = _NEVER

    def _note(self, pending: Pending) -> None:
        self._deadline = min(self._deadline, pending.deadline)

    def _due(self, pending: Pending, now: float) -> Event | None:
        if pending.grace <= now:
            # behind a slow server thousands of replies overtake what was published before them
            comes = min(self._heard + IDLE_GRACE, pending.replied + IDLE_LIMIT)
            if pending.failure is None and comes > now:
                pending.grace = comes
                return None
            self.forget(pending)
            return self._end(pending)
        error = KernelTimeoutError(pending.request.msg_type, pending.phase, now - pending.began)
        # where it is not aimed, an interrupt would hit another cell
        if pending.interrupt and (self.aims or pending.busy):
            self.abandon(pending, error, now)
            return Overdue(pending)
        self.forget(pending)
        return Failed(pending, error)

    def _end(self, pending: Pending) -> Event:
        return Failed(pending, pending.failure) if pending.failure else Done(pending)

    def _await_idle(self, pending: Pending, now: float) -> None:
        """The reply may have overtaken outputs; as long as these come, the idle may too."""
        if not (pending.failure or pending.done):
            pending.grace = now + IDLE_GRACE
            self._note(pending)

    def _published(self, pending: Pending | None, message: Message, now: float) -> list[Event]:
        if pending is None or message.msg_type != "status":
            if pending and pending.reply is not None:
                self._await_idle(pending, now)
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
        return [self._end(pending)]
