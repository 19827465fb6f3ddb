"""A `Context` that keeps what is published, and whose timers the test fires."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from laneway.protocol.backends import Backend
from laneway.protocol.errors import StdinNotAvailableError
from laneway.protocol.jobs import JobInfo
from laneway.protocol.message import Channel, Content, Message
from laneway.protocol.ports import Hold, Waiter


def request(msg_type: str, content: Content, msg_id: str = "1", **metadata: Any) -> Message:
    """A request of a client."""
    header = {"msg_id": msg_id, "msg_type": msg_type, "session": "s"}
    return Message(Channel.SHELL, header, {}, metadata, content)


class RecordingContext:
    """Answers questions with `answers`, first to last."""

    def __init__(self, *answers: str) -> None:
        self.guard = threading.RLock()
        self.published: list[tuple[str | None, str, Content]] = []
        self.asked: list[tuple[str | None, str, bool]] = []
        self.timers: list[Callable[[], object]] = []
        self.stopped = False
        self.backend = Backend.ASYNCIO
        self._answers = list(answers)

    def publish(
        self,
        parent: Message | None,
        msg_type: str,
        content: Content,
        *,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> None:
        """See `Context`."""
        self.published.append((parent and parent.msg_id, msg_type, content))

    def ask(self, parent: Message | None, prompt: str, password: bool) -> str:
        """See `Context`."""
        if not self._answers:
            raise StdinNotAvailableError("Nobody is there.")
        self.asked.append((parent and parent.msg_id, prompt, password))
        return self._answers.pop(0)

    def call(self, parent: Message | None, function: Callable[[], Any], *, awaits: bool) -> Any:
        """See `Context`."""
        return function()

    def jobs(self) -> Sequence[JobInfo]:
        """See `Context`."""
        return ()

    def job(self, job_id: str) -> JobInfo | None:
        """See `Context`."""

    def cancel_job(self, job_id: str) -> bool:
        """See `Context`."""
        return False

    def spare_job(self, job_id: str) -> None:
        """See `Context`."""

    def when_job_ended(self, job_id: str, call: Callable[[], object]) -> None:
        """See `Context`."""

    def call_later(self, delay: float, call: Callable[[], object]) -> None:
        """See `Context`."""
        self.timers.append(call)

    def enable_gui(self, make: Callable[[], Waiter] | None) -> None:
        """See `Context`."""

    no_hold = "Nobody holds code here."

    def hold(self) -> Hold:
        """See `Context`."""
        raise NotImplementedError

    def stop(self) -> None:
        """See `Context`."""
        self.stopped = True

    def texts(self, parent: str | None = "1") -> list[tuple[str, str]]:
        """The stream messages of a parent: (name, text)."""
        return [
            (content["name"], content["text"])
            for parent_id, msg_type, content in self.published
            if msg_type == "stream" and parent_id == parent
        ]
