"""A package that does not come, for a page with a client: a server that stalls, and cells that import it."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.page import KERNEL, ROOT
from tests.static import StaticFiles, static_server

from .client import PAGE

UNSEEN = "print('ready')\n__import__('pydan' + 'tic').TypeAdapter(int).validate_python('3')"
PATIENCE = "import laneway.interpreter.distribution as d; d.{} = 1"

WAITING = """async (code) => {
  window.waiting = kc.execute(code);
  let shown = "";
  for await (const { content } of waiting) {
    shown = content.data?.["text/plain"] ?? shown;
    if (/\\(0\\.[1-9] MB\\)$/.test(shown)) return shown; // it begins with dots
  }
  throw new Error(`It ended, and had shown ${shown}.`);
}"""

RESULT = "async (code) => (await kc.execute(code).done).result['text/plain']"

FAILURE = """async (code) => {
  const { error } = await kc.execute(code).done;
  return `${error.ename}: ${error.evalue}`;
}"""


@contextmanager
def stalling(folder: Path, isolated: bool, script: str = "") -> Generator[tuple[str, threading.Event], None]:
    """A server of a page, with a `script` in its head. It sends a part of one wheel, and the rest when the
    event is set.
    """
    (folder / "index.html").write_text(PAGE.replace("</title>", f"</title>{script}"))
    (folder / "lib").symlink_to(ROOT / "jskernel" / "lib")
    (folder / "kernel").symlink_to(KERNEL)
    go_on = threading.Event()

    class Stalling(StaticFiles):
        def end_headers(self) -> None:
            if isolated:
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            super().end_headers()

        def copyfile(self, source: Any, outputfile: Any) -> None:
            if "pydantic_core" in self.path:
                outputfile.write(source.read(100_000))
                outputfile.flush()
                go_on.wait()
            with suppress(ConnectionError):  # who waited has gone
                super().copyfile(source, outputfile)

    with static_server(folder, Stalling) as address:
        try:
            yield address, go_on
        finally:
            go_on.set()
