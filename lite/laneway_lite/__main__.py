"""The command: `python -m laneway_lite kernel OUT` makes a kernel folder for pages, JupyterLite or not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .errors import BuildError
from .folder import Options, make_folder, summary, verify


def main() -> None:
    """The command line; `--help` says the options."""
    parser = argparse.ArgumentParser(prog="python -m laneway_lite", description="Laneway for pages.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    kernel = commands.add_parser("kernel", help="make a kernel folder", description=make_folder.__doc__)
    kernel.add_argument("out", type=Path, metavar="OUT", help="the folder to write")
    kernel.add_argument(
        "--packages",
        type=_names,
        default=(),
        metavar="A,B",
        help="of the Pyodide distribution only these packages, and what they depend on (default: all)",
    )
    kernel.add_argument(
        "--preload",
        type=_names,
        default=(),
        metavar="A,B",
        help="packages to load whenever a kernel starts; others come when they are imported",
    )
    kernel.add_argument(
        "--wheels",
        action="append",
        default=[],
        metavar="PATH",
        help="a wheel to add, a folder of wheels, or an URL; may be given several times",
    )
    kernel.add_argument(
        "--pyodide",
        default="",
        metavar="PATH",
        help="folder or URL of another Pyodide distribution, 0.27 or later (default: the bundled one)",
    )
    kernel.add_argument(
        "--cache",
        type=Path,
        default=Path(".laneway-cache"),
        metavar="DIR",
        help="where downloads are kept (default: %(default)s)",
    )
    kernel.set_defaults(run=_make)
    check = commands.add_parser("check", help="compare a kernel folder with its manifest")
    check.add_argument("out", type=Path, metavar="FOLDER")
    check.set_defaults(run=_check)
    options = parser.parse_args()
    try:
        options.run(options)
    except BuildError as error:
        sys.exit(f"laneway: {error}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _make(arguments: argparse.Namespace) -> None:
    options = Options(
        pyodide=arguments.pyodide,
        wheels=arguments.wheels,
        packages=arguments.packages,
        preload=arguments.preload,
        cells=True,
    )
    manifest = make_folder(arguments.out, options, arguments.cache)
    print(f"{arguments.out} is a kernel folder: {summary(manifest)}")


def _check(arguments: argparse.Namespace) -> None:
    if faults := verify(arguments.out):
        raise BuildError("\n".join(faults))
    print(f"{arguments.out} is as its manifest says.")


if __name__ == "__main__":
    main()
