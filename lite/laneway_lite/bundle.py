"""Makes the bundle, from which kernel folders are made: Pyodide's core and every wheel that the kernel needs,
compiled to bytecode, with their lock; what lets a kernel start quickly; the scripts of workers.

    python -m laneway_lite.bundle --pyodide node_modules/pyodide --laneway dist/laneway-0.1.0-py3-none-any.whl

Part of the build of this distribution; a user of `laneway-lite` has the bundle already and needs neither Node
nor the network. Wheels come from pip, pinned with hashes in `wheels.txt`; Pyodide's core is in its npm
package. Compiled archives are kept in a cache, so that only what changed is compiled again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from . import start
from .errors import BuildError
from .lock import LOCK, Lock, Wheel, add_wheels, closure, digest, read_wheel, start_packages, write_lock

HERE = Path(__file__).parent
CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
STDLIB = "python_stdlib.zip"


def make_bundle(pyodide: Path, laneway: Path, scripts: Mapping[str, Path], target: Path, cache: Path) -> Path:
    """Write the bundle into the folder `target`, whatever was there before, and return the path of its lock.

    `pyodide` is the folder of the npm package, `laneway` the kernel's wheel, `scripts` more files by their
    name in the bundle. Raises `BuildError`.
    """
    if missing := [name for name in (*CORE, LOCK) if not (pyodide / name).is_file()]:
        raise BuildError(f"{pyodide} holds no Pyodide ({', '.join(missing)} missing): run `npm ci` first.")
    info = json.loads((pyodide / LOCK).read_text(encoding="utf-8"))["info"]
    wheels = [read_wheel(path) for path in (laneway, *_download(info, cache / "wheels"))]
    compiled = _compile(pyodide, info, wheels, cache / "compiled")
    target.mkdir(parents=True, exist_ok=True)
    wanted = {**{name: pyodide / name for name in CORE}, **compiled, **scripts}
    for name, source in wanted.items():
        _copy_if_changed(source, target / name)
    lock: Lock = {"info": info, "packages": {}}
    lock = add_wheels(lock, [read_wheel(target / wheel.path.name) for wheel in wheels])
    write_lock(lock, target / LOCK)
    kernel = {
        name: target / lock["packages"][name]["file_name"] for name in closure(lock, start_packages(lock))
    }
    quick = start.make(target, lock, kernel, cache / "quick", required=True)
    (target / start.FOLDER).mkdir(exist_ok=True)
    for path in quick.values():
        _copy_if_changed(path, target / start.FOLDER / path.name)
    for path in target.iterdir():
        if path.is_file() and path.name not in {LOCK, *wanted}:
            path.unlink()
    return target / LOCK


def _download(info: dict[str, str], folder: Path) -> list[Path]:
    """The wheels of wheels.txt, downloaded into the folder if they are not there yet."""
    requirements = HERE / "wheels.txt"
    major, minor, _ = info["python"].split(".")
    stamp = hashlib.sha256(requirements.read_bytes() + json.dumps(info).encode()).hexdigest()[:16]
    folder /= stamp
    if not folder.is_dir():
        print("Downloading the wheels for Pyodide ...", flush=True)
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        _run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
                *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--implementation", "cp"),
                *("--python-version", f"{major}.{minor}", "--abi", f"cp{major}{minor}"),
                *("--platform", f"pyemscripten_{info['abi_version']}_{info['arch']}"),
                *("--dest", str(partial), "--requirement", str(requirements)),
            ],
            "The wheels for Pyodide cannot be downloaded; is the package index reached?",
        )
        partial.rename(folder)
    return sorted(folder.glob("*.whl"))


class _Job(NamedTuple):
    """The arguments of `bytecode.compile_archive`."""

    source: Path
    target: Path
    directory: str
    cached: bool


def _compile(pyodide: Path, info: Mapping[str, str], wheels: Sequence[Wheel], cache: Path) -> dict[str, Path]:
    """Paths of the compiled archives, by file name: the wheels and Python's own library."""
    cache.mkdir(parents=True, exist_ok=True)
    python = info["python"]
    major, minor, _ = python.split(".")
    program = digest(HERE / "bytecode.py")
    lock = add_wheels({"info": dict(info), "packages": {}}, wheels)
    kernel = set(closure(lock, start_packages(lock)))
    jobs: dict[bool, list[_Job]] = {False: [], True: []}
    compiled: dict[str, Path] = {}

    def add(path: Path, directory: str, *, cached: bool, columns: bool) -> None:
        key = hashlib.sha256(f"{program} {python} {columns} {digest(path)}".encode()).hexdigest()[:16]
        compiled[path.name] = target = cache / f"{key}-{path.name}"
        if not target.is_file():
            jobs[columns].append(_Job(path, target, directory, cached))

    for wheel in wheels:
        # what every page loads is smaller by an eighth without them
        columns = wheel.name not in kernel
        add(wheel.path, f"/lib/python{major}.{minor}/site-packages", cached=True, columns=columns)
    add(pyodide / STDLIB, f"/lib/python{major}{minor}.zip", cached=False, columns=True)
    here = platform.python_version_tuple()[:2] == (major, minor) and sys.implementation.name == "cpython"
    for columns, some in jobs.items():
        if some:
            print(
                f"Compiling {len(some)} archives to bytecode{'' if here else ' in Pyodide'} ...", flush=True
            )
            _compile_some([sys.executable] if here else _pyodide(pyodide), some, cache, columns=columns)
    return compiled


