"""The debugger's client of a kernel that answers as it likes. That of a real one: tests/conformance."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import laneway
from laneway.client.debugger import Debugger

from .scripted import ScriptedKernel, scripted

pytestmark = pytest.mark.anyio


async def answer(kernel: ScriptedKernel, **fields: Any) -> tuple[str, Any]:
    """Answer the next request of the debugger; returns what it was."""
    request = await kernel.next("debug_request")
    content = request.content
    response = {"type": "response", "request_seq": content["seq"], "command": content["command"]}
    kernel.reply(request, {**response, **(fields or {"success": True, "body": {}})})
    return content["command"], content["arguments"]


def say(kernel: ScriptedKernel, event: str, **body: Any) -> None:
    kernel.publish(None, "debug_event", {"type": "event", "seq": 1, "event": event, "body": body})


async def attach(debug: Debugger, kernel: ScriptedKernel) -> None:
    attaching = asyncio.ensure_future(debug.attach())
    assert (await answer(kernel))[0] == "initialize"
    assert await answer(kernel) == ("attach", {"justMyCode": True})
    await attaching


async def test_a_step_is_of_the_thread_that_stopped_last_whose_next_stop_may_come_before_the_answer() -> None:
    async with scripted() as (kc, kernel):
        debug = kc.debugger
        await attach(debug, kernel)
        events = debug.events("stopped")
        say(kernel, "stopped", reason="breakpoint", threadId=3)
        say(kernel, "stopped", reason="breakpoint", threadId=5)
        assert (await anext(events))["body"]["threadId"] == 3
        assert (await anext(events))["body"]["threadId"] == 5
        stepped = asyncio.ensure_future(debug.next())
        request = await kernel.next("debug_request")
        assert request.content["arguments"] == {"threadId": 5}
        assert list(debug.stopped) == [3]
        say(kernel, "stopped", reason="step", threadId=5)
        await anext(events)
        kernel.reply(request, {"success": True})
        await stepped
        assert debug.stopped[5]["reason"] == "step"
        refused = asyncio.ensure_future(debug.continue_())
        await answer(kernel, success=False, message="Thread 5 is not stopped.")
        with pytest.raises(laneway.DebugError, match=r"^Thread 5 is not stopped\.$") as caught:
            await refused
        assert caught.value.command == "continue"
        assert list(debug.stopped) == [3, 5]
        say(kernel, "continued", threadId=5, allThreadsContinued=True)
        await kernel.settled()
        assert debug.stopped == {}


async def test_what_another_kernel_says() -> None:
    async with scripted() as (kc, kernel):
        for reply, said in (
            ({}, "does not answer 'threads'"),
            ({"status": "error", "evalue": "It has no debugger."}, r"^It has no debugger\.$"),
        ):
            asked = asyncio.ensure_future(kc.debugger.threads())
            kernel.reply(await kernel.next("debug_request"), reply or {"seq": 1})
            with pytest.raises(laneway.DebugError, match=said):
                await asked
        kc.info = {"implementation": "other"}
        with pytest.raises(laneway.DebugError, match="The kernel other has no debugger"):
            await kc.debugger.attach()  # it might not answer at all


async def test_with_its_kernel_go_what_is_stopped_and_who_has_attached() -> None:
    async with scripted() as (kc, kernel):
        await attach(kc.debugger, kernel)
        say(kernel, "stopped", reason="breakpoint", threadId=1)
        await kernel.settled()
        assert kc.debugger.stopped
        kernel.status(await _any(kernel, kc), "restarting")
        await kernel.settled()
        assert (kc.debugger.attached, kc.debugger.stopped) == (False, {})


async def _any(kernel: ScriptedKernel, kc: laneway.Client) -> Any:
    kc.post("comm_close", {"comm_id": "x"})
    return await kernel.next("comm_close")
