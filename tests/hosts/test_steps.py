"""Steps: whose code is on the stack."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

import pytest

from laneway.hosts.guard import Guard
from laneway.hosts.steps import Stack, Steps

from .test_worker import new_job


class Interrupted(Guard):
    """Interrupts arise where it is entered."""

    interrupts = 2
    entered = 0

    def __enter__(self) -> None:
        if self.interrupts:
            self.interrupts -= 1
            raise KeyboardInterrupt
        super().__enter__()
        self.entered += 1


def test_the_end_of_a_step_is_noted_in_the_guard_whatever_arises() -> None:
    """A second interrupt that arises where the first has kept the end from being noted. Who interrupts looks
    in the guard whose step it is: that must not change meanwhile.
    """
    guard = Interrupted()
    stack = Stack(guard)

    async def main() -> None:
        steps = Steps(stack, new_job("1"), copy_context())
        steps.coroutine = asyncio.sleep(0)
        await steps

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    # of the step, and of that in which the interrupt arose
    assert (stack.stepping, guard.interrupts, guard.entered) == (None, 0, 2)
