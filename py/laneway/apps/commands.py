"""The commands of `laneway` and their options, on click. What they do is elsewhere, see `cli.py`; it is
imported when it is asked for, since shells complete by running this.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import rich_click as click
from click.shell_completion import CompletionItem, get_completion_class

from ..protocol.errors import SettingsError
from ..version import __version__
from .settings import Where, described, given, settings

F = TypeVar("F", bound=Callable[..., Any])

NAME = "laneway"
SHELLS = ("bash", "fish", "zsh")

_EXIT_CODES = (
    "Exit codes: 0 all has run; 1 a cell has raised (that of `sys.exit`, where it calls that); 2 an argument"
    " cannot be used; 3 the kernel cannot be reached, or has died; 124 the timeout is over; 130 Ctrl-C."
)

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
_ENV = click.option(
    "--env", nargs=2, multiple=True, metavar="NAME VALUE", help="A variable of the kernel's environment."
)


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Raises what is wrong with it."""
    code: int | None = laneway.main(args=argv and list(argv), prog_name=NAME, standalone_mode=False)
    return code or 0


def _with_settings(command: F) -> F:
    """The options of all settings; `given` reads them."""
    for setting in reversed(settings(Where.DESKTOP)):
        text = described(setting)
        command = click.option(
            setting.option,
            setting.field,
            metavar="|".join(setting.choices) or setting.metavar,
            multiple=setting.many,
            help=f"{text[:1].upper()}{text[1:]}.",
            shell_complete=_among(setting.choices),
        )(command)
    return command


def _among(choices: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    return lambda _context, _parameter, begun: [text for text in choices if text.startswith(begun)]


def _names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from . import kernelspecs

    return [
        CompletionItem(spec.name, help=spec.display_name)
        for spec in kernelspecs.installed()
        if spec.name.startswith(begun)
    ]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=NAME, message="%(prog)s %(version)s")
def laneway() -> None:
    """A Python kernel for Jupyter in which no message waits behind another."""


@laneway.command()
@click.option("--user", is_flag=True, help="For this user, instead of system-wide.")
@click.option("--sys-prefix", is_flag=True, help="In this Python's environment.")
@click.option("--prefix", metavar="FOLDER", help="In another environment.")
@click.option("--name", default=NAME, show_default=True, help="The kernelspec's name.")
@click.option("--display-name", metavar="TEXT", help="What front ends call it.")
@_ENV
@_with_settings
@click.argument("arguments", nargs=-1, metavar="[-- --Class.trait=VALUE ...]")
def install(
    user: bool,
    sys_prefix: bool,
    prefix: str | None,
    name: str,
    display_name: str | None,
    env: Sequence[tuple[str, str]],
    arguments: Sequence[str],
    **options: Any,
) -> None:
    """Install a kernelspec that runs this Python, for a Jupyter of another environment or with other
    settings.

    What follows `--` are IPython's settings.
    """
    from . import kernelspecs

    if sum((user, sys_prefix, prefix is not None)) > 1:
        raise click.UsageError("Say one of --user, --sys-prefix and --prefix.")
    folder = kernelspecs.install(
        name,
        given(options),
        display_name=display_name,
        env=dict(env),
        arguments=arguments,
        user=user,
        prefix=sys.prefix if sys_prefix else prefix,
    )
    click.echo(f"Installed the kernelspec {name} in {folder}")


@laneway.command("list")
@_AS_JSON
def list_(as_json: bool) -> None:
    """List the kernelspecs that run Laneway."""
    from . import kernelspecs

    found = kernelspecs.installed()
    if as_json:
        for spec in found:
            fields = {**spec._asdict(), "folder": str(spec.folder), "problem": spec.problem}
            click.echo(json.dumps(fields))
        return
    width = max((len(spec.name) for spec in found), default=0)
    for spec in found:
        click.echo(f"{spec.name:{width}}  {spec.display_name}")
        said = " ".join((spec.argv[0], *spec.arguments))
        click.echo(f"{'':{width}}  {said}" + (f"  ({spec.problem})" if spec.problem else ""))
        click.echo(f"{'':{width}}  {spec.folder}")


