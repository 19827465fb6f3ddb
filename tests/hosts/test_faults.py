"""Anything may fail, once, anywhere, in the middle of a session: each request gets its one reply and its
one idle, or the kernel ends at once and says why. Nothing hangs.

    LANEWAY_SOAK=1 pytest tests/hosts/test_faults.py
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from laneway.hosts.base import Host
from laneway.hosts.fair import new_event_loop, run
from laneway.hosts.loop import LoopHost
from laneway.hosts.threads import ThreadHost
from laneway.hosts.worker import Worker
from laneway.protocol.message import Channel, Message
from laneway.protocol.ports import Context
from laneway.transports.memory import MemoryTransport, memory_pair
from tests.soak import rounds

from .interpreter import ScriptedInterpreter, say

SEEDS = rounds(40, 500)
REQUESTS = rounds(60, 300)

_ERRORS = [
    RuntimeError,
    OSError,
    ValueError,
    TypeError,
    MemoryError,
    RecursionError,
    AssertionError,
    KeyError,
]


class Fault:
    """Lets one call of a method fail."""

    def __init__(self, chance: random.Random) -> None:
        self.where = ""
        self.error = chance.choice(_ERRORS)("injected")
        self._left = chance.choice([1, 2, 3, 5, 10, 20, 50, 100])
        self._lock = threading.Lock()

    def put(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        """Into the method `name` of `owner`."""
        method = getattr(owner, name)
        self.where = f"{owner.__name__ if isinstance(owner, type) else type(owner).__name__}.{name}"

        def failing(*args: Any, **keys: Any) -> Any:
            with self._lock:
                self._left -= 1
                fails = self._left == 0
            if fails:
                raise self.error
            return method(*args, **keys)

        monkeypatch.setattr(owner, name, failing)


class Session:
    """Sends what chance chooses, and counts what comes back."""

    def __init__(self, chance: random.Random) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.sent: dict[str, bool] = {}  # msg_id -> is there to be a reply?
        self.subshells: list[str] = []
        self.over = threading.Event()
        self._chance = chance
        self._changed = threading.Condition()

    def deliver(self, message: Message) -> None:
        """From the kernel, on any thread."""
        with self._changed:
            parent = message.parent_id or ""
            if message.channel is not Channel.IOPUB:
                self.counts[parent, "reply"] += 1
                if "subshell_id" in message.content:
                    self.subshells.append(message.content["subshell_id"])
            elif message.content.get("execution_state") == "idle":
                self.counts[parent, "idle"] += 1
            self._changed.notify_all()

    def request(self, number: int) -> Message:
        """The next one."""
        choice = self._chance.choice
        msg_type, content = choice(
            [
                ("execute_request", {"code": choice(["say", "sleep", "fail", "odd", "later", "twist"])}),
                ("execute_request", {"code": "say"}),
                ("execute_request", {"code": "sleep"}),
                ("complete_request", {"code": "x", "cursor_pos": 0}),
                ("kernel_info_request", {}),
                ("comm_msg", {"comm_id": "x"}),
                ("interrupt_request", {}),
                ("create_subshell_request", {}),
            ]
        )
        header: dict[str, Any] = {"msg_id": str(number), "msg_type": msg_type, "session": "s"}
        channel = (
            Channel.CONTROL if msg_type in ("interrupt_request", "create_subshell_request") else Channel.SHELL
        )
        if self.subshells and channel is Channel.SHELL and self._chance.random() < 0.3:
            header["subshell_id"] = choice(self.subshells)
        metadata = {"tags": ["task"]} if self._chance.random() < 0.2 else {}
        self.sent[header["msg_id"]] = msg_type != "comm_msg"
        return Message(channel, header, {}, metadata, content)

    def wait(self, ended: Callable[[], bool]) -> None:
        """Until all is answered, or the kernel has ended."""
        with self._changed:
            answered = self._changed.wait_for(lambda: ended() or self.complete, timeout=60)
        assert answered, f"{len(self.missing)} are missing: {self.missing[:5]}"

    def wake(self) -> None:
        """The kernel has ended."""
        with self._changed:
            self._changed.notify_all()

    @property
    def missing(self) -> list[tuple[str, str]]:
        """What has not come yet."""
        return [
            (msg_id, kind)
            for msg_id, replies in self.sent.items()
            for kind in ("reply", "idle")
            if self.counts[msg_id, kind] != (1 if kind == "idle" or replies else 0)
        ]

    @property
    def complete(self) -> bool:
        """Has each got its one reply and its one idle?"""
        return not self.missing


def _cells() -> dict[str, Callable[[Context, Message], Any]]:
    async def sleep(context: Context, request: Message) -> None:
        await asyncio.sleep(0.001)
        say(context, request)

    def fail(_context: Context, _request: Message) -> None:
        raise ZeroDivisionError

    def odd(_context: Context, _request: Message) -> object:
        return object()

    def later(context: Context, request: Message) -> None:
        context.call_later(0.001, lambda: say(context, request))

    async def twist(context: Context, request: Message) -> None:
        task = asyncio.ensure_future(sleep(context, request))
        await asyncio.sleep(0)
        await task

    return {"say": say, "sleep": sleep, "fail": fail, "odd": odd, "later": later, "twist": twist}


def _put(fault: Fault, chance: random.Random, patch: pytest.MonkeyPatch, host: Host, transport: Any) -> None:
    core = host._core  # pyright: ignore[reportPrivateUsage]
    interpreter = host._interpreter  # pyright: ignore[reportPrivateUsage]
    of_host = ("receive", "publish", "call_later", "_handle", "_finish", "_start", "_send")
    owner, name = chance.choice(
        [
            *[(transport, name) for name in ("encode", "send", "settle")],
            *[(host, name) for name in of_host],
            *[(core, name) for name in ("receive", "reply", "output", "finished", "effects", "interrupt")],
            *[(interpreter, name) for name in ("handle", "interject")],
            (Worker, "run_in_thread"),
            (Worker, "start"),
            (Worker, "interrupt"),
            (Worker, "call_later"),
        ]
    )
    fault.put(patch, owner, name)


@pytest.mark.parametrize("kind", [ThreadHost, LoopHost])
@pytest.mark.parametrize("seed", range(SEEDS))
# where the fault is in a user's own call, or ends a task of theirs, Python says so
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_fault_anywhere(seed: int, kind: type[Host], monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    session = Session(chance)
    transport, client = memory_pair()
    monkeypatch.setattr(client, "deliver", session.deliver)
    host = kind(ScriptedInterpreter(**_cells()))
    fault = Fault(chance)
    _put(fault, chance, monkeypatch, host, transport)
    ended: list[BaseException | None] = []

    def serve() -> None:
        try:
            run(host.serve(transport), new_event_loop)
        except BaseException as error:
            ended.append(error)
        else:
            ended.append(None)
        session.wake()

    thread = threading.Thread(target=serve, name="kernel")
    thread.start()
    try:
        _drive(session, transport, lambda: bool(ended))
        session.wait(lambda: bool(ended))
    except AssertionError as error:
        raise AssertionError(f"{fault.where}: {error}") from error
    finally:
        monkeypatch.undo()
        host.stop()
        thread.join(30)
        assert not thread.is_alive(), fault.where
    if session.missing and fault.error not in ended:
        raise AssertionError(f"{fault.where}: {ended}, {session.missing[:5]}") from ended[0]


def _drive(session: Session, transport: MemoryTransport, ended: Callable[[], bool]) -> None:
    for number in range(REQUESTS):
        if ended():
            break
        transport.receive(session.request(number))
