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
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import bytecode, start
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
    compiled = _compile(pyodide, info["python"], wheels, cache / "compiled")
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


def _compile(pyodide: Path, python: str, wheels: Sequence[Wheel], cache: Path) -> dict[str, Path]:
    """Paths of the compiled archives, by file name: the wheels and Python's own library."""
    cache.mkdir(parents=True, exist_ok=True)
    major, minor, _ = python.split(".")
    program = digest(HERE / "bytecode.py")
    jobs: list[tuple[Path, Path, str, bool]] = []
    compiled: dict[str, Path] = {}
    library = f"/lib/python{major}.{minor}"
    sources = [(wheel.path, f"{library}/site-packages", True) for wheel in wheels]
    for path, directory, cached in [*sources, (pyodide / STDLIB, f"/lib/python{major}{minor}.zip", False)]:
        key = hashlib.sha256(f"{program} {python} {digest(path)}".encode()).hexdigest()[:16]
        compiled[path.name] = target = cache / f"{key}-{path.name}"
        if not target.is_file():
            jobs.append((path, target, directory, cached))
    if not jobs:
        return compiled
    if platform.python_version_tuple()[:2] == (major, minor) and sys.implementation.name == "cpython":
        print(f"Compiling {len(jobs)} archives to bytecode ...", flush=True)
        for path, target, directory, cached in jobs:
            bytecode.compile_archive(path, target.with_suffix(".partial"), directory, cached=cached)
            target.with_suffix(".partial").rename(target)
    else:
        print(f"Compiling {len(jobs)} archives to bytecode in Pyodide ...", flush=True)
        _compile_in_pyodide(pyodide, jobs, cache)
    return compiled


def _compile_in_pyodide(pyodide: Path, jobs: Sequence[tuple[Path, Path, str, bool]], cache: Path) -> None:
    node = shutil.which("node")
    if node is None:
        raise BuildError("Node is missing: install Node 20 or later, which compiles the wheels in Pyodide.")
    plan = cache / "jobs.json"
    partial = {target: target.with_suffix(".partial") for _, target, _, _ in jobs}
    plan.write_text(
        json.dumps([(str(path), str(partial[target]), *rest) for path, target, *rest in jobs]),
        encoding="utf-8",
    )
    command = [node, HERE / "compile.mjs", pyodide.resolve(), HERE / "bytecode.py", plan]
    _run([str(part) for part in command], "Pyodide could not compile the wheels.")
    for target, path in partial.items():
        path.rename(target)


def _run(command: list[str], failure: str) -> None:
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
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
