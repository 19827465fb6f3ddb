"""Real Jupyter servers, for clients to talk to. All but the first are of environments of their own, which
`make servers` makes; the kernelspecs there are what `laneway install` has written.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TOKEN = "a-token-that-is-long-enough"

SERVERS = Path(__file__).resolve().parents[2] / ".cache" / "servers"
"""Where the environments are, see `.ci/servers`."""

USER = "somebody"
"""Of JupyterHub."""


@contextmanager
def jupyter_server(
    folder: Path, *options: str, port: int = 0
) -> Generator[tuple[str, subprocess.Popen[str]], None, None]:
    """The address of a server with files in `folder`, and its process; port 0 is any that is free."""
    command = [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--port={port}"),
        *(f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={TOKEN}"),
        *("--ServerApp.jpserver_extensions={}", "--ServerApp.terminals_enabled=False"),
        *options,
    ]
    with _started(command, folder, r"(http://127\.0\.0\.1:\d+)/") as (found, process):
        yield found, process


@contextmanager
def kernel_gateway(folder: Path, *options: str) -> Generator[str, None, None]:
    """Jupyter Kernel Gateway, as it is by default: it lists no kernels."""
    command = [
        *(str(SERVERS / "gateway" / "bin" / "jupyter-kernelgateway"), "--KernelGatewayApp.ip=127.0.0.1"),
        *(f"--KernelGatewayApp.port={_free_port()}", f"--KernelGatewayApp.auth_token={TOKEN}"),
        *options,
    ]
    with _started(command, folder, r"available at (http://127\.0\.0\.1:\d+)") as (url, _process):
        yield url


@contextmanager
def enterprise_gateway(folder: Path, *options: str) -> Generator[str, None, None]:
    """Jupyter Enterprise Gateway with kernels on this machine; it lists none, either."""
    command = [
        str(SERVERS / "enterprise" / "bin" / "jupyter-enterprisegateway"),
        *("--EnterpriseGatewayApp.ip=127.0.0.1", f"--EnterpriseGatewayApp.port={_free_port()}"),
        f"--EnterpriseGatewayApp.auth_token={TOKEN}",
        "--EnterpriseGatewayApp.unauthorized_users=nobody",  # root is one by default
        *options,
    ]
    with _started(command, folder, r"available at (http://127\.0\.0\.1:\d+)") as (url, _process):
        yield url


@contextmanager
def jupyterhub(folder: Path) -> Generator[str, None, None]:
    """JupyterHub with its proxy, and the server of a user, which it has spawned as a process."""
    hub, inner, proxy = _free_port(), _free_port(), _free_port()
    url = f"http://127.0.0.1:{hub}"
    scopes = ["admin:users", "admin:servers", "access:servers"]
    settings: Mapping[str, Any] = {
        "JupyterHub.bind_url": url,
        "JupyterHub.hub_port": inner,
        "ConfigurableHTTPProxy.api_url": f"http://127.0.0.1:{proxy}",
        "JupyterHub.authenticator_class": "dummy",
        "DummyAuthenticator.allow_all": True,
        "JupyterHub.spawner_class": "simple",
        "SimpleLocalProcessSpawner.home_dir_template": f"{folder}/{{username}}",
        "Spawner.args": ["--allow-root"],
        "JupyterHub.services": [{"name": "test", "api_token": TOKEN}],
        "JupyterHub.load_roles": [{"name": "test", "services": ["test"], "scopes": scopes}],
    }
    config = folder / "jupyterhub_config.py"
    config.write_text("".join(f"c.{name} = {value!r}\n" for name, value in settings.items()))
    bins = (SERVERS / "hub" / "bin", SERVERS / "proxy" / "node_modules" / ".bin")
    path = os.pathsep.join([*map(str, bins), os.environ["PATH"]])
    command = [str(bins[0] / "jupyterhub"), "-f", str(config)]
    with _started(command, folder, r"JupyterHub is now running at (http://127\.0\.0\.1:\d+)", PATH=path):
        ask(f"{url}/hub/api/users/{USER}", "POST")
        ask(f"{url}/hub/api/users/{USER}/server", "POST")
        while not ask(f"{url}/hub/api/users/{USER}")["servers"].get("", {}).get("ready"):
            time.sleep(0.1)
        yield f"{url}/user/{USER}"


@contextmanager
def _plain(folder: Path) -> Generator[str, None, None]:
    with jupyter_server(folder) as (url, _process):
        yield url


KINDS: Mapping[str, Callable[[Path], AbstractContextManager[str]]] = {
    "jupyter_server": _plain,
    "kernel_gateway": lambda folder: kernel_gateway(
        folder, "--JupyterWebsocketPersonality.list_kernels=True"
    ),
    "enterprise_gateway": lambda folder: enterprise_gateway(
        folder, "--EnterpriseGatewayApp.list_kernels=True"
    ),
    "jupyterhub": jupyterhub,
}
"""All kinds, told to list kernels so that tests can see them."""


def ask(address: str, method: str = "GET") -> Any:
    """What a REST API answers."""
    request = urllib.request.Request(address, method=method, headers={"Authorization": f"token {TOKEN}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def kernels(url: str) -> list[str]:
    """The ids of what runs there."""
    return [kernel["id"] for kernel in ask(f"{url}/api/kernels")]


@contextmanager
def _started(
    command: list[str], folder: Path, pattern: str, **environment: str
) -> Generator[tuple[str, subprocess.Popen[str]], None, None]:
    """A server, and its address, which `pattern` finds in what it says."""
    variables = {**os.environ, **environment}
    with subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            said: list[str] = []
            for line in process.stderr:
                said.append(line)
                if found := re.search(pattern, line):
                    break
            else:
                raise AssertionError(f"The server did not start:\n{''.join(said)}")
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


def _free_port() -> int:
    """For a server that cannot choose one itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
