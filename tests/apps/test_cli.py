"""The command `laneway`, as its users type it, in an environment of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import laneway
from laneway.apps.cli import main
from laneway.apps.settings import Where, described, settings
from tests.apps.fresh import ROOT, Environment, make_environment
from tests.client.server import TOKEN, jupyter_server, kernels

COMMANDS = ("completion", "doctor", "exec", "install", "list", "run", "uninstall")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return make_environment(tmp_path_factory.mktemp("fresh") / "venv")


@contextmanager
def running(fresh: Environment, *arguments: str) -> Generator[tuple[subprocess.Popen[str], Path]]:
    """`laneway run`, and its connection file."""
    command = fresh.command("run", *arguments)
    with subprocess.Popen(command, env=fresh.variables, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            file = Path(process.stdout.readline().removeprefix("Connection file:").strip())
            assert f"jupyter console --existing {file.name}" in process.stdout.readline()
            yield process, file
        finally:
            process.kill()


@pytest.fixture(scope="module")
def kernel(fresh: Environment) -> Generator[tuple[subprocess.Popen[str], Path]]:
    """A kernel that runs, for all who need no new one: its process and its connection file."""
    with running(fresh, "--", "--InteractiveShell.cache_size=5") as kernel:
        yield kernel


@pytest.fixture
def existing(kernel: tuple[subprocess.Popen[str], Path]) -> tuple[str, str]:
    """The option that names it."""
    return ("--existing", str(kernel[1]))


@dataclass(frozen=True)
class Done:
    """What has come of a command."""

    returncode: int
    stdout: str
    stderr: str


class Here:
    """The same command in this process: quicker, where a new environment is not the point."""

    def __init__(self, output: pytest.CaptureFixture[str]) -> None:
        self._output = output

    def run(self, *arguments: str) -> Done:
        code = main(arguments)
        said = self._output.readouterr()
        return Done(code, said.out, said.err)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return Here(capsys)


def refused(done: Done | subprocess.CompletedProcess[str], sentence: str, code: int = 2) -> None:
    """It has said one sentence, and nothing else."""
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"laneway: {sentence}")
    assert done.stderr.endswith(".\n")
    assert done.stderr.count("\n") == 1


def lines(done: Done | subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


# ---- the command itself


def test_it_is_the_installed_one(fresh: Environment) -> None:
    assert fresh.run("--version").stdout == f"laneway {laneway.__version__}\n"
    (module,) = fresh.folder.glob("**/site-packages/laneway/apps/cli.py")
    assert module.read_bytes() == (ROOT / "py/laneway/apps/cli.py").read_bytes()


def test_help_names_every_command_and_every_setting(here: Here) -> None:
    said = here.run("--help")
    assert said.returncode == 0
    assert tuple(re.findall(r"^│ ([a-z]+) ", said.stdout, re.MULTILINE)) == COMMANDS
    for command in ("install", "run", "exec"):
        said = here.run(command, "--help").stdout
        assert all(setting.option in said for setting in settings(Where.DESKTOP))


def test_the_readme_has_every_setting() -> None:
    readme = (ROOT / "README.md").read_text()
    for where in Where:
        for setting in settings(where):
            name = setting.option if where is Where.DESKTOP else setting.key
            assert f"| `{name}` | {where.name.lower()} | {described(setting)} |" in readme  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such-command"], "No such command 'no-such-command'"),
        (["install", "--no-such-option"], "No such option"),
        (["install", "--user", "--sys-prefix"], "Say one of --user, --sys-prefix and --prefix."),
        (["install", "--user", "--name", "a/b"], "Invalid kernel name 'a/b'"),
        (["install", "--user", "--profile", "a/b"], "The setting 'profile' must be without '/', not 'a/b'."),
        (["install", "--user", "--", "--bogus"], "There is no argument --bogus; it has no effect."),
        (
            ["install", "--user", "--loop", "trio"],
            "The setting 'loop' must be asyncio or uvloop, not 'trio'.",
        ),
        (["uninstall"], "Missing argument 'NAME...'."),
        (["uninstall", "no-such-kernel"], "There is no kernelspec 'no-such-kernel' of Laneway; those are "),
        (["run", "--profile="], "The setting 'profile' must be a text, not ''."),
        (["completion", "ksh"], "There is no completion for 'ksh'; there is for bash, fish, zsh."),
        (["exec"], "Say what to run: a file, or -c CODE."),
        (["exec", "missing.py"], "missing.py cannot be read: No such file or directory."),
        (["exec", "missing.ipynb"], "missing.ipynb cannot be read: No such file or directory."),
        (
            ["exec", "-c", "1", "--timeout", "x"],
            "Invalid value for '--timeout': 'x' is not a valid float range.",
        ),
        (
            ["exec", "-c", "1", "--timeout", "0"],
            "Invalid value for '--timeout': 0.0 is not in the range x>0.",
        ),
        (["exec", "-c", "1", "--profile", "a/b"], "The setting 'profile' must be without '/', not 'a/b'."),
        (["exec", "-c", "1", "--existing", "none"], "There is no connection file 'none'"),
        (["exec", "-c", "1", "--kernel", "none"], "There is no kernelspec 'none'"),
        (["exec", "-c", "1", "--existing", "a", "--url", "b"], "Say one of --existing, --kernel and --url."),
        (["exec", "-c", "1", "--token", "a"], "A --token is for a server; say its --url."),
        (["exec", "-c", "1", "--url", "ftp://a"], "The --url must begin with http:// or https://"),
        (
            ["exec", "-c", "1", "--url", "http://a", "--profile", "b"],
            "With settings a new kernel of Laneway's",
        ),
        (["exec", "-c", "1", "--cwd", "missing"], "There is no folder missing."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_used_is_one_sentence(here: Here, arguments: list[str], sentence: str) -> None:
    refused(here.run(*arguments), sentence)


def test_a_file_that_is_no_notebook(here: Here, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{")
    refused(here.run("exec", "a.ipynb"), "a.ipynb is no notebook: ")


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['rich_click'] = None\n"
        "from laneway.apps.cli import main; sys.exit(main(['list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    refused(done, "The command needs rich_click: pip install 'laneway[cli]'.", 1)


def test_completion(here: Here, fresh: Environment) -> None:
    for shell in ("bash", "fish", "zsh"):
        assert "_LANEWAY_COMPLETE" in here.run("completion", shell).stdout
    for begun, completed in (
        ("uninstall lane", "laneway"),
        ("install --backend t", "trio"),
        ("completion b", "bash"),
    ):
        variables = {
            "_LANEWAY_COMPLETE": "bash_complete",
            "COMP_WORDS": f"laneway {begun}",
            "COMP_CWORD": str(begun.count(" ") + 1),
        }
        done = subprocess.run(
            fresh.command(), env={**fresh.variables, **variables}, capture_output=True, text=True, check=False
        )
        assert done.stdout == f"plain,{completed}\n"


# ---- kernelspecs


def test_install_list_uninstall(here: Here, tmp_path: Path) -> None:
    installed = here.run(
        *("install", "--user", "--name", "another", "--display-name", "Another Python", "--profile", "other"),
        *("--env", "A", "1", "--env", "B", "2", "--", "--InteractiveShell.cache_size=5"),
    )
    folder = tmp_path / "DATA" / "kernels" / "another"
    assert installed.stdout == f"Installed the kernelspec another in {folder}\n"
    spec = json.loads((folder / "kernel.json").read_bytes())
    command = [sys.executable, "-m", "laneway", "-f", "{connection_file}"]
    arguments = ["--profile=other", "--InteractiveShell.cache_size=5"]
    assert spec["argv"] == [*command, *arguments]
    assert (spec["display_name"], spec["env"]) == ("Another Python", {"A": "1", "B": "2"})
    assert spec["interrupt_mode"] == "message"
    debugger = sys.version_info >= (3, 12)
    assert spec["metadata"]["debugger"] is debugger
    assert ("debugger" in spec["metadata"]["supported_features"]) == debugger
    assert (folder / "logo-svg.svg").exists()

    (own, found) = sorted(lines(here.run("list", "--json")), key=lambda spec: spec["name"] == "another")
    assert (own["name"], own["problem"]) == ("laneway", None)
    assert found["name"] == "another"
    assert found["argv"] == spec["argv"]
    assert found["env"] == spec["env"]
    assert Path(found["folder"]) == folder
    said = here.run("list").stdout
    assert (
        f"another  Another Python\n         {sys.executable} {' '.join(arguments)}\n         {folder}\n"
        in said
    )

    assert here.run("uninstall", "another").stdout == f"Removed {folder}\n"
    assert not folder.exists()
    assert [spec["name"] for spec in lines(here.run("list", "--json"))] == ["laneway"]


def test_a_kernelspec_runs_as_it_was_installed(fresh: Environment) -> None:
    settings = ("--InteractiveShell.cache_size=5", "-c", "started = True")
    installed = fresh.run(
        *("install", "--sys-prefix", "--name", "mine", "--env", "OF_THE_SPEC", "yes", "--", *settings)
    )
    assert installed.returncode == 0, installed.stderr
    code = "import os, sys; print(os.environ['OF_THE_SPEC'], sys.prefix, get_ipython().cache_size, started)"
    done = fresh.run("exec", "--kernel", "mine", "-c", code)
    assert (done.returncode, done.stdout) == (0, f"yes {fresh.folder} 5 True\n"), done.stderr
    assert fresh.run("uninstall", "mine").returncode == 0


def test_another_kernels_name_is_not_taken(here: Here, tmp_path: Path) -> None:
    taken = tmp_path / "share" / "jupyter" / "kernels" / "taken"
    taken.mkdir(parents=True)
    (taken / "kernel.json").write_text('{"argv": ["other"], "display_name": "Other", "language": "other"}')
    done = here.run("install", "--prefix", str(tmp_path), "--name", "taken")
    refused(done, f"The name 'taken' is another kernel's, in {taken}; choose another --name.")
    assert [file.name for file in taken.iterdir()] == ["kernel.json"]


def test_a_folder_that_cannot_be_written(here: Here, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(here.run("install", "--prefix", str(tmp_path / "file")), str(tmp_path / "file"), 1)


# ---- exec


def test_exec_code(here: Here, existing: tuple[str, str]) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); 6 * 7"
    done = here.run("exec", *existing, "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n42\n", "err\n")


def test_exec_stdin_and_settings(fresh: Environment, tmp_path: Path) -> None:
    code = "import os; print(get_ipython().profile, os.getcwd(), os.environ['A'])\ninput()"
    done = fresh.run(
        *("exec", "-", "--profile", "mine", "--cwd", str(tmp_path), "--env", "A", "1"), stdin=code
    )
    assert done.stdout == f"mine {tmp_path} 1\n"
    assert done.returncode == 1
    assert "StdinNotImplementedError" in done.stderr  # it was read, as the program


def test_exec_answers_what_a_cell_asks(fresh: Environment, existing: tuple[str, str]) -> None:
    code = "import getpass\nprint(input('who? '), getpass.getpass('what? '))\ninput()"
    done = fresh.run("exec", *existing, "-c", code, stdin="me\nthis\n")
    assert (done.returncode, done.stdout) == (1, "me this\n")
    assert done.stderr.startswith("who? what? ")
    assert done.stderr.endswith("laneway: A cell asks for input, and stdin has no more.\n")


def notebook(path: Path, *cells: Any) -> Path:
    nbformat.write(new_notebook(cells=list(cells)), path)
    return path


def tagged(code: str, *tags: str) -> Any:
    return new_code_cell(code, metadata={"tags": list(tags)})


def test_exec_notebook(here: Here, existing: tuple[str, str], tmp_path: Path) -> None:
    file = notebook(
        tmp_path / "a.ipynb",
        new_markdown_cell("# Heading"),
        tagged("import asyncio\nevent = asyncio.Event()\nawait event.wait()\nprint('beside')", "task"),
        new_code_cell("print('before')\nevent.set()"),
        tagged("1 / 0", "raises-exception"),
        new_code_cell("'after'"),
    )
    done = here.run("exec", *existing, file.name)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ["'after'", "before", "beside"]
    assert "ZeroDivisionError" in done.stderr


def test_exec_json(here: Here, existing: tuple[str, str], tmp_path: Path) -> None:
    file = notebook(tmp_path / "a.ipynb", *map(new_code_cell, ("print('x')", "1 / 0", "print('y')")))
    done = here.run("exec", *existing, "--json", str(file))
    assert (done.returncode, done.stderr) == (1, "")
    first, *others = lines(done)
    assert first == {
        "event": "output",
        "cell": 1,
        "msg_type": "stream",
        "content": {"name": "stdout", "text": "x\n"},
        "metadata": {},
        "buffers": [],
    }
    *events, end = others
    cells = {event["cell"]: event for event in events if event["event"] == "cell"}
    assert [cells[number]["status"] for number in (1, 2, 3)] == ["ok", "error", "aborted"]
    assert (cells[2]["ename"], cells[2]["evalue"]) == ("ZeroDivisionError", "division by zero")
    assert end == {"event": "end", "exit_code": 1, "reason": None}

    done = here.run("exec", *existing, "--json", "--keep-going", str(file))
    assert done.returncode == 1
    assert [line["status"] for line in lines(done) if line["event"] == "cell"] == ["ok", "error", "ok"]


def test_exec_exit_codes(here: Here) -> None:
    done = here.run("exec", "--json", "-c", "import os; os._exit(9)")
    assert (done.returncode, lines(done)) == (
        3,
        [{"event": "end", "exit_code": 3, "reason": "The kernel has exited with code 9."}],
    )
    refused(here.run("exec", "--url", "http://127.0.0.1:9", "-c", "1"), "There is no Jupyter server", 3)


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [("0", 0, ""), ("", 0, ""), ("3", 3, ""), ("-1", 255, ""), ("'no more'", 1, "no more\n")],
)
def test_exec_of_what_calls_sys_exit(
    here: Here, existing: tuple[str, str], argument: str, code: int, said: str
) -> None:
    warned = "import sys, warnings; warnings.simplefilter('always')"
    done = here.run("exec", *existing, "-c", f"{warned}; sys.exit({argument})")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", said)


def test_exec_of_what_calls_exit(here: Here) -> None:
    done = here.run("exec", "-c", "print('first')\nexit(4)\nprint('second')")
    assert (done.returncode, done.stdout, done.stderr) == (4, "first\n", "")


@pytest.mark.parametrize(
    ("cells", "options", "code"),
    [
        (("sys.exit(0)", "1 / 0"), (), 0),  # which does not run
        (("sys.exit(0)", "1 / 0"), ("--keep-going",), 1),
        (("sys.exit(0)", "sys.exit(3)"), ("--keep-going",), 3),
        (("1 / 0", "sys.exit(0)"), ("--keep-going",), 1),
    ],
)
def test_exec_of_many_cells_of_which_some_call_sys_exit(
    here: Here,
    existing: tuple[str, str],
    tmp_path: Path,
    cells: Sequence[str],
    options: Sequence[str],
    code: int,
) -> None:
    file = notebook(tmp_path / "a.ipynb", *(new_code_cell(f"import sys; {cell}") for cell in cells))
    assert here.run("exec", *existing, *options, str(file)).returncode == code


def test_exec_timeout_and_ctrl_c_leave_a_kernel_that_goes_on(
    here: Here, fresh: Environment, existing: tuple[str, str]
) -> None:
    there = ("exec", *existing, "-c")
    done = here.run(*there, "while True: pass", "--timeout", "0.5")
    assert done.returncode == 124
    assert done.stderr.endswith("laneway: The program has not ended after 0.5 s.\n")

    command = fresh.command(*there, "print('ready')\nwhile True: pass")
    with subprocess.Popen(
        command, env=fresh.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout
        assert program.stderr
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        try:
            assert program.wait(60) == 130
        finally:
            program.kill()  # else the end of the block would wait for it
        assert program.stderr.read().rstrip().endswith("laneway: Interrupted.")
    assert here.run(*there, "print('on')").stdout == "on\n"


def test_exec_behind_a_server(here: Here, tmp_path: Path) -> None:
    with jupyter_server(tmp_path) as (url, _process):
        there = ("exec", "--url", url, "--token", TOKEN)
        done = here.run(*there, "-c", "print('there')")
        assert (done.returncode, done.stdout) == (0, "there\n"), done.stderr
        assert kernels(url) == []  # what it has started it has ended
        refused(here.run(*there, "--kernel", "none", "-c", "1"), "The server has no kernel 'none'", 3)


@pytest.mark.skipif(sys.platform == "win32", reason="There are no pseudo-terminals.")
def test_exec_shows_its_progress_in_a_terminal(
    fresh: Environment, existing: tuple[str, str], tmp_path: Path
) -> None:
    import pexpect

    file = notebook(
        tmp_path / "a.ipynb", new_code_cell("1"), new_code_cell("input('go? ')"), new_code_cell("3")
    )
    variables = {**fresh.variables, "TERM": "xterm-256color"}
    program, *arguments = fresh.command("exec", *existing, str(file))
    child = pexpect.spawn(program, arguments, env=variables, timeout=60, dimensions=(24, 100))
    child.expect("cells.*0/3")
    child.expect_exact("go? ")
    child.sendline("yes")
    child.expect("cells.*2/3")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


# ---- doctor


def test_doctor(fresh: Environment) -> None:
    folder = fresh.home / "data" / "kernels" / "broken"
    folder.mkdir(parents=True)
    spec = {"argv": ["/no/python", "-m", "laneway", "-f", "{connection_file}"], "display_name": "Broken"}
    try:
        (folder / "kernel.json").write_text(json.dumps({**spec, "language": "python"}))
        done = fresh.run("doctor", "--json")
        assert done.returncode == 1, done.stderr
        found = {line["name"]: line for line in lines(done)}
        assert [name for name, line in found.items() if line["state"] == "broken"] == ["kernelspec broken"]
        assert "there is no /no/python; `laneway uninstall broken`" in found["kernelspec broken"]["detail"]
        assert "starts and computes" in found["kernel"]["detail"]
        assert "browser bundle" in found
        assert found["debugger"]["state"] == ("ok" if sys.version_info >= (3, 12) else "missing")
        if sys.version_info < (3, 12):
            advice = "`laneway install --sys-prefix` corrects that"
            assert advice not in found["debugger"]["detail"]
            file = fresh.folder / "share" / "jupyter" / "kernels" / "laneway" / "kernel.json"
            spec = json.loads(file.read_text())
            spec["metadata"]["debugger"] = True  # as in a package that is for all Pythons
            file.write_text(json.dumps(spec))
            found = {line["name"]: line for line in lines(fresh.run("doctor", "--json"))}
            assert advice in found["debugger"]["detail"]
            assert fresh.run("install", "--sys-prefix").returncode == 0
            found = {line["name"]: line for line in lines(fresh.run("doctor", "--json"))}
            assert advice not in found["debugger"]["detail"]
    finally:
        assert fresh.run("uninstall", "broken").returncode == 0
    done = fresh.run("doctor")
    assert done.returncode == 0
    assert "ok       kernel " in done.stdout


# ---- run


def test_run(here: Here, fresh: Environment, kernel: tuple[subprocess.Popen[str], Path]) -> None:
    """It is last: the kernel of the others ends."""
    process, file = kernel
    done = fresh.run("exec", "--existing", file.name, "-c", "import os, sys; print(os.getpid())")
    assert (done.returncode, done.stdout) == (0, f"{process.pid}\n"), done.stderr
    code = "print(get_ipython().cache_size, sorted({'click', 'rich', 'rich_click'} & set(sys.modules)))"
    assert here.run("exec", "--existing", str(file), "-c", f"import sys; {code}").stdout == "5 []\n"
    process.terminate()
    assert process.wait(60) == 143
    assert not file.exists()
