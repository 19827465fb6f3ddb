"""Builds the site into site/dist: the documentation in site/dist/docs, a plain page with cells and with
@laneway/kernel in site/dist/demo, and in site/dist/lite JupyterLite with the kernel, which all of them use.

    python site/build.py

Runs in the environment that the Makefile makes, and does only what a change asks for: TypeScript (npm), the
wheel of `laneway` and the bundle of `laneway-lite`, then JupyterLite, which is always built whole, and the
documentation, whose outputs are kept. The site is put together beside the old one, and takes its place at
the end. So what `jupyter lite build` remembers of an earlier build cannot leave anything stale.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from laneway_lite.bundle import make_bundle
from laneway_lite.errors import BuildError

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"
CACHE = ROOT / ".cache" / "site"
DIST = SITE / "dist"
LITE = ROOT / "lite" / "laneway_lite"
KERNEL = ROOT / "jskernel" / "lib"
DAP = ROOT / "jskernel" / "src" / "common" / "dap.ts"
"""Among the sources, and yet built."""
DOCS = SITE / "docs"
READMES = [
    path for name in ("*.md", "jskernel/*.md", "jskernel/cell/*.md", "lite/*.md") for path in ROOT.glob(name)
]
LOGO = ROOT / "py" / "kernelspec" / "logo-svg.svg"
LABEXTENSIONS = [LITE / "labextension", LITE / "jobs"]
WIDGETS = Path("share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager")
APPS = ("lab", "notebooks", "tree", "edit", "consoles", "repl")


def build() -> None:
    """Bring site/dist up to date. Raises `BuildError`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    _build_typescript()
    scripts = {
        "worker.js": ROOT / "jskernel" / "lib" / "worker.js",
        "lite-worker.js": ROOT / "lite" / "lib" / "lite-worker.js",
    }
    make_bundle(
        ROOT / "node_modules" / "pyodide",
        _build_wheel(),
        scripts,
        LITE / "bundle",
        ROOT / ".cache" / "bundle",
    )
    wheels = _download_wheels()
    lite_sources = [
        *_files(SITE / "notebooks"),
        *_files(LITE),
        *SITE.glob("*.json"),
        SITE / "build.py",
        *wheels,
    ]
    lite_versions = [distribution(name).version for name in ("jupyterlite-core", "jupyterlab-widgets")]
    sources = [
        *lite_sources,
        *_files(SITE / "pages"),
        *_files(DOCS),
        *_files(ROOT / "py" / "laneway"),
        *READMES,
        *_files(KERNEL),
        *_files(KERNEL.parent / "dist"),
        LOGO,
    ]
    versions = [*lite_versions, *(distribution(name).version for name in ("sphinx", "furo", "myst-parser"))]
    if _unchanged("dist", sources, versions) and DIST.is_dir():
        print("site/dist is up to date.")
        return
    new = CACHE / "dist"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(SITE / "pages", new)
    shutil.copy(LOGO, new / "logo.svg")
    # browsers ask for it where a page names no other, as those of JupyterLite do at first
    shutil.copy(LOGO.with_name("logo-64x64.png"), new / "favicon.ico")
    # a service worker serves the pages in its folder
    shutil.copytree(KERNEL.parent / "dist", new / "demo", dirs_exist_ok=True)
    for part in ("common", "browser"):
        shutil.copytree(KERNEL / part, new / "demo" / "kernel" / part, ignore=_all_but_scripts)
    if _unchanged("lite", lite_sources, lite_versions) and (DIST / "lite").is_dir():
        shutil.copytree(DIST / "lite", new / "lite")
    else:
        print("Building JupyterLite ...", flush=True)
        _build_lite(new / "lite", wheels)
        _remember("lite", lite_sources, lite_versions)
    print("Building the documentation ...", flush=True)
    _build_docs(new / "docs")
    shutil.rmtree(DIST, ignore_errors=True)
    new.rename(DIST)
    _remember("dist", sources, versions)
    size = sum(path.stat().st_size for path in _files(DIST)) / 1e6
    print(f"site/dist is built ({size:.0f} MB).")


