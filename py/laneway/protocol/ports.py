"""The seams: what the core's surroundings are to one another. Nothing here runs.

    transport --receive--> host (guards the core, performs its effects) --handle--> interpreter
    transport <--send----- host                                        <--publish-- interpreter

A host implements `Receiver` and `Context`; a transport knows only `Receiver`, an interpreter only `Context`.
Stdlib only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from .message import Content, Message


class Receiver(Protocol):
    """Where a transport delivers to. Both calls return at once, never raise, and may come from any thread."""

    def receive(self, message: Message) -> None:
        """A well-formed message has arrived."""
        ...

    def subscribed(self, topic: str) -> None:
        """A client's iopub subscription has taken effect (JEP 65)."""
        ...


class Transport(Protocol):
    """The kernel's end of a connection."""

    def start(self, receiver: Receiver) -> None:
        """Begin to deliver to `receiver`."""
        ...

    def send(self, message: Message) -> None:
        """Take `message` for delivery, in the order of the calls. Encodes at once, so that `content` may be
        changed afterwards, and never waits.

        Called from any thread, by one at a time. Raises TypeError where `content` has no JSON form. After
        `close` it does nothing.
        """
        ...

    def settle(self, call: Callable[[], None]) -> None:
        """Call `call` once all that had already arrived has been received, so that an error aborts what was
        sent behind it. May call at once.
        """
        ...

    def close(self) -> None:
        """Deliver what was taken, within a bounded time, and end. Harmless if repeated."""
        ...


class ClientTransport(Protocol):
    """The client's end of a connection. All of it runs on the client's event loop; no call of a user ever
    touches a socket.
    """

    async def start(self, deliver: Callable[[Message], None], lost: Callable[[Exception], None]) -> None:
        """Connect. From then on `deliver` is called with each message, in order per channel, and never
        raises; `lost` once, where the connection ends by itself.

        Returns when messages can be sent and iopub messages of requests sent from now on will be seen.
        """
        ...

    def send(self, message: Message) -> None:
        """Take `message` for delivery, in the order of the calls. Never waits. Raises TypeError where
        `content` has no JSON form.
        """
        ...

    async def restart(self) -> None:
        """Put a fresh kernel in the place of this one. Raises KernelError where that is not ours to do."""
        ...

    @property
    def silence(self) -> float:
        """For how many seconds the kernel's process has given no sign of life; 0 where none is expected."""
        ...

    async def close(self) -> None:
        """End within a bounded time. Harmless if repeated."""
        ...


class Context(Protocol):
    """What an interpreter may ask of its host, from any thread."""

    @property
    def guard(self) -> AbstractContextManager[object]:
        """The host's one re-entrant lock. Inside it threads take turns, and no KeyboardInterrupt arises: it
        comes on leaving.
        """
        ...

    def publish(
        self,
        parent: Message | None,
        msg_type: str,
        content: Content,
        *,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> None:
        """Send output on iopub in the name of `parent`. Raises TypeError where `content` has no JSON form."""
        ...

    def ask(self, parent: Message | None, prompt: str, password: bool) -> str:
        """Ask the client that sent `parent` for a line, and wait for it.

        Raises StdinNotAvailableError where nobody can be asked, and KeyboardInterrupt when the cell is
        interrupted meanwhile.
        """
        ...

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """Call `call` after `delay` seconds. A host with threads does so even while a cell blocks; the thread
        is any.
        """
        ...

    def stop(self) -> None:
        """End the kernel once the cell that runs now has been answered (`exit`)."""
        ...


class Interpreter(Protocol):
    """What runs user code."""

    @property
    def info(self) -> Mapping[str, Any]:
        """Its part of kernel_info_reply: `implementation`, `implementation_version`, `language_info`,
        `banner`, `help_links`.
        """
        ...

    def start(self, context: Context) -> None:
        """Called once, on the main shell's thread, before any request."""
        ...

    def handle(self, request: Message) -> Content | Awaitable[Content | None] | None:
        """Serve one request and return the content of its reply (None for comm messages).

        The content of `request` has been checked against its `Route`. Called on the thread and in the context
        (contextvars) of the request's lane. An error in user code is a reply with status `error`; what this
        raises is answered as an error too, KeyboardInterrupt included.
        """
        ...

    def interject(self, request: Message) -> Content | None:
        """Serve an introspection or information request in the middle of any code that runs on this thread,
        that of the interpreter included, and return the content of its reply.

        Must be brief, and neither wait for a lock nor change what the interrupted code may be using; None
        where that cannot be had now. The request comes again then, here or to `handle`.
        """
        ...

    def stop(self) -> None:
        """Called once, on the main shell's thread, when the kernel ends."""
        ...
