"""PyodidePlatform, in Node: a worker that shares memory with its page and cannot put stacks aside."""

from __future__ import annotations

import pytest

from tests.conformance.kernels import node

pytestmark = pytest.mark.anyio

# before each line of `block` in turn there is a safepoint, at which the answer is there
ASK = """
import sys, time

lines = 0

def linger(frame, event, _arg):
    global lines
    lines += event == "line"
    if lines == nth:
        end = time.monotonic() + 0.5
        while time.monotonic() < end and not frame.f_locals["future"].done():
            pass
    return linger

sys.settrace(lambda frame, _event, _arg: linger if frame.f_code.co_name == "block" else None)
for nth in range(1, 20):
    lines = 0
    input()  # and nothing is printed, for its timer would end the wait as well
sys.settrace(None)
print(nth, lines)
"""


async def test_an_answer_that_comes_at_any_moment_ends_the_wait() -> None:
    async with node() as kc:
        result = await kc.execute(
            ASK, stdin=lambda _prompt, _password: "answered", timeout=60, on_timeout="interrupt"
        )
    nth, lines = map(int, result.stdout.split())
    assert 1 < lines < nth, "Some of `block` was not tried."
