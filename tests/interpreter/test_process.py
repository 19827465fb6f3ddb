"""Kernels that share a process, with each other and with a program: what each of them sees, and what is left
when they have gone.
"""

from __future__ import annotations

import asyncio
import atexit
import builtins
import getpass
import io
import itertools
import logging
import pdb
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout
from contextvars import Context, ContextVar, copy_context
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import comm
import IPython
import pytest
from IPython.core.display_functions import display
from IPython.core.interactiveshell import InteractiveShell
from IPython.terminal.interactiveshell import TerminalInteractiveShell

from laneway.interpreter import run as run_module
from laneway.interpreter.ipython import IPythonInterpreter, Settings
from laneway.interpreter.run import RUN

from .context import RecordingContext, request

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Leave the user's history alone, and no kernel behind."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    yield
    for kernel in Kernel.running:
        kernel.stop()
    Kernel.running.clear()


class Kernel:
    """An interpreter that runs, and what it has published."""

    running: ClassVar[list[Kernel]] = []

    def __init__(self, *answers: str, **settings: Any) -> None:
        self.context = RecordingContext(*answers)
        self.interpreter = IPythonInterpreter(Settings(**settings))
        self.interpreter.start(self.context)
        self.running.append(self)

    async def execute(self, code: str, msg_id: str = "1") -> str:
        """Run a cell in a context of its own; what it has printed."""

        async def run() -> Any:
            return await self.interpreter.handle(request("execute_request", {"code": code}, msg_id))  # type: ignore[misc]

        reply = await asyncio.create_task(run(), context=copy_context())
        assert reply["status"] == "ok", "\n".join(reply["traceback"])
        return self.text(msg_id)

    def text(self, msg_id: str = "1") -> str:
        """Take what has been printed."""
        text = "".join(text for _, text in self.context.texts(msg_id))
        self.context.published = [entry for entry in self.context.published if entry[1] != "stream"]
        return text

    def stop(self) -> None:
        self.interpreter.stop()


@contextmanager
def two() -> Generator[tuple[Kernel, Kernel]]:
    with ExitStack() as stack:
        kernels = Kernel("a's answer"), Kernel("b's answer")
        for kernel in kernels:
            stack.callback(kernel.stop)
        yield kernels


