"""The command `python -m laneway_lite`, as its users call it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lite.conftest import make_wheel


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "laneway_lite", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_folder_is_made_and_checked(bundle: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "dist", "mine")
    made = run(tmp_path, "kernel", "out", "--wheels", "dist", "--preload", "mine")
    assert made.returncode == 0, made.stderr
    assert "quickest start: memory snapshot" in made.stdout
    assert run(tmp_path, "check", "out").stdout == "out is as its manifest says.\n"
    assert (tmp_path / "out" / "laneway-cells.js").is_file()
    (wheel,) = (tmp_path / "out").glob("wheels.*/mine-*.whl")
    wheel.unlink()
    checked = run(tmp_path, "check", "out")
    assert checked.returncode == 1
    assert checked.stderr.endswith("mine-1.0-py3-none-any.whl is missing.\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["kernel", "out", "--wheels", "none.whl"], "wheels: there is no file"),
        (["kernel", "out", "--packages", "numpy"], "packages: 'numpy' is not in this Pyodide"),
        (["kernel", "full"], "full is not empty, and no kernel folder: choose another folder."),
        (["check", "full"], "full is no kernel folder: it holds no laneway.json."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_gets_a_sentence(
    bundle: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    result = run(tmp_path, *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith("laneway: ")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
