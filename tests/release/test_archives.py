"""What is in wheels, sdists and npm tarballs: what the sources say, nothing of the machine that built it."""

from __future__ import annotations

import gzip
import io
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from packaging.metadata import Metadata

import laneway
from tests.release.conftest import ROOT, Published, build, contents

LITE = ROOT / "lite" / "laneway_lite"
DISTRIBUTIONS = ("laneway", "laneway_lite")
LANEWAY_TAGS = ("py3", "py311")
WHEELS = [*(("laneway", tag) for tag in LANEWAY_TAGS), ("laneway_lite", "py3")]
LICENSE = (ROOT / "LICENSE").read_bytes()
LEFTOVER = re.compile(
    r"(^|/)(__pycache__|\.pytest_cache|\.ruff_cache|node_modules|\.ipynb_checkpoints|\.DS_Store|\.cache)(/|$)"
    r"|\.(pyc|pyo|tsbuildinfo|orig|rej|swp)$|tsconfig\."
)

NPM_FOLDERS = {
    "@laneway/cell": (ROOT / "jskernel" / "cell", ("", "widgets")),
    "@laneway/kernel": (ROOT / "jskernel", ("browser", "common", "worker")),
    "@laneway/lite": (ROOT / "lite", ("", "common", "worker")),
}
"""Where a package's sources are, and those folders of `src` that go into `lib` file by file."""

NPM_TYPES_ONLY = {"@laneway/cell"}
"""What has nothing but types in `lib`: its scripts are bundled."""

NPM_BUNDLES = {
    "@laneway/cell": {f"dist/{path.name}" for path in (ROOT / "jskernel" / "cell" / "dist").glob("*")},
    "@laneway/kernel": {"dist/register.js", "dist/service-worker.js"},
    "@laneway/lite": {"lib/lite-worker.js", "style/logo.svg"},
}
"""What else is in it."""


