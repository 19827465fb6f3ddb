"""Storms of requests while Python computes, sleeps, recurses: none lost, none answered twice, none answered
otherwise than when the kernel is idle, and the cells' own results right. The storms are in storm.mjs.

    LANEWAY_STORM=20 pytest tests/safepoints -s

makes them 20 times as large, and prints what they measured (milliseconds, and ratios).
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from tests.page import chromium_page, serving_kernel

pytestmark = pytest.mark.anyio

SIZE = int(os.environ.get("LANEWAY_STORM", "1"))

_START = """async (kernelURL) => {
  window.storm = await import("/storm.mjs");
  window.kernel = new window.storm.Kernel(kernelURL);
  await window.storm.prepare(window.kernel);
}"""


@pytest.fixture(scope="module")
async def page() -> AsyncGenerator[Page, None]:
    """A cross-origin isolated page with a kernel and storm.mjs: `window.kernel`, `window.storm`."""
    storms = Path(__file__).with_name("storm.mjs")
    with serving_kernel("<!doctype html><title>storm</title>", files=[storms]) as address:
        async with chromium_page() as page:
            await page.goto(address)
            await page.evaluate(_START, f"{address}kernel/")
            yield page


async def storm(page: Page, call: str) -> Any:
    """The value of `call`, an expression of storm.mjs; nothing may have been wrong meanwhile."""
    measured = await page.evaluate(f"window.storm.{call}")
    faults = await page.evaluate("window.kernel.faults")
    print(call, json.dumps(measured))
    assert faults == {"lost": 0, "double": 0, "wrong": []}, json.dumps(faults)[:2000]
    return measured


async def test_requests_over_ten_kinds_of_loop(page: Page) -> None:
    measured = await storm(page, f"loops(kernel, {500 * SIZE}, 1)")
    assert measured["n"] == 500 * SIZE


async def test_requests_over_a_random_mix_of_states(page: Page) -> None:
    measured = await storm(page, f"states(kernel, {300 * SIZE}, 2)")
    assert sum(state["n"] for state in measured.values()) >= 300 * SIZE


async def test_a_thousand_requests_at_once_while_a_cell_computes(page: Page) -> None:
    await storm(page, "flood(kernel, 1000, 3)")


_BLOCKING = [
    "while True: pass",
    "time.sleep(1000)",
    "await asyncio.sleep(1000)",
    "input()",
    "import queue; queue.Queue().get()",
    "asyncio.run(asyncio.sleep(1000))",
    "async def f():\n    while True: pass\nawait asyncio.create_task(f())",
    "async def f():\n    time.sleep(1000)\nawait asyncio.gather(f(), f())",
    "asyncio.get_running_loop().call_soon(lambda: [0 for _ in iter(int, 1)])\nawait asyncio.sleep(1000)",
]


@pytest.mark.parametrize("code", _BLOCKING)
async def test_interrupts(page: Page, code: str) -> None:
    measured = await storm(page, f"interrupts(kernel, {json.dumps(code)}, {2 + SIZE})")
    assert measured["n"] == 2 + SIZE


@pytest.mark.parametrize("code", ["", *_BLOCKING[:3]])
@pytest.mark.parametrize("question", [0, 4, 10], ids=["complete", "inspect", "kernel_info"])
async def test_latencies(page: Page, code: str, question: int) -> None:
    measured = await storm(page, f"latencies(kernel, {json.dumps(code)}, {question}, {5 * SIZE})")
    assert measured["n"] == 5 * SIZE


async def test_recursion_to_its_limit_is_not_disturbed(page: Page) -> None:
    assert await storm(page, "recursion(kernel)") == "35 of 35"


async def test_what_is_inspected_may_sleep_and_raise(page: Page) -> None:
    """User code that an answer runs must neither hang the kernel nor reach the cell."""
    assert await storm(page, "inspections(kernel)") == [True, True, True]


async def test_comms_go_on_while_a_cell_sleeps(page: Page) -> None:
    assert await storm(page, "comms(kernel)") == [[0, [1000]], [1, []], [2, [1000]], [3, []]]


@pytest.mark.skipif(SIZE == 1, reason="it measures, for which a machine must be quiet: LANEWAY_STORM=20")
async def test_the_loop_is_hardly_slower(page: Page) -> None:
    """Against the same worker without safepoints."""
    measured = await storm(page, f"cost(kernel, {25 + SIZE})")
    assert measured["loop"] < 1.35, measured
    assert measured["calls"] < 1.35, measured
    assert measured["texts"] < 2.5, measured  # CPython looks twice for each
