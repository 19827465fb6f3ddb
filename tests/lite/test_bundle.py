"""The bundle, as the build made it, in the Pyodide that Node runs."""

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from laneway_lite.bundle import CORE, make_bundle
from laneway_lite.errors import BuildError
from laneway_lite.lock import digest
from tests.lite.conftest import make_wheel

PROGRAM = """
process.on("uncaughtException", (error) => { console.error(error.message); process.exit(1); });
const folder = process.argv[1];
const { loadPyodide } = await import(`${folder}/pyodide.mjs`);
globalThis.fetch = (url) => { throw new Error(`asked for ${url}`); };
const pyodide = await loadPyodide({ indexURL: folder, packageCacheDir: folder });
const packages = pyodide.lockfile.packages;
const failures = [];
await pyodide.loadPackage(Object.keys(packages), {
  messageCallback() {},
  errorCallback(text) { failures.push(text); },
});
pyodide.globals.set("names", Object.values(packages).flatMap((entry) => entry.imports));
const answer = pyodide.runPython(`
import importlib.util, inspect, json, os
import json.decoder
import IPython, ipywidgets, jedi, laneway, micropip, msgspec, pydantic
def has_columns(function):
    return any(column is not None for *_, column in function.__code__.co_positions())
specs = [importlib.util.find_spec(name) for name in names]
json.dumps({
    "uncompiled": [
        spec.name for spec in specs if (spec.origin or "").endswith(".py") and not os.path.exists(spec.cached)
    ],
    "stdlib": json.decoder.__spec__.cached,
    "source": inspect.getsource(json.decoder.JSONDecodeError).splitlines()[0],
    "columns": [
        has_columns(function)
        for function in (json.loads, micropip.install, IPython.embed, laneway.start_callback_kernel)
    ],
    "names": list(names),
})
`);
console.log(JSON.stringify({ ...JSON.parse(answer), failures }));
"""


def test_lock_lists_exactly_what_is_there(bundle: Path) -> None:
    packages = json.loads((bundle / "pyodide-lock.json").read_text())["packages"]
    files = {package["file_name"] for package in packages.values()}
    scripts = {"worker.js", "lite-worker.js"}
    assert {path.name for path in bundle.iterdir()} == files | {*CORE, "pyodide-lock.json", "quick"} | scripts
    for package in packages.values():
        assert package["sha256"] == digest(bundle / package["file_name"])
        assert set(package["depends"]) <= packages.keys()
    assert {"laneway", "ipython", "ipywidgets", "micropip", "msgspec", "pydantic-core"} <= packages.keys()


def test_every_package_loads_from_bytecode_and_from_nowhere_else(bundle: Path) -> None:
    node = shutil.which("node")
    assert node
    result = subprocess.run(
        [node, "--input-type=module", "--eval", PROGRAM, str(bundle)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer["failures"] == []
    assert {"IPython", "ipywidgets", "micropip", "pydantic", "msgspec"} <= set(answer["names"])
    assert answer["uncompiled"] == []
    assert answer["stdlib"].endswith("python314.zip/json/decoder.pyc")
    assert answer["columns"] == [True, True, False, False]  # not those of what every page loads
    assert answer["source"] == "class JSONDecodeError(ValueError):"


def test_sources_stay_beside_the_bytecode(bundle: Path) -> None:
    with zipfile.ZipFile(next(bundle.glob("ipython-*.whl"))) as archive:
        names = set(archive.namelist())
    assert {"IPython/__init__.py", "IPython/__pycache__/__init__.cpython-314.pyc"} <= names


def test_folder_without_pyodide_gets_a_sentence(tmp_path: Path) -> None:
    laneway = make_wheel(tmp_path, "laneway")
    with pytest.raises(BuildError, match=r"holds no Pyodide .*: run `npm ci` first"):
        make_bundle(tmp_path, laneway, {}, tmp_path / "target", tmp_path / "cache")
    assert not (tmp_path / "target").exists()
