"""A real Jupyter server, for clients to talk to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

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
            yield found[1], process
        finally:
            process.terminate()


def kernels(url: str) -> list[str]:
    """The ids of what runs there."""
    request = urllib.request.Request(f"{url}/api/kernels", headers={"Authorization": f"token {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return [kernel["id"] for kernel in json.load(answer)]
