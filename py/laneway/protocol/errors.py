"""The exceptions of Laneway. Each message says what went wrong and what to do.

Imports nothing. `LocalProtocolError` means that our own side broke a rule, `RemoteProtocolError` that the
other side did.
"""


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
