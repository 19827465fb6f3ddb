"""An environment of its own, with laneway as users install it; the packages that it needs are borrowed."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120


@dataclass(frozen=True)
class Environment:
    """Its folder, and room for what Jupyter and IPython write."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / ("Scripts" if sys.platform == "win32" else "bin")

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def variables(self) -> Mapping[str, str]:
        """What finds nothing of this machine's user."""
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTHON"))
        }
        folders = {
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTER_CONFIG_DIR": "config",
            "IPYTHONDIR": "ipython",
        }
        return {
            **own,
            **{name: str(self.home / folder) for name, folder in folders.items()},
            "COLUMNS": "200",
        }

    def command(self, *arguments: str) -> list[str]:
        """That of `laneway`."""
        return [str(self.bin / "laneway"), *arguments]

    def run(
        self, *arguments: str, stdin: str = "", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `laneway`."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            cwd=cwd,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )


def make_environment(folder: Path) -> Environment:
    """A virtual environment, and laneway's wheel in it."""
    venv.create(folder, with_pip=False, symlinks=sys.platform != "win32")
    made = Environment(folder)
    _call("hatchling", "build", "--target", "wheel", "--directory", str(folder / "wheel"))
    made.home.mkdir()
    (wheel,) = (folder / "wheel").iterdir()
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    _call("pip", "--python", str(made.python), "install", *options, str(wheel))
    variables = {"base": str(folder), "platbase": str(folder)}
    own = Path(sysconfig.get_path("purelib", vars=variables))
    # after its own packages, and without what other `.pth` files there name: this checkout, for one
    (own / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return made


def _call(*arguments: str) -> None:
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
