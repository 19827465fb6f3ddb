"""Packages on import, in Pyodide in Node: that of the bundle, and a real distribution, 0.27.7."""

from __future__ import annotations

import base64
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from laneway.client.client import Client
from laneway.client.execution import ExecResult
from tests.conformance.node import NodeTransport
from tests.distribution import real_kernel
from tests.lite.conftest import make_wheel
from tests.page import KERNEL

pytestmark = pytest.mark.anyio

LOADED = "import pyodide_js; print(*pyodide_js.loadedPackages.object_keys())"


@asynccontextmanager
async def kernel(folder: Path = KERNEL) -> AsyncGenerator[Client]:
    async with Client(NodeTransport(folder), timeout=300) as kc:  # on a busy machine it takes its time
        yield kc


async def loaded(kc: Client) -> set[str]:
    return set((await kc.execute(LOADED)).stdout.split())


async def run(kc: Client, code: str) -> ExecResult:
    """Run a cell that must work, and leave nothing on stderr."""
    result = await kc.execute(code)
    assert result.status == "ok", result.reply
    assert not result.stderr
    return result


def shown(result: ExecResult) -> list[Any]:
    """The data of the displays and results that a front end shows when the cell has ended."""
    displays: dict[object, Any] = {}
    for output in result.outputs:
        display_id = output.content.get("transient", {}).get("display_id", len(displays))
        if output.msg_type == "clear_output":
            displays.clear()
        elif "data" in output.content:
            displays[display_id] = output.content["data"]
    return [data for data in displays.values() if data]


async def value(kc: Client, code: str) -> str:
    """The value of a cell that shows nothing else: what it showed while it waited is gone."""
    (data,) = shown(await run(kc, code))
    return data["text/plain"]


async def test_the_bundle() -> None:
    async with kernel() as kc:
        assert not await loaded(kc) & {
            "pydantic",
            "pydantic-core",
            "msgspec",
            "ipywidgets",
            "micropip",
            "tzdata",
        }
        # who only looks loads nothing
        assert (
            await value(kc, "import importlib.util\nimportlib.util.find_spec('msgspec').name") == "'msgspec'"
        )
        await kc.complete("import msgspec.")
        await kc.complete("import msgspec\nmsgspec.")
        assert "msgspec" not in await loaded(kc)
        # extension modules, wherever the import stands
        assert await value(kc, "import msgspec\nmsgspec.json.encode([1])") == "b'[1]'"
        unseen = "import sys\n__import__('pydan' + 'tic').TypeAdapter(int).validate_python('3')"
        result = await run(kc, unseen)
        assert result.outputs[0].content["data"] == {"text/plain": "Loading pydantic and 4 more packages …"}
        assert shown(result) == [{"text/plain": "3"}], "the line became empty"
        assert "pydantic_core" in (await run(kc, "print(*sys.modules)")).stdout
        # the standard library imports it, in a function
        zone = "from zoneinfo import ZoneInfo\nimport datetime as d\n"
        zone += "str(d.datetime(2026, 7, 1, tzinfo=ZoneInfo('Europe/Berlin')).utcoffset())"
        assert (await run(kc, zone)).result == {"text/plain": "'2:00:00'"}
        # what is not there
        for module, sentence in {
            "sklearn": "`%pip install scikit-learn` gets it if the Python Package Index has a wheel for it",
            "fcntl_": "it is not in this site",
            "tkinter": "this Pyodide leaves out that part of Python",
        }.items():
            reply = (await kc.execute(f"import {module}")).reply
            assert reply["ename"] == "ModuleNotFoundError"
            assert sentence in reply["evalue"]
        assert (await kc.execute("import json.nothing")).reply["evalue"] == "No module named 'json.nothing'"


PUT = """
import base64, pathlib
pathlib.Path({name!r}).write_bytes(base64.b64decode({content!r}))
pathlib.Path('requirements.txt').write_text('# mine\\nemfs:{name}  # here\\n')
"""


