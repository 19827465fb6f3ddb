"""What is published, in one folder: what LANEWAY_DIST names (`make dist`), else one built for the tests."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".ci" / "dist"


def build(folder: Path) -> Path:
    """Build everything into a folder. The labextension and the bundle are those of `make site`."""
    result = subprocess.run([BUILD, folder], capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@dataclass(frozen=True)
class Published:
    """The folder, and its files by what they are."""

    folder: Path

    def wheel(self, name: str, tag: str = "py3") -> Path:
        """That of a Python distribution, whose name is given with underscores; `tag` names its Python."""
        (path,) = self.folder.glob(f"{name}-[0-9]*-{tag}-none-any.whl")
        return path

    def sdist(self, name: str) -> Path:
        (path,) = self.folder.glob(f"{name}-[0-9]*.tar.gz")
        return path

    def tarballs(self) -> dict[str, Path]:
        """Those of npm, by the names of their packages."""
        found: dict[str, Path] = {}
        for path in self.folder.glob("*.tgz"):
            found[json.loads(contents(path)["package/package.json"])["name"]] = path
        return found


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    named = os.environ.get("LANEWAY_DIST")
    return Published(Path(named).resolve() if named else build(tmp_path_factory.mktemp("dist")))


def contents(path: Path) -> dict[str, bytes]:
    """The files of an archive, by name."""
    if path.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as archive:
        files = ((member, archive.extractfile(member)) for member in archive)
        return {member.name: file.read() for member, file in files if file}