@laneway.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=_names)
def uninstall(names: Sequence[str]) -> None:
    """Remove kernelspecs of Laneway."""
    from . import kernelspecs

    for name in names:
        click.echo(f"Removed {kernelspecs.uninstall(name)}")


@laneway.command("run")
@click.option("-f", "--connection-file", metavar="FILE", help="Where to listen; by default a new one.")
@_with_settings
@click.argument("arguments", nargs=-1, metavar="[-- --Class.trait=VALUE ...]")
def run_(connection_file: str | None, arguments: Sequence[str], **options: Any) -> int:
    """Run a kernel here, and say how to connect to it. It ends when a client shuts it down, or with SIGTERM.

    What follows `--` are IPython's settings.
    """
    own = ["-f", connection_file] if connection_file else []
    command = [sys.executable, "-m", "laneway", *own, *given(options).arguments(), *arguments]
    if sys.platform != "win32":  # where it would return to the shell at once
        os.execv(command[0], command)  # the kernel's process has nothing of this one's in it
    return subprocess.call(command)


@laneway.command("exec", epilog=_EXIT_CODES)
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(allow_dash=True))
@click.option("-c", "--code", metavar="CODE", help="Code to run, in place of a file.")
@click.option(
    "--existing",
    metavar="FILE",
    help="A kernel that runs: its connection file, or the name of one among Jupyter's.",
)
@click.option("--kernel", metavar="NAME", help="A kernelspec; of a server also the id of a kernel that runs.")
@click.option("--url", help="The Jupyter server that has the kernel.")
@click.option(
    "--token",
    envvar="LANEWAY_TOKEN",
    help="What the server knows you by; also in LANEWAY_TOKEN, unseen by others.",
)
@click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(0, min_open=True), help="Then all is interrupted."
)
@click.option("--keep-going", is_flag=True, help="Go on after a cell that has raised.")
@click.option("--cwd", metavar="FOLDER", help="Where a new kernel runs.")
@_ENV
@_AS_JSON
@_with_settings
def exec_(
    file: str | None,
    code: str | None,
    existing: str | None,
    kernel: str | None,
    url: str | None,
    token: str | None,
    timeout: float | None,
    keep_going: bool,
    cwd: str | None,
    env: Sequence[tuple[str, str]],
    as_json: bool,
    **options: Any,
) -> int:
    """Run a program (.py), a notebook (.ipynb), code (-c) or what stdin says (-), and show what it outputs.

    A kernel is started for it and ends with it, unless one is named that runs.
    """
    from . import execute

    if (file is None) == (code is None):
        raise click.UsageError("Say what to run: a file, or -c CODE.")
    target = execute.Target(existing, kernel, url, token, cwd, dict(env), given(options))
    cells = [execute.Cell(code)] if code is not None else execute.read_cells(str(file))
    program = execute.Program(cells, keep_going, reads_stdin=file != "-")
    return asyncio.run(execute.execute(target.client(), program, timeout, as_json=as_json))


@laneway.command()
@_AS_JSON
def doctor(as_json: bool) -> int:
    """Say what this environment can do, what it lacks, and what is broken."""
    from . import doctor as checks

    findings = asyncio.run(checks.examine())
    if as_json:
        for finding in findings:
            click.echo(json.dumps(finding._asdict()))
    else:
        checks.show(findings)
    return int(any(finding.state == "broken" for finding in findings))


@laneway.command()
@click.argument("shell", metavar="|".join(SHELLS), shell_complete=_among(SHELLS))
def completion(shell: str) -> None:
    """Print what makes a shell complete this command: `eval "$(laneway completion bash)"`."""
    found = get_completion_class(shell) if shell in SHELLS else None
    if found is None:
        raise SettingsError(f"There is no completion for {shell!r}; there is for {', '.join(SHELLS)}.")
    click.echo(found(laneway, {}, NAME, f"_{NAME.upper()}_COMPLETE").source())
