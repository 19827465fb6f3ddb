"""`laneway doctor`: what this environment can do, what it lacks, and what is broken.

ok        it works
missing   it is not here, and need not be; what brings it is said
broken    it is here and does not work
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

import click
import zmq

from ..client.launch import launch
from ..protocol.errors import KernelError
from ..version import __version__
from . import kernelspecs
from .desktop import runtime_dir

START = 60.0
"""Seconds after which a kernel that does not answer is broken."""

_COLORS = {"ok": "green", "missing": "yellow", "broken": "red"}

_PACKAGES = {
    "jupyterlab": "notebooks in a browser",
    "jupyter_console": "a kernel in a terminal",
    "ipywidgets": "sliders, buttons and other widgets",
    "matplotlib": "%matplotlib",
    "websockets": "kernels behind a Jupyter server: laneway.connect_server, exec --url",
    "trio": "cells that await trio's functions, `--backend trio`; clients on trio",
    "uvloop": "cells on uvloop's event loop, `--loop uvloop`",
}
"""Packages that something takes, and what."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "missing", "broken"]
    detail: str
    """What it is, or what is to be done."""


async def examine() -> list[Finding]:
    """Look at everything. A kernel is started and asked for it."""
    return [*_python(), *_kernelspecs(), await _kernel(), *_packages(), _bundle()]


def show(findings: Sequence[Finding]) -> None:
    """Print them, a line each."""
    width = max(len(finding.name) for finding in findings)
    for state, name, detail in ((finding.state, finding.name, finding.detail) for finding in findings):
        click.echo(f"{click.style(f'{state:7}', _COLORS[state])}  {name:{width}}  {detail}")


def _python() -> Iterator[Finding]:
    yield Finding("python", "ok", f"{platform.python_version()} on {sys.platform}, {sys.executable}")
    yield Finding("laneway", "ok", f"{__version__}, {Path(__file__).parents[1]}")
    if sys.version_info >= (3, 12):  # it has sys.monitoring
        yield Finding("debugger", "ok", "breakpoints, steps and variables")
    else:
        advice = "Python 3.12 or later"
        if any(spec.is_pips and spec.offers_debugger for spec in kernelspecs.installed()):
            # it was made for later ones: a package of conda's, say, is for all; JupyterLab reads nothing else
            advice += "; JupyterLab offers them all the same: `laneway install --sys-prefix` corrects that"
        yield Finding("debugger", "missing", f"breakpoints, steps and variables: {advice}")
    curve = "with" if zmq.has("curve") else "without"
    yield Finding("zmq", "ok", f"libzmq {zmq.zmq_version()}, {curve} encryption")
    try:
        folder = runtime_dir()
    except OSError as error:
        yield Finding("runtime folder", "broken", f"{error.filename}: {error.strerror}")
    else:
        state = "ok" if os.access(folder, os.W_OK) else "broken"
        yield Finding(
            "runtime folder", state, f"{folder}" + ("" if state == "ok" else " cannot be written to")
        )


def _kernelspecs() -> Iterator[Finding]:
    found = kernelspecs.installed()
    for spec in found:
        name, where = f"kernelspec {spec.name}", f"{spec.display_name}, {spec.folder}"
        if spec.problem:
            yield Finding(name, "broken", f"{where}: {spec.problem}; `laneway uninstall {spec.name}`")
        else:
            yield Finding(name, "ok", where)
    if not found:
        yield Finding("kernelspec", "missing", "Jupyter finds none here: `laneway install --user`")


async def _kernel() -> Finding:
    began = time.monotonic()
    try:
        async with launch(timeout=START) as kc:
            result = await kc.execute("6 * 7", timeout=START)
    except KernelError as error:
        return Finding("kernel", "broken", str(error))
    if (result.result or {}).get("text/plain") != "42":
        return Finding("kernel", "broken", f"it does not compute: {result.reply}")
    return Finding("kernel", "ok", f"starts and computes in {time.monotonic() - began:.1f} s")


def _packages() -> Iterator[Finding]:
    for name, purpose in _PACKAGES.items():
        try:
            yield Finding(name, "ok", f"{metadata.version(name)}: {purpose}")
        except metadata.PackageNotFoundError:
            yield Finding(name, "missing", f"{purpose}: pip install {name}")


def _bundle() -> Finding:
    """The kernel for pages, which `laneway-lite` brings."""
    name = "browser bundle"
    found = importlib.util.find_spec("laneway_lite")
    if found is None or not found.submodule_search_locations:
        return Finding(name, "missing", "JupyterLite, pages: pip install laneway-lite")
    folder = Path(found.submodule_search_locations[0]) / "bundle"
    if not (folder / "pyodide-lock.json").is_file():
        return Finding(name, "broken", f"{folder} is missing; install laneway-lite again")
    version = metadata.version("laneway-lite")
    if version != __version__:
        return Finding(
            name, "broken", f"laneway-lite {version} is not for laneway {__version__}; update both"
        )
    return Finding(name, "ok", f"laneway-lite {version}: JupyterLite, pages")
