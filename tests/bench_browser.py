"""`make bench-browser`: what someone who opens a page feels, in headless Chromium, one site beside others.

    make bench-browser SITES="now=site/dist before=OTHER/dist stock=STOCK/site" OPTIONS="--rounds 3"

The sites are measured in turns, so that what else the machine does falls on all; look at the ratios, of the
first site to each of the others. A site is what `make site` builds, of this version or an older one, or
JupyterLite with the stock kernel, which has no pages but JupyterLite's.

The server does as a static host does: it compresses text and WebAssembly (gzip), and no wheels or archives;
what has a content hash in its address may be kept, and all else is asked for again.

A site with the stock kernel, as its users get it, but all from one host:

    python -m venv stock && stock/bin/pip install jupyterlite-core jupyterlite-pyodide-kernel
    npm pack pyodide@VERSION
    stock/bin/pip download --no-deps --only-binary :all: --python-version 3.14 -d WHEELS NAME==VERSION ...
    stock/bin/jupyter lite build --lite-dir lite --output-dir site --piplite-wheels WHEELS/comm-*.whl

Pyodide's version is in jupyterlite_pyodide_kernel/constants.py; it is unpacked to lite/static/pyodide, where
the wheels go, too. They are micropip, ipython, jedi, all that these depend on (pyodide-lock.json says what,
and which versions), and comm. Where PyPI has another wheel than the lock names, its SHA-256 belongs into the
lock. lite/jupyter-lite.json has to say `{"jupyter-config-data": {"exposeAppInBrowser": true}}`.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import runpy
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import psutil
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.engines import executable
from tests.page import ARGUMENTS, ROOT

PARTS = ("page", "throttled", "lite", "memory")
TIMEOUT = 300_000  # milliseconds

TYPES: dict[str, str] = runpy.run_path(str(ROOT / "site" / "serve.py"))["Handler"].extensions_map
COMPRESSED = re.compile(r"text/|.*[/+](json|xml|wasm)$")
"""Types of what a host compresses."""

HASHED = re.compile(r"[/.-][0-9a-f]{16}([./]|$)")
THROTTLED = (20e6 / 8, 0.03)
"""Bytes a second, and seconds per request."""

LAUNCH = """async ([module, options]) => {
  const { launch } = await import(module);
  // milliseconds from here to the reply of a cell
  window.timed = async (act) => {
    const began = performance.now();
    const kc = await act();
    const run = kc.execute("1+1");
    await (run.done ?? run); // before 0.2 it was a promise itself
    return performance.now() - began;
  };
  window.kernels = [];
  window.start = async (more = {}) => {
    const kc = launch({ ...options, ...more });
    window.kernels.push(kc);
    await kc.start();
    return kc;
  };
  window.restart = async (kc) => {
    await kc.restart();
    return kc;
  };
}"""

LITE = """async (name) => {
  while (!window.jupyterapp) await new Promise((resolve) => setTimeout(resolve, 20));
  const { started, serviceManager, commands } = window.jupyterapp;
  await started;
  await serviceManager.ready;
  await serviceManager.kernelspecs.ready;
  window.begin = async () => {
    window.kernel = await serviceManager.kernels.startNew({ name });
    await window.run("1+1");
  };
  window.run = (code) => window.kernel.requestExecute({ code, allow_stdin: false }).done;
  window.timed = async (act) => {
    const began = performance.now();
    await act();
    return performance.now() - began;
  };
  // from the command to the first output of a cell
  window.firstOutput = async () => {
    const panel = await commands.execute("notebook:create-new", { kernelName: name });
    await panel.context.ready;
    const { model } = panel.content;
    model.sharedModel.insertCell(0, { cell_type: "code", source: "1+1" });
    await panel.sessionContext.ready;
    const { outputs } = model.cells.get(0);
    const shown = new Promise((resolve) => outputs.changed.connect(() => outputs.length > 0 && resolve()));
    void commands.execute("notebook:run-all-cells");
    await shown;
  };
}"""

COMPLETE = """async () => {
  const times = [];
  let found = true; // null where there is no answer in time
  for (let i = 0; i < 15; i++) {
    times.push(await timed(async () => {
      const code = "import os\\nos.pa";
      const asked = kernel.requestComplete({ code, cursor_pos: code.length });
      const late = new Promise((resolve) => setTimeout(resolve, 10_000));
      const reply = await Promise.race([asked, late]);
      found &&= reply?.content.matches.some((match) => match.endsWith("path"));
    }));
    if (!found) return null;
  }
  return times.sort((a, b) => a - b)[7];
}"""

COMPLETE_WHILE = """async ([code, complete]) => {
  const future = kernel.requestExecute({ code, allow_stdin: false });
  await new Promise((resolve) => {
    future.onIOPub = ({ header }) => header.msg_type === "stream" && resolve();
  });
  try {
    return await (0, eval)(complete)();
  } finally {
    await kernel.interrupt();
    await Promise.race([future.done, new Promise((resolve) => setTimeout(resolve, 10_000))]);
  }
}"""

PRINTS = """async (code) => {
  let messages = 0, latest = 0;
  const began = performance.now();
  const future = kernel.requestExecute({ code, allow_stdin: false });
  future.onIOPub = ({ header, content }) => {
    if (header.msg_type !== "stream") return;
    messages++;
    // each line is the time at which it was printed
    const lines = content.text.trim().split("\\n");
    latest = Math.max(latest, Date.now() - 1000 * Number(lines[0]));
  };
  await future.done;
  return { took: performance.now() - began, messages, latest };
}"""

BUSY = {
    "awaits": "import asyncio; print('ready'); await asyncio.sleep(1000)",
    "sleeps": "import time; print('ready'); time.sleep(1000)",
    "computes": "print('ready')\nwhile True: pass",
}

Results = dict[str, list[float]]


class Arm(NamedTuple):
    """A built site."""

    name: str
    folder: Path
    lite: str
    """Where JupyterLite is."""
    kernel: str
    """The name of its kernel."""
    options: dict[str, Any] | None
    """What `launch` takes in a plain page; None where there is no `launch`."""

    module = "/demo/kernel/browser/index.js"

    @classmethod
    def of(cls, name: str, folder: Path) -> Arm:
        """What lies in `folder`."""
        if not (folder / cls.module[1:]).is_file():
            return cls(name, folder, "/", "python", None)
        if (folder / "lite/static/laneway/laneway.json").is_file():
            return cls(name, folder, "/lite/", "laneway", {"kernelURL": "/lite/static/laneway/"})
        packages = ["laneway", "micropip", "ipywidgets", "msgspec", "pydantic"]  # as its JupyterLite loads
        options = {"indexURL": "/lite/static/laneway/pyodide/", "packages": packages}
        return cls(name, folder, "/lite/", "laneway", options)


class Server(ThreadingHTTPServer):
    """Serves one site, and counts what it sends. The stock kernel is not isolated: it loses replies there."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, arm: Arm) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.arm = arm
        self.sent = 0
        self.throttled = False
        self._lock = threading.Lock()
        self._free = 0.0
        self._bodies: dict[Path, bytes] = {}

    def body(self, path: Path, compress: bool) -> bytes:
        """The bytes of a file, as they are sent."""
        if path not in self._bodies:
            content = path.read_bytes()
            self._bodies[path] = gzip.compress(content) if compress else content
        return self._bodies[path]

    def pass_line(self, size: int) -> None:
        """So many bytes go over the line, which all connections share."""
        with self._lock:
            self.sent += size
            self._free = max(self._free, time.monotonic()) + size / THROTTLED[0]
            wait = self._free - time.monotonic()
        if self.throttled:
            time.sleep(max(0, wait))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers close connections as they like."""


class Handler(BaseHTTPRequestHandler):
    """Static files."""

    protocol_version = "HTTP/1.1"
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """A file, or a page that is empty."""
        if self.server.throttled:
            time.sleep(THROTTLED[1])
        address = unquote(urlsplit(self.path).path)
        path = self.server.arm.folder / address.lstrip("/")
        path = path / "index.html" if path.is_dir() else path
        blank = address == "/blank.html"
        if not blank and not path.is_file():
            self._answer(404, b"", {})
            return
        kind = TYPES.get(".html" if blank else path.suffix, "application/octet-stream")
        compress = not blank and COMPRESSED.match(kind) is not None
        body = b"<!doctype html>" if blank else self.server.body(path, compress)
        tag = "" if blank else f'"{path.stat().st_mtime_ns:x}-{len(body):x}"'
        headers = {
            "Content-Type": kind,
            "Cache-Control": "max-age=31536000, immutable" if HASHED.search(address) else "no-cache",
            "ETag": tag,
        }
        if compress:
            headers["Content-Encoding"] = "gzip"
        if tag and self.headers.get("If-None-Match") == tag:
            self._answer(304, b"", headers)
        else:
            self._answer(200, body, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        if self.server.arm.options is not None:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        for at in range(0, len(body), 2**14):
            self.server.pass_line(len(body[at : at + 2**14]))
            self.wfile.write(body[at : at + 2**14])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has there
        """Say nothing."""


class Bench:
    """One site, with a server of its own, and what was measured."""

    def __init__(self, arm: Arm, playwright: Any) -> None:
        self.arm = arm
        self.results: Results = {}
        self._playwright = playwright
        self._server = Server(arm)
        self._address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, name: str, value: float | None) -> None:
        value = float("nan") if value is None else value
        self.results.setdefault(name, []).append(value)
        print(f"{self.arm.name}: {name}: {value:.1f}", file=sys.stderr, flush=True)

    @contextmanager
    def browser(self) -> Generator[BrowserContext]:
        """One with a fresh profile."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
            context = self._playwright.chromium.launch_persistent_context(
                profile, executable_path=executable("chromium"), args=[*ARGUMENTS, *root]
            )
            context.set_default_timeout(TIMEOUT)
            try:
                yield context
            finally:
                context.close()

    def blank(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.goto(f"{self._address}/blank.html")
        page.evaluate(LAUNCH, [self.arm.module, self.arm.options])
        return page

    def page(self) -> None:
        """A plain page."""
        if self.arm.options is None:
            return
        with self.browser() as context:
            page = self.blank(context)
            before = self._server.sent
            self.add("first reply, cold", page.evaluate("timed(start)"))
            self.add("first reply, cold: bytes (MB)", (self._server.sent - before) / 1e6)
            self.add("second kernel", page.evaluate("timed(start)"))
            self.add("restart", page.evaluate("timed(() => restart(kernels[0]))"))
            page.close()
            page = self.blank(context)
            self.add("first reply, warm", page.evaluate("timed(start)"))
            page.close()
            if "kernelURL" not in self.arm.options:
                return
            page = self.blank(context)
            page.evaluate("timed(() => start({ spare: true }))")
            page.wait_for_timeout(10_000)  # for the spare to be there, which nothing says
            self.add("restart with a spare worker", page.evaluate("timed(() => restart(kernels[0]))"))

    def throttled(self) -> None:
        """20 Mbit/s, 30 ms per request."""
        self._server.throttled = True
        try:
            if "kernelURL" in (self.arm.options or {}):
                with self.browser() as context:
                    took = self.blank(context).evaluate("timed(() => start({ ways: ['first'] }))")
                    self.add("throttled: first reply, cold, core first", took)
            with self.browser() as context:
                if self.arm.options is not None:
                    page = self.blank(context)
                    self.add("throttled: first reply, cold", page.evaluate("timed(start)"))
                else:
                    page = self.lite_page(context)
                    self.add("throttled: JupyterLite, start to reply", page.evaluate("timed(begin)"))
        finally:
            self._server.throttled = False

    def lite_page(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.goto(f"{self._address}{self.arm.lite}lab/index.html")
        page.wait_for_function("window.jupyterapp")
        page.evaluate(LITE, self.arm.kernel)
        return page

    def lite(self) -> None:
        """JupyterLite."""
        with self.browser() as context:
            page = self.lite_page(context)
            self.add("JupyterLite: new notebook to output, cold", page.evaluate("timed(firstOutput)"))
            page.close()
            page = self.lite_page(context)
            self.add("JupyterLite: new notebook to output, warm", page.evaluate("timed(firstOutput)"))
            page.evaluate("begin()")
            cells = "timed(() => Promise.all(Array.from({ length: 100 }, () => run('1+1'))))"
            page.evaluate(cells)
            times = [page.evaluate(cells) for _ in range(5)]
            self.add("JupyterLite: 100 cells, pipelined", statistics.median(times))
            code = "import time\nfor i in range(10_000): print(time.time(), flush=True)"
            prints = page.evaluate(PRINTS, code)
            self.add("JupyterLite: 10,000 flushed prints", prints["took"])
            self.add("JupyterLite: 10,000 flushed prints (messages)", prints["messages"])
            self.add("JupyterLite: 10,000 flushed prints, oldest text in a message", prints["latest"])
            page.evaluate("begin()")  # in which `os` is not imported yet
            self.add("JupyterLite: completion, idle", page.evaluate(COMPLETE))
            if self.arm.options is None:
                return  # it answers nothing then
            for state, code in BUSY.items():
                self.add(
                    f"JupyterLite: completion while a cell {state}",
                    page.evaluate(COMPLETE_WHILE, [code, COMPLETE]),
                )

    def memory(self) -> None:
        """Of four kernels in JupyterLite, in all of the browser's processes."""
        with self.browser() as context:
            page = self.lite_page(context)
            before = used_memory()
            page.evaluate("async () => { for (let i = 0; i < 4; i++) await begin(); }")
            self.add("JupyterLite: memory of four kernels (MB)", used_memory() - before)


def used_memory() -> float:
    """Megabytes that are used by the processes that this one has started, and by no other."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_full_info().uss
        except psutil.Error:
            continue  # it has ended
    return total / 1e6


def show(benches: list[Bench]) -> None:
    first, *others = benches
    names = [bench.arm.name for bench in benches]
    ratios = [f"{first.arm.name} / {other.arm.name}" for other in others]
    print(f"| milliseconds, if nothing else is said | {' | '.join([*names, *ratios])} |")
    print("|---|" + "---|" * len([*names, *ratios]))
    for name in dict.fromkeys(name for bench in benches for name in bench.results):
        values = [statistics.median(bench.results.get(name, [float("nan")])) for bench in benches]
        cells = [f"{value:.1f}" for value in values]
        cells += [f"{values[0] / value:.2f}" for value in values[1:]]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare built sites in headless Chromium.")
    parser.add_argument("sites", nargs="*", default=["now=site/dist"], metavar="NAME=FOLDER")
    parser.add_argument("--rounds", type=int, default=5, help="the medians are of so many (default: 5)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    with sync_playwright() as playwright:
        benches: list[Bench] = []
        for site in options.sites:
            name, _, folder = site.partition("=")
            if not Path(folder, "index.html").is_file():
                parser.error(f"{site!r} is not NAME=FOLDER with the folder of a built site.")
            benches.append(Bench(Arm.of(name, Path(folder)), playwright))
        for _ in range(options.rounds):
            for part in options.parts:
                for bench in benches:
                    getattr(bench, part)()
    show(benches)


if __name__ == "__main__":
    main()
