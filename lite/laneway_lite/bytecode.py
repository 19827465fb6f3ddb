"""Compiles the sources of a wheel, or of Python's own library, to bytecode that lies beside them in the
archive.

    python bytecode.py JOBS_JSON

JOBS_JSON is a file with a list of the arguments of `compile_archive`: [source, target, directory, cached].

It imports the standard library only and nothing of this package, because it runs in two places: in the
CPython that builds the bundle where that is Pyodide's own version, else inside Pyodide itself, which Node
runs (`compile.mjs`). Bytecode is valid for one minor version of CPython only. What it says of a line's
columns, Python leaves out where the environment has PYTHONNODEBUGRANGES.

The bytecode is marked "unchecked" (PEP 552), so that Python takes it without a look at the source's date:
every file of an unpacked archive is new. The sources stay, for tracebacks, `??` and completion; another
version of Python compiles them as ever.
"""

import base64
import hashlib
import importlib.util
import json
import marshal
import sys
import warnings
import zipfile
from pathlib import Path, PurePosixPath

LEFT_OUT = ("jedi/third_party/django-stubs/", "jedi/third_party/typeshed/stubs/")
"""Folders that nobody misses: types of other people's packages for jedi, nine in ten of its files."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every entry: the same sources make the same archive."""


def compile_archive(source: Path, target: Path, directory: str, *, cached: bool) -> None:
    """Write to `target` the zip archive `source` and, for each of its modules, the bytecode.

    `directory` is where the archive will lie or be unpacked; tracebacks name it. With `cached` bytecode goes
    into `__pycache__`, as the file system wants it, else beside the source, as `zipimport` wants it. A file
    that is no valid Python (templates, tests of a parser) is left as it is. A wheel's RECORD lists what is
    there.
    """
    added: list[tuple[str, bytes]] = []
    with zipfile.ZipFile(source) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist() if not name.endswith("/")]
        entries = [(name, data) for name, data in entries if not name.startswith(LEFT_OUT)]
    present = {name for name, _ in entries}
    for name, text in entries:
        if name.endswith(".py") and (bytecode := _bytecode(text, f"{directory}/{name}")) is not None:
            path = _cached(name) if cached else f"{name}c"
            if path not in present:
                added.append((path, bytecode))
    records = "".join(_record(path, bytecode) for path, bytecode in added).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in [*entries, *added]:
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            is_record = name.endswith(".dist-info/RECORD")
            archive.writestr(info, _listed(data) + records if is_record else data)


def _listed(record: bytes) -> bytes:
    """A RECORD without what was left out."""
    left_out = tuple(name.encode() for name in LEFT_OUT)
    return b"".join(line for line in record.splitlines(True) if not line.startswith(left_out))


def _bytecode(text: bytes, path: str) -> bytes | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(text, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError):
        return None
    header = importlib.util.MAGIC_NUMBER + (0b01).to_bytes(4, "little")
    return header + importlib.util.source_hash(text) + marshal.dumps(code)


def _cached(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc")


def _record(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


def main(jobs: Path) -> None:
    """Compile each archive of JOBS_JSON."""
    for source, target, directory, cached in json.loads(jobs.read_text(encoding="utf-8")):
        compile_archive(Path(source), Path(target), directory, cached=cached)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
