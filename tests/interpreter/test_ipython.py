"""The interpreter through its port. What a client sees of it is in tests/conformance; here is what it takes
from Python and gives back.
"""

from __future__ import annotations

import asyncio
import builtins
import getpass
import inspect
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comm
import pytest
from IPython.core.getipython import get_ipython

from laneway.interpreter.ipython import IPythonInterpreter
from laneway.protocol.message import Content, Message

from .context import RecordingContext, request

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def own_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the user's history alone."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))


@contextmanager
def running(*answers: str) -> Generator[tuple[IPythonInterpreter, RecordingContext], None, None]:
    interpreter, context = IPythonInterpreter(), RecordingContext(*answers)
    interpreter.start(context)
    try:
        yield interpreter, context
    finally:
        interpreter.stop()


async def handle(interpreter: IPythonInterpreter, message: Message) -> Any:
    reply = interpreter.handle(message)
    return await reply if inspect.isawaitable(reply) else reply


async def execute(interpreter: IPythonInterpreter, code: str, msg_id: str = "1", **content: Any) -> Content:
    return await handle(interpreter, request("execute_request", {"code": code, **content}, msg_id))


def globals_of_python() -> tuple[object, ...]:
    return (
        sys.stdout,
        sys.stderr,
        builtins.input,
        getpass.getpass,
        comm.create_comm,
        comm.get_comm_manager,
        get_ipython(),
        sys.displayhook,
    )


async def test_it_gives_back_what_it_has_taken() -> None:
    before = globals_of_python()
    with running() as (interpreter, _):
        during = globals_of_python()
        assert all(ours is not theirs for ours, theirs in zip(during[:7], before[:7], strict=True))
        await execute(interpreter, "1 + 1")
    assert globals_of_python() == before


async def test_it_runs_again_in_the_same_process() -> None:
    for _ in range(2):
        with running() as (interpreter, context):
            reply = await execute(interpreter, "x = 1\nx")
            assert (reply["status"], reply["execution_count"]) == ("ok", 1)
            assert ("1", "execute_result") in [message[:2] for message in context.published]


async def test_cells_that_overlap_keep_apart() -> None:
    with running() as (interpreter, context):
        code = (
            "import asyncio\nprint('{0}')\nawait asyncio.sleep(0)\nget_ipython().set_next_input('{0}')\n'{0}'"
        )
        replies = await asyncio.gather(
            *(execute(interpreter, code.format(name), msg_id=name) for name in "abc")
        )
        assert sorted(reply["execution_count"] for reply in replies) == [1, 2, 3]
        for name, reply in zip("abc", replies, strict=True):
            assert [payload["text"] for payload in reply["payload"]] == [name]
            (result,) = [
                content
                for parent, msg_type, content in context.published
                if (parent, msg_type) == (name, "execute_result")
            ]
            assert result["data"]["text/plain"] == f"'{name}'"
            assert result["execution_count"] == reply["execution_count"]
            assert context.texts(name) == [("stdout", f"{name}\n")]
            count = reply["execution_count"]
            assert (await execute(interpreter, f"assert Out[{count}] == _{count} == '{name}'"))[
                "status"
            ] == "ok"


async def test_questions() -> None:
    with running("Ada", "secret") as (interpreter, context):
        reply = await execute(interpreter, "import getpass\nprint(input('who? '), getpass.getpass())")
        assert reply["status"] == "ok"
        assert context.asked == [("1", "who? ", False), ("1", "Password: ", True)]
        assert context.texts() == [("stdout", "Ada secret\n")]
        reply = await execute(interpreter, "input()")
        assert (reply["ename"], reply["evalue"]) == ("StdinNotImplementedError", "Nobody is there.")


@pytest.mark.parametrize(("code", "keep"), [("exit", False), ("quit()", False), ("exit(True)", True)])
async def test_exit(code: str, keep: bool) -> None:
    with running() as (interpreter, context):
        reply = await execute(interpreter, code)
        assert reply["payload"] == [{"source": "ask_exit", "keepkernel": keep}]
        for timer in context.timers:
            timer()
        assert context.stopped is not keep


async def test_a_mode_line_is_no_code() -> None:
    with running() as (interpreter, _context):
        assert (await execute(interpreter, "%%task\n1"))["status"] == "ok"
        assert (await execute(interpreter, "%%task\n%%capture out\nprint(1)"))["status"] == "ok"
        failing = await execute(interpreter, "# task\n1 / 0")
        assert "line 2" in "\n".join(failing["traceback"])
        failing = await execute(interpreter, "%%task\n1 / 0")
        assert "line 2" in "\n".join(failing["traceback"])


async def test_an_error_that_cannot_be_shown_is_an_error_all_the_same() -> None:
    with running() as (interpreter, _context):
        code = "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd"
        assert (await execute(interpreter, code))["status"] == "error"
        assert (await execute(interpreter, "1"))["status"] == "ok"


async def test_the_history_survives_the_kernel() -> None:
    with running() as (interpreter, _context):
        await execute(interpreter, "remembered = 1")
        await execute(interpreter, "'\ud800'")  # cannot be stored as it is, and keeps nothing else from it
    with running() as (interpreter, _context):
        content = {"hist_access_type": "search", "pattern": "remembered*", "raw": True, "output": False}
        reply = await handle(interpreter, request("history_request", content))
        assert [entry[2] for entry in reply["history"]] == ["remembered = 1"]


async def test_an_output_widget_finds_its_parent() -> None:
    """ipywidgets asks the kernel for the running request."""
    with running() as (interpreter, context):
        code = "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    print('inside', out.msg_id)"
        reply = await execute(interpreter, code, msg_id="the cell")
        assert reply["status"] == "ok", reply
        assert context.texts("the cell") == [("stdout", "inside the cell\n")]


async def test_in_the_middle_of_other_code_answers_are_brief() -> None:
    with running() as (interpreter, _context):
        await execute(interpreter, "middle_name = []\ndef middle(x):\n    'Its docstring.'")
        complete = request("complete_request", {"code": "middle_na"})
        idle, busy = await handle(interpreter, complete), interpreter.interject(complete)
        assert busy is not None
        assert busy["matches"] == idle["matches"] == ["middle_name"]
        attribute = interpreter.interject(request("complete_request", {"code": "middle_name.appe"}))
        assert attribute is not None
        assert attribute["matches"] == ["append"]
        for msg_type, content in (
            ("inspect_request", {"code": "middle"}),
            ("is_complete_request", {"code": "for i in x:"}),
            ("history_request", {"hist_access_type": "tail", "n": 1}),
            ("comm_info_request", {}),
        ):
            asked = request(msg_type, content)
            assert interpreter.interject(asked) == await handle(interpreter, asked)


async def test_history_waits_where_it_is_what_was_interrupted() -> None:
    history = request("history_request", {"hist_access_type": "tail", "n": 1})
    with running() as (interpreter, _context):
        answers: list[Content | None] = []

        class Lock:
            def __enter__(self) -> None:
                answers.append(interpreter.interject(history))

            def __exit__(self, *exc_info: object) -> None:
                pass

        shell = get_ipython()
        assert shell
        manager: Any = shell.history_manager
        lock, manager.db_input_cache_lock = manager.db_input_cache_lock, Lock()
        manager.store_inputs(1, "1")
        manager.db_input_cache_lock = lock
        assert answers == [None]
        assert interpreter.interject(history) is not None