def _pyodide(folder: Path) -> list[str]:
    """The command that runs a program of Python in this Pyodide."""
    node = shutil.which("node")
    if node is None:
        raise BuildError("Node is missing: install Node 20 or later, which compiles the wheels in Pyodide.")
    return [node, str(HERE / "compile.mjs"), str(folder.resolve())]


def _compile_some(python: Sequence[str], jobs: Sequence[_Job], cache: Path, *, columns: bool) -> None:
    """Run the jobs. Without `columns` tracebacks do not say which part of a line it was."""
    plan = cache / "jobs.json"
    partial = {job.target: job.target.with_suffix(".partial") for job in jobs}
    plan.write_text(
        json.dumps([(str(job.source), str(partial[job.target]), *job[2:]) for job in jobs]), encoding="utf-8"
    )
    environment = {**os.environ, "PYTHONNODEBUGRANGES": "" if columns else "1"}
    command = [*python, str(HERE / "bytecode.py"), str(plan)]
    _run(command, "The wheels could not be compiled.", environment)
    for target, path in partial.items():
        path.rename(target)


def _run(command: list[str], failure: str, environment: Mapping[str, str] | None = None) -> None:
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=False
    )
    if result.returncode:
        raise BuildError(f"{failure}\n{result.stdout.strip()}")


def _copy_if_changed(source: Path, target: Path) -> None:
    """Leave equal files alone, so that what was built from them stays up to date."""
    if not target.is_file() or digest(source) != digest(target):
        shutil.copyfile(source, target)


def main() -> None:
    """The command line; `--help` says the options."""
    parser = argparse.ArgumentParser(prog="python -m laneway_lite.bundle", description="Make the bundle.")
    parser.add_argument("--pyodide", type=Path, required=True, help="folder of the npm package pyodide")
    parser.add_argument("--laneway", type=Path, required=True, help="the kernel's wheel")
    parser.add_argument(
        "--script", type=Path, action="append", default=[], help="a script of pages or workers"
    )
    parser.add_argument(
        "--target", type=Path, default=HERE / "bundle", help="folder to write (default: %(default)s)"
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder of downloads and compiled archives")
    options = parser.parse_args()
    try:
        scripts = {path.name: path for path in options.script}
        make_bundle(options.pyodide, options.laneway, scripts, options.target, options.cache)
    except BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
