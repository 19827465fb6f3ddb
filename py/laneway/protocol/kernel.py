"""KernelProtocol: the decisions of a kernel, and nothing else.

Messages and events go in, effects come out (`effects()`). It decides what each request waits for, who is busy
and idle, what an error or an interrupt touches, whom an answer belongs to, when a cell's time is over. It
knows no thread, no clock, no event loop; a host guards it and performs its effects. Time is told: `now` is in
seconds from any moment, and `next_deadline` says when `tick` wants to be called.

Every request that is accepted gets exactly one reply (where its type has one) and exactly one busy and idle,
whatever happens, but for what SIGTERM finds running (`stop`). Imports: stdlib and `protocol/` only. Source:
Jupyter messaging spec 5.5, JEP 65 (iopub_welcome), JEP 91 (subshells).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .backends import Backend, named_backend
from .effects import (
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
from .errors import CellTimeoutError, LocalProtocolError, RemoteProtocolError, StdinNotAvailableError
from .jobs import JobInfo, first_line, lane_name
from .lanes import INSISTENCE, LENIENCE, NEVER, Job, Lane, LaneKey
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
from .modes import Mode, wish
from .routes import ROUTES, Family, Route


class KernelProtocol:
    """The kernel's side of the protocol.

    `info` is the content of kernel_info_reply but for `status` and `protocol_version`. `modes` are the run
    modes that the host can carry out; `tasks` lists the tasks that jobs have made. Not thread-safe: the
    host guards it.
    """

    def __init__(
        self,
        info: Mapping[str, Any],
        stamp: Stamp,
        *,
        modes: frozenset[Mode] = frozenset({Mode.QUEUE, Mode.TASK}),
        tasks: Callable[[], Iterable[JobInfo]] = tuple,
        backends: Sequence[Backend] = (Backend.ASYNCIO,),
    ) -> None:
        self.info = dict(info)
        self._backends = frozenset(backends)
        self.backend = backends[0]
        """What cells await that name none. Hooks of comms run there, too: they wake cells."""
        self.dropped = 0
        """How many incoming messages had no route, or answered no question."""
        self._stamp = stamp
        self._modes = modes
        self._tasks = tasks
        self._watchers: set[str] = set()  # sessions
        self._waiting: dict[str, list[Callable[[], object]]] = {}  # job -> who waits for its end
        self._effects: list[Effect] = []
        self._lanes: dict[LaneKey, Lane] = {}
        self._ids: set[str] = set()  # of all jobs that are queued or running
        self._running: dict[str, Job] = {}
        self._limited: set[Job] = set()  # those running that are to be interrupted at some moment
        self._deadline = NEVER  # of the first of them; may be too early
        self._asks: dict[str, Job] = {}
        self._subshells: dict[str, bool] = {}  # id -> is it being deleted?
        self._stopping = False
        self._terminated = False
        self._now: float = 0
        self._core: dict[str, Callable[[Message], Content]] = {
            "kernel_info_request": self._kernel_info,
            "interrupt_request": self._interrupt,
            "shutdown_request": self._shutdown,
            "create_subshell_request": self._create_subshell,
            "delete_subshell_request": self._delete_subshell,
            "list_subshell_request": self._list_subshells,
            "list_jobs_request": self._list_jobs,
            "cancel_job_request": self._cancel_job,
        }

    # ---- the wire edge

    def receive(self, message: Message, now: float = 0) -> None:
        """Take a message from a client. Never raises, whatever the message holds."""
        self._now = now
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

    def output(
        self,
        parent: Message | None,
        msg_type: str,
        content: Content,
        *,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> Message:
        """An iopub message in the name of `parent`, which may have finished long ago (a background task
        prints). It is still to be sent. From any thread, unguarded.
        """
        return Message(
            Channel.IOPUB,
            self._stamp.header(msg_type),
            parent.header if parent else {},
            metadata or {},
            content,
            buffers,
        )

    def reply(self, job: Job, content: Content | None) -> Message | None:
        """The reply to `job`, which `finished` sends; None where its type has none. That of a cell whose time
        was over says so, whatever its code has made of it. From any thread, unguarded.
        """
        if not job.route.replies:
            return None
        if content is None:
            content = error_content("KernelError", "The kernel gave no reply.")
        if job.overdue and content.get("ename") != CellTimeoutError.__name__:
            content = {**content, **self.overdue_error(job)}
        return self._reply_to(job.request, content, started=job.started)

    @staticmethod
    def overdue_error(job: Job) -> Content:
        """What is said of a cell whose time is over."""
        return as_error(CellTimeoutError.after(job.timeout or 0)())

    def send(self, message: Message, encoded: Any = None) -> None:
        """Send `message` after all that was sent by now."""
        self._effects.append(Send(message, encoded))

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

    def finished(self, job: Job, reply: Message | None, encoded: Any = None, now: float = 0) -> None:
        """`job` has ended, with what `reply` made. Exactly once per Start."""
        self._now = now
        if self._running.pop(job.id, None) is not job:
            raise LocalProtocolError(f"Job {job.id} finished twice, or never started.")
        self._ids.discard(job.id)
        self._limited.discard(job)
        self._asks = {ask_id: asker for ask_id, asker in self._asks.items() if asker is not job}
        if not self._terminated:
            if reply is not None:
                self.send(reply, encoded)
            self._status(job.request, "idle")
        self._tell_end(job)
        lane = self._lanes[job.key]
        if lane.running is job:
            lane.running = None
            if self._aborts_queue(job, reply):
                self._abort_queue(lane)
            self._start_next(lane)
        self._close_idle_subshell(job.key.subshell_id)

    def interrupt(self, msg_id: str | None = None) -> None:
        """Interrupt whatever runs: cells, comm hooks, what they have left on a shell's stack. Or the one
        request `msg_id`, and nothing else: running it gets a KeyboardInterrupt, queued it is aborted,
        finished nothing happens.
        """
        if msg_id is None:
            for job in self._running.values():
                if job.key.family in (Family.EXECUTE, Family.COMM):
                    self._effects.append(Interrupt(job))
            self._effects.append(Interrupt(None))
            return
        job = self._running.get(msg_id)
        if job is not None and job.key.family in (Family.EXECUTE, Family.COMM):
            job.aimed = True
            self._effects.append(Interrupt(job, aimed=True))
        self._take_back(msg_id)

    def _take_back(self, job_id: str) -> bool:
        """Abort what is queued by this id."""
        if job_id not in self._ids or job_id in self._running:
            return False
        for lane in self._lanes.values():
            for job in [job for job in lane.queue if job.id == job_id]:
                lane.queue.remove(job)
                self._abort(job)
        return True

    # ---- jobs, see `jobs.py`

    def jobs(self, now: float) -> list[JobInfo]:
        """What runs user code, or is to: first what runs, then what is queued, then tasks."""
        running = [self._told(job, now) for job in self._running.values() if _is_told(job)]
        return [*running, *(self._told(job, now) for job in self._queued()), *self._tasks()]

    def job(self, job_id: str, now: float) -> JobInfo | None:
        """The cell or hook of this id, if it has not ended."""
        job = self._running.get(job_id)
        if job is None and job_id in self._ids:
            job = next((job for job in self._queued() if job.id == job_id), None)
        return self._told(job, now) if job and _is_told(job) else None

    def cancel(self, job_id: str, now: float) -> bool:
        """End this job, and no other, and insist on it. False where there is none."""
        job = self._running.get(job_id)
        if job is not None and _is_told(job):
            job.cancelled = True
            self._end(job, now)
            return True
        if self._take_back(job_id):
            return True
        if any(task.id == job_id for task in self._tasks()):
            self._effects.append(CancelTask(job_id))
            return True
        return False

    def spare(self, job_id: str, now: float) -> None:
        """This job begins to show an error: where it is to end, nothing more arises in it for a while."""
        job = self._running.get(job_id)
        if job is not None and job.ending:
            self._limit(job, now + LENIENCE)

    def stopped(self, job: Job, now: float) -> None:
        """A debugger has stopped some of its code."""
        self._now = now
        job.stopped += 1
        self._tell(job)

    def went_on(self, job: Job, now: float) -> None:
        """That code goes on."""
        self._now = now
        job.stopped -= 1
        if self._running.get(job.id) is job:
            self._tell(job)

    def when_ended(self, job_id: str, call: Callable[[], object]) -> bool:
        """Have `call` called when this cell or hook has ended. False where there is none, or it has."""
        if job_id not in self._ids:
            return False
        self._waiting.setdefault(job_id, []).append(call)
        return True

    def _queued(self) -> Iterator[Job]:
        return (job for lane in self._lanes.values() for job in lane.queue if _is_told(job))

    def _told(self, job: Job, now: float, state: str | None = None) -> JobInfo:
        channel, family, subshell_id, thread = job.key
        header, mode, runs = job.request.header, job.mode, job.started is not None
        is_cell = family is Family.EXECUTE
        return JobInfo(
            header["msg_id"],
            "cell" if is_cell else "hook",
            mode.value,
            lane_name(channel, mode, thread, subshell_id),
            state or _state(job),
            job.started,
            now - job.began if runs else None,
            job.timeout,
            first_line(job.request.content["code"]) if is_cell else header["msg_type"],
        )

    def _tell(self, job: Job, state: str | None = None) -> None:
        if self._watchers and _is_told(job):
            self.send(self.output(None, "job_event", self._told(job, self._now, state).content))

    def _tell_end(self, job: Job) -> None:
        if self._watchers:
            self._tell(job, "ended")
        if self._waiting and (calls := self._waiting.pop(job.id, None)):
            self._effects.append(Ended(calls))

    def _list_jobs(self, message: Message) -> Content:
        content: Content = {"status": "ok", "jobs": [job.content for job in self.jobs(self._now)]}
        watch = message.content.get("watch")
        session = str(message.header.get("session"))
        if watch is not None:
            (self._watchers.add if watch else self._watchers.discard)(session)
        return content

    def _cancel_job(self, message: Message) -> Content:
        job_id = message.content["job_id"]
        if not self.cancel(job_id, self._now):
            raise RemoteProtocolError(f"There is no job {job_id!r}, or it has ended.")
        return {"status": "ok"}

    # ---- time

    def next_deadline(self) -> float | None:
        """When `tick` wants to be called, at the latest; None where no time is limited."""
        return None if self._deadline == NEVER else self._deadline

    def tick(self, now: float) -> None:
        """Say what time it is: what is to end by now, and has not, is interrupted."""
        if now < self._deadline:
            return
        self._now = now
        for job in [job for job in self._limited if job.due <= now]:
            self._end(job, now)
        self._deadline = min((job.due for job in self._limited), default=NEVER)

    def _end(self, job: Job, now: float) -> None:
        """See `lanes.py`."""
        error: type[BaseException] = KeyboardInterrupt
        if not job.ending and not job.cancelled and job.timeout is not None:
            job.overdue, error = True, CellTimeoutError.after(job.timeout)
        first, job.ending, job.aimed = not job.ending, True, True
        self._effects.append(Interrupt(job, aimed=True, error=error))
        if first:
            self._tell(job)
        self._limit(job, now + INSISTENCE)

    def _limit(self, job: Job, due: float) -> None:
        job.due = due
        self._limited.add(job)
        self._deadline = min(self._deadline, due)

    def stop(self, *, restart: bool = False, terminated: bool = False) -> None:
        """Begin to end: nothing queued runs any more, what runs is interrupted, then `Stop`.

        Of a kernel that is `terminated` (SIGTERM) what runs is not answered: it was not its user who has
        interrupted it, and programs tell a cell that failed from a kernel that has died under it.
        """
        if self._stopping:
            return
        self._stopping = True
        self._terminated = terminated
        for lane in self._lanes.values():
            self._abort_queue(lane)
        for job in self._running.values():
            self._effects.append(Interrupt(job))
        self._effects.append(Interrupt(None))
        self._effects.append(Stop(restart))

    def effects(self) -> list[Effect]:
        """Drain what is to be done, in order."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def running_ids(self) -> Collection[str]:
        """The ids of the requests that have started and not finished."""
        return self._running.keys()

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
        if route.family is Family.COMM:
            job.backend = self.backend
        elif route.family is Family.EXECUTE:
            try:
                self._grant(job)
            except RemoteProtocolError as error:
                self._refuse(message, str(error))
                return
        self._ids.add(job.id)
        lane = self._lanes.setdefault(job.key, Lane())
        if job.queues:
            lane.queue.append(job)
            if lane.running is not None:
                self._tell(job)
            self._start_next(lane)
        else:
            self._start(job)

    def _grant(self, job: Job) -> None:
        """Let `job`, a cell, run as it asks."""
        mode, name, job.timeout = wish(job.request)
        job.backend = named_backend(job.request.content["code"]) or self.backend
        if job.backend not in self._backends:
            known = " and ".join(sorted(self._backends))
            raise RemoteProtocolError(f"This kernel has no backend {job.backend.value!r}; it has {known}.")
        if mode not in self._modes:
            why = ", which has no threads to give" if mode is Mode.THREAD else ""
            raise RemoteProtocolError(
                f"The run mode {mode.value!r} is not available in this kernel{why}; it has "
                f"{' and '.join(sorted(self._modes))}."
            )
        job.mode = mode
        if name is not None:
            job.key = LaneKey(Channel.SHELL, Family.EXECUTE, None, name)

    def _start_next(self, lane: Lane) -> None:
        if lane.running is None and lane.queue:
            lane.running = lane.queue.popleft()
            self._start(lane.running)

    def _start(self, job: Job) -> None:
        self._running[job.id] = job
        self._status(job.request, "busy")
        job.started, job.began = self._stamp.now(), self._now
        if job.timeout is not None:
            self._limit(job, self._now + job.timeout)
        self._effects.append(Start(job))
        if self._watchers:
            self._tell(job)

    @staticmethod
    def _aborts_queue(job: Job, reply: Message | None) -> bool:
        failed = reply is not None and reply.content.get("status") == "error" and not job.aimed
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
        self._tell_end(job)

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
        self.send(self.output(message, "shutdown_reply", content))  # so that other clients learn of it too
        self.stop(restart=restart)
        return content

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
                self._effects.append(Interrupt(job, aimed=True))
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

    def _reply(self, request: Message, content: Content) -> None:
        self.send(self._reply_to(request, content))

    def _reply_to(self, request: Message, content: Content, *, started: str | None = None) -> Message:
        msg_type = request.msg_type.removesuffix("_request") + "_reply"
        if msg_type == "debug_reply" and content.get("status") in ("error", "aborted"):
            from .debug import unanswered  # seldom needed

            content = unanswered(request.content, content)
        metadata = {"started": started} if started else {}
        header = self._stamp.header(msg_type)
        return Message(request.channel, header, request.header, metadata, content, (), request.route)

    def _status(self, parent: Message | None, state: str) -> None:
        self.send(self.output(parent, "status", {"execution_state": state}))


def _state(job: Job) -> str:
    if job.ending:
        return "ending"
    if job.started is None:
        return "queued"
    return "stopped" if job.stopped else "running"


def _is_told(job: Job) -> bool:
    return job.key.family in (Family.EXECUTE, Family.COMM)
