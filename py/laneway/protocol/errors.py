"""The exceptions of Laneway. Each message says what went wrong and what to do.

Stdlib only. `LocalProtocolError` means that our own side broke a rule, `RemoteProtocolError` that the
other side did.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class KernelError(Exception):
    """Base of all errors that Laneway raises on purpose."""


class ProtocolError(KernelError):
    """A rule of the Jupyter messaging protocol was broken."""


class LocalProtocolError(ProtocolError):
    """Our own side asked for something that the protocol does not allow."""


class RemoteProtocolError(ProtocolError):
    """The other side sent something that is not a message, or not one that is allowed here."""


class SignatureError(RemoteProtocolError):
    """A message's HMAC signature is missing or wrong."""


class StdinNotAvailableError(LocalProtocolError):
    """`input()` was called where nobody can be asked."""


class ClosedError(KernelError):
    """The kernel or the client has been closed; nothing more can be sent."""


class SettingsError(KernelError):
    """A setting is unknown or has a value that cannot be used."""


class ClientClosedError(ClosedError):
    """The client was closed while this call was pending, or before it was made."""


class MessagesLostError(KernelError):
    """Messages that were not read in time have been dropped, `count` of them; those that follow are there."""

    def __init__(self, message: str, count: int) -> None:
        super().__init__(message)
        self.count = count


class DebugError(KernelError):
    """The debugger refuses a request, the `command`, or there is none; the message says why."""

    def __init__(self, message: str, command: str) -> None:
        super().__init__(message)
        self.command = command


class KernelDiedError(KernelError):
    """The kernel has ended by itself. `exit_code` and `signal` are known for a process of this machine;
    `outputs` are those so far.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code: int | None = None,
        signal: int | None = None,
        outputs: Sequence[Any] = (),
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.signal = signal
        self.outputs = outputs

    def with_outputs(self, outputs: Sequence[Any]) -> KernelDiedError:
        """The same error, for a call that has had these outputs."""
        return KernelDiedError(str(self), exit_code=self.exit_code, signal=self.signal, outputs=outputs)


class KernelRestartedError(KernelError):
    """The kernel was restarted while this call was pending. `outputs` are those so far."""

    def __init__(self, message: str, *, outputs: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.outputs = outputs


class CellTimeoutError(KernelError, TimeoutError):
    """Arises in the code of a cell whose `timeout` is over. `timeout` is in seconds."""

    timeout: float = 0

    def __init__(self) -> None:
        super().__init__(f"The cell has not ended after {self.timeout:g} s, its timeout.")

    @classmethod
    def after(cls, timeout: float) -> type[CellTimeoutError]:
        """A class of its own: where an exception is raised in another thread, only a class can be named."""
        return type(cls.__name__, (cls,), {"timeout": timeout, "__module__": cls.__module__})


class KernelTimeoutError(KernelError, TimeoutError):
    """A call has not ended in the time given.

    `request` is its msg_type, `phase` one of `queued`, `running`, `awaiting stdin`, `awaiting idle`,
    `elapsed` in seconds; `outputs` are those so far.
    """

    def __init__(self, request: str, phase: str, elapsed: float, outputs: Sequence[Any] = ()) -> None:
        super().__init__(f"{request} has not ended after {elapsed:.3g} s; it was {phase}.")
        self.request = request
        self.phase = phase
        self.elapsed = elapsed
        self.outputs = outputs

    def with_outputs(self, outputs: Sequence[Any]) -> KernelTimeoutError:
        """The same error, for a call that has had these outputs."""
        return KernelTimeoutError(self.request, self.phase, self.elapsed, outputs)