def of_the_process() -> dict[str, object]:
    """What a program would miss."""
    return {
        "stdout": sys.stdout,
        "stderr": sys.stderr,
        "displayhook": sys.displayhook,
        "prompt": getattr(sys, "ps1", None),
        "main": sys.modules["__main__"],
        "main's class": type(sys.modules["__main__"]),
        "finders": list(sys.meta_path),
        "builtins": dict(vars(builtins)),
        "getpass": getpass.getpass,
        "start": threading.Thread.start,
        "submit": ThreadPoolExecutor.submit,
        "comms": (comm.create_comm, comm.get_comm_manager),
        "pdb": (pdb.set_trace, pdb.post_mortem),
        "shell": vars(InteractiveShell).get("_instance"),
        "ipykernel": {name: module for name, module in sys.modules.items() if name.startswith("ipykernel")},
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_they_close_in_any_order_and_leave_nothing(order: tuple[int, ...]) -> None:
    import ipykernel  # noqa: F401 # pyright: ignore[reportUnusedImport], it stays as it is

    before = of_the_process()
    kernels = [Kernel(), Kernel(), Kernel(namespace={"given": 1})]
    for kernel in kernels:
        await kernel.execute("import pdb\n1 + 1")
    for number in order:
        kernels[number].stop()
        for other in (kernel for kernel in kernels if kernel is not kernels[number]):
            if other.interpreter._session:  # pyright: ignore[reportPrivateUsage]
                assert await other.execute("print(_)") == "2\n"
    after = of_the_process()
    assert {name for name in before if before[name] != after[name]} == set()


async def test_one_that_comes_takes_what_was_put_back() -> None:
    """pytest does so between tests, and knows nothing of kernels."""
    original = sys.stdout
    first = Kernel()
    ours, sys.stdout = sys.stdout, original
    second = Kernel()
    assert sys.stdout is ours
    assert await second.execute("print(2)") == "2\n"
    assert await first.execute("print(1)") == "1\n"


async def test_each_has_its_own() -> None:
    with two() as (a, b):
        await a.execute("name = 'a'\n'result of a'")
        await b.execute("name = 'b'")
        code = "print(name, len(In), dict(Out), get_ipython().execution_count)"
        assert await a.execute(code) == "a 3 {1: 'result of a'} 3\n"
        assert await b.execute(code) == "b 3 {} 3\n"
        same = "import IPython\nprint(IPython.get_ipython() is get_ipython() is InteractiveShell.instance())"
        for kernel in (a, b):
            assert await kernel.execute(f"from IPython.core.interactiveshell import InteractiveShell\n{same}")
        assert await a.execute("print(input())") == "a's answer\n"
        assert await b.execute("import getpass\nprint(getpass.getpass())") == "b's answer\n"


async def test_cells_that_overlap_show_their_own_results() -> None:
    code = "import asyncio\nawait asyncio.sleep(0)\ndisplay({0!r})\nawait asyncio.sleep(0)\n{0!r}"
    with two() as (a, b):
        await asyncio.gather(*(kernel.execute(code.format(name)) for kernel, name in ((a, "a"), (b, "b"))))
        for kernel, name in ((a, "a"), (b, "b")):
            shown = [
                content["data"]["text/plain"]
                for _, msg_type, content in kernel.context.published
                if msg_type in ("display_data", "execute_result")
            ]
            assert shown == [repr(name)] * 2


async def test_on_two_threads_nothing_gets_lost_or_mixed() -> None:
    code = "for i in range(20_000): print({0!r})\n{0!r}"

    def work(name: str, texts: dict[str, str]) -> None:
        async def main() -> None:
            kernel = Kernel()
            try:
                texts[name] = await kernel.execute(code.format(name))
            finally:
                kernel.stop()

        asyncio.run(main())

    texts: dict[str, str] = {}
    before = of_the_process()
    threads = [threading.Thread(target=work, args=(name, texts)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {name: f"{name}\n" * 20_000 for name in "ab"}
    assert of_the_process() == before


async def test_threads_and_pools_print_for_the_kernel_that_started_them() -> None:
    shared = ThreadPoolExecutor(1)
    code = (
        "import threading\nthread = threading.Thread(target=print, args=({0!r},))\nthread.start()\n"
        "thread.join()\nshared.submit(print, 'pool of', {0!r}).result()"
    )
    with two() as (a, b), shared:
        for kernel, name in ((a, "a"), (b, "b")):
            kernel.interpreter._session.shell.user_ns["shared"] = shared  # type: ignore[union-attr]
            assert await kernel.execute(code.format(name)) == f"{name}\npool of {name}\n"


async def test_comms() -> None:
    with two() as (a, b):
        code = "import comm\nmine = comm.create_comm(target_name={0!r})\nmanager = comm.get_comm_manager()"
        await a.execute(code.format("of a"))
        await b.execute(code.format("of b"))
        for kernel, name in ((a, "of a"), (b, "of b")):
            session: Any = kernel.interpreter._session  # pyright: ignore[reportPrivateUsage]
            namespace = session.shell.user_ns
            assert list(namespace["manager"].comms) == [namespace["mine"].comm_id]
            opened = [content for _, msg_type, content in kernel.context.published if msg_type == "comm_open"]
            assert [content["target_name"] for content in opened] == [name]
            namespace["mine"].close()  # not by a cell
            assert kernel.context.published[-1][1] == "comm_close"
            assert namespace["manager"].comms == {}


async def test_main_is_the_cells_for_cells_and_the_programs_for_the_program() -> None:
    code = (
        "from __future__ import annotations\nimport pickle, typing, sys, __main__\nclass Thing:\n"
        "    number = {0}\n    other: Thing\n"
        "copy = pickle.loads(pickle.dumps(Thing()))\ntyping.get_type_hints(Thing)\n"
        "__main__.set_there = {0}\nprint(copy.number, __main__.Thing.number, set_there, __name__)"
    )
    with two() as (a, b):
        assert await a.execute(code.format(1)) == "1 1 1 __main__\n"
        assert await b.execute(code.format(2)) == "2 2 2 __main__\n"
        assert not hasattr(sys.modules["__main__"], "Thing")
        assert not hasattr(sys.modules["__main__"], "set_there")


async def test_introspection_belongs_to_the_kernel_that_is_asked() -> None:
    """A completer of a library asks for the shell."""
    code = (
        "import IPython\nclass Thing:\n    @property\n    def whose(self):\n        'Ask.'\n"
        "        return IPython.get_ipython()\n    def __dir__(self): return [IPython.get_ipython().tag]\n"
        "get_ipython().tag = '{0}'\nthing = Thing()"
    )
    with two() as (a, b):
        for kernel, name in ((a, "tag_a"), (b, "tag_b")):
            await kernel.execute(code.format(name))
        for kernel, name in ((a, "tag_a"), (b, "tag_b")):
            reply: Any = kernel.interpreter.interject(request("complete_request", {"code": "thing.ta"}))
            assert reply["matches"] == [name]


async def test_what_belongs_to_no_cell_stays_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def extra(self) -> str:
            return "extra"

    out = Terminal()
    with redirect_stdout(out):
        monkeypatch.setattr(sys, "stdin", io.StringIO("the program's\n"))
        kernel = Kernel("the cell's", namespace={"log": logging.getLogger("test_process")})
        try:
            print("program")
            assert sys.stdout.isatty()
            stdout: Any = sys.stdout
            assert stdout.extra() == "extra"
            assert input("asked: ") == "the program's"  # noqa: ASYNC250, it does not
            assert IPython.get_ipython() is None
            with pytest.raises(NameError, match="get_ipython"):
                builtins.get_ipython()  # type: ignore[attr-defined]
            display("shown")  # by IPython, where there is no shell
            sys.displayhook(5)
            assert isinstance(comm.create_comm(target_name="x"), comm.DummyComm)
            printed = await kernel.execute(
                "import sys, threading\nprint('cell', sys.stdout.isatty(), hasattr(sys.stdout, 'extra'))\n"
                "print(input('asked: '))"
            )
            assert printed == "cell False False\nthe cell's\n"
            thread = threading.Thread(target=print, args=("thread",))
            thread.start()
            thread.join()
        finally:
            kernel.stop()
        print("after")
    assert out.getvalue() == "program\nasked: shown\n5\nthread\nafter\n"


async def test_what_outlives_a_kernel_gets_what_python_has() -> None:
    out = io.StringIO()
    with redirect_stdout(out):
        kernel = Kernel()
        await kernel.execute(
            "import sys, threading\nfrom builtins import display as show\ngo = threading.Event()\n"
            "kept = sys.stdout\ndef later():\n    go.wait(60)\n    print('later')\n"
            "    print('kept', file=kept)\n    kept.flush()\n"
            "thread = threading.Thread(target=later)\nthread.start()"
        )
        session: Any = kernel.interpreter._session  # pyright: ignore[reportPrivateUsage]
        thread, go = session.shell.user_ns["thread"], session.shell.user_ns["go"]
        function = session.shell.user_ns["later"]
        function.__globals__.update(function.__globals__)
        kept = dict(session.shell.user_ns)
        kernel.stop()
        function.__globals__.update({name: kept[name] for name in ("go", "kept")})
        go.set()
        thread.join()
    assert out.getvalue() == "later\nkept\n"


async def test_a_namespace_that_is_given_is_given_back() -> None:
    module = ModuleType("given_module")
    sys.modules["given_module"] = module
    namespace = vars(module)
    exec("import sys\n_ = str.upper\nIn = 5\nwanted = 1\ndef function(): return wanted + made", namespace)
    names = set(namespace)
    try:
        kernel = Kernel(namespace=namespace)
        assert await kernel.execute("made = 2\nprint(function(), In, _('x'), __name__)") == (
            "3 5 X given_module\n"
        )
        await kernel.execute("%who\n'result'")
        await kernel.execute("class Thing: pass\nimport pickle\npickle.loads(pickle.dumps(Thing()));")
        assert await kernel.execute("print(open.__name__, Out, _2)") == "open {2: 'result'} result\n"
        with pytest.raises(SystemExit, match="3"):
            exec("exit(3)", namespace)  # the program's own
        assert not kernel.context.stopped
        await kernel.execute("%reset -f")
        assert {"wanted", "function", "_", "In"} <= set(namespace)
        assert "made" not in namespace
        await kernel.execute("made = 3")
        kernel.stop()
        assert set(namespace) == {*names, "made"}
        assert namespace["function"]() == 4
    finally:
        del sys.modules["given_module"]


async def test_beside_a_terminal() -> None:
    """IPython's own shell runs in the process: before, meanwhile and after, each has its own."""
    assert not InteractiveShell.initialized()
    early = Kernel()  # before it
    terminal = TerminalInteractiveShell.instance()
    out = io.StringIO()
    try:
        late = Kernel()
        for kernel in (early, late):
            assert await kernel.execute("print(type(get_ipython()).__name__)") == "ZMQInteractiveShell\n"
            code = "import IPython\nprint(type(IPython.get_ipython()).__name__)"
            assert await kernel.execute(code) == "ZMQInteractiveShell\n"
            with redirect_stdout(out):
                terminal.run_cell("print('in the terminal', type(get_ipython()).__name__)\n'result'")
            await kernel.execute("'result'")
            assert kernel.context.published[-1][1] == "execute_result"
            assert IPython.get_ipython() is terminal
        early.stop()
        late.stop()
        assert IPython.get_ipython() is terminal
        with redirect_stdout(out):
            terminal.run_cell("print('again', type(get_ipython()).__name__)")
    finally:
        TerminalInteractiveShell.clear_instance()
        atexit.unregister(terminal.atexit_operations)
        terminal.atexit_operations()
    text = out.getvalue()
    assert text.count("in the terminal TerminalInteractiveShell\n") == 2
    assert text.count("'result'") == 2
    assert text.endswith("again TerminalInteractiveShell\n")
    assert IPython.get_ipython() is None


OWN: ContextVar[str] = ContextVar("own", default="none")


class ThreadOf314(threading.Thread):
    """A thread as Python 3.14 has it, as far as its context is concerned."""

    def __init__(self, seen: dict[str, object], context: Context | None = None) -> None:
        super().__init__()
        self.seen = seen
        self._context = context

    def run(self) -> None:
        def look() -> None:
            self.seen.update(run=RUN.get(), own=OWN.get())

        if sys.version_info >= (3, 14):
            look()
        else:
            assert self._context is not None
            self._context.run(look)


@pytest.mark.parametrize("given", [False, True])
async def test_a_context_that_a_thread_has_is_not_replaced(
    given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_THREADS_HAVE_CONTEXTS", True)
    context = copy_context()
    context.run(OWN.set, "given")
    seen: dict[str, object] = {}
    thread = ThreadOf314(seen, context if given else None)
    kernel = Kernel(namespace={"thread": thread})
    try:
        await kernel.execute("thread.start()\nthread.join()")
    finally:
        kernel.stop()
    assert seen.pop("run") is not None
    assert seen == {"own": "given" if given else "none"}
