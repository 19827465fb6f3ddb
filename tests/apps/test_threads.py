"""Between threads and the shell's event loop: `laneway.run`, `laneway.call` and anyio, in real kernels."""

from __future__ import annotations

import sys
import textwrap
import threading
from typing import Any

import pytest

import laneway
from laneway.client.client import Client
from laneway.protocol.errors import KernelError
from tests.conformance.checks import interrupted, output, ready, run, soon

pytestmark = pytest.mark.anyio


async def test_a_kernel_starts_without_them() -> None:
    async with laneway.launch() as kc:
        loaded = "import sys; print({'anyio', 'trio', 'sniffio'} & sys.modules.keys())"
        assert (await run(kc, loaded)).stdout == "set()\n"


# ---- laneway.run, laneway.call

_FUNCTIONS = """
import anyio, asyncio, laneway, threading
from anyio import to_thread
seen = []
async def double(number):
    print("double", number)
    await anyio.sleep(0)
    return 2 * number, threading.current_thread().name
async def fails():
    raise ValueError("on purpose")
async def sleeps():
    print("ready")
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise
"""


async def test_from_any_thread_into_the_loop(kc: Client) -> None:
    await run(kc, _FUNCTIONS)
    code = """
    def work():
        print(laneway.run(double, 2), laneway.call(lambda: threading.current_thread().name))
        for function in fails, lambda: 1:
            try:
                laneway.run(function)
            except Exception as error:
                print(type(error).__name__)
    thread = threading.Thread(target=work)
    thread.start()
    await to_thread.run_sync(thread.join)
    """
    expected = "double 2\n(4, 'MainThread') MainThread\nValueError\nTypeError\n"
    assert (await run(kc, code)).stdout == expected
    subshell = await kc.create_subshell()
    result = await run(kc, "print(laneway.run(double, 3))", subshell=subshell)
    assert result.stdout == "double 3\n(6, 'MainThread')\n"
    await kc.delete_subshell(subshell)


async def test_the_shells_own_thread_does_not_wait_for_itself(kc: Client) -> None:
    await run(kc, _FUNCTIONS)
    for code in ("laneway.run(double, 1)", "laneway.call(print)"):
        result = await soon(kc.execute(code))
        assert result.reply["ename"] == "RuntimeError"
        assert "own thread" in result.reply["evalue"]


def test_without_a_kernel_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="no kernel"):
        laneway.call(print)


@pytest.mark.parametrize("aimed", [True, False])
async def test_an_interrupt_of_a_subshells_cell_ends_its_wait(kc: Client, aimed: bool) -> None:
    await run(kc, _FUNCTIONS)
    subshell = await kc.create_subshell()
    execution = await ready(kc, "laneway.run(sleeps)", subshell=subshell)
    await soon(execution.cancel() if aimed else kc.interrupt())
    await interrupted(execution)
    assert (await run(kc, "await asyncio.sleep(0)\nprint(seen)")).stdout == "['cancelled']\n"
    await kc.delete_subshell(subshell)


@pytest.mark.parametrize("aimed", [True, False])
async def test_an_interrupt_of_a_cell_ends_what_its_threads_wait_for(kc: Client, aimed: bool) -> None:
    await run(kc, _FUNCTIONS)
    code = """
    ended = asyncio.Event()
    def work():
        try:
            laneway.run(sleeps)
        except KeyboardInterrupt:
            seen.append("interrupted")
        laneway.call(ended.set)
    await to_thread.run_sync(work)
    """
    execution = await ready(kc, textwrap.dedent(code))
    await soon(execution.cancel() if aimed else kc.interrupt())
    await interrupted(execution)
    await run(kc, "await ended.wait()")
    assert (await run(kc, "print(*sorted(seen))")).stdout == "cancelled interrupted\n"


async def test_the_kernels_end_ends_the_wait() -> None:
    raised = threading.Event()
    errors: list[BaseException] = []
    namespace: dict[str, Any] = {"errors": errors, "raised": raised}
    with laneway.embed(namespace) as kernel:
        async with laneway.connect(kernel.connection_file) as kc:
            code = f"""{_FUNCTIONS}
def work():
    for _ in range(2):
        try:
            laneway.run(sleeps)
        except BaseException as error:
            errors.append(error)
    raised.set()
threading.Thread(target=work).start()
await asyncio.sleep(1000)
"""
            execution = kc.execute(code)
            await output(execution, "ready")
            await kc.shutdown()
    assert raised.wait(60)
    assert [type(error) for error in errors] == [KeyboardInterrupt, KernelError]


# ---- anyio

_TO_AND_FROM_THREADS = """
import anyio, threading
from anyio import from_thread, to_thread
from anyio.from_thread import BlockingPortal
async def {name}(where):
    await anyio.sleep(0)
    print({name!r}, where)
def work_{name}():
    print({name!r}, "thread")
    from_thread.run_sync(print, {name!r}, "loop")
    from_thread.run({name}, "task")
async with BlockingPortal() as portal_{name}, anyio.create_task_group() as tasks_{name}:
    for _ in range(3):
        await to_thread.run_sync(work_{name})
        tasks_{name}.start_soon({name}, "child")
        thread = threading.Thread(target=portal_{name}.call, args=({name}, "portal"))
        thread.start()
        await to_thread.run_sync(thread.join)
        await to_thread.run_sync(portal_{name}.start_task_soon, {name}, "soon")
    await to_thread.run_sync(lambda: [portal_{name}.call(print, {name!r}, "sync")])
"""


