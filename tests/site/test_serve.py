"""The server that `make run` starts, as a process."""

import contextlib
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from http.client import HTTPConnection
from pathlib import Path

import pytest

SERVE = Path(__file__).resolve().parents[2] / "site" / "serve.py"


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Generator[tuple[subprocess.Popen[str], int]]:
    """The running server and its port."""
    process = subprocess.Popen(
        [sys.executable, SERVE, *options, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            port = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
            assert port, line + (process.stderr.read() if process.stderr else "")
            yield process, int(port[1])
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<!doctype html>")
    for name in ("a.mjs", "a.wasm", "a.whl", "a.ipynb", "a.json", "a.css"):
        (tmp_path / name).write_bytes(b"{}")
    return tmp_path


def test_headers_and_types(folder: Path) -> None:
    with serving(folder, "--port", "0") as (_, port):
        types: dict[str, str | None] = {}
        for name in ("index.html", "a.mjs", "a.wasm", "a.whl", "a.ipynb", "a.css"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=30) as answer:
                types[name] = answer.headers["Content-Type"]
                assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
                assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert answer.headers["Cache-Control"] == "no-cache"
    assert types == {
        "index.html": "text/html",
        "a.mjs": "text/javascript",
        "a.wasm": "application/wasm",
        "a.whl": "application/zip",
        "a.ipynb": "application/json",
        "a.css": "text/css",
    }


def test_without_isolation(folder: Path) -> None:
    with (
        serving(folder, "--port", "0", "--no-isolation") as (_, port),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer,
    ):
        assert answer.headers["Cross-Origin-Opener-Policy"] is None
        assert answer.headers["Cross-Origin-Embedder-Policy"] is None


def test_connection_is_kept(folder: Path) -> None:
    with (
        serving(folder, "--port", "0") as (_, port),
        contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection,
    ):
        connection.connect()
        socket = connection.sock
        for name in ("a.json", "a.mjs"):
            connection.request("GET", f"/{name}")
            with connection.getresponse() as answer:
                assert answer.read() == b"{}"
            assert connection.sock is socket


def test_missing_file_is_not_found(folder: Path) -> None:
    with serving(folder, "--port", "0") as (_, port), pytest.raises(urllib.error.HTTPError) as failure:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/none", timeout=30)
    failure.value.close()
    assert failure.value.code == 404


def test_next_free_port(folder: Path) -> None:
    with serving(folder, "--port", "0") as (_, first), serving(folder, "--port", str(first)) as (_, second):
        assert second > first


def test_ctrl_c_ends_quietly(folder: Path) -> None:
    with serving(folder, "--port", "0") as (process, _):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0
        assert errors == ""


def test_folder_without_site_gets_a_sentence(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, SERVE, tmp_path], capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 1
    assert result.stderr == f"{tmp_path} holds no site: run `make site` first.\n"
