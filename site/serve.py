"""Serves the site on this machine, cross-origin isolated unless told otherwise.

    python site/serve.py [--port N] [--no-isolation] [FOLDER]

COOP and COEP give the page SharedArrayBuffer, which interrupts and `input()` use; without them the kernel
says what is missing. Every answer is checked anew by the browser (`no-cache`), so that a rebuild shows at
once.
"""

from __future__ import annotations

import argparse
import errno
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DIST = Path(__file__).resolve().parent / "dist"


class Handler(SimpleHTTPRequestHandler):
    """Static files; HTTP/1.1, so that the many small files of a page share connections."""

    protocol_version = "HTTP/1.1"
    # the body of an answer does not wait until the browser has acknowledged its headers, which takes 40 ms
    disable_nagle_algorithm = True
    isolated = True
    extensions_map: dict[str, str] = {  # noqa: RUF012 - so it is declared where it comes from
        **SimpleHTTPRequestHandler.extensions_map,
        ".css": "text/css",
        ".html": "text/html",
        ".ipynb": "application/json",
        ".js": "text/javascript",
        ".json": "application/json",
        ".mjs": "text/javascript",
        ".svg": "image/svg+xml",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
        ".whl": "application/zip",
        ".woff2": "font/woff2",
    }

    def end_headers(self) -> None:
        """Add the headers that every answer has."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        if self.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        """Say nothing: the terminal shows the address."""


class Server(ThreadingHTTPServer):
    """A thread per connection; a browser that goes away in the middle of an answer is no error."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be silent about connections that the browser closed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def make_server(folder: Path, port: int = 8000, *, isolated: bool = True) -> Server:
    """A server of the folder on the first free port from `port` on (0: any); `serve_forever` runs it."""

    class FolderHandler(Handler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

    FolderHandler.isolated = isolated
    for candidate in range(port, port + 50) if port else (0,):
        try:
            return Server(("127.0.0.1", candidate), FolderHandler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(errno.EADDRINUSE, f"no port from {port} to {port + 49} is free; choose another with --port")


def main() -> None:
    """The command line; `--help` says the options."""
    parser = argparse.ArgumentParser(description="Serve the site on this machine.")
    parser.add_argument("folder", nargs="?", type=Path, default=DIST)
    parser.add_argument("--port", type=int, default=8000, help="the first port to try (default: %(default)s)")
    parser.add_argument(
        "--no-isolation", action="store_true", help="leave out COOP and COEP, as plain hosts do"
    )
    options = parser.parse_args()
    if not (options.folder / "index.html").is_file():
        sys.exit(f"{options.folder} holds no site: run `make site` first.")
    try:
        server = make_server(options.folder, options.port, isolated=not options.no_isolation)
    except OSError as error:
        sys.exit(f"The site cannot be served: {error.strerror}.")
    try:
        print(f"Laneway is served on http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True)
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


if __name__ == "__main__":
    main()