async def test_pip_says_what_it_did(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "mine", "1.5")
    async with kernel() as kc:
        content = base64.b64encode(wheel.read_bytes()).decode()
        await run(kc, PUT.format(name=wheel.name, content=content))
        assert (await run(kc, "%pip install -r requirements.txt")).stdout == "Installed mine 1.5.\n"
        assert await value(kc, "import mine\nmine.NAME") == "'mine'"
        assert (await run(kc, "%pip install mine")).stdout == "Already there: mine.\n"
        assert "mine==1.5\n" in (await run(kc, "%pip freeze")).stdout
        assert "mine" in (await run(kc, "%pip list")).stdout
        assert (await run(kc, "%pip show mine")).stdout.startswith("Name: mine\nVersion: 1.5\n")
        assert (await run(kc, "%pip uninstall -y mine")).stdout.startswith("Removed mine 1.5.")
        assert (await run(kc, "%pip uninstall mine")).stdout == "mine is not installed.\n"
        for line, sentence in {
            "install --target x mine": "does not know --target",
            "install -r none.txt": "The requirements file 'none.txt' cannot be read",
            "download mine": "In the browser %pip can",
            "show mine": "mine is not installed.",
        }.items():
            assert sentence in (await kc.execute(f"%pip {line}")).reply["evalue"]


async def test_files_that_are_not_what_the_lock_says(tmp_path: Path) -> None:
    folder = tmp_path / "kernel"
    shutil.copytree(KERNEL, folder)
    (core,) = folder.glob("wheels.*/pydantic_core-*")
    core.unlink()
    (tzdata,) = folder.glob("wheels.*/tzdata-*")
    tzdata.write_bytes(b"another site's")
    async with kernel(folder) as kc:
        for code in ("import pydantic", "__import__('pydan' + 'tic')"):
            reply = (await kc.execute(code)).reply
            assert "pydantic-core cannot be loaded" in reply["evalue"]
            assert "reload the page" in reply["evalue"]
        reply = (await kc.execute("import tzdata")).reply
        assert "its file is another one than this page expects" in reply["evalue"]
        assert await value(kc, "try:\n    import tzdata\nexcept ImportError:\n    pass\n1") == "1"
        assert await value(kc, "import msgspec\n1") == "1", "the others are not touched"


async def test_a_real_distribution(tmp_path: Path) -> None:
    async with kernel(real_kernel(tmp_path / "kernel")) as kc:
        assert not await loaded(kc) & {"numpy", "micropip"}
        assert "sqlite3" in await loaded(kc), "for history"
        # an interrupt is held while a package is put in place
        importing = kc.execute("import sklearn")
        async for output in importing:
            assert "Loading scikit-learn and" in output.content["data"]["text/plain"]
            await kc.interrupt()
            break
        assert (await importing).reply["ename"] == "KeyboardInterrupt"
        # a shared library (openblas), and a library's own function that imports
        assert await value(kc, "from scipy import linalg\nround(linalg.det([[2, 0], [0, 1]]))") == "2"
        (table,) = shown(await run(kc, "import pandas as pd\npd.DataFrame({'a': [1]})"))
        assert "<table" in table["text/html"]
        assert not await loaded(kc) & {"pyarrow", "ssl", "openssl", "matplotlib"}, "pandas tries them"
        # a library is the first to plot
        plot = await kc.execute("pd.Series([3, 1, 2]).plot();")
        assert plot.status == "ok"
        (image,) = shown(plot)
        assert "image/png" in image
        late = await kc.execute("import pyarrow")
        assert late.status == "ok"
        assert "pandas had looked for pyarrow before it was loaded" in late.stderr
        assert (
            await value(kc, "import sklearn.linear_model as m\nm.LinearRegression.__name__")
            == "'LinearRegression'"
        )
        listed = await run(kc, "import micropip\nmicropip.__version__")
        assert listed.result == {"text/plain": "'0.9.0'"}, "the distribution's own"
