"""One version everywhere, and one command that changes it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import laneway

ROOT = Path(__file__).resolve().parents[2]
CHANGED = (
    "py/laneway/version.py",
    "lite/laneway_lite/__init__.py",
    "jskernel/package.json",
    "jskernel/src/common/manifest.ts",
    "lite/package.json",
    "lite/jobs/package.json",
)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that say a version, elsewhere."""
    found = [".ci/version", "package.json", "package-lock.json", "CHANGELOG.md", ".npmrc"]
    workspaces: list[str] = json.loads((ROOT / "package.json").read_text())["workspaces"]
    packages = [ROOT / name / "package.json" for name in workspaces]
    found += [str(path.relative_to(ROOT)) for path in packages]
    for name in {*found, *CHANGED}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def version(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / ".ci" / "version"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_every_file_says_the_same() -> None:
    result = version(ROOT)
    assert (result.returncode, result.stdout.strip()) == (0, laneway.__version__), result.stderr


@pytest.mark.parametrize("name", [*CHANGED, "CHANGELOG.md", "package-lock.json"])
def test_a_file_that_differs_is_named(copy: Path, name: str) -> None:
    path = copy / name
    path.write_text(
        path.read_text().replace(f'"{laneway.__version__}"', '"9.8.7"').replace("## [", "## [1", 1)
    )
    result = version(copy)
    assert result.returncode == 1
    assert name in result.stderr


def test_a_new_version_is_written_into_all_of_them(copy: Path) -> None:
    changelog = copy / "CHANGELOG.md"
    changelog.write_text(re.sub(r"## \[.*?\]", "## [9.8.7-rc.1]", changelog.read_text(), count=1))
    result = version(copy, "9.8.7-rc.1")
    assert (result.returncode, result.stdout) == (0, "9.8.7-rc.1\n"), result.stderr
    for name in (*CHANGED, "package-lock.json"):
        assert '"9.8.7-rc.1"' in (copy / name).read_text(), name
    assert '"@laneway/kernel": "^9.8.7-rc.1"' in (copy / "lite/package.json").read_text()
    assert '"resolved": "http' not in (copy / "package-lock.json").read_text()


def test_what_is_no_version_is_refused(copy: Path) -> None:
    result = version(copy, "next")
    assert result.returncode == 1
    assert result.stderr == "laneway: 'next' is no version; say one such as 0.3.0.\n"
    assert version(copy).stdout.strip() == laneway.__version__
