"""The Python in which `make projects` builds documentations: with themes and extensions of others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.page import ROOT

PROJECTS = ROOT / ".cache" / "projects"
"""What `.ci/projects` has fetched."""


def run(folder: Path, *arguments: str | Path) -> str:
    """Run that Python in a folder; returns what it prints."""
    # `jupyter lite` is looked for where this environment's programs are
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [PROJECTS / "env" / "bin" / "python", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=900,  # seconds: on a busy machine it takes its time
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stdout


def build(folder: Path, source: str = ".", output: str = "../html") -> None:
    """Build a documentation."""
    run(folder, "-m", "sphinx", "-q", "-d", "../doctrees", source, output)
