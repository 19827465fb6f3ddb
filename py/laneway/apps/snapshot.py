"""What lies in a memory snapshot of a kernel, and what is put right when it has been restored.

    maker (Node, at build time): rehearse() -> prepare() -> the memory is saved
    page: the memory is restored -> take() -> start_callback_kernel(session=...)

A kernel is run once and shut down, so that all modules are there and all caches are warm; then the session of
the next is made, but attached to nothing. What belongs to one process, one page or one moment (the event
loop's host, session ids, the time zone, random numbers) must not be in the snapshot; `take` renews it.

Imported in Pyodide only.
"""

from __future__ import annotations

import asyncio
import gc
import json
import linecache
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from ..interpreter.ipython import IPythonInterpreter, Session, Settings
from ..session import new_session
from .callback import start_callback_kernel

REHEARSAL = (
    "1+1",
    "print('x')",
    "'x'",
    "def f():\n    raise ValueError('x')\nf()",
    "import asyncio\nawait asyncio.sleep(0)",
    "from IPython.display import HTML, display\ndisplay(HTML('x'))",
    "print?",
    "1 +",
)
"""Cells whose like is to be quick the first time that a user runs it."""

_waiting: list[Session] = []
"""The session of the snapshot; none where Python was started in another way, or when it has been taken."""


async def prepare() -> None:
    """Bring this Python into the state that is saved: a session that waits, and nothing else that lasts."""
    main = sys.modules["__main__"]
    path = list(sys.path)
    await rehearse()
    sys.modules["__main__"] = main
    session = Session(Settings())
    session.shell.prepare()
    _waiting.append(session)
    sys.modules["__main__"] = main  # `Session.attach` puts its own there
    sys.path[:] = path
    linecache.clearcache()
    for module in list(sys.modules.values()):
        if isinstance(getattr(module, "__dict__", None), dict):
            vars(module).pop("__warningregistry__", None)
    gc.collect()
    gc.freeze()


def take(language: str, offsets: Sequence[int]) -> Session | None:
    """The session that waits in the snapshot this Python was restored from, once; None where it was not.

    `language`: the page's, as in `LANG`; `offsets`: its time zone, minutes west of UTC in January and July.
    """
    if not _waiting:
        return None
    os.environ["LANG"] = language
    random.seed()
    tempfile.__dict__["_name_sequence"] = None  # it has no public way to begin anew
    # C's library is asked once, when `time` is imported, and knew the maker's zone
    standard, summer = max(offsets), min(offsets)
    time.timezone, time.altzone = standard * 60, summer * 60
    time.daylight = int(standard != summer)
    time.tzname = _zone_name(standard), _zone_name(summer)
    if sys.path[:2] == ["", ""]:  # Pyodide adds it at each start
        del sys.path[0]
    return _waiting.pop()


async def rehearse(cells: Sequence[str] = REHEARSAL) -> None:
    """Run a kernel for a moment. It leaves nothing but modules and caches."""
    loop = asyncio.get_running_loop()
    answers: dict[str, asyncio.Future[Any]] = {}
    ended: asyncio.Future[None] = loop.create_future()
    stamp = new_session()

    def send(message: bytes, _buffers: list[Any]) -> None:
        envelope = json.loads(message)
        answer = answers.get(envelope["parent_header"].get("msg_id"))
        if envelope["channel"] in ("shell", "control") and answer and not answer.done():
            answer.set_result(envelope["content"])

    # the reserve would make the memory that is saved larger, and packages refer to JavaScript's objects
    interpreter = IPythonInterpreter(Settings(reserve=0, packages_on_import=False))
    kernel = await start_callback_kernel(send, lambda: ended.set_result(None), interpreter=interpreter)

    async def ask(msg_type: str, content: dict[str, Any], channel: str = "shell") -> None:
        msg_id = stamp.new_id()
        header = {"msg_id": msg_id, "msg_type": msg_type, "session": stamp.session, "version": "5.5"}
        answer = answers[msg_id] = loop.create_future()
        message = {"channel": channel, "header": header, "content": content}
        kernel.receive(json.dumps(message), [])
        await answer

    await ask("kernel_info_request", {})
    for code in cells:
        await ask("execute_request", {"code": code, "silent": False, "stop_on_error": False})
    await ask("complete_request", {"code": "prin", "cursor_pos": 4})
    await ask("inspect_request", {"code": "print", "cursor_pos": 5, "detail_level": 0})
    await ask("is_complete_request", {"code": "for x in y:"})
    await ask("comm_info_request", {})
    # JupyterLab's question, before the first cell of a notebook
    await ask("debug_request", {"seq": 1, "type": "request", "command": "debugInfo"}, "control")
    await ask("history_request", {"hist_access_type": "tail", "n": 10, "raw": True, "output": False})
    await ask("shutdown_request", {"restart": False}, "control")
    await ended


def _zone_name(offset: int) -> str:
    """As Pyodide's C library names it."""
    hours, minutes = divmod(abs(offset), 60)
    return f"UTC{'-' if offset > 0 else '+'}{hours:02}{minutes:02}"
