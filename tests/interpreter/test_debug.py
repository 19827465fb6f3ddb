"""The debugger. What it does is in `tests/conformance/debugging.py`; here it runs on the Pythons that have
`sys.monitoring`, where the project's own is older and such a one is found.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from laneway.client.client import Client
from tests.conformance.checks import soon
from tests.conformance.kernels import memory
from tests.soak import SOAK

ROOT = Path(__file__).parents[2]
PACKAGES = next(path for path in sys.path if path.endswith("site-packages"))
VERSIONS = ("3.12", "3.13", "3.14")


def _python(version: str) -> str | None:
    """A Python of this version that works, and knows our packages."""
    found = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    for python in found:
        if python and _run(str(python), "-c", "import IPython, comm").returncode == 0:
            return str(python)
    return None


def _run(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "py"), str(ROOT), PACKAGES])}
    return subprocess.run(
        [python, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        env=environment,
        cwd=ROOT,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_debugger_of(version: str) -> None:
    if (python := _python(version)) is None:
        pytest.skip(f"There is no Python {version} here.")
    ran = _run(python, "-m", "tests.conformance.debugged", "memory")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "check_debugger " in ran.stdout


@pytest.mark.skipif(not SOAK, reason="`make soak` has time for it")
@pytest.mark.parametrize("version", VERSIONS)
def test_two_thousand_stops(version: str) -> None:
    if (python := _python(version)) is None:
        pytest.skip(f"There is no Python {version} here.")
    ran = _run(python, "-m", "tests.conformance.debugged", "memory", "storm", "2000")
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.anyio
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="This Python has sys.monitoring.")
async def test_an_older_python_says_what_is_missing() -> None:
    async with memory() as kc:
        assert kc.info["laneway"]["debugger"] is False
        response = await soon(kc.debug({"type": "request", "seq": 1, "command": "initialize"}))
        assert response["success"] is False
        assert response["message"] == "The debugger needs Python 3.12 or later; this is Python 3.11."


@pytest.mark.anyio
async def test_a_kernel_imports_none_of_it_before_it_is_asked_for() -> None:
    code = "import sys; {'laneway.interpreter.debug', 'laneway.protocol.debug'} & sys.modules.keys()"
    import laneway

    async with laneway.launch() as kc:
        assert await _result(kc, code) == "set()"
        await soon(kc.debug({"type": "request", "seq": 1, "command": "debugInfo"}))
        assert await _result(kc, f"len({code.partition('; ')[2]})") == "2"


async def _result(kc: Client, code: str) -> str:
    result = (await soon(kc.execute(code))).result
    assert result
    return result["text/plain"]
