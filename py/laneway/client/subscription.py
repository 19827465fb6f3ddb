"""Messages that wait for a reader who may be slow. On the client's event loop."""

from __future__ import annotations

from asyncio import CancelledError
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

from ..protocol.message import Channel, Message
from ..transports.event_loops import Bell
from .outputs import LOG, MAX_OUTPUT, size_of

T = TypeVar("T")


def is_vital(message: Message) -> bool:
    """Who misses a reply, a question, a status or an error cannot know how things stand."""
    return message.channel is not Channel.IOPUB or message.msg_type in ("status", "error")


class Backlog(Generic[T]):
    """Messages that wait, or what stands for them. Of those that are not `vital` at most `maxsize`, and
    `room` bytes: of more the oldest are dropped, and counted, but not the newest.
    """

    def __init__(
        self,
        name: str | None,
        maxsize: int,
        vital: Callable[[Message], bool] = lambda _message: False,
        room: int = MAX_OUTPUT,
    ) -> None:
        """`name` says on the log whose they are; None says nothing."""
        self.dropped = 0
        """How many were not read in time."""
        self._name = name
        self._maxsize = maxsize
        self._vital = vital
        self._room = room
        self._waiting: deque[tuple[T, int | None]] = deque()  # with its size, where it may be dropped
        self._count = 0
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message, item: T) -> None:
        """Add `item`, which is, or stands for, `message`."""
        if self._vital(message):
            self._waiting.append((item, None))
            return
        size = size_of(message.content, message.buffers)
        self._waiting.append((item, size))
        self._count += 1
        self._size += size
        if self._count > self._maxsize or self._size > self._room:
            self._make_room()

    def take(self) -> T:
        """The oldest. Raises IndexError where there is none."""
        item, size = self._waiting.popleft()
        if size is not None:
            self._count -= 1
            self._size -= size
        return item

    def take_all(self) -> list[T]:
        """All that wait."""
        return [self.take() for _ in range(len(self._waiting))]

    def _make_room(self) -> None:
        """A tenth more than is needed now, so that this is not done for every message."""
        if self.dropped == 0 and self._name:
            LOG.warning("%s is not read in time; the oldest messages are dropped, and counted.", self._name)
        count = self._maxsize - self._maxsize // 10 if self._count > self._maxsize else self._count
        size = 0.9 * self._room if self._size > self._room else self._size
        kept: deque[tuple[T, int | None]] = deque()
        newest = self._waiting.pop()
        for item, weight in self._waiting:
            if weight is not None and (self._count > count or self._size > size):
                self._count -= 1
                self._size -= weight
                self.dropped += 1
            else:
                kept.append((item, weight))
        kept.append(newest)
        self._waiting = kept


class Subscription(AsyncIterator[Message]):
    """A bounded copy of a client's messages, see `Client.subscribe`. Iterate it; it ends with the client, or
    with `close`.
    """

    def __init__(
        self, wanted: Callable[[Message], Any] | None, maxsize: int, closed: Callable[[Subscription], None]
    ) -> None:
        self._wanted = wanted
        self._closed = closed
        self._backlog: Backlog[Message] = Backlog("A subscription", maxsize, is_vital)
        self._over = False
        self._error: BaseException | None = None
        self._arrived = Bell()

    @property
    def dropped(self) -> int:
        """How many messages were not read in time; they are lost to this subscription only."""
        return self._backlog.dropped

    def offer(self, message: Message) -> None:
        """Take `message` if it is wanted. Never raises: where `wanted` does, that is for who reads."""
        try:
            wanted = self._wanted is None or self._wanted(message)
        except (Exception, CancelledError) as error:
            self._error = error
            self.close()
            return
        if wanted:
            self._backlog.put(message, message)
            self._arrived.ring()

    def close(self) -> None:
        """End it; what it holds can still be read."""
        self._closed(self)
        self._over = True
        self._arrived.ring()

    async def __anext__(self) -> Message:
        while not self._backlog:
            if self._over:
                error, self._error = self._error, None
                raise error or StopAsyncIteration
            await self._arrived.wait()
        return self._backlog.take()
