"""`make bench`: what a client of the desktop kernel feels, beside ipykernel on the same machine.

Times are in milliseconds. Both kernels are measured with jupyter_client's blocking client, so that its own
share is in both columns. It imports neither kernel and runs on one thread.
"""

import statistics
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

TIMEOUT = 120.0
KERNELS = ("laneway", "python3")


@contextmanager
def running(kernel: str) -> Generator[tuple[KernelManager, BlockingKernelClient]]:
    manager, client = start_new_kernel(kernel_name=kernel, startup_timeout=TIMEOUT)
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def milliseconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return (time.perf_counter() - begin) * 1e3


def median(act: Callable[[], object], times: int) -> float:
    return statistics.median(milliseconds(act) for _ in range(times))


def reply_to(client: BlockingKernelClient, msg_id: str) -> dict[str, Any]:
    """The shell reply to `msg_id`; replies to others are dropped."""
    while True:
        message: dict[str, Any] = client.get_shell_msg(timeout=TIMEOUT)
        if message["parent_header"].get("msg_id") == msg_id:
            return message


def execute(client: BlockingKernelClient, code: str, **options: Any) -> None:
    """Run a cell to its reply and its idle."""
    msg_id: str = client.execute(code, **options)
    reply_to(client, msg_id)
    until(client, msg_id, "idle")


def until(client: BlockingKernelClient, msg_id: str, state: str) -> None:
    """Read iopub up to the status `state` of `msg_id`."""
    while True:
        message: dict[str, Any] = client.get_iopub_msg(timeout=TIMEOUT)
        if (
            message["parent_header"].get("msg_id") == msg_id
            and message["content"].get("execution_state") == state
        ):
            return


def pipelined(client: BlockingKernelClient) -> None:
    ids = [client.execute("pass", silent=True, store_history=False) for _ in range(1000)]
    reply_to(client, ids[-1])
    until(client, ids[-1], "idle")


def completion_while_asleep(client: BlockingKernelClient) -> float:
    """Complete while a cell sleeps for two seconds; a kernel that makes it wait shows nearly all of them."""
    msg_id: str = client.execute("import time; time.sleep(2)")
    until(client, msg_id, "busy")
    taken = milliseconds(lambda: reply_to(client, client.complete("pri")))
    until(client, msg_id, "idle")
    return taken


def interrupted(manager: KernelManager, client: BlockingKernelClient) -> None:
    msg_id: str = client.execute("while True: pass")
    until(client, msg_id, "busy")
    manager.interrupt_kernel()
    until(client, msg_id, "idle")


def measure(kernel: str) -> dict[str, float]:
    def start() -> None:
        with running(kernel) as (_, client):
            execute(client, "1")

    results = {"start, run a cell, end": milliseconds(start)}
    with running(kernel) as (manager, client):
        execute(client, "pass")
        results["cell, silent"] = median(
            lambda: execute(client, "pass", silent=True, store_history=False), times=200
        )
        results["cell, with history"] = median(lambda: execute(client, "pass"), times=200)
        results["1,000 cells, pipelined"] = milliseconds(lambda: pipelined(client))
        results["100,000 prints"] = milliseconds(lambda: execute(client, "for i in range(100_000): print(i)"))
        results["completion, idle"] = median(lambda: reply_to(client, client.complete("pri")), times=20)
        results["completion, a cell sleeps"] = completion_while_asleep(client)
        results["interrupt of a loop"] = milliseconds(lambda: interrupted(manager, client))
    return results


def main() -> None:
    columns = {kernel: measure(kernel) for kernel in KERNELS}
    print(f"{'milliseconds':28}" + "".join(f"{kernel:>12}" for kernel in KERNELS))
    for name in columns[KERNELS[0]]:
        print(f"{name:28}" + "".join(f"{columns[kernel][name]:12.2f}" for kernel in KERNELS))


if __name__ == "__main__":
    main()
