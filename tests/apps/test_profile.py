"""What a user has set up for IPython holds: profiles, configuration, startup files, extensions."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import laneway
from laneway.client.client import Client

pytestmark = pytest.mark.anyio

CONFIG = """
c.InteractiveShellApp.exec_lines = ["from_line = %r" % 'line']
c.InteractiveShellApp.extensions = ["startup_extension"]
c.InteractiveShell.ast_node_interactivity = "all"
"""
EXTENSION = "def load_ipython_extension(shell): shell.user_ns['from_extension'] = 'extension'\n"


async def launch(folder: Path, arguments: Sequence[str] = (), **env: str) -> Client:
    (folder / "startup_extension.py").write_text(EXTENSION)
    argv = [sys.executable, "-m", "laneway", "-f", "{connection_file}", *arguments]
    environment = {**os.environ, "IPYTHONDIR": str(folder), "PYTHONPATH": str(folder), **env}
    return await laneway.launch(argv, env=environment)


def profile(folder: Path, name: str = "default") -> Path:
    path = folder / f"profile_{name}"
    (path / "startup").mkdir(parents=True)
    return path


async def names(kc: Client, *wanted: str) -> str:
    return (await kc.execute(f"print(*(globals().get(name) for name in {wanted!r}))")).stdout.strip()


async def test_configuration_startup_files_and_extensions(tmp_path: Path) -> None:
    path = profile(tmp_path)
    (path / "ipython_config.py").write_text(CONFIG)
    (path / "startup" / "10-first.py").write_text("from_py = 'py'\nprint('said by a startup file')\n")
    (path / "startup" / "20-second.ipy").write_text(
        "%alias_magic -l later who\nfrom_ipy = from_py + ' and ipy'\n"
    )
    async with await launch(tmp_path) as kc:
        assert (
            await names(kc, "from_line", "from_extension", "from_py", "from_ipy")
            == "line extension py py and ipy"
        )
        both = await kc.execute("1\n2")
        assert [output.content["data"]["text/plain"] for output in both.outputs] == ["1", "2"]
        assert "from_py" not in (await kc.execute("%who")).stdout  # what a startup file makes is hidden


async def test_another_profile(tmp_path: Path) -> None:
    (profile(tmp_path) / "startup" / "a.py").write_text("where = 'default'")
    other = profile(tmp_path, "other")
    (other / "startup" / "a.py").write_text("where = 'other'")
    (other / "ipython_kernel_config.py").write_text("c.IPKernelApp.exec_lines = ['line = 1']")
    async with await launch(tmp_path, ["--profile", "other"]) as kc:
        assert await names(kc, "where", "line") == "other 1"


async def test_what_is_wrong_in_it_keeps_no_kernel_from_starting(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = profile(tmp_path)
    (path / "ipython_config.py").write_text("this is no Python")
    (path / "ipython_kernel_config.py").write_text(
        "c.InteractiveShell.no_such_trait = 1\n"
        "c.InteractiveShellApp.extensions = ['no_such_extension']\n"
        "c.InteractiveShellApp.exec_files = ['/no/such/file.py']\n"
    )
    (path / "startup" / "a.py").write_text("1 / 0")
    (path / "startup" / "b.py").write_text("reached = True")
    async with await launch(tmp_path) as kc:
        assert (await kc.execute("1 + 1")).status == "ok"
    said = capfd.readouterr().err
    assert "ipython_config.py was not read: SyntaxError" in said
    assert "laneway: Config option `no_such_trait` not recognized by `ZMQInteractiveShell`." in said
    assert "laneway: Error in loading extension: no_such_extension" in said
    assert "laneway: File not found: '/no/such/file.py'" in said


async def test_pythonstartup(tmp_path: Path) -> None:
    script = tmp_path / "begin.py"
    script.write_text("begun = 'yes'")
    async with await launch(tmp_path, PYTHONSTARTUP=str(script)) as kc:
        assert await names(kc, "begun") == "yes"


async def test_the_command_line_comes_before_the_files(tmp_path: Path) -> None:
    path = profile(tmp_path / "elsewhere", "named")
    (path / "ipython_config.py").write_text(
        "c.InteractiveShell.cache_size = 10\nc.PlainTextFormatter.max_width = 40\n"
    )
    extra = tmp_path / "extra.py"
    extra.write_text(
        "load_subconfig('ipython_config.py', profile='other')\nc.InteractiveShell.cache_size = 20\n"
    )
    other = profile(tmp_path, "other")
    (other / "ipython_config.py").write_text("c.PlainTextFormatter.max_width = 50\n")
    arguments = [
        f"--ipython-dir={tmp_path / 'elsewhere'}",
        "--BaseIPythonApplication.profile=named",
        f"--config={extra}",
        "--c.HistoryManager.hist_file=:memory:",
        "--InteractiveShellApp.extensions=startup_extension",
        "--no-automagic",
        "-c",
        "said = 'code'",
        "file.py",
        "more",
    ]
    async with await launch(tmp_path, arguments) as kc:
        assert await names(kc, "from_extension", "said") == "extension code"
        result = await kc.execute(
            "ip = get_ipython()\n"
            "from ipykernel.kernelapp import IPKernelApp\n"
            "print(ip.cache_size, ip.display_formatter.formatters['text/plain'].max_width, ip.automagic,"
            " ip.history_manager.hist_file, ip.profile_dir.location, IPKernelApp.instance().extra_args)"
        )
        assert result.stdout.strip() == f"20 50 False :memory: {path} ['file.py', 'more']"


async def test_what_is_meant_for_kernels_comes_last(tmp_path: Path) -> None:
    path = profile(tmp_path)
    (path / "ipython_config.json").write_text('{"InteractiveShell": {"cache_size": 10}}')
    (path / "ipython_kernel_config.py").write_text("c.InteractiveShell.cache_size = 20\n")
    location = tmp_path / "place"
    async with await launch(tmp_path) as kc:
        assert (await kc.execute("print(get_ipython().cache_size)")).stdout == "20\n"
    async with await launch(tmp_path, [f"--profile-dir={location}"]) as kc:
        assert (await kc.execute("print(get_ipython().cache_size)")).stdout == "1000\n"
    assert (location / "startup").is_dir()
