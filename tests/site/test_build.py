"""The site as `make site` built it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "site" / "dist"
LITE = DIST / "lite"
NOTEBOOKS = sorted((ROOT / "site" / "notebooks").glob("*.ipynb"))


def test_the_start_page_is_the_documentation() -> None:
    assert 'content="0; url=docs/index.html"' in (DIST / "index.html").read_text()
    assert (DIST / "favicon.ico").is_file()  # asked for by every page that names none


def test_notebooks_that_the_documentation_opens_are_in_the_site() -> None:
    page = (DIST / "docs" / "index.html").read_text()
    opened = set(re.findall(r"path=([\w.-]+)", page))
    assert opened == {path.name for path in NOTEBOOKS}
    listed = {item["path"] for item in json.loads((LITE / "api/contents/all.json").read_text())["content"]}
    assert opened | {"data"} <= listed
    assert (LITE / "files/data/routes.csv").is_file()


@pytest.mark.parametrize("app", ["lab", "notebooks", "tree", "repl"])
def test_apps(app: str) -> None:
    assert (LITE / app / "index.html").is_file()


def test_configuration() -> None:
    config = json.loads((LITE / "jupyter-lite.json").read_text())["jupyter-config-data"]
    assert config["exposeAppInBrowser"] is True
    assert config["defaultKernelName"] == "laneway"
    extensions = {extension["name"] for extension in config["federated_extensions"]}
    assert extensions == {
        "@laneway/lite",
        "@laneway/jobs",
        "@jupyter-widgets/jupyterlab-manager",
        "@jupyterlab/debugger-extension",
    }
    for extension in config["federated_extensions"]:
        assert (LITE / "extensions" / extension["name"] / extension["load"]).is_file()


def test_a_package_waits_in_the_index() -> None:
    settings = json.loads((LITE / "jupyter-lite.json").read_text())["jupyter-config-data"]
    folder = LITE / settings["litePluginSettings"]["@laneway/lite:kernel"]["kernelURL"]
    manifest = json.loads((folder / "laneway.json").read_text())
    assert manifest["preload"] == []
    assert (folder / manifest["index"].format(package_name="cowsay")).is_file()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_clean(path: Path) -> None:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec == {
        "display_name": "Python (Laneway)",
        "language": "python",
        "name": "laneway",
    }
    for cell in notebook.cells:
        assert re.fullmatch(r"[a-z][a-z-]+", cell.id), "ids say what the cell is"
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_second_build_has_nothing_to_do() -> None:
    before = (DIST / "index.html").stat()
    result = subprocess.run(
        [sys.executable, ROOT / "site" / "build.py"], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == "site/dist is up to date.\n"
    assert (DIST / "index.html").stat().st_ino == before.st_ino
