"""Connection files: who can read them, and how they are replaced."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from laneway.protocol.errors import SettingsError
from laneway.transports.connection import Connection


def test_a_file_that_lies_ready_is_not_written_to(tmp_path: Path) -> None:
    """In a folder that others may write to, somebody may guess the name of the file that is made first."""
    bait = tmp_path / "bait"
    bait.write_text("mine")
    file = tmp_path / "kernel.json"
    (tmp_path / f"kernel.json.{os.getpid()}").symlink_to(bait)
    Connection.new().write(file)
    assert bait.read_text() == "mine"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Connection.read(file).key


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Files cannot be replaced while somebody reads them: the first times that the list says."""
    times = [0]
    replace = Path.replace

    def refuse(source: Path, target: Path) -> Path:
        if times[0] > 0:
            times[0] -= 1
            raise PermissionError(13, "The process cannot access the file")
        return replace(source, target)

    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr(Path, "replace", refuse)
    return times


def test_on_windows_it_waits_for_who_reads_the_file(tmp_path: Path, windows: list[int]) -> None:
    windows[0] = 3
    connection = Connection.new()
    connection.write(tmp_path / "kernel.json")
    assert Connection.read(tmp_path / "kernel.json") == connection
    assert [path.name for path in tmp_path.iterdir()] == ["kernel.json"]


def test_elsewhere_a_refusal_is_said_at_once(
    tmp_path: Path, windows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    windows[0] = 1
    with pytest.raises(SettingsError, match="cannot be written: The process cannot access the file"):
        Connection.new().write(tmp_path / "kernel.json")
    assert list(tmp_path.iterdir()) == []