async def test_outputs_of_anyios_threads_and_tasks_belong_to_their_cell(kc: Client) -> None:
    executions = {
        name: kc.execute(_TO_AND_FROM_THREADS.format(name=name), mode="task") for name in ("A", "B")
    }
    words = ["child", "loop", "portal", "soon", "task", "thread"]
    for name, execution in executions.items():
        result = await soon(execution)
        assert result.status == "ok", result.reply
        lines = sorted(result.stdout.splitlines())
        assert lines == sorted([f"{name} {word}" for word in words] * 3 + [f"{name} sync"]), result.stdout


async def test_a_portal_on_another_thread_prints_for_its_cell(kc: Client) -> None:
    code = """
    from anyio.from_thread import start_blocking_portal
    with start_blocking_portal() as portal:
        portal.call(print, "called")
        async def tells():
            print("run")
        portal.call(tells)
    """
    assert (await run(kc, code)).stdout == "called\nrun\n"


async def test_to_process(kc: Client) -> None:
    result = await run(
        kc, "from anyio import to_process\nimport os\nawait to_process.run_sync(os.getppid) == os.getpid()"
    )
    assert (result.result or {})["text/plain"] == "True"


async def test_an_interrupt_ends_a_task_group(kc: Client) -> None:
    code = """
    import anyio
    seen = []
    async def child():
        try:
            await anyio.sleep(1000)
        finally:
            seen.append("ended")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(child)
        tasks.start_soon(anyio.sleep, 0)
        print("ready")
    """
    execution = await ready(kc, textwrap.dedent(code))
    await soon(kc.interrupt())
    await interrupted(execution)
    assert (await run(kc, "print(seen)")).stdout == "['ended']\n"


@pytest.mark.parametrize(
    "computes", ["raise KeyboardInterrupt", "print('ready', flush=True)\n    while True: pass"]
)
async def test_keyboard_interrupt_in_a_portals_task_does_not_end_the_loop(kc: Client, computes: str) -> None:
    code = f"""
import anyio, threading
from anyio.from_thread import BlockingPortal
async def task():
    await anyio.sleep(0.01)
    {computes}
async with BlockingPortal() as portal:
    thread = threading.Thread(target=lambda: portal.start_task_soon(task))
    thread.start()
    await anyio.sleep(1000)
"""
    execution = kc.execute(code)
    if "ready" in computes:
        await output(execution, "ready")
        await soon(kc.interrupt())
    result = await soon(execution)
    assert result.reply["ename"] == "KeyboardInterrupt"
    assert (await run(kc, "await anyio.sleep(0.01); print('goes on')")).stdout == "goes on\n"


# ---- locks between shells


async def test_a_lock_that_another_shell_holds(kc: Client) -> None:
    await run(kc, "import threading, time\nlock = threading.Lock()")
    subshell = await kc.create_subshell()
    holds = "with lock:\n    print('ready', flush=True)\n    time.sleep(1000)"

    # on the main thread a signal ends the wait
    holder = await ready(kc, holds, subshell=subshell)
    assert (await soon(kc.execute("# queue timeout=0.1\nlock.acquire()"))).reply[
        "ename"
    ] == "CellTimeoutError"
    waits = await ready(kc, "print('ready', flush=True)\nlock.acquire()")
    await kc.cancel(waits.msg_id)
    await interrupted(waits)
    await kc.cancel(holder.msg_id)
    await interrupted(holder)

    # nothing does on any other; that is said, and the lock is not lost
    holder = await ready(kc, holds)
    waits = kc.execute("# queue timeout=0.1\nwith lock:\n    print('has it')", subshell=subshell)
    await output(waits, "no interrupt ends")
    assert (await run(kc, "# thread\nprint(lock.locked())")).stdout == "True\n"
    await kc.cancel(holder.msg_id)
    await interrupted(holder)
    result = await soon(waits)
    assert result.reply["ename"] == "CellTimeoutError"
    if sys.version_info < (3, 14):  # from then on it arises a moment after the lock is had
        assert result.stdout == ""
    assert result.stderr.count("no interrupt ends") == 1
    assert (await run(kc, "print(lock.locked())", subshell=subshell)).stdout == "False\n"
    await kc.delete_subshell(subshell)


async def test_a_lock_that_is_awaited_is_interrupted_in_any_shell(kc: Client) -> None:
    await run(kc, "import aiologic, time\nlock = aiologic.Lock()")
    subshell = await kc.create_subshell()
    holder = await ready(kc, "async with lock:\n    print('ready', flush=True)\n    time.sleep(1000)")
    code = "async with lock:\n    print('has it')"
    overdue = await soon(kc.execute(f"# queue timeout=0.1\n{code}", subshell=subshell))
    assert overdue.reply["ename"] == "CellTimeoutError"
    waits = await ready(kc, f"print('ready')\n{code}", subshell=subshell)
    await kc.cancel(holder.msg_id)
    await interrupted(holder)
    assert (await soon(waits)).stdout == "ready\nhas it\n"
    await kc.delete_subshell(subshell)
