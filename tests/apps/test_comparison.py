"""Notebooks under ipykernel and under Laneway, through one client: no output differs but for a reason.

A notebook is a file of `notebooks/`: IPython code in which a cell begins at a line with `# %%`. Its name
comes next, and options may end the line, as JSON:

- `"execute": {...}`: arguments of `Client.execute`;
- `"stdin": [...]`: what is typed where the cell asks; without it `input()` is not available;
- `"until": "text"`: the next cell begins when this has been printed, for who prints after the reply;
- `"request": "complete_request"`: not a cell, but another request; its content is `"content": {...}`, with
  the code, and the cursor at its end;
- `"comm": "SliderModel"`: not a cell, but a comm message to the newest widget of this model; the code is its
  data.

Each notebook has a fresh kernel of either kind, in a folder and with an IPython profile of its own. What is
compared of a cell: its reply, what it asked, and all that came in its name, whenever it came. Pieces of one
stream that follow each other are joined; what no two runs have in common is taken out.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from difflib import ndiff
from pathlib import Path
from typing import Any

import pytest

import laneway
from laneway.client.client import Client
from laneway.protocol.message import Channel, Message
from tests.conformance.checks import has_ours

pytestmark = pytest.mark.anyio

NOTEBOOKS = sorted((Path(__file__).parent / "notebooks").glob("*.ipy"))
MODULES = {"ipykernel": "ipykernel_launcher", "laneway": "laneway"}
PATIENCE = 20
"""Seconds after which something will not come any more. A test that passes waits for none of them."""

DIFFERENCES: Mapping[str, Sequence[str]] = {
    "the right line, and all that IPython shows: files that ipykernel names its cells for are not there": [
        "asyncio: timeout",
        "errors: chained",
        "errors: during handling",
        "errors: recursion",
        "errors_kinds: in a decorator and a lambda",
        "errors_kinds: verbose",
        "widgets: error in output",
    ],
    "a reply counts as its execute_input does, also where the cell is not stored": [
        "threads: events are silent",
        "output: silent",
        "output: not stored",
    ],
    "output belongs to the cell that caused it: here to the one that set the timer": [
        "asyncio: call_later that raises",
    ],
    "magics of code that awaits work": [
        "magics_time: time and await",
        "magics_time: time and await on a line",
        "magics_time: timeit and await",
        "magics_time: capture and await",
        "magics_time: captured after await",
    ],
    "the kernel's own magics have a documentation of their own": [
        "magics_cells: magic",
        "magics_cells: quickref",
    ],
    "breakpoint() is IPython's debugger; ipykernel's does nothing unless a front end debugs": [
        "input: breakpoint",
        "input: quit in pdb",
    ],
    "Laneway has magics that ipykernel has not: jobs, modes, trio": [
        "magics_names: lsmagic",
        "requests: complete empty",
    ],
    "a group of exceptions is an error like any other, and shown": ["errors: group"],
    "a session has its number in the history, the present one too": ["requests: range"],
    "getpass() asks as Python's own does": ["input: getpass"],
    "the error says what is missing, and shows the user's code only": [
        "input: without stdin",
        "input: getpass without stdin",
        "output: write what is no text",
    ],
    "ipykernel fails where it shows the error; its reply says another": [
        "display: a form that raises",
        "display: a repr that raises",
        "errors: str that raises",
    ],
    "stdout and stderr come in the order in which they were written": [
        "output: stdout and stderr take turns"
    ],
    "stdout and stderr are as Python's own: encoding, error handler, name, mode, buffer": [
        "output: bytes",
        "output: surrogate",
        "output: attributes",
        "output: more attributes",
        "output: basicConfig",
    ],
    "the program has another name": ["habits: wrong arguments"],
    "a notebook that closes stdout can still print": ["output: closing stdout"],
    "an error of the cell's own text is shown with its name": (
        ["errors: tab"] if sys.version_info >= (3, 12) else []
    ),
}
"""The cells (notebook: name) that differ, by the reason. What does not differ has no business here."""

Printable = list[str]
_OPTIONAL = {
    "engine_info",  # ipyparallel's
    "traceback",  # that of the output `error`
    "metadata",  # types of completions, which jedi finds out as far as it has time
}
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Cell:
    """A cell of a notebook, or something else that a front end does between its cells."""

    name: str
    code: str
    execute: dict[str, Any] = field(default_factory=dict[str, Any])
    stdin: list[str] | None = None
    until: str | None = None
    request: str | None = None
    content: dict[str, Any] = field(default_factory=dict[str, Any])
    comm: str | None = None


def read(path: Path) -> list[Cell]:
    """The cells of a notebook."""
    _, *parts = re.split(r"^# %% ", path.read_text(), flags=re.MULTILINE)
    cells: list[Cell] = []
    for part in parts:
        title, _, code = part.partition("\n")
        name, brace, options = title.partition("{")
        cells.append(Cell(name.strip(), code.strip("\n"), **json.loads(brace + options or "{}")))
    assert len({cell.name for cell in cells}) == len(cells), f"Two cells of {path} have one name."
    return cells


@asynccontextmanager
async def kernel(module: str, folder: Path) -> AsyncGenerator[Client, None]:
    """A kernel in `folder`, with a profile of its own."""
    profile = folder / "ipython" / "profile_default"
    (profile / "startup").mkdir(parents=True)
    (profile / "startup" / "first.py").write_text("from_startup_file = __file__\n")
    (profile / "ipython_config.py").write_text(
        "c.InteractiveShellApp.exec_lines = ['from_exec_line = 1']\n"
        "c.InteractiveShellApp.extensions = ['autoreload']\n"
        "c.TerminalIPythonApp.display_banner = False\n"
    )
    env = {
        **os.environ,
        "IPYTHONDIR": str(folder / "ipython"),
        "MPLCONFIGDIR": str(folder.parent),
        # jedi's cache is not written atomically: who reads it at that moment completes nothing
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    for name in ("MPLBACKEND", "PYTEST_CURRENT_TEST"):  # with the latter ipykernel leaves descriptors alone
        env.pop(name, None)
    command = [sys.executable, "-m", module, "-f", "{connection_file}"]
    async with laneway.launch(command, cwd=folder, env=env) as kc:
        await kc.execute("pass", silent=True)  # ipykernel's first cell may lack some messages
        yield kc


class FrontEnd:
    """Runs cells, and keeps what comes of them."""

    def __init__(self, kc: Client) -> None:
        self._kc = kc
        self._came = asyncio.Event()
        self._messages: list[Message] = []
        self._comms: dict[str, str] = {}

    async def listen(self) -> None:
        """Keep what the kernel publishes."""
        async for message in self._kc.subscribe(lambda message: message.channel is Channel.IOPUB):
            self._messages.append(message)
            if message.msg_type == "comm_open":
                model = message.content["data"].get("state", {}).get("_model_name", "")
                self._comms[model] = message.content["comm_id"]
            self._came.set()

    async def until(self, condition: Callable[[Message], bool]) -> None:
        """Wait for a message."""
        while not any(map(condition, self._messages)):
            self._came.clear()
            await self._came.wait()

    async def do(self, cell: Cell) -> tuple[str, Printable]:
        """The id of the request, and what came back of it but for outputs."""
        said: Printable = []
        if cell.comm is not None:
            comm_msg = {"comm_id": self._comms[cell.comm], "data": json.loads(cell.code)}
            msg_id = self._kc.post("comm_msg", comm_msg).msg_id
        elif cell.request is not None:
            code = {"code": cell.code, "cursor_pos": len(cell.code)} if cell.code else {}
            reply = await self._kc.request(cell.request, {**code, **cell.content})
            msg_id = str(reply.parent_id)
            said.append(line("reply", reply.content))
        else:
            typed = iter(cell.stdin or [])

            def answer(prompt: str, password: bool) -> str:
                said.append(line("asked", [prompt, password]))
                return next(typed)

            execution = self._kc.execute(
                cell.code, stdin=None if cell.stdin is None else answer, **cell.execute
            )
            msg_id = execution.msg_id
            try:
                async with asyncio.timeout(PATIENCE):
                    result = await execution
            except TimeoutError:
                said.append("never finished")
                await self._kc.interrupt()
                result = await execution
            said.append(line("reply", result.reply))
        await self.until(
            lambda message: message.parent_id == msg_id and message.content.get("execution_state") == "idle"
        )
        if cell.until is not None:
            text = cell.until
            try:
                async with asyncio.timeout(PATIENCE):
                    await self.until(lambda message: text in message.content.get("text", ""))
            except TimeoutError:
                said.append(line("never printed", text))
        return msg_id, said

    def outputs(self, msg_id: str) -> Printable:
        """What was published in the name of a request."""
        lines: Printable = []
        stream: tuple[str, str] | None = None
        for message in (m for m in self._messages if m.parent_id == msg_id and m.msg_type != "status"):
            content = message.content
            if message.msg_type == "stream":
                if stream and stream[0] == content["name"]:
                    lines.pop()
                    stream = stream[0], stream[1] + content["text"]
                else:
                    stream = content["name"], content["text"]
                lines.append(line(*stream))
            else:
                stream = None
                more = [message.metadata, [bytes(buffer).hex() for buffer in message.buffers]]
                lines.append(line(message.msg_type, content) + "".join(f" {part}" for part in more if part))
        return lines


def line(kind: str, content: Any) -> str:
    """An output or an answer, in a form that can be compared."""
    if kind == "reply":
        content = {key: value for key, value in content.items() if key not in _OPTIONAL}
        if not content.get("user_expressions"):  # an error has none, or an empty one
            content.pop("user_expressions", None)
    if kind == "error":
        return "\n".join([f"error {content['ename']}: {content['evalue']}", *frames(content["traceback"])])
    return f"{kind} {json.dumps(content, sort_keys=True, ensure_ascii=False)}"


def frames(traceback: list[str]) -> list[str]:
    """A traceback without colours and without the lines around those that it speaks of. There IPython falls
    back to a poorer form where a file whose name ends in .py is missing, as it is for ipykernel's cells.
    """
    lines = _ANSI.sub("", "\n".join(traceback)).splitlines()
    return [re.sub(r"^(-+> \d+) +", r"\1 ", text) for text in lines if text and not re.match(r" +\d+ ", text)]


async def run(module: str, cells: list[Cell], folder: Path) -> dict[str, Printable]:
    """What comes of each cell."""
    done: dict[str, tuple[str, Printable]] = {}
    async with asyncio.timeout(6 * PATIENCE), kernel(module, folder) as kc:
        front_end = FrontEnd(kc)
        listening = asyncio.ensure_future(front_end.listen())
        for cell in cells:
            done[cell.name] = await front_end.do(cell)
        listening.cancel()
    without = Without(folder)
    return {
        name: [without(text) for text in said + front_end.outputs(msg_id)]
        for name, (msg_id, said) in done.items()
    }


class Without:
    """Takes out of a text what no two runs have in common."""

    def __init__(self, folder: Path) -> None:
        self._rules = [
            (re.escape(str(folder)), "FOLDER"),
            # what a cell is called outside of tracebacks
            (
                rf"({re.escape(tempfile.gettempdir())}/ipykernel_\d+/)?\b(\d{{6,}}\.py|[0-9a-f]{{16}}\.ipy)",
                "CELL",
            ),
            (r"The slowest run took .*? being cached\.(\\n|\n)", ""),  # %timeit, on a busy machine
            (r"0x[0-9a-f]{6,}", "ADDRESS"),
            (
                r"(?<![0-9a-f])([0-9a-f]{32}|[0-9a-f]{16}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-f])",
                "ID",
            ),
            (r"(?<![;\d.\[])\d[\d.e+]* ?([nµμmu]?s|min|it/s|s/it)\b", "TIME"),
            (r"\d+:\d\d(:[\d.]+)?", "TIME"),
            (r"when=[\d.]+", "when=TIME"),
            (r"skipping \d+ hidden", "skipping some hidden"),
        ]

    def __call__(self, text: str) -> str:
        for pattern, name in self._rules:
            text = re.sub(pattern, name, text)
        return text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
async def test_outputs_are_those_of_ipykernel(path: Path, tmp_path: Path) -> None:
    cells = read(path)
    for name in MODULES:
        (tmp_path / name).mkdir()
    theirs, ours = await asyncio.gather(
        *(run(module, cells, tmp_path / name) for name, module in MODULES.items())
    )
    expected = {cell for cells in DIFFERENCES.values() for cell in cells}
    wrong: list[str] = []
    for cell in cells:
        name = f"{path.stem}: {cell.name}"
        differs = theirs[cell.name] != ours[cell.name]
        if has_ours(ours[cell.name]):
            wrong.append(f"{name}: code of ours is shown\n" + "\n".join(ours[cell.name]))
        elif differs and name not in expected:
            wrong.append("\n".join([name, cell.code, *difference(theirs[cell.name], ours[cell.name])]))
        elif not differs and name in expected:
            wrong.append(f"{name}: does not differ, contrary to DIFFERENCES")
    assert not wrong, "\n\n".join(wrong)


def difference(theirs: Printable, ours: Printable) -> Iterator[str]:
    """The lines that differ, with - before ipykernel's and + before ours."""
    for text in ndiff(theirs, ours):
        if text[0] in "-+":
            yield text


def test_every_difference_has_a_cell() -> None:
    cells = {f"{path.stem}: {cell.name}" for path in NOTEBOOKS for cell in read(path)}
    assert {cell for cells in DIFFERENCES.values() for cell in cells} <= cells
