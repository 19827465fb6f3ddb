"""What is published, installed as its users do into environments that know nothing of this checkout, and used
there: a notebook, a program, a page, a site. `make dist` runs it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest
from playwright.async_api import expect

import laneway
from tests.browser.cells import CellPage
from tests.browser.lite import jupyterlite
from tests.page import asked_outside, chromium_page, serving
from tests.release.conftest import ROOT, Published

pytestmark = [pytest.mark.anyio, pytest.mark.dist]

NOTEBOOK = """
import nbformat, sys
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

where = "import laneway\\nprint(laneway.__version__, laneway.__file__)"
cells = [new_code_cell(where), new_code_cell("6 * 7")]
notebook = new_notebook(cells=cells, metadata={"kernelspec": {"name": "laneway", "display_name": "Laneway"}})
NotebookClient(notebook, timeout=120).execute()
print(*(output.get("text", "") or output["data"]["text/plain"] for cell in cells for output in cell.outputs))
"""

PROGRAM = """
import asyncio, laneway

async def main():
    async with laneway.launch() as kc:
        computing = kc.execute("sum(range(1_000_000))")
        names = (await kc.complete("impo"))["matches"]
        print(names, (await computing).result["text/plain"])

asyncio.run(main())
"""

SCRIPT = """
import type { ExecResult } from "@laneway/kernel";
import { launch } from "@laneway/kernel/browser";

async function run(code: string): Promise<ExecResult> {
  const kc = launch({ kernelURL: "kernel/" });
  await kc.start();
  return await kc.execute(code).done;
}

Object.assign(window, { run });
"""

PAGE = """<!doctype html>
<title>A page</title>
<link rel="icon" href="data:," />
<script type="module" src="page.js"></script>
"""


CELLS = """<!doctype html>
<title>A page</title>
<link rel="icon" href="data:," />
<meta name="laneway-kernel" content="kernel/" />
<script type="module" src="cell/laneway-cells.js"></script>
<laneway-cell><pre>6 * 7</pre></laneway-cell>
"""

STARTS = {
    "plain-page": {"html": "index.html"},
    "sphinx": {"py": "docs/conf.py", "rst": "docs/index.rst"},
    "tutorial": {
        "python": "shapes.py",
        "toml": "pyproject.toml",
        "py": "docs/conf.py",
        "rst": "docs/index.rst",
    },
}
"""Quick starts of the documentation, and the files that readers write: the first block in each language."""


def environment(folder: Path) -> dict[str, str]:
    """Variables that lead to nothing of this checkout."""
    ours = ("VIRTUAL_ENV", "PYTHON", "JUPYTER", "IPYTHON", "LANEWAY", "npm_config_local_prefix")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    variables["IPYTHONDIR"] = variables["JUPYTER_CONFIG_DIR"] = str(folder / "home")
    return variables


def run(*command: str | Path, folder: Path, **variables: str) -> str:
    """The output of a command that finds nothing of this checkout."""
    result = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@contextmanager
def started(line: str, folder: Path, variables: dict[str, str]) -> Generator[str]:
    """The address at which a command serves that ends with `python -m http.server`."""
    command = shlex.split(f"{line} --bind 127.0.0.1 0")
    env = environment(folder) | variables
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            port = re.search(r"port (\d+)", server.stdout.readline())
            assert port
            yield f"http://127.0.0.1:{port[1]}/"
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def venv(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment with both distributions; beside it is room for tests."""
    folder = tmp_path_factory.mktemp("python")
    run(sys.executable, "-m", "venv", folder / "venv", folder=folder)
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    ours = (f"laneway[cli,jupyter,server]=={laneway.__version__}", f"laneway-lite=={laneway.__version__}")
    links = ("--find-links", published.folder)  # in the place of the registry
    run(python, "-m", "pip", "install", "--quiet", *links, *ours, "nbclient", folder=folder)
    run(python, "-m", "pip", "check", folder=folder)
    return python