def _build_typescript() -> None:
    folders = [ROOT / "jskernel", ROOT / "jskernel" / "cell", ROOT / "lite", ROOT / "lite" / "jobs"]
    sources = [ROOT / "package-lock.json"]
    for folder in folders:
        sources += [
            *folder.glob("*.json"),
            *folder.glob("*.js"),
            *folder.glob("*.mjs"),
            *_files(folder / "src"),
        ]
        sources += [*_files(folder / "style"), *_files(folder / "schema")]
    sources = [file for file in sources if file != DAP]
    if _unchanged("typescript", sources) and all(folder.is_dir() for folder in LABEXTENSIONS):
        return
    print("Building the labextensions ...", flush=True)
    for folder in folders:
        for built in ("lib", "dist"):  # of a source that is gone nothing may stay, since packages take all
            shutil.rmtree(folder / built, ignore_errors=True)
    _run(["npm", "run", "--silent", "build", "--workspaces", "--if-present"], ROOT)
    for folder in LABEXTENSIONS:
        if not (folder / "package.json").is_file():
            raise BuildError(f"`npm run build --workspaces` did not build {folder.relative_to(ROOT)}.")
    _remember("typescript", sources)


def _build_wheel() -> Path:
    folder = CACHE / "wheel"
    sources = [ROOT / "pyproject.toml", ROOT / "hatch_build.py", ROOT / "README.md", *_files(ROOT / "py")]
    if not (_unchanged("wheel", sources) and folder.is_dir()):
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
        # for Pyodide's Python, whichever builds it
        _run([*command, "--directory", str(folder)], ROOT, LANEWAY_WHEEL="py3")
        _remember("wheel", sources)
    return next(folder.glob("*.whl"))


def _download_wheels() -> list[Path]:
    """The wheels that the site's own pip index has besides the kernel's."""
    folder, requirements = CACHE / "wheels", SITE / "wheels.txt"
    if not (_unchanged("wheels", [requirements]) and folder.is_dir()):
        shutil.rmtree(folder, ignore_errors=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        command += ["--require-hashes", "--only-binary", ":all:", "--dest", str(folder)]
        _run([*command, "--requirement", str(requirements)], ROOT)
        _remember("wheels", [requirements])
    return sorted(folder.glob("*.whl"))


def _build_lite(output: Path, wheels: Iterable[Path]) -> None:
    work = CACHE / "lite"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    shutil.copy(SITE / "jupyter-lite.json", work)
    config = {
        "LiteBuildConfig": {
            "apps": APPS,
            "contents": [str(SITE / "notebooks")],
            "output_dir": str(output),
            "cache_dir": str(CACHE / "downloads"),
            "no_sourcemaps": True,
            # these labextensions and no others that happen to be installed
            "federated_extensions": [*map(str, LABEXTENSIONS), str(Path(sys.prefix, WIDGETS))],
            "ignore_sys_prefix": ["federated_extensions"],
        },
        # pages beside JupyterLite have their cells' scripts and kernel from there
        "LanewayAddon": {"wheels": [str(wheel) for wheel in wheels], "cells": True},
    }
    (work / "jupyter_lite_config.json").write_text(json.dumps(config), encoding="utf-8")
    _run([sys.executable, "-m", "jupyterlite_core", "build"], work)


def _build_docs(output: Path) -> None:
    """The documentation, every warning an error. What its cells put out is kept beside its doctrees."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-j", "2"]
    _run([*command, "-d", str(CACHE / "docs"), str(DOCS), str(output)], ROOT)


def _all_but_scripts(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".js")]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _digest(sources: Iterable[Path], more: Iterable[str]) -> str:
    digest = hashlib.sha256("\n".join(more).encode())
    for path in sources:
        digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def _unchanged(name: str, sources: Iterable[Path], more: Iterable[str] = ()) -> bool:
    stamp = CACHE / f"{name}.stamp"
    return stamp.is_file() and stamp.read_text() == _digest(sources, more)


def _remember(name: str, sources: Iterable[Path], more: Iterable[str] = ()) -> None:
    (CACHE / f"{name}.stamp").write_text(_digest(sources, more))


def _run(command: list[str], folder: Path, **environment: str) -> None:
    """Run a tool; what it prints is shown only if it fails."""
    result = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        raise BuildError(f"{result.stdout.strip()}\n\nThis failed: {' '.join(command)}")


if __name__ == "__main__":
    try:
        build()
    except BuildError as error:
        sys.exit(str(error))
