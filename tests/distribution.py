"""A real Pyodide distribution, 0.27.7: its core from npm, its scientific wheels as they were released.

Downloaded once, by pip, into `.cache`; each file is what npm's lock says it is.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from laneway_lite.folder import Options, make_folder
from tests.page import ROOT

_NPM = ROOT / "node_modules" / "pyodide-0.27"
_CORE = ("pyodide.mjs", "pyodide.asm.js", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
_REQUIREMENTS = Path(__file__).with_suffix(".txt")


@functools.cache
def real_distribution() -> Path:
    """The folder of the distribution. Skips the test, with a sentence, where it cannot be downloaded."""
    key = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:16]
    folder = ROOT / ".cache" / "distribution" / key
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            made = Path(name, "made")
            _unpack(_download(Path(name)), made)
            for core in _CORE:
                shutil.copyfile(_NPM / core, made / core)
            made.rename(folder)
    return folder


def _download(folder: Path) -> Path:
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--require-hashes", "--only-binary", ":all:", "--python-version", "3.12"),
            *("--dest", str(folder), "--requirement", str(_REQUIREMENTS)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        pytest.skip(f"pip cannot download the wheels of a real Pyodide distribution: {result.stdout[-300:]}")
    (path,) = folder.glob("*.whl")
    return path


def _unpack(archive: Path, target: Path) -> None:
    """Those files of the archive that npm's lock knows, as it knows them."""
    target.mkdir()
    lock = json.loads((_NPM / "pyodide-lock.json").read_text(encoding="utf-8"))
    known = {package["file_name"]: package["sha256"] for package in lock["packages"].values()}
    with zipfile.ZipFile(archive) as files:
        for name in files.namelist():
            file_name = name.rpartition("/")[2]
            content = files.read(name) if file_name in known else b""
            if hashlib.sha256(content).hexdigest() == known.get(file_name):
                (target / file_name).write_bytes(content)


def real_kernel(folder: Path) -> Path:
    """Make a kernel folder of the distribution: with what the kernel needs besides."""
    make_folder(folder, Options(pyodide=str(real_distribution())), ROOT / ".cache" / "distribution")
    return folder
