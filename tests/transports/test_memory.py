"""Two ends joined in one process: what crosses, from which thread, and what is left when either ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from laneway.protocol.errors import ClosedError, KernelError
from laneway.protocol.message import Channel, Message
from laneway.transports.memory import LocalClientTransport, MemoryTransport, memory_pair

from .keeping import Keeping, send

pytestmark = pytest.mark.anyio


def message(msg_id: str, content: Any = None, buffers: tuple[Any, ...] = ()) -> Message:
    return Message(Channel.SHELL, {"msg_id": msg_id, "msg_type": "t"}, {}, {}, content or {}, buffers)


class Joined:
    """Both ends, started, and what has come to each."""

    def __init__(self) -> None:
        self.kernel, self.client = memory_pair()
        self.receiver = Keeping()
        self.delivered: list[Message] = []
        self.lost: list[Exception] = []

    async def start(self) -> None:
        await self.client.start(self.delivered.append, self.lost.append)
        self.kernel.start(self.receiver)

    async def settled(self) -> None:
        """What the kernel's end has sent until now has been delivered."""
        done = asyncio.Event()
        asyncio.get_running_loop().call_soon(done.set)
        await asyncio.wait_for(done.wait(), 10)


@asynccontextmanager
async def joined() -> AsyncGenerator[Joined, None]:
    ends = Joined()
    await ends.start()
    yield ends
    ends.kernel.close()
    await ends.client.close()


def on_thread(call: Callable[[], object]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


async def test_messages_cross_both_ways_in_order() -> None:
    async with joined() as ends:
        assert ends.receiver.topics == [""]
        for number in range(100):
            ends.client.send(message(str(number)))
            send(ends.kernel, message(str(number)))
        await ends.settled()
        expected = [str(number) for number in range(100)]
        assert [m.msg_id for m in ends.receiver.messages] == expected
        assert [m.msg_id for m in ends.delivered] == expected


@pytest.mark.parametrize("end", ["client", "kernel"])
async def test_nothing_is_shared(end: str) -> None:
    async with joined() as ends:
        post = ends.client.send if end == "client" else partial(send, ends.kernel)
        content: dict[str, Any] = {"list": [1]}
        buffer = bytearray(b"12")
        post(message("1", content, (buffer, memoryview(b"3"))))
        content["list"].append(2)
        buffer[:] = b"xx"
        await ends.settled()
        (crossed,) = ends.receiver.messages if end == "client" else ends.delivered
        assert crossed.content == {"list": [1]}
        assert list(crossed.buffers) == [b"12", b"3"]


@pytest.mark.parametrize("end", ["client", "kernel"])
async def test_what_has_no_json_form_is_the_sender_s_error(end: str) -> None:
    async with joined() as ends:
        post = ends.client.send if end == "client" else partial(send, ends.kernel)
        with pytest.raises(TypeError, match="no JSON form"):
            post(message("1", {"a": object()}))
        post(message("2"))
        await ends.settled()
        assert [m.msg_id for m in ends.receiver.messages + ends.delivered] == ["2"]


async def test_the_kernel_may_send_from_any_thread() -> None:
    async with joined() as ends:
        threads: list[threading.Thread] = []
        ends.client._deliver = lambda _message: threads.append(  # pyright: ignore[reportPrivateUsage]
            threading.current_thread()
        )
        on_thread(lambda: send(ends.kernel, message("1")))
        await ends.settled()
        assert threads == [threading.current_thread()]


async def test_what_comes_before_the_kernel_has_started_waits_for_it() -> None:
    ends = Joined()
    await ends.client.start(ends.delivered.append, ends.lost.append)
    for msg_id in "12":
        ends.client.send(message(msg_id))
    ends.kernel.start(ends.receiver)
    ends.client.send(message("3"))
    assert [m.msg_id for m in ends.receiver.messages] == ["1", "2", "3"]


async def test_what_the_kernel_sends_before_the_client_has_started_is_nobody_s() -> None:
    ends = Joined()
    ends.kernel.start(ends.receiver)
    send(ends.kernel, message("1"))
    await ends.client.start(ends.delivered.append, ends.lost.append)
    send(ends.kernel, message("2"))
    await ends.settled()
    assert [m.msg_id for m in ends.delivered] == ["2"]


async def test_the_client_hears_once_that_the_kernel_has_ended() -> None:
    async with joined() as ends:
        send(ends.kernel, message("last"))
        on_thread(ends.kernel.close)
        ends.kernel.close()
        send(ends.kernel, message("too late"))
        await ends.settled()
        assert [m.msg_id for m in ends.delivered] == ["last"]
        assert [str(error) for error in ends.lost] == ["The kernel has ended."]
        with pytest.raises(ClosedError):
            ends.client.send(message("1"))


async def test_a_client_that_has_closed_hears_nothing() -> None:
    async with joined() as ends:
        send(ends.kernel, message("on its way"))
        await ends.client.close()
        send(ends.kernel, message("late"))
        ends.kernel.close()
        await ends.settled()
        assert (ends.delivered, ends.lost) == ([], [])
        with pytest.raises(ClosedError):
            ends.client.send(message("1"))


def test_a_kernel_outlives_its_client_s_loop() -> None:
    ends = Joined()
    asyncio.run(ends.start())
    send(ends.kernel, message("1"))
    ends.kernel.close()
    assert ends.delivered == []


async def test_a_kernel_of_this_process_is_not_restarted() -> None:
    with pytest.raises(KernelError, match="make a new one"):
        await LocalClientTransport().restart()


async def test_settled_is_at_once() -> None:
    calls: list[str] = []
    MemoryTransport(LocalClientTransport()).settle(lambda: calls.append("called"))
    assert calls == ["called"]


async def test_a_failure_of_the_kernel_is_reported_not_raised() -> None:
    joined = Joined()
    joined.receiver.error = ZeroDivisionError()
    await joined.start()
    joined.client.send(message("1"))
    assert joined.receiver.failures == [joined.receiver.error]
