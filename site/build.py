"""Builds the site into site/dist: the start page, a page with cells in site/dist/demo, with @laneway/kernel,
and JupyterLite with the kernel in site/dist/lite.

    python site/build.py

Runs in the environment that the Makefile makes, and does only what a change asks for: TypeScript (npm), the
wheel of `laneway` and the bundle of `laneway-lite`, then the site, which is always built whole, beside the
old one, and put in its place at the end. So what `jupyter lite build` remembers of an earlier build cannot
leave anything stale.
"""

from __future__ import annotations

import hashlib
import json
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
LOGO = ROOT / "py" / "kernelspec" / "logo-svg.svg"
LABEXTENSION = LITE / "labextension"
WIDGETS = Path("share/jupyter/labextensions/@jupyter-widgets/jupyterlab-manager")
APPS = ("lab", "notebooks", "tree", "edit", "consoles", "repl")


def build() -> None:
    """Bring site/dist up to date. Raises `BuildError`."""
    CACHE.mkdir(parents=True, exist_ok=True)
    _build_typescript()
    make_bundle(
        ROOT / "node_modules" / "pyodide", _build_wheel(), LITE / "bundle", ROOT / ".cache" / "bundle"
    )
    wheels = _download_wheels()
    sources = [
        *_files(SITE / "notebooks"),
        *_files(SITE / "pages"),
        *_files(LABEXTENSION),
        *_files(LITE / "bundle"),
        *_files(KERNEL),
    ]
    sources += [
        *SITE.glob("*.json"),
        *SITE.glob("*.py"),
        *LITE.glob("*.py"),
        *_files(LITE / "isolation"),
        LOGO,
        *wheels,
    ]
    versions = [distribution(name).version for name in ("jupyterlite-core", "jupyterlab-widgets")]
    if _unchanged("dist", sources, versions) and DIST.is_dir():
        print("site/dist is up to date.")
        return
    print("Building the site with JupyterLite ...", flush=True)
    new = CACHE / "dist"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(SITE / "pages", new)
    shutil.copy(LOGO, new / "logo.svg")
    # a service worker isolates what lies in its folder: the page, and the worker of the kernel
    shutil.copytree(LITE / "isolation", new / "demo", dirs_exist_ok=True)
    for part in ("common", "browser", "worker"):
        shutil.copytree(KERNEL / part, new / "demo" / "kernel" / part, ignore=_all_but_scripts)
    _build_lite(new / "lite", wheels)
    shutil.rmtree(DIST, ignore_errors=True)
    new.rename(DIST)
    _remember("dist", sources, versions)
    size = sum(path.stat().st_size for path in _files(DIST)) / 1e6
    print(f"site/dist is built ({size:.0f} MB).")


def _build_typescript() -> None:
    folders = [ROOT / "jskernel", ROOT / "lite"]
    sources = [ROOT / "package-lock.json"]
    for folder in folders:
        sources += [
            *folder.glob("*.json"),
            *folder.glob("*.js"),
            *folder.glob("*.mjs"),
            *_files(folder / "src"),
        ]
        sources += [*_files(folder / "style"), *_files(folder / "schema")]
    if _unchanged("typescript", sources) and LABEXTENSION.is_dir():
        return
    print("Building the labextension ...", flush=True)
    _run(["npm", "run", "--silent", "build", "--workspaces", "--if-present"], ROOT)
    if not (LABEXTENSION / "package.json").is_file():
        raise BuildError("`npm run build --workspaces` did not build lite/laneway_lite/labextension.")
    _remember("typescript", sources)


def _build_wheel() -> Path:
    folder = CACHE / "wheel"
    sources = [ROOT / "pyproject.toml", ROOT / "README.md", *_files(ROOT / "py")]
    if not (_unchanged("wheel", sources) and folder.is_dir()):
        shutil.rmtree(folder, ignore_errors=True)
        _run(
            [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
            ROOT,
        )
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
            "federated_extensions": [str(LABEXTENSION), str(Path(sys.prefix, WIDGETS))],
            "ignore_sys_prefix": ["federated_extensions"],
        },
        "LanewayAddon": {"wheels": [str(wheel) for wheel in wheels]},
    }
    (work / "jupyter_lite_config.json").write_text(json.dumps(config), encoding="utf-8")
    _run([sys.executable, "-m", "jupyterlite_core", "build"], work)


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


def _run(command: list[str], folder: Path) -> None:
    """Run a tool; what it prints is shown only if it fails."""
    result = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        raise BuildError(f"{result.stdout.strip()}\n\nThis failed: {' '.join(command)}")


if __name__ == "__main__":
    try:
        build()
    except BuildError as error:
        sys.exit(str(error))
