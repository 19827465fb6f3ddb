"""Browsers of every engine, opened on a page that obeys the test over a WebSocket.

No driver stands between: a browser is a process with an address, a profile of its own and no reason to ask
the network for anything, and it is killed, with all its processes, when the test is done with it.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Engine:
    """How a browser is started. `{profile}` in an argument is the folder that it may write to."""

    browser: str
    """The name that `.ci/browser` knows."""
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """What its profile contains at first."""
    headless: bool = True
    """Whether it needs no display."""


_FIREFOX = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.region.network.url": "",
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.search.update": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.topsites.contile.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.usage.uploadEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.trr.mode": 5,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "signon.rustMirror.enabled": False,
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.unified": False,
}
"""What keeps Firefox from asking its makers for anything."""

_WEBKIT = {"WEBKIT_DISABLE_COMPOSITING_MODE": "1", "LIBGL_ALWAYS_SOFTWARE": "1", "NO_AT_BRIDGE": "1"}

ENGINES = {
    "chromium": Engine(
        "chromium",
        (
            "--headless",
            "--user-data-dir={profile}",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        ),
    ),
    "firefox": Engine(
        "firefox",
        ("--headless", "--no-remote", "--profile", "{profile}"),
        files={
            "user.js": "".join(
                f'user_pref("{name}", {str(value).lower() if not isinstance(value, str) else repr(value)});\n'
                for name, value in _FIREFOX.items()
            )
        },
    ),
    # as Debian ships it, WebKitGTK has no SharedArrayBuffer
    "webkit": Engine("webkit", environment=_WEBKIT, headless=False),
    "webkit_shared": Engine(
        "webkit", environment={**_WEBKIT, "JSC_useSharedArrayBuffer": "1"}, headless=False
    ),
}

_OBEY = """<script>
{
  const socket = new WebSocket("%s");
  socket.onmessage = async ({ data }) => {
    const [number, script, argument] = JSON.parse(data);
    let answer;
    try {
      answer = [number, (await eval(`(${script})`)(argument)) ?? null, null];
    } catch (error) {
      answer = [number, null, `${error}\\n${error?.stack}`];
    }
    socket.send(JSON.stringify(answer));
  };
}
</script>
"""


@contextmanager
def browsing(name: str, url: str) -> Generator[Path, None, None]:
    """A new browser that shows `url`; gives the file that it writes its complaints into."""
    engine = ENGINES[name]
    with ExitStack() as stack:
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        for file, text in engine.files.items():
            (Path(profile) / file).write_text(text)
        environment = os.environ | engine.environment
        # the caches, settings and sockets of a browser without a flag for them
        environment |= {"HOME": profile, "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
        environment |= {f"XDG_{kind}_HOME": profile for kind in ("CACHE", "CONFIG", "DATA", "STATE")}
        if not engine.headless:
            environment["DISPLAY"] = stack.enter_context(_display())
        arguments = [argument.format(profile=profile) for argument in engine.arguments]
        log = Path(profile) / "said.log"
        command = [executable(engine.browser), *arguments, url]
        with log.open("wb") as said:
            stack.enter_context(_running(command, environment, said))
            yield log


@contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], said: IO[bytes]
) -> Generator[None, None, None]:
    """A process, which ends with all that it has started."""
    process = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _display() -> Generator[str, None, None]:
    """An X display that nobody sees."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1300x900x24", "-nolisten", "tcp"]
    with subprocess.Popen(
        command, pass_fds=(write,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        os.close(write)
        try:
            with os.fdopen(read) as pipe:
                yield f":{pipe.readline().strip()}"
        finally:
            process.terminate()


@functools.cache
def executable(browser: str) -> str:
    """The path of a browser; where there is none, and none can be installed, the test is skipped with a
    sentence. `make test` has looked already.
    """
    named = os.environ.get(f"LANEWAY_{browser.upper()}")
    if named:
        return named
    if named == "":
        pytest.skip(f"{browser} is not installed, and cannot be; `.ci/browser {browser}` says what to do.")
    command = [sys.executable, str(ROOT / ".ci" / "browser"), browser]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(found.stderr.strip().splitlines()[-1])
    return found.stdout.strip()


class RemotePage:
    """A page that has `script` in it, and does what it is told; loaded anew, it goes on doing so."""

    script: str

    def __init__(self) -> None:
        self._connection: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._number = 0

    async def evaluate(self, script: str, argument: Any = None, seconds: float = 180) -> Any:
        """What a function in the page returns, or what its promise comes to; `argument` is what it takes."""
        async with asyncio.timeout(seconds):
            connection = await self._connection.get()
            self._connection.put_nowait(connection)
            self._number += 1
            answer = self._asked[self._number] = asyncio.get_running_loop().create_future()
            await connection.send(json.dumps([self._number, script, argument]))
            return await answer

    async def wait_for(self, script: str, argument: Any = None, seconds: float = 180) -> None:
        """Wait until a function in the page returns something true."""
        wait = f"""async (argument) => {{
          while (!(await ({script})(argument))) await new Promise((resolve) => setTimeout(resolve, 50));
        }}"""
        try:
            await self.evaluate(wait, argument, seconds)
        except TimeoutError:
            shown = await self.evaluate("() => document.body.innerText")
            raise AssertionError(f"It has not become true: {script}. The page shows {shown!r}.") from None

    async def reload(self) -> None:
        """Load the page anew; what follows is for the new one."""
        connection = await self._connection.get()
        await connection.send(json.dumps([0, "() => location.reload()", None]))

    async def serve(self, connection: ServerConnection) -> None:
        """The page speaks; the one that speaks last is the page."""
        while not self._connection.empty():
            self._connection.get_nowait()
        self._connection.put_nowait(connection)
        try:
            async for data in connection:
                number, value, error = json.loads(data)
                answer = self._asked.pop(number, None)
                if answer is None or answer.done():
                    continue
                if error is None:
                    answer.set_result(value)
                else:
                    answer.set_exception(AssertionError(error))
        except ConnectionClosed:
            pass


@asynccontextmanager
async def remote_page() -> AsyncGenerator[RemotePage, None]:
    """A page that is to be; who opens it puts `script` into it."""
    page = RemotePage()
    async with serve(page.serve, "127.0.0.1", 0, max_size=None) as server:
        (_host, port), *_ = (socket.getsockname() for socket in server.sockets)
        page.script = _OBEY % f"ws://127.0.0.1:{port}/"
        yield page
