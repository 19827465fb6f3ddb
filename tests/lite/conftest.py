"""What the tests of laneway-lite share: tiny wheels, and sites built by `jupyter lite build` itself."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from laneway_lite.addon import PLUGIN
from laneway_lite.folder import BUNDLE

LABEXTENSION = BUNDLE.with_name("labextension")


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundle that `make site` made."""
    assert (BUNDLE / "pyodide-lock.json").is_file(), "run `make site` first: it makes the bundle"
    return BUNDLE


def make_wheel(
    folder: Path, name: str, version: str = "1.0", requires: tuple[str, ...] = (), tag: str = "py3-none-any"
) -> Path:
    """A wheel with one module, whose `NAME` is the name of the distribution."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"NAME = {name!r}\n")
        archive.writestr(
            f"{name}-{version}.dist-info/METADATA",
            "\n".join([*metadata, *(f"Requires-Dist: {text}" for text in requires)]) + "\n",
        )
        archive.writestr(
            f"{name}-{version}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
        )
        archive.writestr(f"{name}-{version}.dist-info/RECORD", f"{name}/__init__.py,,\n")
    return path


@dataclass
class Site:
    """A folder of sources for `jupyter lite`, and what is built from it in `_output`."""

    folder: Path
    app: str = ""
    """The application that it has, with the kernel's labextension; without one it cannot be opened."""

    @property
    def output(self) -> Path:
        return self.folder / "_output"

    @property
    def kernel(self) -> Path:
        """The kernel folder."""
        return self.output / "static" / "laneway"

    def manifest(self) -> dict[str, Any]:
        return json.loads((self.kernel / "laneway.json").read_text())

    @property
    def core(self) -> Path:
        return self.kernel / self.manifest()["core"]

    def packages(self) -> dict[str, Any]:
        return json.loads((self.kernel / self.manifest()["lock"]).read_text())["packages"]

    def wheel(self, name: str) -> Path:
        """The file of a package."""
        return (self.kernel / "lock" / self.packages()[name]["file_name"]).resolve()

    def config(self) -> dict[str, Any]:
        return json.loads((self.output / "jupyter-lite.json").read_text())["jupyter-config-data"]

    def settings(self) -> dict[str, Any]:
        return self.config()["litePluginSettings"][PLUGIN]

    def run(self, command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """`jupyter lite COMMAND`, with options of the addon."""
        config: dict[str, Any] = {
            "LiteBuildConfig": {
                "apps": [self.app or "repl"],
                # ours as it was built last: the environment has none, or one of the day on which it was made
                "federated_extensions": [str(LABEXTENSION)] if self.app else [],
                "ignore_sys_prefix": ["federated_extensions"],
            },
            "LanewayAddon": options,
        }
        (self.folder / "jupyter_lite_config.json").write_text(json.dumps(config))
        return subprocess.run(
            [sys.executable, "-m", "jupyterlite_core", command],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,  # seconds: on a busy machine it takes its time
            check=False,
        )

    def build(self, **options: Any) -> str:
        """`jupyter lite build`, which must work; returns what it printed."""
        result = self.run("build", **options)
        assert result.returncode == 0, result.stdout
        return result.stdout


@pytest.fixture(scope="session")
def new_site(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Site]:
    return lambda: Site(tmp_path_factory.mktemp("site"))
