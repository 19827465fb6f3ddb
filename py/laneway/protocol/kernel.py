"""KernelProtocol: the decisions of a kernel, and nothing else.

Messages and events go in, effects come out (`effects()`). It decides what each request waits for, who is busy
and idle, what an error or an interrupt touches, whom an answer belongs to. It knows no thread, no clock, no
event loop; a host guards it and performs its effects.

Every request that is accepted gets exactly one reply (where its type has one) and exactly one busy and idle,
whatever happens. Imports: stdlib and `protocol/` only. Source: Jupyter messaging spec 5.5, JEP 65
(iopub_welcome), JEP 91 (subshells).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .effects import Answer, Cancel, CloseSubshell, Effect, OpenSubshell, Send, Start, Stop
from .errors import LocalProtocolError, RemoteProtocolError, StdinNotAvailableError
from .lanes import Job, Lane, LaneKey, Mode, run_mode
from .message import (
    PROTOCOL_VERSION,
    Channel,
    Content,
    Message,
    Stamp,
    as_error,
    error_content,
    laneway_metadata,
)
from .routes import ROUTES, Family, Route


class KernelProtocol:
    """The kernel's side of the protocol.

    `info` is the content of kernel_info_reply but for `status` and `protocol_version`. `modes` are the run
    modes that the host can carry out. Not thread-safe: the host guards it.
    """

    def __init__(
        self,
        info: Mapping[str, Any],
        stamp: Stamp,
        *,
        modes: frozenset[Mode] = frozenset({Mode.QUEUE, Mode.TASK}),
    ) -> None:
        self.info = dict(info)
        self.dropped = 0
        """How many incoming messages had no route, or answered no question."""
        self._stamp = stamp
        self._modes = modes
        self._effects: list[Effect] = []
        self._lanes: dict[LaneKey, Lane] = {}
        self._ids: set[str] = set()  # of all jobs that are queued or running
        self._running: dict[str, Job] = {}
        self._asks: dict[str, Job] = {}
        self._subshells: dict[str, bool] = {}  # id -> is it being deleted?
        self._stopping = False
        self._core: dict[str, Callable[[Message], Content]] = {
            "kernel_info_request": self._kernel_info,
            "interrupt_request": self._interrupt,
            "shutdown_request": self._shutdown,
            "debug_request": self._debug,
            "create_subshell_request": self._create_subshell,
            "delete_subshell_request": self._delete_subshell,
            "list_subshell_request": self._list_subshells,
        }

    # ---- the wire edge

    def receive(self, message: Message) -> None:
        """Take a message from a client. Never raises, whatever the message holds."""
        msg_type = message.msg_type
        route = ROUTES.get((message.channel, msg_type))
        if route is None:
            self.dropped += 1
            problem = f"This kernel knows no message {msg_type!r} on the {message.channel} channel."
            self._refuse(message, problem, replies=msg_type.endswith("_request"))
        elif problem := route.problem(msg_type, message.content):
            self._refuse(message, problem, replies=route.replies)
        elif msg_type == "input_reply":
            self._input_reply(message)
        elif self._stopping and msg_type != "shutdown_request":
            self._refuse(message, "The kernel is shutting down.", replies=route.replies)
        elif route.family is Family.CORE:
            self._answer_directly(message)
        else:
            self._enqueue(message, route)

    def subscribed(self, topic: str) -> None:
        """A client's iopub subscription has taken effect: say so (JEP 65)."""
        message = Message(Channel.IOPUB, self._stamp.header("iopub_welcome"), content={"subscription": topic})
        self._effects.append(Send(message))

    def starting(self) -> None:
        """Say once, before anything else, that the kernel is starting."""
        self._status(None, "starting")

    # ---- the execution edge

    def publish(
        self,
        parent: Message | None,
        msg_type: str,
        content: Content,
        *,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> None:
        """Send output on iopub in the name of `parent`, which may have finished long ago (a background task
        prints).
        """
        self._effects.append(
            Send(
                Message(
                    Channel.IOPUB,
                    self._stamp.header(msg_type),
                    parent.header if parent else {},
                    metadata or {},
                    content,
                    buffers,
                )
            )
        )

    def ask(self, parent: Message | None, prompt: str, password: bool) -> str:
        """Ask the client that sent `parent` for a line of text; returns the id that the `Answer` effect will
        carry.

        Raises StdinNotAvailableError where the cell is not running any more or its client takes no questions
        (`allow_stdin` false).
        """
        job = self._running.get(parent.msg_id) if parent else None
        if job is None:
            raise StdinNotAvailableError(
                "input() needs a running cell: the cell that asks has already finished."
            )
        if not job.request.content.get("allow_stdin", False):
            raise StdinNotAvailableError(
                "input() is not available: the client that sent this cell takes no questions "
                "(allow_stdin is false)."
            )
        header = self._stamp.header("input_request")
        content: Content = {"prompt": prompt, "password": password}
        request = job.request
        self._effects.append(
            Send(Message(Channel.STDIN, header, request.header, {}, content, route=request.route))
        )
        self._asks[header["msg_id"]] = job
        return header["msg_id"]

    def withdraw(self, ask_id: str) -> None:
        """Nobody waits for this answer any more; a late one is dropped."""
        self._asks.pop(ask_id, None)

    def finished(self, job: Job, reply: Content | None) -> None:
        """`job` has ended. `reply` is the content of its reply (None for families without one). Exactly once
        per Start.
        """
        if self._running.pop(job.id, None) is not job:
            raise LocalProtocolError(f"Job {job.id} finished twice, or never started.")
        self._ids.discard(job.id)
        self._asks = {ask_id: asker for ask_id, asker in self._asks.items() if asker is not job}
        if job.route.replies:
            content = (
                reply if reply is not None else error_content("KernelError", "The kernel gave no reply.")
            )
            self._reply(job.request, content, started=job.started)
        self._status(job.request, "idle")
        lane = self._lanes[job.key]
        if lane.running is job:
            lane.running = None
            if self._aborts_queue(job, reply):
                self._abort_queue(lane)
            self._start_next(lane)
        self._close_idle_subshell(job.key.subshell_id)

    def interrupt(self, msg_id: str | None = None) -> None:
        """Interrupt every running cell, or the one cell `msg_id`: running it gets a KeyboardInterrupt, queued
        it is aborted, finished nothing happens.
        """
        for job in list(self._running.values()):
            if job.key.family is Family.EXECUTE and msg_id in (None, job.id):
                self._effects.append(Cancel(job))
        if msg_id is not None:
            for lane in self._lanes.values():
                for job in [job for job in lane.queue if job.id == msg_id]:
                    lane.queue.remove(job)
                    self._abort(job)

    def stop(self, *, restart: bool = False) -> None:
        """Begin to end: nothing queued runs any more, what runs is interrupted, then `Stop`."""
        if self._stopping:
            return
        self._stopping = True
        for lane in self._lanes.values():
            self._abort_queue(lane)
        for job in self._running.values():
            self._effects.append(Cancel(job))
        self._effects.append(Stop(restart))

    def effects(self) -> list[Effect]:
        """Drain what is to be done, in order."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def running(self) -> int:
        """How many jobs have started and not finished."""
        return len(self._running)

    # ---- lanes

    def _enqueue(self, message: Message, route: Route) -> None:
        subshell_id = message.subshell_id if message.channel is Channel.SHELL else None
        if subshell_id is not None and self._subshells.get(subshell_id, True):
            self._refuse(message, f"There is no subshell {subshell_id!r}.", replies=route.replies)
            return
        if message.msg_id in self._ids:
            problem = f"A request {message.msg_id!r} is still pending; ids must be unique."
            self._refuse(message, problem, replies=route.replies)
            return
        job = Job(message, LaneKey(message.channel, route.family, subshell_id), route)
        if route.family is Family.EXECUTE:
            try:
                job.mode = run_mode(message)
                if job.mode not in self._modes:
                    raise RemoteProtocolError(
                        f"Run mode {job.mode.value!r} is not available in this kernel; "
                        f"it has {', '.join(sorted(self._modes))}."
                    )
            except RemoteProtocolError as error:
                self._refuse(message, str(error))
                return
        self._ids.add(job.id)
        lane = self._lanes.setdefault(job.key, Lane())
        if not route.serial or job.mode is not Mode.QUEUE:
            self._start(job)
        else:
            lane.queue.append(job)
            self._start_next(lane)

    def _start_next(self, lane: Lane) -> None:
        if lane.running is None and lane.queue:
            lane.running = lane.queue.popleft()
            self._start(lane.running)

    def _start(self, job: Job) -> None:
        self._running[job.id] = job
        self._status(job.request, "busy")
        job.started = self._stamp.now()
        self._effects.append(Start(job))

    @staticmethod
    def _aborts_queue(job: Job, reply: Content | None) -> bool:
        failed = reply is not None and reply.get("status") == "error"
        stops = job.request.content.get("stop_on_error") is not False  # null is the default: true
        return failed and job.key.family is Family.EXECUTE and stops

    def _abort_queue(self, lane: Lane) -> None:
        while lane.queue:
            self._abort(lane.queue.popleft())

    def _abort(self, job: Job) -> None:
        self._ids.discard(job.id)
        self._status(job.request, "busy")
        if job.route.replies:
            self._reply(job.request, {"status": "aborted"})
        self._status(job.request, "idle")

    # ---- requests that the core answers itself

    def _answer_directly(self, message: Message) -> None:
        self._status(message, "busy")
        effects = len(self._effects)
        try:
            content = self._core[message.msg_type](message)
        except RemoteProtocolError as error:
            content = as_error(error)
        # The answer comes before what it brings about: a client learns that its interrupt was taken before
        # the cell's own reply.
        consequences = self._effects[effects:]
        del self._effects[effects:]
        self._reply(message, content)
        self._status(message, "idle")
        self._effects += consequences

    def _kernel_info(self, _message: Message) -> Content:
        return {"status": "ok", "protocol_version": PROTOCOL_VERSION, **self.info}

    def _interrupt(self, message: Message) -> Content:
        msg_id = laneway_metadata(message).get("msg_id")
        if msg_id is not None and not isinstance(msg_id, str):
            raise RemoteProtocolError("The msg_id in an interrupt_request's metadata must be a string.")
        self.interrupt(msg_id)
        return {"status": "ok"}

    def _shutdown(self, message: Message) -> Content:
        restart = bool(message.content.get("restart", False))
        content: Content = {"status": "ok", "restart": restart}
        self.publish(message, "shutdown_reply", content)  # so that other clients learn of it too
        self.stop(restart=restart)
        return content

    def _debug(self, message: Message) -> Content:
        """The content is a Debug Adapter Protocol request, so the answer is a DAP response (messaging spec,
        "Debug request").
        """
        return {
            "type": "response",
            "request_seq": message.content.get("seq", 0),
            "command": message.content.get("command", ""),
            "success": False,
            "message": "This kernel does not support debugging yet.",
        }

    def _create_subshell(self, _message: Message) -> Content:
        subshell_id = self._stamp.new_id()
        self._subshells[subshell_id] = False
        self._effects.append(OpenSubshell(subshell_id))
        return {"status": "ok", "subshell_id": subshell_id}

    def _delete_subshell(self, message: Message) -> Content:
        subshell_id = message.content["subshell_id"]
        if self._subshells.get(subshell_id, True):
            raise RemoteProtocolError(f"There is no subshell {subshell_id!r}.")
        self._subshells[subshell_id] = True
        for key, lane in self._lanes.items():
            if key.subshell_id == subshell_id:
                self._abort_queue(lane)
        for job in self._running.values():
            if job.key.subshell_id == subshell_id:
                self._effects.append(Cancel(job))
        self._close_idle_subshell(subshell_id)
        return {"status": "ok"}

    def _list_subshells(self, _message: Message) -> Content:
        return {
            "status": "ok",
            "subshell_id": [id_ for id_, closing in self._subshells.items() if not closing],
        }

    def _close_idle_subshell(self, subshell_id: str | None) -> None:
        if subshell_id is None or not self._subshells.get(subshell_id, False):
            return
        if not any(job.key.subshell_id == subshell_id for job in self._running.values()):
            del self._subshells[subshell_id]
            for key in [key for key in self._lanes if key.subshell_id == subshell_id]:
                del self._lanes[key]
            self._effects.append(CloseSubshell(subshell_id))

    def _input_reply(self, message: Message) -> None:
        """Find the question: by the input_request's id, by the cell's id, or, for clients that name no
        parent, the oldest question to the same client.
        """
        parent = message.parent_id
        for ask_id, job in self._asks.items():
            by_route = parent is None and job.request.header.get("session") == message.header.get("session")
            if parent in (ask_id, job.id) or by_route:
                del self._asks[ask_id]
                self._effects.append(Answer(ask_id, message.content["value"]))
                return
        self.dropped += 1

    # ---- what is sent

    def _refuse(self, message: Message, problem: str, *, replies: bool = True) -> None:
        self._status(message, "busy")
        if replies:
            self._reply(message, as_error(RemoteProtocolError(problem)))
        self._status(message, "idle")

    def _reply(self, request: Message, content: Content, *, started: str | None = None) -> None:
        msg_type = request.msg_type.removesuffix("_request") + "_reply"
        metadata = {"started": started} if started else {}
        header = self._stamp.header(msg_type)
        self._effects.append(
            Send(Message(request.channel, header, request.header, metadata, content, (), request.route))
        )

    def _status(self, parent: Message | None, state: str) -> None:
        self.publish(parent, "status", {"execution_state": state})