@pytest.fixture(scope="module")
def kernel(venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kernel folder that the installed laneway-lite has made."""
    folder = tmp_path_factory.mktemp("kernel")
    said = run(venv, "-m", "laneway_lite", "kernel", "kernel", folder=folder)
    assert "quickest start: memory snapshot" in said
    run(venv, "-m", "laneway_lite", "check", "kernel", folder=folder)
    return folder / "kernel"


@pytest.fixture(scope="module")
def project(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new npm project with every package of ours."""
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{ "name": "project", "private": true, "type": "module" }')
    tarballs = sorted(published.tarballs().values())
    run("npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *tarballs, folder=folder)
    return folder


def test_a_notebook(venv: Path, tmp_path: Path) -> None:
    assert run(venv, "-c", NOTEBOOK, folder=tmp_path).split() == [
        laneway.__version__,
        str(next(venv.parents[1].glob("**/site-packages/laneway/__init__.py"))),
        "42",
    ]


def test_a_program(venv: Path, tmp_path: Path) -> None:
    assert run(venv, "-c", PROGRAM, folder=tmp_path) == "['import'] 499999500000\n"


def test_the_command(venv: Path, tmp_path: Path) -> None:
    command = venv.with_name("laneway")
    assert run(command, "exec", "-c", "print(6 * 7)", folder=tmp_path) == "42\n"
    said = run(command, "doctor", folder=tmp_path)
    assert "starts and computes" in said
    assert "JupyterLab offers" not in said  # the kernelspec offers a debugger where there is one


async def test_a_page(project: Path, kernel: Path, tmp_path: Path) -> None:
    (project / "page.ts").write_text(SCRIPT)
    options = "--noEmit --strict --target es2022 --lib es2022,dom --module esnext --moduleResolution bundler"
    run(ROOT / "node_modules/.bin/tsc", *options.split(), "page.ts", folder=project)
    outfile = f"--outfile={tmp_path / 'page.js'}"
    run(ROOT / "node_modules/.bin/esbuild", "page.ts", "--bundle", "--format=esm", outfile, folder=project)
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "kernel").symlink_to(kernel)
    with serving(tmp_path) as address:
        async with chromium_page() as page:
            strangers = asked_outside(page, address)
            await page.goto(address)
            code = "import laneway, sys; print(laneway.__version__, sys.platform)"
            result = await page.evaluate(
                f"run({json.dumps(code)}).then(({{ status, stdout }}) => [status, stdout])"
            )
    assert result == ["ok", f"{laneway.__version__} emscripten\n"]
    assert strangers == []


async def test_cells_of_the_npm_package(project: Path, kernel: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(CELLS)
    (tmp_path / "cell").symlink_to(project / "node_modules" / "@laneway" / "cell" / "dist")
    (tmp_path / "kernel").symlink_to(kernel)
    with serving(tmp_path) as address:
        async with chromium_page() as page:
            cells = CellPage(page)
            strangers = asked_outside(page, address)
            await cells.open(address)
            await cells.page.locator("laneway-cell").evaluate("(cell) => cell.run()")
            await expect(cells.page.locator(".laneway-outputs")).to_have_text("42\n")
    assert cells.complaints == []
    assert strangers == []


@pytest.mark.parametrize("name", STARTS)
async def test_a_quick_start_word_by_word(name: str, published: Published, tmp_path: Path) -> None:
    """In an empty folder, with nothing but Python."""
    text = (ROOT / "site" / "docs" / "start" / f"{name}.md").read_text()
    blocks = [
        (language, dedent(block))
        for language, block in re.findall(r"^ *```(\w+)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    ]
    folder = tmp_path / "folder"
    for language, file in STARTS[name].items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(next(block for known, block in blocks if known == language))
    run(sys.executable, "-m", "venv", tmp_path / "venv", folder=tmp_path)
    variables = {
        "PATH": f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": str(published.folder),  # in the place of the registry
        "PYTHONUNBUFFERED": "1",
    }
    lines = [line for language, block in blocks if language == "sh" for line in block.splitlines()]
    assert len(lines) <= 10
    for line in lines[:-1]:
        run("sh", "-c", line, folder=folder, **variables)
    with started(lines[-1], folder, variables) as address:
        async with chromium_page() as page:
            await page.goto(address)
            cell = page.locator("laneway-cell:not([hidden])").last
            await expect(cell).to_have_attribute("data-state", re.compile("."))
            await cell.evaluate("(cell) => cell.run()")
            await expect(cell.locator(".laneway-outputs")).to_have_text(re.compile(r"^(45|2|42)\s*$"))


def test_the_client_in_node(project: Path) -> None:
    code = 'import { Client } from "@laneway/kernel"; console.log(typeof Client);'
    node = ("node", "--input-type=module", "--eval", code)
    assert run(*node, folder=project) == "function\n"


async def test_a_jupyterlite_site(venv: Path, tmp_path: Path) -> None:
    sources, site = tmp_path / "sources", tmp_path / "site"
    sources.mkdir()
    settings = {"jupyter-lite-schema-version": 0, "jupyter-config-data": {"exposeAppInBrowser": True}}
    (sources / "jupyter-lite.json").write_text(json.dumps(settings))
    for command in ("build", "check"):
        options = ("--output-dir", site / "lite", "--apps", "lab", "--no-sourcemaps")
        run(venv, "-m", "jupyterlite_core", command, *options, folder=sources)
    (site / "index.html").touch()  # what the server wants of a site
    async with jupyterlite(site=site) as (page, strangers):
        ran = await page.evaluate("run('print(6 * 7)').finished.then(({ status, text }) => [status, text])")
    assert ran == ["ok", "42\n"]
    assert strangers == []
