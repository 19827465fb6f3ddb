"""A kernel's core whose ids and dates are numbers, and shorthand for what goes in and comes out."""

from __future__ import annotations

import itertools
from typing import Any

from laneway.protocol.effects import (
    Answer,
    CancelTask,
    CloseSubshell,
    Effect,
    Ended,
    Interrupt,
    OpenSubshell,
    Send,
    Start,
    Stop,
)
from laneway.protocol.kernel import KernelProtocol
from laneway.protocol.lanes import Job
from laneway.protocol.message import Channel, Message, Stamp


class Transcript:
    """Feeds a `KernelProtocol` and keeps what it has started."""

    def __init__(self, **options: Any) -> None:
        numbers = itertools.count(1)
        stamp = Stamp("kernel", lambda: f"k{next(numbers)}", lambda: "2026-01-01T00:00:00+00:00")
        self.core = KernelProtocol({"implementation": "test"}, stamp, **options)
        self.jobs: dict[str, Job] = {}

    def receive(
        self,
        msg_type: str,
        msg_id: str = "1",
        content: Any = None,
        *,
        channel: Channel = Channel.SHELL,
        metadata: dict[str, Any] | None = None,
        parent: str | None = None,
        subshell: str | None = None,
        session: str = "client",
        now: float = 0,
    ) -> list[str]:
        """Feed a message, and say what comes of it."""
        header: dict[str, Any] = {"msg_id": msg_id, "msg_type": msg_type, "session": session}
        if subshell:
            header["subshell_id"] = subshell
        parent_header = {"msg_id": parent} if parent else {}
        if content is None:
            content = {"code": ""} if msg_type == "execute_request" else {}
        self.core.receive(Message(channel, header, parent_header, metadata or {}, content, route=msg_id), now)
        return self.effects()

    def execute(self, msg_id: str, code: str = "", **options: Any) -> list[str]:
        """Feed an execute_request; options are fields of its content or of `receive`."""
        fields = ("stop_on_error", "allow_stdin", "silent")
        content = {"code": code, **{name: options.pop(name) for name in fields if name in options}}
        return self.receive("execute_request", msg_id, content, **options)

    def finish(self, msg_id: str, status: str | None = "ok", now: float = 0) -> list[str]:
        """The job of `msg_id` has ended."""
        job = self.jobs.pop(msg_id)
        self.core.finished(job, self.core.reply(job, {"status": status} if status else None), now=now)
        return self.effects()

    def tick(self, now: float) -> list[str]:
        """It is `now`."""
        self.core.tick(now)
        return self.effects()

    def effects(self) -> list[str]:
        """What is to be done, one short string each."""
        return [self._short(effect) for effect in self.core.effects()]

    def _short(self, effect: Effect) -> str:
        match effect:
            case Send(message):
                of = message.parent_id
                if message.msg_type == "status":
                    return f"{message.content['execution_state']} {of}"
                if message.channel is Channel.IOPUB:
                    return f"{message.msg_type} {of}"
                assert message.route == of, "a reply goes back where its request has come from"
                return f"{message.msg_type} {of} {message.content.get('status', '')}".rstrip()
            case Start(job):
                self.jobs[job.id] = job
                return f"start {job.id}"
            case Interrupt(job, aimed, error):
                how = " alone" * aimed + f" {error.__name__}" * (error is not KeyboardInterrupt)
                return f"interrupt {job.id if job else 'what is left'}{how}"
            case CancelTask(job_id):
                return f"cancel {job_id}"
            case Ended(calls):
                return f"ended for {len(calls)}"
            case Answer(ask_id, value):
                return f"answer {ask_id} {value}"
            case OpenSubshell(subshell_id):
                return f"open {subshell_id}"
            case CloseSubshell(subshell_id):
                return f"close {subshell_id}"
            case Stop(restart):
                return f"stop {restart}"
