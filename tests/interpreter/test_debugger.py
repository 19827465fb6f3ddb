"""Where the debugger stops, and where it does not."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest

from laneway.interpreter.ipython import IPythonInterpreter
from laneway.protocol.message import Content
from tests.conformance.checks import has_ours

from .context import RecordingContext, request

pytestmark = pytest.mark.anyio


async def debug(code: str, *answers: str) -> tuple[Content, str, int]:
    """The reply, what was printed, and how often the debugger has asked."""
    context = RecordingContext(*answers)
    interpreter = IPythonInterpreter()
    interpreter.start(context)
    try:
        handled = interpreter.handle(request("execute_request", {"code": code, "allow_stdin": True}))
        assert inspect.isawaitable(handled)
        reply = await handled
        assert reply
        assert sys.gettrace() is None
    finally:
        interpreter.stop()
    return reply, "".join(text for _, text in context.texts()), len(context.asked)


@pytest.fixture(autouse=True)
def own_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setattr(sys, "breakpointhook", sys.__breakpointhook__)


@pytest.mark.parametrize("code", ["breakpoint()", "x = 1\nbreakpoint()", "import pdb\npdb.set_trace()"])
async def test_as_the_last_statement_it_stops_in_the_cell(code: str) -> None:
    reply, printed, asked = await debug(code, "w", "c")
    assert (reply["status"], asked) == ("ok", 2)
    assert ("--Return--" in printed) == (sys.version_info < (3, 13))  # which stops at the call itself
    assert not has_ours([printed])


async def test_steps_end_with_the_cell() -> None:
    code = "def f():\n    breakpoint()\n    print('inside')\n    return [abs(n) for n in (1, 2)]\nf()"
    reply, printed, asked = await debug(code, *["s"] * 40)
    assert reply["status"] == "ok"
    assert "inside\n" in printed
    assert not has_ours([printed])
    assert "interactiveshell" not in printed
    assert 4 < asked < 12


async def test_where_nobody_can_be_asked_the_error_is_shown_and_no_more() -> None:
    reply, printed, _asked = await debug("%pdb on\n1 / 0")
    assert reply["ename"] == "ZeroDivisionError"
    assert not has_ours([printed])
    assert "cmd.py" not in printed
