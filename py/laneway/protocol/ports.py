"""The seams: what the core's surroundings are to one another. Nothing here runs.

    transport --receive--> host (guards the core, performs its effects) --handle--> interpreter
    transport <--send----- host                                        <--publish-- interpreter

A host implements `Receiver` and `Context`; a transport knows only `Receiver`, an interpreter only
`Context`. A host without threads goes on by a `Platform` while code computes or blocks, and is `Waiting`
to it. Stdlib only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from .backends import Backend
from .jobs import JobInfo
from .message import Content, Message


class Receiver(Protocol):
    """Where a transport delivers to. Both calls return at once, never raise, and may come from any thread."""

    def receive(self, message: Message) -> None:
        """A well-formed message has arrived."""
        ...

    def subscribed(self, topic: str) -> None:
        """A client's iopub subscription has taken effect (JEP 65)."""
        ...

    def failed(self, error: BaseException) -> None:
        """The transport cannot go on, and no single message is to blame: the kernel ends at once, and says
        why. A kernel that hears nothing must not look alive.
        """
        ...


class Transport(Protocol):
    """The kernel's end of a connection."""

    def start(self, receiver: Receiver) -> None:
        """Begin to deliver to `receiver`."""
        ...

    def encode(self, message: Message) -> Any:
        """`message` as `send` delivers it: afterwards its content may be changed.

        Called from any thread, by many at a time, and outside the host's guard where the content is a user's:
        objects of theirs may run code here. Raises TypeError where there is no JSON form, and whatever such
        code raises.
        """
        ...

    def send(self, message: Message, encoded: Any) -> None:
        """Take `message`, and what `encode` made of it, for delivery, in the order of the calls. Never waits.

        Called from any thread, by one at a time. After `close` it does nothing. What it raises ends the
        kernel.
        """
        ...

    def flush(self) -> None:
        """Deliver what was taken. It may have waited for this, so that what belongs together travels
        together.
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

    def call(self, parent: Message | None, function: Callable[[], Any], *, awaits: bool) -> Any:
        """Call `function` in the main shell's event loop, in the name of `parent`, await what it returns if
        it `awaits`, and return the result. Raises what is raised there.

        Raises RuntimeError in the main shell's own thread, KeyboardInterrupt when the cell is interrupted
        meanwhile, and KernelError where the kernel ends.
        """
        ...

    def jobs(self) -> Sequence[JobInfo]:
        """What runs user code, or is to: first what runs, then what is queued, then tasks."""
        ...

    def job(self, job_id: str) -> JobInfo | None:
        """The cell or hook of this id, if it has not ended."""
        ...

    def cancel_job(self, job_id: str) -> bool:
        """End this job, and no other, and insist on it. False where there is none."""
        ...

    def spare_job(self, job_id: str) -> None:
        """This job begins to show an error, and is to be left alone for that, also where it is to end."""
        ...

    def when_job_ended(self, job_id: str, call: Callable[[], object]) -> None:
        """Call `call`, soon and on any thread, when this job has ended, or where it has."""
        ...

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """Call `call` after `delay` seconds. A host with threads does so even while a cell blocks; the thread
        is any.
        """
        ...

    @property
    def backend(self) -> Backend:
        """What cells await that name none."""
        ...

    @backend.setter
    def backend(self, backend: Backend) -> None:
        """From the next request on. Raises ValueError where the host has not got it."""

    def enable_gui(self, make: Callable[[], Waiter] | None) -> None:
        """From now on the main shell's event loop waits inside the toolkit that `make` returns, or by itself
        again. Raises RuntimeError, with a sentence, where that cannot be.
        """
        ...

    def stop(self) -> None:
        """End the kernel once the cell that runs now has been answered (`exit`)."""
        ...

    @property
    def no_hold(self) -> str | None:
        """Why code cannot be held here, as a sentence; None where it can."""
        ...

    def hold(self) -> Hold:
        """A place where the calling code can be held."""
        ...


class Hold(Protocol):
    """Where code stays that a debugger has stopped: on its own stack, with its own context. Whoever asks
    about its frames has the questions posted there.
    """

    alone: bool
    """Does nothing else run while code is held, but for requests that are answered?"""

    def stay(self) -> None:
        """Stay here, and make the calls that are posted, until `release`. On the thread that has made it.

        Raises what interrupts the code meanwhile. Returns at once when the kernel ends.
        """
        ...

    def post(self, call: Callable[[], None]) -> None:
        """Have `call`, which never raises, made there. From any thread."""
        ...

    def release(self) -> None:
        """End `stay`. From any thread; more than once is harmless."""
        ...

    def interrupt(self, error: type[BaseException]) -> None:
        """Have `stay` raise `error`, once the call that is being made has returned. From any thread."""
        ...


class Waiter(Protocol):
    """A GUI toolkit, as an event loop sees it that waits inside it. All of it on the loop's thread."""

    def wait(self, descriptor: int, timeout: float | None) -> None:
        """Serve the toolkit's events until some have been, the file `descriptor` can be read, or `timeout`
        seconds have passed.
        """
        ...

    def poll(self) -> None:
        """Serve the events that are there, within a bounded time."""
        ...


