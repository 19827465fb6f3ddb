"""A worker: its thread, its jobs, and its end."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from typing import Any

import pytest

from laneway.hosts.fair import new_event_loop, run
from laneway.hosts.guard import Guard
from laneway.hosts.steps import Steps
from laneway.hosts.worker import Worker
from laneway.protocol.lanes import Job, LaneKey
from laneway.protocol.message import Channel, Message
from laneway.protocol.routes import ROUTES, Family


def fail(error: BaseException) -> None:
    raise error


def new_job(msg_id: str) -> Job:
    request = Message(Channel.SHELL, {"msg_id": msg_id, "msg_type": "execute_request"}, {}, {}, {})
    return Job(
        request, LaneKey(Channel.SHELL, Family.EXECUTE, None), ROUTES[Channel.SHELL, "execute_request"]
    )


def test_jobs_that_start_at_its_end_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that another thread starts while the others are cancelled."""
    replies: dict[str, Any] = {}

    async def handle(_job: Job) -> None:
        worker.stop()
        await asyncio.Event().wait()

    worker = Worker(Guard(), handle, lambda job, reply: replies.update({job.id: reply}), fail)
    cancel = Steps.cancel

    def start_another(steps: Steps) -> None:
        late = threading.Thread(target=worker.start, args=[new_job("late"), copy_context()])
        late.start()
        late.join()
        cancel(steps)

    monkeypatch.setattr(Steps, "cancel", start_another)
    worker.start(new_job("early"), copy_context())
    run(worker.run(), new_event_loop)
    assert set(replies) == {"early", "late"}


def test_nothing_arises_on_a_thread_that_it_has_left() -> None:
    """What the thread runs then is not the worker's, nor is the next thread that gets its number."""

    async def handle(_job: Job) -> None:
        pass

    guard = Guard()
    worker = Worker(guard, handle, lambda _job, _reply: None, fail)
    reached, interrupted = threading.Event(), threading.Event()
    raised: list[BaseException] = []

    async def of_another() -> None:
        reached.set()
        interrupted.wait()

    def work() -> None:
        worker.stop()
        run(worker.run(), new_event_loop)
        try:
            asyncio.run(of_another())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    reached.wait()
    with guard:
        worker.interrupt_left()
    interrupted.set()
    thread.join()
    assert raised == []
