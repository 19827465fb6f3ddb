"""A real Jupyter server, for clients to talk to."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

TOKEN = "a-token"


@contextmanager
def jupyter_server(folder: Path, *options: str) -> Generator[tuple[str, subprocess.Popen[str]], None, None]:
    """The address of a server with files in `folder`, and its process."""
    command = [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--port=0"),
        *(f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={TOKEN}"),
        *("--ServerApp.jpserver_extensions={}", "--ServerApp.terminals_enabled=False"),
        *options,
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            for line in process.stderr:
                if found := re.search(r"(http://127\.0\.0\.1:\d+)/", line):
                    break
            else:
                raise AssertionError("The server did not start.")
            threading.Thread(target=process.stderr.read, daemon=True).start()  # so that the pipe never fills
            _wait_until_it_listens(found[1], process)
            yield found[1], process
        finally:
            process.terminate()


def _wait_until_it_listens(url: str, process: subprocess.Popen[str]) -> None:
    """It says its address a little earlier."""
    address = urlsplit(url)
    while True:
        try:
            socket.create_connection((address.hostname, address.port)).close()
        except ConnectionRefusedError:
            assert process.poll() is None, "The server has ended."
            time.sleep(0.01)
        else:
            return


def kernels(url: str) -> list[str]:
    """The ids of what runs there."""
    request = urllib.request.Request(f"{url}/api/kernels", headers={"Authorization": f"token {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return [kernel["id"] for kernel in json.load(answer)]
