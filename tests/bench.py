"""`make bench`: what a client of the desktop kernel feels, beside ipykernel on the same machine.

Both kernels are measured in turns, so that what else the machine does falls on both; look at the ratios.
jupyter_client's blocking client asks, and its own share is in both columns. Other kernels: `make bench
KERNELS="laneway python3 NAME"`, by the names of their kernelspecs; the last column is the first kernel to the
second.
"""

import statistics
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from queue import Empty
from subprocess import DEVNULL
from typing import Any

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

TIMEOUT = 120.0
ROUNDS = 3
STARTS = 5

BUSY = {
    "awaits": "import asyncio; await asyncio.sleep(3)",
    "sleeps": "import time; time.sleep(3)",
    "computes": "import time\nend = time.perf_counter() + 3\nwhile time.perf_counter() < end: pass",
}
FOR_EVER = {
    "loop": "while True: pass",
    "sleep": "import time; time.sleep(1000)",
    "await": "import asyncio; await asyncio.sleep(1000)",
}
ECHO = """
import comm
echo = comm.create_comm(target_name="bench")
echo.on_msg(lambda message: echo.send({}))
print(echo.comm_id)
"""

Results = dict[str, list[float]]


def milliseconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return (time.perf_counter() - begin) * 1e3


def median(act: Callable[[], object], times: int) -> float:
    act()
    return statistics.median(milliseconds(act) for _ in range(times))


class Kernel:
    """A kernel and its client."""

    def __init__(self, name: str) -> None:
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(stderr=DEVNULL)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def reply_to(self, msg_id: str) -> dict[str, Any]:
        """The shell reply to `msg_id`; replies to others are dropped."""
        while True:
            message: dict[str, Any] = self.client.get_shell_msg(timeout=TIMEOUT)
            if message["parent_header"].get("msg_id") == msg_id:
                return message

    def until(
        self, wanted: Callable[[dict[str, Any]], bool], timeout: float = TIMEOUT
    ) -> list[dict[str, Any]]:
        """The iopub messages up to the first that is `wanted`. Raises Empty after `timeout` in silence."""
        messages: list[dict[str, Any]] = []
        while not (messages and wanted(messages[-1])):
            messages.append(self.client.get_iopub_msg(timeout=timeout))
        return messages

    def until_state(self, msg_id: str, state: str, timeout: float = TIMEOUT) -> list[dict[str, Any]]:
        def wanted(message: dict[str, Any]) -> bool:
            ours = message["parent_header"].get("msg_id") == msg_id
            return ours and message["content"].get("execution_state") == state

        return self.until(wanted, timeout)

    def execute(self, code: str, **options: Any) -> list[dict[str, Any]]:
        """Run a cell to its reply and its idle; its iopub messages."""
        msg_id: str = self.client.execute(code, **options)
        self.reply_to(msg_id)
        return self.until_state(msg_id, "idle")

    def begin(self, code: str) -> str:
        msg_id: str = self.client.execute(code)
        self.until_state(msg_id, "busy")
        return msg_id

    @property
    def memory(self) -> float:
        """Megabytes."""
        return psutil.Process(self.manager.provisioner.pid).memory_info().rss / 1e6  # type: ignore[union-attr]


@contextmanager
def running(name: str) -> Generator[Kernel]:
    kernel = Kernel(name)
    try:
        kernel.client.wait_for_ready(timeout=TIMEOUT)
        yield kernel
    finally:
        kernel.stop()


def start(name: str) -> float:
    """From the start of the process to the reply to a first cell, in milliseconds."""
    begin = time.perf_counter()
    kernel = Kernel(name)
    try:
        kernel.reply_to(kernel.client.execute("1"))
        return (time.perf_counter() - begin) * 1e3
    finally:
        kernel.stop()


def pipelined(kernel: Kernel, cells: int = 1000) -> None:
    ids = [kernel.client.execute("1") for _ in range(cells)]
    for msg_id in ids:
        kernel.reply_to(msg_id)
    kernel.until_state(ids[-1], "idle")


def comm_echo(kernel: Kernel) -> Callable[[], object]:
    shown = kernel.execute(ECHO)
    comm_id = next(m["content"]["text"].strip() for m in shown if m["header"]["msg_type"] == "stream")

    def send() -> None:
        message = kernel.client.session.msg("comm_msg", {"comm_id": comm_id, "data": {}})
        kernel.client.shell_channel.send(message)
        kernel.until(lambda message: message["header"]["msg_type"] == "comm_msg")

    return send


def measure(kernel: Kernel, results: Results) -> None:
    """One round; a fresh kernel."""

    def add(name: str, value: float) -> None:
        results.setdefault(name, []).append(value)

    client = kernel.client
    kernel.execute("import os")
    add("memory, idle (MB)", kernel.memory)
    silent = {"silent": True, "store_history": False}
    add("`pass`, silent", median(lambda: kernel.execute("pass", **silent), times=100))
    add("`pass`, with history", median(lambda: kernel.execute("pass"), times=100))
    add("1,000 cells, pipelined", milliseconds(lambda: pipelined(kernel)))

    def complete() -> None:
        assert "path" in str(kernel.reply_to(client.complete("import os\nos.pa")))

    def inspect() -> None:
        assert kernel.reply_to(client.inspect("print"))["content"]["found"]

    add("completion, idle", median(complete, times=15))
    for state, code in BUSY.items():
        cell = kernel.begin(code)
        add(f"completion while a cell {state}", milliseconds(complete))
        add(f"inspection while a cell {state}", milliseconds(inspect))
        kernel.until_state(cell, "idle")
    add("comm echo", median(comm_echo(kernel), times=100))
    begin = time.perf_counter()
    messages = kernel.execute("for i in range(100_000): print(i)")
    add("100,000 prints", (time.perf_counter() - begin) * 1e3)
    add("100,000 prints (messages)", sum(m["header"]["msg_type"] == "stream" for m in messages))
    for state, code in FOR_EVER.items():
        cell = kernel.begin(code)
        time.sleep(0.2)  # it is well inside

        def interrupt(cell: str = cell) -> None:
            kernel.manager.interrupt_kernel()
            kernel.until_state(cell, "idle", timeout=5)

        try:
            add(f"interrupt of a {state}", milliseconds(interrupt))
        except Empty:  # it is never interrupted
            add(f"interrupt of a {state}", float("nan"))
            kernel.manager.restart_kernel(now=True)
            client.wait_for_ready(timeout=TIMEOUT)
    before = kernel.memory
    for _ in range(30):
        pipelined(kernel, 100)
    add("growth per 1,000 cells (kB)", (kernel.memory - before) * 1e3 / 3)


def main(kernels: list[str]) -> None:
    results: dict[str, Results] = {name: {} for name in kernels}
    for _ in range(STARTS):
        for name in kernels:
            results[name].setdefault("start to first reply", []).append(start(name))
    for _ in range(ROUNDS):
        for name in kernels:
            with running(name) as kernel:
                measure(kernel, results[name])
    print(f"| milliseconds, if nothing else is said | {' | '.join(kernels)} | ratio |")
    print("|---|" + "---|" * (len(kernels) + 1))
    for name in results[kernels[0]]:
        values = [statistics.median(results[kernel].get(name, [float("nan")])) for kernel in kernels]
        ratio = f"{values[0] / values[1]:.2f}" if len(values) > 1 and values[1] else ""
        print(f"| {name} |" + "".join(f" {value:.2f} |" for value in values) + f" {ratio} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["laneway", "python3"])
