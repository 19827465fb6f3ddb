"""Archives with bytecode beside their sources."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from laneway_lite import bytecode
from laneway_lite.bytecode import compile_archive
from tests.lite.conftest import make_wheel


def python(code: str, path: Path) -> str:
    """What another Python prints, with `path` on its search path."""
    return subprocess.run(
        [sys.executable, "-B", "-c", f"import sys; sys.path.insert(0, {str(path)!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()


def test_bytecode_of_a_wheel_is_taken(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "one")
    compiled = tmp_path / "compiled.whl"
    compile_archive(wheel, compiled, str(tmp_path / "unpacked"), cached=True)
    with zipfile.ZipFile(compiled) as archive:
        archive.extractall(tmp_path / "unpacked")
    # a different source of another date: had Python looked at it, it would have compiled it
    (tmp_path / "unpacked" / "one" / "__init__.py").write_text("NAME = 'source'\n")
    assert python("import one; print(one.NAME)", tmp_path / "unpacked") == "one"


def test_bytecode_in_a_zip_is_taken_and_its_source_shown(tmp_path: Path) -> None:
    source, target = tmp_path / "library.zip", tmp_path / "compiled.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("one.py", "def fail():\n    1 / 0  # here\n")
    compile_archive(source, target, str(target), cached=False)
    assert python("import one; print(one.__cached__)", target) == str(target / "one.pyc")
    code = "import one, traceback\ntry: one.fail()\nexcept ZeroDivisionError: print(traceback.format_exc())"
    assert "1 / 0  # here" in python(code, target)


def test_columns_are_left_out_where_python_is_told_so(tmp_path: Path) -> None:
    source, jobs = tmp_path / "library.zip", tmp_path / "jobs.json"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("one.py", "def fail():\n    return 1 / 0\n")
    code = "import one; print({column for *_, column in one.fail.__code__.co_positions()} <= {None})"
    for text, left_out in (("", "False"), ("1", "True")):
        target = tmp_path / f"compiled{text}.zip"
        jobs.write_text(json.dumps([[str(source), str(target), str(target), False]]))
        command = [sys.executable, bytecode.__file__, str(jobs)]
        subprocess.run(command, env={**os.environ, "PYTHONNODEBUGRANGES": text}, timeout=60, check=True)
        assert python(code, target) == left_out


def test_record_lists_the_bytecode(tmp_path: Path) -> None:
    compiled = tmp_path / "compiled.whl"
    compile_archive(make_wheel(tmp_path, "one"), compiled, "/lib", cached=True)
    with zipfile.ZipFile(compiled) as archive:
        record = archive.read("one-1.0.dist-info/RECORD").decode().splitlines()
        name = next(name for name in archive.namelist() if name.endswith(".pyc"))
        data = archive.read(name)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    assert f"{name},sha256={digest},{len(data)}" in record


def test_what_is_no_python_stays(tmp_path: Path) -> None:
    source, target = tmp_path / "in.zip", tmp_path / "out.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("template.py", "import {{ name }}\n")
        archive.writestr("zero.py", "x = '\0'\n")
        archive.writestr("data.bin", b"\0\1")
    compile_archive(source, target, "/lib", cached=True)
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target) as after:
        assert after.namelist() == before.namelist()
        assert all(after.read(name) == before.read(name) for name in before.namelist())


def test_same_sources_make_the_same_archive(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "one")
    for name in ("first", "second"):
        compile_archive(wheel, tmp_path / name, "/lib", cached=True)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
