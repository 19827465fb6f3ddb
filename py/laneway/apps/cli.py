"""The command `laneway`: what people type. The kernel itself is `python -m laneway` (`desktop.py`), which
imports nothing of this.

    cli.py           starts it, and turns what goes wrong into a sentence and an exit code
    commands.py      the commands and their options, on click
    kernelspecs.py   install, list, uninstall
    execute.py       exec
    doctor.py        doctor

Exit codes:

    0     done
    1     `exec`: a cell has raised; `doctor`: something is broken; the file system refuses
    2     a setting, an option or a file that cannot be used
    3     the kernel cannot be reached, or has died
    124   `exec`: `--timeout` is over, as `timeout` has it
    130   Ctrl-C
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ..protocol.errors import KernelError, SettingsError

_EXTRA = ("click", "jupyter_client", "nbformat", "rich", "rich_click", "websockets")
"""What the extra `cli` brings."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit code."""
    try:
        from .commands import run
    except ModuleNotFoundError as missing:
        if missing.name not in _EXTRA:
            raise
        return _fail(f"The command needs {missing.name}: pip install 'laneway[cli]'.", 1)
    return _guarded(lambda: run(argv))


def _guarded(command: Callable[[], int]) -> int:
    """Its exit code, or that of what it raises, with a sentence on stderr."""
    import rich_click as click

    try:
        return command()
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except SettingsError as error:
        return _fail(str(error), 2)
    except KernelError as error:
        return _fail(str(error), 3)
    except BrokenPipeError:
        raise  # click ends quietly
    except OSError as error:
        return _fail(f"{error.filename or 'The system'}: {error.strerror or error}", 1)
    except (click.Abort, KeyboardInterrupt):
        return 130


def _fail(sentence: str, code: int) -> int:
    say(sentence)
    return code


def say(sentence: str) -> None:
    """Print what went wrong: one line, whoever has worded it."""
    print(f"laneway: {' '.join(sentence.split()).rstrip('.')}.", file=sys.stderr)