def files(folder: Path) -> set[str]:
    """Names below a folder, but for what Python leaves there."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


def below(prefix: str, names: set[str]) -> set[str]:
    return {f"{prefix}{name}" for name in names}


# ---- lists of contents


@pytest.mark.parametrize("tag", LANEWAY_TAGS)
def test_wheel_of_laneway(published: Published, tag: str) -> None:
    version = laneway.__version__
    info, data = (
        f"laneway-{version}.dist-info/",
        f"laneway-{version}.data/data/share/jupyter/kernels/laneway/",
    )
    wheel = contents(published.wheel("laneway", tag))
    assert set(wheel) == {
        *below("laneway/", files(ROOT / "py" / "laneway")),
        *below(data, files(ROOT / "py" / "kernelspec")),
        *below(info, {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}),
    }
    spec, source = wheel[f"{data}kernel.json"], (ROOT / "py" / "kernelspec" / "kernel.json").read_bytes()
    without = {"debugger": False, "supported_features": ["kernel subshells"]} if tag == "py311" else {}
    expected = json.loads(source)
    assert json.loads(spec) == {**expected, "metadata": {**expected["metadata"], **without}}


@pytest.mark.parametrize(
    ("python", "tag"), [("3.11", "py311"), ("3.12", "py3"), ("3.13", "py3"), ("3.14", "py3"), ("3.15", "py3")]
)
def test_pip_takes_the_wheel_of_its_python(
    published: Published, python: str, tag: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--find-links", str(published.folder), "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", python, "--dest", str(tmp_path), f"laneway=={laneway.__version__}"]
    subprocess.run(command, check=True, timeout=120)
    assert [path.name for path in tmp_path.iterdir()] == [published.wheel("laneway", tag).name]


def test_wheel_of_laneway_lite(published: Published) -> None:
    version = laneway.__version__
    info, data = f"laneway_lite-{version}.dist-info/", f"laneway_lite-{version}.data/data/"
    # what makes the bundle is of no use where the bundle is; the labextensions lie where JupyterLab looks
    makers = {"bundle.py", "bytecode.py", "compile.mjs", "wheels.in", "wheels.txt"}
    code = {name for name in files(LITE) if not name.startswith(("labextension/", "jobs/"))}
    assert {"bundle/pyodide.mjs", "bundle/quick/memory.bin", "service_worker/register.js"} <= code
    licenses = {"LICENSE", *below("licenses/", files(ROOT / "lite" / "licenses"))}
    assert set(contents(published.wheel("laneway_lite"))) == {
        *below("laneway_lite/", code - makers),
        *below(f"{data}share/jupyter/labextensions/@laneway/lite/", files(LITE / "labextension")),
        *below(f"{data}share/jupyter/labextensions/@laneway/jobs/", files(LITE / "jobs")),
        *below(info, {"METADATA", "RECORD", "WHEEL", "entry_points.txt", *below("licenses/", licenses)}),
    }


def test_sdists(published: Published) -> None:
    version = laneway.__version__
    common = {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml", ".gitignore"}
    assert set(contents(published.sdist("laneway"))) == below(
        f"laneway-{version}/",
        {
            "CHANGELOG.md",
            "hatch_build.py",
            *common,
            *below("py/", files(ROOT / "py")),
            *below("tests/", files(ROOT / "tests")),
        },
    )
    assert set(contents(published.sdist("laneway_lite"))) == below(
        f"laneway_lite-{version}/",
        {
            *common,
            "hatch_build.py",
            *below("laneway_lite/", files(LITE)),
            *below("licenses/", files(ROOT / "lite" / "licenses")),
        },
    )


def test_npm_tarballs(published: Published) -> None:
    tarballs = published.tarballs()
    assert set(tarballs) == set(NPM_FOLDERS), "a package that is new is listed above"
    for name, path in tarballs.items():
        folder, compiled = NPM_FOLDERS[name]
        sources = {source for source in files(folder / "src") if "tsconfig." not in source}
        modules = {source for source in sources if source.endswith(".ts") and not source.endswith(".d.ts")}
        modules = {module.removesuffix(".ts") for module in modules}
        modules = {module for module in modules if posixpath.dirname(module) in compiled}
        lib = {
            f"lib/{module}{suffix}"
            for module in modules
            for suffix in (".d.ts", ".d.ts.map") + (() if name in NPM_TYPES_ONLY else (".js", ".js.map"))
        }
        expected = {"LICENSE", "README.md", "package.json", *below("src/", sources), *lib, *NPM_BUNDLES[name]}
        assert set(contents(path)) == below("package/", expected), name


# ---- every archive


def archives(published: Published) -> list[Path]:
    found = sorted(published.folder.iterdir())
    assert len(found) == len(DISTRIBUTIONS) + len(WHEELS) + len(NPM_FOLDERS)
    return found


def test_the_license_is_in_each(published: Published) -> None:
    for path in archives(published):
        licenses = [data for name, data in contents(path).items() if posixpath.basename(name) == "LICENSE"]
        assert licenses == [LICENSE], path.name


def test_no_leftovers(published: Published) -> None:
    for path in archives(published):
        found = [name for name in contents(path) if LEFTOVER.search(name)]
        assert found == [], path.name
        if path.suffix in (".whl", ".tgz"):
            assert [name for name in contents(path) if re.search(r"(^|/)tests?/", name)] == []


def test_maps_lead_to_files_that_are_there(published: Published) -> None:
    for path in archives(published):
        found = contents(path)
        for name, data in found.items():
            targets: list[str] = []
            if name.endswith(".map"):
                targets = json.loads(data)["sources"]
            elif name.endswith((".js", ".mjs")) and "/bundle/" not in name:
                targets = re.findall(r"^//# sourceMappingURL=(.*)$", data.decode(), re.MULTILINE)
            for target in targets:
                assert posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) in found, (
                    name,
                    target,
                )


def unpacked(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """A file, and all that is packed in it, at whatever depth."""
    yield name, data
    if data[:2] == b"\x1f\x8b":
        yield from unpacked(f"{name}!", gzip.decompress(data))
    elif data[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for inner in archive.namelist():
                yield from unpacked(f"{name}!{inner}", archive.read(inner))


def registries() -> set[str]:
    """Hosts from which this machine takes packages, but for the public ones."""
    commands = ([sys.executable, "-m", "pip", "config", "list"], ["npm", "config", "get", "registry"])
    said = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for command in commands
    ]
    hosts = {
        urlsplit(url).netloc.rpartition("@")[2] for url in re.findall(r"https?://[^\s'\"]+", " ".join(said))
    }
    return hosts - {"pypi.org", "files.pythonhosted.org", "registry.npmjs.org"}


def test_nothing_of_this_machine(published: Published) -> None:
    traces = [str(ROOT), str(Path(sys.prefix)), str(published.folder), *registries()]
    pattern = re.compile(b"|".join(re.escape(trace.encode()) for trace in traces))
    for path in archives(published):
        if path.name.endswith(".tar.gz") and path.name.startswith("laneway_lite"):
            continue  # a test below says that it is the wheel
        for name, data in contents(path).items():
            for inner, packed in unpacked(name, data):
                assert not (found := pattern.search(packed)), f"{path.name}: {inner} has {found[0]!r}"


@pytest.mark.parametrize(("name", "tag"), WHEELS)
def test_metadata_is_valid(published: Published, name: str, tag: str) -> None:
    """What the index itself checks (and `twine check`)."""
    wheel, sdist = contents(published.wheel(name, tag)), contents(published.sdist(name))
    root = f"{name}-{laneway.__version__}"
    text = wheel[f"{root}.dist-info/METADATA"]
    assert text == sdist[f"{root}/PKG-INFO"]
    metadata = Metadata.from_email(text, validate=True)
    assert str(metadata.version) == laneway.__version__
    assert metadata.description_content_type == "text/markdown"
    assert (metadata.description or "").startswith("# ")
    for file in metadata.license_files or []:
        assert f"{root}.dist-info/licenses/{file}" in wheel


def test_typed(published: Published) -> None:
    for name in DISTRIBUTIONS:
        assert f"{name}/py.typed" in contents(published.wheel(name))


@pytest.mark.parametrize(("name", "tag"), WHEELS)
def test_the_sdist_makes_the_same_wheel(published: Published, name: str, tag: str, tmp_path: Path) -> None:
    with tarfile.open(published.sdist(name)) as archive:
        archive.extractall(tmp_path, filter="data")
        date = int(archive.getmembers()[0].mtime)
    (folder,) = tmp_path.iterdir()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "--target",
            "wheel",
            "--directory",
            str(tmp_path / "wheel"),
        ],
        cwd=folder,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(date), "LANEWAY_WHEEL": tag},
        check=True,
        capture_output=True,
        timeout=300,
    )
    again = tmp_path / "wheel" / published.wheel(name, tag).name
    assert again.read_bytes() == published.wheel(name, tag).read_bytes()


def test_a_checkout_that_is_not_built_makes_no_distribution(tmp_path: Path) -> None:
    """But an editable installation, which `make env` wants."""
    made = ("labextension", "jobs", "bundle", "cell", "debugger", "service_worker", "__pycache__")
    shutil.copytree(LITE, tmp_path / LITE.name, ignore=shutil.ignore_patterns(*made))
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(LITE.parent / name, tmp_path)

    def build(hook: str) -> subprocess.CompletedProcess[str]:
        """As pip does."""
        command = [sys.executable, "-c", f"from hatchling.build import *; print({hook}('dist'))"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    for hook in ("build_wheel", "build_sdist"):
        refused = build(hook)
        assert refused.returncode == 1
        (sentence,) = refused.stderr.splitlines()
        assert "laneway_lite/bundle" in sentence
        assert "run it in the checkout first" in sentence
    editable = build("build_editable")
    assert editable.returncode == 0, editable.stderr
    assert editable.stdout.strip() == f"laneway_lite-{laneway.__version__}-py3-none-any.whl"


def test_a_second_build_is_equal(published: Published, tmp_path: Path) -> None:
    for path in build(tmp_path / "dist").iterdir():
        assert path.read_bytes() == (published.folder / path.name).read_bytes(), path.name
