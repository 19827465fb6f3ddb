"""Router: gives what comes from a kernel to whom it belongs, and tells the time to who decides that.

`protocol/client.py` decides; `Client` and `ConcurrentKernelClient` say who owns a request. Runs on one event
loop at a time; no user code is awaited here, and what an owner raises disturbs nobody else.

    transport ──> deliver ──> ClientProtocol.receive ──┐
    timer ──────────────────> ClientProtocol.tick ─────┴─ events ──> Owner
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakValueDictionary

from ..protocol.client import (
    Busy,
    ClientProtocol,
    Done,
    Event,
    Failed,
    InputRequested,
    Overdue,
    Pending,
    Published,
    Replied,
)
from ..protocol.message import Message, Stamp
from ..transports.event_loops import EventLoop, Timer, running_loop, weakly


class Owner(Protocol):
    """Whose a request is. The calls return at once."""

    def begun(self) -> None:
        """The kernel has begun with it."""
        ...

    def asked(self, question: Message) -> bool:
        """Its code asks for a line. False where that is not for this owner to answer."""
        ...

    def replied(self, reply: Message) -> None:
        """The reply has come; an idle may be missing still."""
        ...

    def overdue(self) -> None:
        """Its time is over: the kernel is to be told to interrupt it. `failed` or `done` follows."""
        ...

    def done(self) -> None:
        """Nothing more will come, but what is late."""
        ...

    def failed(self, error: Exception) -> None:
        """Nobody waits for it any more."""
        ...


class Router:
    """Files requests and gives what comes back to their owners.

    Who owns a request that is done is remembered as long as anybody else has the owner: what comes late is
    theirs. `published` is called with each iopub message that is no busy or idle of ours, and its owner.
    """

    def __init__(self, stamp: Stamp, published: Callable[[Message, Any], object]) -> None:
        self.protocol = ClientProtocol(stamp)
        self._published = published
        self._owners: dict[str, Owner] = {}
        self._late: WeakValueDictionary[str, Owner] = WeakValueDictionary()
        self._clock: EventLoop | None = None
        self._timer: Timer | None = None
        self._rings = 0.0  # when the timer does

    def bind(self, clock: EventLoop) -> None:
        """From now on `clock` tells the time. The time of what is pending runs on, if the clocks agree."""
        self._end_timer()
        self._clock = clock
        self._set_timer()

    @property
    def now(self) -> float:
        """The time."""
        return self._clock.time() if self._clock else 0

    def own(self, pending: Pending, owner: Owner) -> None:
        """What comes for `pending` is for `owner`."""
        self._owners[pending.id] = owner
        self._set_timer()

    def owner(self, msg_id: str) -> Owner | None:
        """The owner of the request with this id, which may be done."""
        return self._owners.get(msg_id) or self._late.get(msg_id)

    def pending(self, msg_id: str) -> Pending | None:
        """The request with this id, where it is under way."""
        return self.protocol.get(msg_id)

    def abandon(self, pending: Pending, error: Exception) -> None:
        """See `ClientProtocol.abandon`."""
        self.protocol.abandon(pending, error, self.now)
        self._set_timer()

    def forget(self, pending: Pending) -> None:
        """Nobody waits for it any more."""
        self.protocol.forget(pending)
        self._owners.pop(pending.id, None)
        self._set_timer()

    def release(self, msg_id: str) -> None:
        """What comes late for it is not wanted."""
        self._late.pop(msg_id, None)

    def deliver(self, message: Message) -> bool:
        """Take a message of the kernel; was it a reply or a question that had an owner? Never raises."""
        claimed = self._dispatch(self.protocol.receive(message, self.now), message)
        self._set_timer()
        return claimed

    def fail(self, error: Callable[[Owner], Exception]) -> None:
        """Fail all that is under way, and forget who owned what."""
        owners, self._owners = self._owners, {}
        self._late.clear()
        for pending in self.protocol.pending:
            self.protocol.forget(pending)
        for owner in owners.values():
            guarded(owner.failed, error(owner))
        self._end_timer()

    def _dispatch(self, events: list[Event], message: Message | None = None) -> bool:
        claimed = False
        for event in events:
            if isinstance(event, Published):
                ids = self.protocol.owners(event.message)
                guarded(self._published, event.message, next(filter(None, map(self.owner, ids)), None))
                continue
            msg_id = event.pending.id
            owner = self._owners.get(msg_id)
            if owner is None:
                continue
            if isinstance(event, (Done, Failed)):
                del self._owners[msg_id]
            match event:
                case Busy():
                    guarded(owner.begun)
                case Replied():
                    claimed = True
                    guarded(owner.replied, message)
                case Done():
                    self._late[msg_id] = owner
                    guarded(owner.done)
                case Failed():
                    guarded(owner.failed, event.error)
                case InputRequested():
                    claimed = bool(guarded(owner.asked, event.message))
                case Overdue():
                    guarded(owner.overdue)
        return claimed

    def _set_timer(self) -> None:
        """One timer, not later than what the protocol waits for first. Where that has come meanwhile it rings
        for nothing: most requests need no timer of their own then.
        """
        deadline = self.protocol.next_deadline()
        if deadline is None or self._clock is None or (self._timer and self._rings <= deadline):
            return
        self._end_timer()
        self._rings = deadline
        self._timer = self._clock.call_at(deadline, weakly(self._tick))

    def _end_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        now = max(self.now, self._rings)  # an event loop may call a little early
        self._timer = None
        self._dispatch(self.protocol.tick(now))
        self._set_timer()


def guarded(call: Callable[..., Any], *args: Any) -> Any:
    """Call on behalf of the reader, which neither waits for it nor fails with it: errors go to the event
    loop's exception handler.
    """
    try:
        return call(*args)
    except (Exception, CancelledError) as error:
        running_loop().call_exception_handler(
            {"message": "A callback of a Laneway client has raised", "exception": error}
        )
        return None