class Waiting(Protocol):
    """A host without threads, as a platform sees it. All of it on the stack of the code that runs."""

    @property
    def guard(self) -> AbstractContextManager[object]:
        """See `Context`."""
        ...

    def safepoint(self) -> None:
        """Answer what has arrived. Raises KeyboardInterrupt where the interrupted code is to be."""
        ...

    def wait(self, future: Any, timeout: float | None = None) -> Any:
        """Wait for `future` (an asyncio.Future) in synchronous code, while all else goes on as far as the
        platform lets it.

        Returns its result, or None after `timeout` seconds. Raises what the future does,
        KeyboardInterrupt when the cell to which the code belongs is interrupted, and
        StdinNotAvailableError where code cannot wait.
        """
        ...


class Platform(Protocol):
    """What lets a host without threads go on while code computes or blocks: `hosts/pyodide.py` has it from
    Pyodide's worker.
    """

    def start(self, host: Waiting) -> None:
        """Begin to call `host.safepoint` on the stack of code that computes: when a message has arrived, and
        when `expect` says so. Python's blocking functions wait by `host.wait`.
        """
        ...

    def stop(self) -> None:
        """Undo `start`."""
        ...

    def renew(self) -> None:
        """A cell begins. User code may have undone what `start` did."""
        ...

    def poll(self) -> None:
        """Receive what has arrived. Messages may come without it, too."""
        ...

    def serve(self, action: Callable[[], None]) -> None:
        """Call `action`, without a safepoint in it, whatever it raises."""
        ...

    def scheduled(self) -> int:
        """How many calls have been put on the event loop since `start`, by whomever."""
        ...

    def expect(self, delay: float | None) -> None:
        """Have a safepoint in `delay` seconds, or none but for messages."""
        ...

    @property
    def no_hold(self) -> str | None:
        """Why code cannot be held here (`block` with `still`), as a sentence; None where it can."""
        ...

    def block(self, future: Any, *, still: bool = False) -> None:
        """Wait until `future` (an asyncio.Future) is done while everything else goes on, as far as it can; if
        `still`, while no other code goes on, as far as that can be had.

        Raises StdinNotAvailableError, with a sentence that says what is missing, where that cannot be done.
        """
        ...


class Interpreter(Protocol):
    """What runs user code."""

    @property
    def info(self) -> Mapping[str, Any]:
        """Its part of kernel_info_reply: `implementation`, `implementation_version`, `language_info`,
        `banner`, `help_links`; and `debugger`, whether it answers debug_requests where the host can hold
        code.
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
        """Serve an introspection, information or debug request in the middle of any code that runs on this
        thread, that of the interpreter included, and return the content of its reply.

        Must be brief, and neither wait for a lock nor change what the interrupted code may be using; None
        where that cannot be had now. The request comes again then, here or to `handle`.
        """
        ...

    def stop(self) -> None:
        """Called once, on the main shell's thread, when the kernel ends."""
        ...
