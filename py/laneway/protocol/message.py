"""The unit of everything: one Jupyter message, whatever carried it.

Pure: stdlib only, no clock; ids and dates come from the callables given to `Stamp`.
Source: Jupyter messaging spec 5.5, "General Message Format".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

PROTOCOL_VERSION = "5.5"

Content = dict[str, Any]
"""The `content` of a message; its shape depends on `msg_type` (messaging spec)."""


class Channel(StrEnum):
    """Where a message travels. Heartbeat carries no messages, so it is the ZMQ transport's own affair."""

    SHELL = "shell"
    CONTROL = "control"
    STDIN = "stdin"
    IOPUB = "iopub"


@dataclass(slots=True, eq=False)
class Message:
    """One message. `route` is the transport's token for the peer (ZMQ identities, say): copied to replies,
    never read by the core.
    """

    channel: Channel
    header: dict[str, Any]
    parent_header: dict[str, Any] = field(default_factory=dict[str, Any])
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    content: Content = field(default_factory=dict[str, Any])
    buffers: Sequence[Any] = ()
    route: Any = None

    @property
    def msg_id(self) -> str:
        """The sender's id for this message."""
        return self.header["msg_id"]

    @property
    def msg_type(self) -> str:
        """What kind of message this is, `execute_request` for example."""
        return self.header["msg_type"]

    @property
    def parent_id(self) -> str | None:
        """The id of the request that caused this message, or None."""
        msg_id = self.parent_header.get("msg_id")
        return msg_id if isinstance(msg_id, str) else None

    @property
    def subshell_id(self) -> str | None:
        """The subshell that a shell request is for (JEP 91); None is the main shell."""
        return self.header.get("subshell_id")


@dataclass(slots=True, eq=False, repr=False)
class Stamp:
    """Makes headers for one session.

    `new_id` gives unique strings and `now` ISO 8601 dates with time zone; both are injected so that a
    transcript can be reproduced.
    """

    session: str
    new_id: Callable[[], str]
    now: Callable[[], str]
    username: str = "laneway"

    def header(self, msg_type: str, *, msg_id: str | None = None, **extra: Any) -> dict[str, Any]:
        """A fresh header; `extra` holds optional fields such as `subshell_id`."""
        return {
            "msg_id": self.new_id() if msg_id is None else msg_id,
            "msg_type": msg_type,
            "session": self.session,
            "username": self.username,
            "date": self.now(),
            "version": PROTOCOL_VERSION,
            **extra,
        }


def error_content(ename: str, evalue: str, traceback: Sequence[str] = ()) -> Content:
    """The content of a reply with status `error` (messaging spec, "Request-Reply")."""
    return {"status": "error", "ename": ename, "evalue": evalue, "traceback": list(traceback)}


def as_error(error: BaseException) -> Content:
    """`error` as the content of a reply, whatever its `str()` does."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception as failure:
        text = f"<its str() raised {type(failure).__name__}>"
    return error_content(name, text, [f"{name}: {text}"])


def laneway_metadata(message: Message) -> Mapping[str, Any]:
    """The part of a message's metadata that is meant for Laneway: `{"laneway": {...}}`."""
    value = message.metadata.get("laneway")
    return value if isinstance(value, dict) else {}
