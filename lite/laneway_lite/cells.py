"""The cells of a page while it is built: runs them in kernels of the desktop, and keeps what they put out.

What runs, and before what, is as in the page itself (`<laneway-cell>`, jskernel/cell/README.md): a kernel
for each group, its set-up first, then the cells in the order of the page, each with those that it needs above
it. What comes of a group is kept in one file, named for all that it depends on:

    <cache>/<hash>.json    {"outputs": {place: [{"type", "content", "metadata"}, ...]}, "failures": [...]}

Runs at build time only, in an event loop of its own. Imports `laneway`, which `laneway-lite[sphinx]` brings
along.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import laneway
from laneway.client.outputs import Output as KernelOutput

from .doctests import examples
from .errors import BuildError

Output = dict[str, Any]
"""`{"type": msg_type, "content": ..., "metadata": ...}`, as in the messaging protocol; JSON."""

TASK_PATIENCE = 5.0
"""Seconds that task cells have when all others have ended; what they have put out then is their output."""

KERNELS = 8
"""How many kernels run at a time, at most."""


@dataclass(frozen=True)
class Cell:
    """A cell of a page, see `<laneway-cell>`."""

    code: str
    where: str = ""
    """File and line, for messages."""
    kernel: str = ""
    """The name of its group."""
    chain: str = ""
    """Of the cells above it, it needs those of this chain and those of none."""
    setup: bool = False
    hidden: bool = False
    alone: bool = False
    task: bool = False
    raises: tuple[str, ...] | None = None
    """The names of the exceptions that it may raise, () for any; None: it must not fail."""
    may_end: bool = False
    """Is it all right, too, if it raises none of these?"""
    wanted: bool = True
    """Is its output wanted? It has one of its own, else, or is to have none."""

    @classmethod
    def of(cls, code: str, where: str, options: Mapping[str, Any]) -> Cell:
        """With the options of a directive or a fence. `raises` may be a list of names."""
        names = options.get("raises")
        return cls(
            code,
            where,
            kernel=options.get("kernel", ""),
            chain=options.get("chain", ""),
            setup="setup" in options,
            hidden="hidden" in options or "setup" in options,
            alone="alone" in options,
            task=options.get("mode") == "task",
            raises=(tuple(names) if isinstance(names, list) else ()) if "raises" in options else None,
            wanted="no-output" not in options,
        )

    def split(self) -> list[tuple[Cell, str | None]]:
        """Where its code is examples with prompts, the cells that these are, each with what the author
        expects; else itself, and None.
        """
        if (found := examples(self.code)) is None:
            return [(self, None)]
        return [
            (replace(self, code=part.code, raises=() if part.raises else None, wanted=False), part.expected)
            for part in found
        ]


@dataclass(frozen=True)
class Failure:
    """A cell that has failed."""

    where: str
    sentence: str


@dataclass
class Group:
    """The cells of a page that share a kernel, by their place in the page."""

    cells: dict[int, Cell] = field(default_factory=dict[int, Cell])
    folder: Path = field(default_factory=Path.cwd)
    """Where their kernel is started."""

    def to_run(self) -> list[tuple[int, Cell]]:
        """Those whose output is wanted and those that they need, in the order in which they run."""
        cells = {place: cell for place, cell in self.cells.items() if not cell.setup}
        wanted = {place: cell for place, cell in cells.items() if cell.wanted}
        last = {cell.chain: place for place, cell in wanted.items() if not cell.alone}
        last[""] = max(last.values(), default=-1)  # every chain needs those of none
        first = [(place, cell) for place, cell in self.cells.items() if cell.setup and not cell.chain]
        return (first if wanted else []) + [
            (place, cell)
            for place, cell in self.cells.items()
            if place in wanted
            or (place <= last.get(cell.chain, -1) and not cell.alone and (cell.chain or not cell.setup))
        ]

    def key(self, salt: str) -> str:
        """The name of what is kept of it."""
        cells = [
            [place, cell.code, cell.chain, cell.setup, cell.alone, cell.task, cell.raises, cell.may_end]
            for place, cell in self.to_run()
        ]
        text = json.dumps([laneway.__version__, sys.version, salt, cells])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def groups_of(cells: Sequence[Cell], folder: Path) -> dict[str, Group]:
    """The groups of a page, by their names."""
    groups: dict[str, Group] = {}
    for place, cell in enumerate(cells):
        groups.setdefault(cell.kernel, Group(folder=folder)).cells[place] = cell
    return groups


class Cache:
    """What is kept of groups that have run, in a folder."""

    def __init__(self, folder: Path, salt: str = "") -> None:
        self._folder = folder
        self._salt = salt

    def outputs(self, group: Group) -> dict[int, list[Output]]:
        """What the cells have put out, by their place in the page; empty where they have not run."""
        kept = self._read(group)
        return {int(place): outputs for place, outputs in kept["outputs"].items()} if kept else {}

    def has(self, group: Group) -> bool:
        """Is there nothing to run? What has failed runs anew."""
        if not group.to_run():
            return True
        kept = self._read(group)
        return kept is not None and not kept["failures"]

    def keep(self, group: Group, outputs: Mapping[int, list[Output]], failures: Iterable[Failure]) -> None:
        """Keep what has come of it."""
        path = self._path(group)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        kept = {"outputs": outputs, "failures": [failure.sentence for failure in failures]}
        new.write_text(json.dumps(kept), encoding="utf-8")
        new.replace(path)

    def prune(self, groups: Iterable[Group]) -> None:
        """Remove what is kept of other groups than these."""
        used = {self._path(group).name for group in groups}
        for path in self._folder.glob("*.json"):
            if path.name not in used:
                path.unlink()

    def _path(self, group: Group) -> Path:
        return self._folder / f"{group.key(self._salt)}.json"

    def _read(self, group: Group) -> dict[str, Any] | None:
        path = self._path(group)
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def run_groups(groups: Sequence[Group], cache: Cache, timeout: float) -> list[Failure]:
    """Run what the cache has not, several groups at a time, and keep it there; `timeout` is of one cell, in
    seconds. Raises `BuildError` where a kernel cannot be started, or dies.
    """
    new = [group for group in groups if not cache.has(group)]

    async def run_all() -> list[list[Failure]]:
        slots = asyncio.Semaphore(min(os.cpu_count() or 1, KERNELS))

        async def run(group: Group) -> list[Failure]:
            async with slots:
                outputs, failures = await _run_group(group, timeout)
                cache.keep(group, outputs, failures)
                return failures

        return await asyncio.gather(*(run(group) for group in new))

    return [failure for failures in asyncio.run(run_all()) for failure in failures] if new else []


async def _run_group(group: Group, timeout: float) -> tuple[dict[int, list[Output]], list[Failure]]:
    run = _Run(timeout)
    # conf.py may have said where the project is
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        async with await laneway.launch(cwd=group.folder, env=env, timeout=max(timeout, 60)) as kernel:
            chain = ""
            with contextlib.suppress(laneway.KernelDiedError):  # it is said of the cell
                for place, cell in group.to_run():
                    if cell.chain != chain:
                        chain = cell.chain
                        await kernel.execute(f"get_ipython().chains.enter({chain!r})", silent=True)
                    await run.begin(kernel, place, cell)
                await run.end()
    except laneway.KernelError as error:
        raise BuildError(f"The kernel that runs a page's cells: {error}") from error
    return run.outputs(), run.failures


class _Run:
    """The cells of a group, while they run."""

    def __init__(self, timeout: float) -> None:
        self.failures: list[Failure] = []
        self._timeout = timeout
        self._tasks: list[tuple[int, Cell, laneway.Execution]] = []
        self._received: dict[int, Sequence[KernelOutput]] = {}

    async def begin(self, kernel: laneway.Client, place: int, cell: Cell) -> None:
        """Run a cell to its end, unless it is a task."""
        if cell.task:
            self._tasks.append((place, cell, kernel.execute(cell.code, mode="task", stop_on_error=False)))
            return
        execution = kernel.execute(
            cell.code, stop_on_error=False, timeout=self._timeout, on_timeout="interrupt"
        )
        await self._await(place, cell, execution)

    async def end(self) -> None:
        """Give tasks their time."""
        if not self._tasks:
            return
        await asyncio.wait(
            [asyncio.ensure_future(execution) for *_, execution in self._tasks], timeout=TASK_PATIENCE
        )
        for place, cell, execution in self._tasks:
            if execution.state in ("queued", "running"):
                await execution.cancel()
                self._received[place] = [output for output in execution.outputs if output.msg_type != "error"]
            else:
                await self._await(place, cell, execution)

    def outputs(self) -> dict[int, list[Output]]:
        """What is left of the outputs when those that clear and update others have done so."""
        shown = {place: _cleared(received) for place, received in self._received.items()}
        for received in self._received.values():
            for update in received:
                if update.msg_type != "update_display_data":
                    continue
                for output in (output for outputs in shown.values() for output in outputs):
                    name = _display_id(output["content"])
                    if name is not None and name == _display_id(update.content):
                        output["content"] = update.content
        return shown

    async def _await(self, place: int, cell: Cell, execution: laneway.Execution) -> None:
        try:
            result = await execution
        except laneway.KernelError as error:
            self._received[place] = execution.outputs
            self._fail(cell, str(error))
            if isinstance(error, laneway.KernelDiedError):
                raise
            return
        self._received[place] = [*result.outputs, *_pages(result.reply)]
        error = result.error
        if error and cell.raises is None:
            self._fail(cell, f"{error['ename']}: {error['evalue']}{_line(cell, error['traceback'])}")
        elif error and cell.raises and error["ename"] not in cell.raises:
            self._fail(
                cell,
                f"{error['ename']}: {error['evalue']}, where it is said to raise {', '.join(cell.raises)}",
            )
        elif not error and cell.raises is not None and not cell.may_end:
            self._fail(cell, "it raises nothing, though it is said to")

    def _fail(self, cell: Cell, sentence: str) -> None:
        self.failures.append(Failure(cell.where, sentence))


def _pages(reply: Mapping[str, Any]) -> list[KernelOutput]:
    """The pages of help that a reply has (that to `len?`, say), as outputs: live cells show them, too."""
    pages = (payload for payload in reply.get("payload", ()) if payload["source"] == "page")
    return [KernelOutput("display_data", {"data": page["data"]}) for page in pages]


def _cleared(received: Sequence[KernelOutput]) -> list[Output]:
    shown: list[Output] = []
    clearing = False
    for output in received:
        if output.msg_type == "clear_output":
            clearing = True
        if clearing and (output.msg_type != "clear_output" or not output.content.get("wait")):
            shown.clear()
            clearing = False
        if output.msg_type not in ("clear_output", "update_display_data"):
            made = {"type": output.msg_type, "content": output.content, "metadata": output.metadata}
            shown.append(made)
    return shown


def _display_id(content: Mapping[str, Any]) -> str | None:
    return content.get("transient", {}).get("display_id")


def _line(cell: Cell, traceback: Sequence[str]) -> str:
    """Which line of the cell it was."""
    found = re.search(r"Cell In\[\d+\], line (\d+)", re.sub(r"\x1b\[[\d;]*m", "", "\n".join(traceback)))
    lines = cell.code.splitlines()
    number = int(found[1]) if found else 0
    return f" (line {number} of the cell: {lines[number - 1].strip()})" if 0 < number <= len(lines) else ""
