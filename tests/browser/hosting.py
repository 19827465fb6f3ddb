"""A host of static files that can be gone and come back, and a small site in two versions."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar


class Host(http.server.SimpleHTTPRequestHandler):
    """A host of static files that says Last-Modified, and nothing of how long they are fresh."""

    extensions_map: dict[str, str] = {  # noqa: RUF012 - so it is declared where it comes from
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }
    status: ClassVar[dict[str, int]] = {}
    """What paths are answered with, other than a file."""
    halves: ClassVar[dict[str, int]] = {}
    """How often still the server breaks off in the middle of a file, by path."""

    def do_GET(self) -> None:
        """See the base."""
        path = self.path.partition("?")[0]
        if status := self.status.get(path):
            self.send_response(status)
            self.end_headers()
        else:
            super().do_GET()

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """See the base."""
        path = self.path.partition("?")[0]
        body = source.read()
        if self.halves.get(path):
            self.halves[path] -= 1
            body = body[: len(body) // 2]
        outputfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Server:
    """Serves a folder, and can be gone and come back at the same address."""

    def __init__(self, folder: Path) -> None:
        self._handler = functools.partial(Host, directory=str(folder))
        self._server: http.server.ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def hosted(folder: Path) -> Generator[Server, None, None]:
    server = Server(folder)
    try:
        yield server
    finally:
        server.stop()
        Host.status.clear()
        Host.halves.clear()


PAGE = """<!doctype html>
<title>{version}</title>
<link rel="icon" href="data:," />
<script src="register.js" data-worker="service-worker.js?isolation=off"></script>
<script>
  window.get = async (url, init) => {{
    const response = await fetch(url, init);
    return [response.status, await response.text()];
  }};
</script>
"""
OLD, NEW = "0123456789abcdef", "fedcba9876543210"


def deploy(folder: Path, version: str, digest: str, script: str = "") -> None:
    """A page, with a `script` in it, beside a kernel folder in which every address has the version's hash."""
    kernel = folder / "kernel"
    shutil.rmtree(kernel, ignore_errors=True)
    names = [f"core.{digest}/pyodide.mjs", f"worker.{digest}.js", f"wheels.{digest}/a-{version}-py3.whl"]
    for name in names:
        (kernel / name).parent.mkdir(parents=True, exist_ok=True)
        (kernel / name).write_text(f"{name} of {version}")
    (kernel / "laneway.json").write_text(
        json.dumps({"build": version, "files": {name: {} for name in names}})
    )
    (folder / "index.html").write_text(PAGE.format(version=version) + script)
    for path in [folder / "index.html", *kernel.rglob("*.*")]:
        # as if it had lain there for years: to browsers it is fresh for as many months
        os.utime(path, (int(version) * 5e8, int(version) * 5e8))
