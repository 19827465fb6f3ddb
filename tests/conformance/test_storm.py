"""A storm of cells that end in time, by their deadline, or because their owner cancels them: each ends as its
owner asked, and no other.

`make soak` runs the long form: 500 cells.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from laneway.client.client import Client
from laneway.client.execution import Execution, State
from laneway.protocol.errors import KernelError

from ..soak import SOAK, rounds
from .kernels import KERNELS

pytestmark = pytest.mark.anyio

CELLS = rounds(60, 500)
AT_ONCE = 12
"""How many are under way together."""

PATIENCE = 120
"""Seconds after which one has hung."""

LONG = 1000

_HOOKS = """
import asyncio, subprocess, time
def storm_target(comm, message):
    def on_msg(message):
        time.sleep(message["content"]["data"]["seconds"])
    comm.on_msg(on_msg)
get_ipython().kernel.comm_manager.register_target("storm", storm_target)
"""

ENDLESS = {
    "await": f"await asyncio.sleep({LONG})",
    "loop": "while True: abs(1)",
    "sleep": f"time.sleep({LONG})",
    "input": "input()",
    "subprocess": f"subprocess.run(['sleep', '{LONG}'])",
    "command": f"!sleep {LONG}",
    "deaf": f"while True:\n    try:\n        await asyncio.sleep({LONG})\n    except Exception: pass",
    "group": f"async with asyncio.TaskGroup() as tasks:\n    tasks.create_task(asyncio.sleep({LONG}))",
}
BRIEF = {
    "await": "await asyncio.sleep(0.01)",
    "loop": "sum(range(10_000))",
    "sleep": "time.sleep(0.01)",
    "input": "input()",
    "subprocess": "subprocess.run(['true'])",
}


@dataclass
class Storm:
    """One kernel's."""

    kc: Client
    chance: random.Random
    subshell: str

    @property
    def kinds(self) -> list[str]:
        """What the kernel can end."""
        has = self.kc.info["laneway"]
        kinds = ["await", "deaf", "group"]
        kinds += ["loop"] * has["interrupts_blocking"]
        kinds += ["sleep"] * has["interrupts_blocking"]
        kinds += ["input"] * has["input"]
        if has["host"] == "threads":
            kinds += ["subprocess", "command"]
        return kinds

    @property
    def waits(self) -> bool:
        """Whether a hook that sleeps can be ended."""
        return self.kc.info["laneway"]["interrupts_blocking"]

    def where(self) -> tuple[str, str | None]:
        """The first line of a cell, but for a timeout, and the subshell."""
        lines = [f"%%{mode}" for mode in self.kc.info["laneway"]["modes"]]
        if "%%thread" in lines:
            lines += ["%%thread name=one", "%%thread name=two"]
        line = self.chance.choice([*lines, "subshell"])
        return ("%%queue", self.subshell) if line == "subshell" else (line, None)

    async def in_time(self, number: int) -> None:
        """A cell that ends by itself."""
        kind = self.chance.choice([kind for kind in self.kinds if kind in BRIEF])
        line, subshell = self.where()
        limit = self.chance.choice(["", f" timeout={LONG}"])
        code = f"{line}{limit}\n{BRIEF[kind]}\nprint({number})"
        result = await self.kc.execute(code, stdin=lambda _prompt, _password: "line", subshell=subshell)
        assert (result.status, result.stdout) == ("ok", f"{number}\n"), (code, result)

    async def overdue(self, number: int) -> None:
        """A cell that its deadline ends."""
        kind = self.chance.choice(self.kinds)
        line, subshell = self.where()
        code = f"{line} timeout={self.chance.uniform(0.01, 0.2):.3f}\n{ENDLESS[kind]}\nprint({number})"
        result = await self.kc.execute(code, stdin=never, subshell=subshell)
        assert result.status == "error", (code, result)
        assert result.reply["ename"] == "CellTimeoutError", (code, result)

    async def cancelled(self, number: int) -> None:
        """A cell that its owner cancels, at any moment."""
        kind = self.chance.choice(self.kinds)
        line, subshell = self.where()
        code = f"{line}\n{ENDLESS[kind]}\nprint({number})"
        cell = self.kc.execute(code, stdin=never, subshell=subshell)
        await asyncio.sleep(self.chance.uniform(0, 0.2))
        await self.cancel(cell)
        result = await cell
        assert result.status == "aborted" or result.reply["ename"] == "KeyboardInterrupt", (code, result)

    async def cancel(self, cell: Execution) -> None:
        """Cancel it; control may overtake the request itself."""
        while True:
            try:
                return await self.kc.cancel(cell.msg_id)
            except KernelError:
                assert cell.state in (State.QUEUED, State.RUNNING), cell.state
                await self.kc.kernel_info()

    async def hook(self, number: int) -> None:
        """A hook that its owner cancels."""
        brief = self.chance.random() < 0.5
        comm = f"storm {number}"
        ended = self.kc.subscribe(
            lambda message: message.msg_type == "status" and message.content["execution_state"] == "idle"
        )
        self.kc.post("comm_open", {"comm_id": comm, "target_name": "storm", "data": {}})
        data = {"seconds": 0.01 if brief else LONG}
        message = self.kc.post("comm_msg", {"comm_id": comm, "data": data})
        if not brief:
            while message.msg_id not in [job.id for job in await self.kc.jobs()]:
                await self.kc.kernel_info()
            await self.kc.cancel(message.msg_id)
        async for idle in ended:
            if idle.parent_id == message.msg_id:
                break
        ended.close()
        self.kc.post("comm_close", {"comm_id": comm, "data": {}})


async def never(_prompt: str, _password: bool) -> str:
    """The user has gone away."""
    await asyncio.Event().wait()
    return ""


async def run_storm(kc: Client, seed: int) -> None:
    chance = random.Random(seed)
    await kc.execute(_HOOKS)
    await kc.execute("!true")  # an interrupt amid the import of what runs programs would leave half of it
    storm = Storm(kc, chance, await kc.create_subshell())
    kinds: list[Callable[[int], Awaitable[None]]] = [
        *[storm.in_time] * 4,
        *[storm.overdue] * 3,
        *[storm.cancelled] * 3,
        *[storm.hook] * storm.waits,
    ]
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with room, asyncio.timeout(PATIENCE):
            await chance.choice(kinds)(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(CELLS):
            tasks.create_task(one(number))
    async with asyncio.timeout(PATIENCE):
        assert [job for job in await kc.jobs() if job.kind == "cell"] == []
        assert (await kc.execute("print('alive')")).stdout == "alive\n"
        await kc.delete_subshell(storm.subshell)


@pytest.mark.parametrize("name", ["callback", "zmq", *["chromium"] * SOAK])
async def test_each_ends_as_its_owner_asks(name: str) -> None:
    seed = int(os.environ.get("LANEWAY_SEED") or random.randrange(10**6))
    print(f"LANEWAY_SEED={seed}")
    async with KERNELS[name]() as kc:
        await run_storm(kc, seed)
