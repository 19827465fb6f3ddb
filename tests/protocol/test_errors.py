"""The exceptions say what happened, and to what."""

from __future__ import annotations

import pytest

from laneway.protocol import errors
from laneway.protocol.errors import KernelDiedError, KernelError, KernelRestartedError, KernelTimeoutError


def test_one_except_catches_all() -> None:
    mine = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and value.__module__ == errors.__name__
    ]
    assert len(mine) > 5
    assert all(issubclass(error, KernelError) for error in mine)


def test_a_death_keeps_what_is_known_when_it_is_told_to_a_call() -> None:
    died = KernelDiedError("The kernel was killed.", exit_code=None, signal=9)
    told = died.with_outputs(["output"])
    assert (str(told), told.signal, told.exit_code, told.outputs) == (
        "The kernel was killed.",
        9,
        None,
        ["output"],
    )
    assert died.outputs == ()


def test_a_timeout_is_python_s_too() -> None:
    with pytest.raises(TimeoutError) as raised:
        raise KernelTimeoutError("execute_request", "queued", 1.2345, ["output"])
    assert str(raised.value) == "execute_request has not ended after 1.23 s; it was queued."
    error = raised.value
    assert isinstance(error, KernelTimeoutError)
    assert (error.request, error.phase, error.elapsed, error.outputs) == (
        "execute_request",
        "queued",
        1.2345,
        ["output"],
    )


def test_a_restart_keeps_the_outputs() -> None:
    assert KernelRestartedError("The kernel was restarted.", outputs=["output"]).outputs == ["output"]
