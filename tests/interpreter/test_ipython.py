"""The interpreter through its port. What a client sees of it is in tests/conformance; here is what it takes
from Python and gives back.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import re
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from IPython.core import history, oinspect

from laneway.interpreter.ipython import IPythonInterpreter, Session, Settings
from laneway.interpreter.shell import Compiler
from laneway.protocol.message import Content, Message

from .context import RecordingContext, request

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def own_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the user's history alone."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))


@contextmanager
def running(
    *answers: str, session: Session | None = None
) -> Generator[tuple[IPythonInterpreter, RecordingContext], None, None]:
    interpreter, context = IPythonInterpreter(session=session), RecordingContext(*answers)
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
        for function, name in (("input()", "raw_input"), ("getpass.getpass()", "getpass")):
            reply = await execute(interpreter, function)
            assert reply["ename"] == "StdinNotImplementedError"
            assert reply["evalue"] == f"{name} was called, but this frontend does not support input requests."
        reply = await execute(interpreter, "input()", allow_stdin=True)
        assert reply["evalue"] == "Nobody is there."


@pytest.mark.parametrize(("code", "keep"), [("exit", False), ("quit()", False), ("exit(True)", True)])
async def test_exit(code: str, keep: bool) -> None:
    with running() as (interpreter, context):
        reply = await execute(interpreter, code)
        assert reply["payload"] == [{"source": "ask_exit", "keepkernel": keep}]
        for timer in context.timers:
            timer()
        assert context.stopped is not keep


@pytest.mark.filterwarnings("ignore:To exit")
@pytest.mark.parametrize(("argument", "said"), [("3", "3"), ("1", "1"), ("'why'", "why")])
async def test_an_exit_that_says_why_ends_the_cell_too(argument: str, said: str) -> None:
    with running() as (interpreter, context):
        reply = await execute(interpreter, f"exit({argument})\n1 / 0")
        assert (reply["ename"], reply["evalue"]) == ("SystemExit", said)
        for timer in context.timers:
            timer()
        assert context.stopped


async def test_a_mode_line_is_no_code() -> None:
    with running() as (interpreter, _context):
        assert (await execute(interpreter, "%%task\n1"))["status"] == "ok"
        assert (await execute(interpreter, "%%task\n%%capture out\nprint(1)"))["status"] == "ok"
        failing = await execute(interpreter, "# task\n1 / 0")
        assert "line 2" in "\n".join(failing["traceback"])
        failing = await execute(interpreter, "%%task\n1 / 0")
        assert "line 2" in "\n".join(failing["traceback"])


@pytest.mark.parametrize("code", ["1 / 0", "1 +", "for", "raise ExceptionGroup('', [ValueError()])"])
async def test_the_traceback_of_an_error_is_made_once(code: str) -> None:
    with running() as (interpreter, context):
        await execute(
            interpreter,
            "made = []\n"
            "for maker in (get_ipython().InteractiveTB, get_ipython().SyntaxTB):\n"
            "    def make(*args, original=maker.structured_traceback, **kwargs):\n"
            "        made.append(args)\n"
            "        return original(*args, **kwargs)\n"
            "    maker.structured_traceback = make\n",
        )
        failed = await execute(interpreter, code)
        await execute(interpreter, "kept = get_ipython().history_manager.exceptions[2], len(made) <= 1\nkept")
        assert failed["status"] == "error"
        shown = [content for _, msg_type, content in context.published if msg_type == "error"]
        code = f"assert kept == ({shown[0]!r}, True), kept"
        assert (await execute(interpreter, code))["status"] == "ok"


async def test_what_a_start_puts_off() -> None:
    with running() as (interpreter, context):
        await execute(
            interpreter,
            "shell = get_ipython()\nhistory = shell.history_manager\n"
            "print(history.enabled, history.save_thread, history.trait_has_value('db'))\n"
            "print('Completer' in vars(shell))\n"
            "configurables = [type(each).__name__ for each in shell.configurables]\n"
            "print('IPCompleter' in configurables, 'Completer' in vars(shell))\n",
        )
        assert context.texts() == [("stdout", "True None False\nFalse\nTrue True\n")]


@pytest.mark.parametrize("enabled", [False, True])
async def test_the_configuration_says_whether_there_is_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enabled: bool
) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ})  # a kernel with a process of its own changes it
    profile = tmp_path / "profile_default"
    profile.mkdir()
    (profile / "ipython_kernel_config.py").write_text(f"c.HistoryManager.enabled = {enabled}\n")
    with running(session=Session(Settings(own_process=True))) as (interpreter, context):
        await execute(interpreter, "print(get_ipython().history_manager.enabled)")
        assert context.texts() == [("stdout", f"{enabled}\n")]
        assert (await execute(interpreter, "%history"))["status"] == "ok"
        tail = {"hist_access_type": "tail", "n": 9, "raw": True, "output": False}
        assert (await handle(interpreter, request("history_request", tail)))["status"] == "ok"


async def test_sqlite_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ImportError("libsqlite3.so.0: cannot open shared object file")

    monkeypatch.setattr(history, "_sqlite3", fail)
    monkeypatch.setattr(history, "_sqlite3_found", lambda: False)
    with running() as (interpreter, context):
        assert (await execute(interpreter, "1"))["status"] == "ok"
        assert (await execute(interpreter, "%history"))["status"] == "ok"
        for timer in context.timers:
            timer()  # it is written
        assert (await execute(interpreter, "print(get_ipython().history_manager.enabled)"))["status"] == "ok"
        assert context.texts()[-1] == ("stdout", "False\n")


async def test_an_error_that_cannot_be_shown_is_an_error_all_the_same() -> None:
    with running() as (interpreter, _context):
        code = "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd"
        assert (await execute(interpreter, code))["status"] == "error"
        assert (await execute(interpreter, "1"))["status"] == "ok"


async def test_an_error_between_two_lines_is_shown() -> None:
    with running() as (interpreter, _context):
        # as an interrupt that arises where a block ends: Python 3.11 has no line for that
        code = "def odd(): 1 / 0\nodd.__code__ = odd.__code__.replace(co_linetable=b'\\xff')\nodd()"
        reply = await execute(interpreter, code)
        assert reply["ename"] == "ZeroDivisionError"
        assert "line 3" in "\n".join(reply["traceback"])


def test_cells_of_several_threads_are_parsed_at_a_time() -> None:
    errors: list[SystemError] = []

    def parse() -> None:
        compiler = Compiler()
        for _ in range(1000):
            try:
                compiler.ast_parse("print([1, (2, 3)])\n" * 5)
            except SystemError as error:
                errors.append(error)

    def switch(*_args: object) -> None:
        time.sleep(0)

    threshold = gc.get_threshold()
    gc.set_threshold(50)
    gc.callbacks.append(switch)
    try:
        threads = [threading.Thread(target=parse) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.callbacks.remove(switch)
        gc.set_threshold(*threshold)
    assert not errors


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
    session = Session(Settings())
    with running(session=session) as (interpreter, _context):
        answers: list[Content | None] = []

        class Lock:
            def __enter__(self) -> None:
                answers.append(interpreter.interject(history))

            def __exit__(self, *exc_info: object) -> None:
                pass

        manager: Any = session.shell.history_manager
        lock, manager.db_input_cache_lock = manager.db_input_cache_lock, Lock()
        manager.store_inputs(1, "1")
        manager.db_input_cache_lock = lock
        assert answers == [None]
        assert interpreter.interject(history) is not None


@pytest.mark.parametrize("html", [False, True])
async def test_an_inspection_makes_html_only_for_a_pager_that_shows_it(
    html: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    monkeypatch.setattr(oinspect, "pylight", lambda code: made.append(code) or "")  # pyright: ignore
    with running() as (interpreter, _):
        await execute(interpreter, f"def f(x): 'It doubles.'\nget_ipython().enable_html_pager = {html}")
        reply = await handle(interpreter, request("inspect_request", {"code": "f", "detail_level": 1}))
        assert set(reply["data"]) == {"text/plain"}
        assert "def f(x)" in re.sub("\x1b\\[[0-9;]*m", "", reply["data"]["text/plain"])
        assert bool(made) == html
