"""The wheel of laneway-lite: a user needs neither npm nor a network to build a site with it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LITE = Path(__file__).resolve().parents[2] / "lite"


@pytest.fixture(scope="module")
def names(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in the wheel, as hatchling builds it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=LITE, check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return set(archive.namelist())


def test_wheel_has_the_bundle(names: set[str], bundle: Path) -> None:
    assert {f"laneway_lite/bundle/{path.name}" for path in bundle.iterdir()} <= names
    code = {name for name in names if name.startswith("laneway_lite/") and "/bundle/" not in name}
    modules = {f"{name}.py" for name in ("__init__", "addon", "errors", "index", "lock")}
    isolation = {f"isolation/{name}.js" for name in ("isolate", "isolation", "service-worker")}
    assert code == {f"laneway_lite/{name}" for name in modules | isolation}


def test_wheel_has_the_labextension_where_jupyter_looks(names: set[str]) -> None:
    shared = ".data/data/share/jupyter/labextensions/@laneway/lite/package.json"
    assert any(name.endswith(shared) for name in names)
