"""Reads and writes `pyodide-lock.json`, the list of the packages that Pyodide can load, with the library
pyodide-lock.

Decides which wheels fit a Pyodide distribution and how they join the packages that it has. Runs at build time
only. Entries of a distribution are kept as they are, field by field, since each version of Pyodide has its
own.
"""

from __future__ import annotations

import email.parser
import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from pyodide_lock import PyodideLockSpec
from pyodide_lock.spec import InfoSpec
from pyodide_lock.utils import add_wheels_to_spec

from .errors import BuildError

LOCK = "pyodide-lock.json"
KERNEL = "laneway"

FRONT_END_ONLY = frozenset({"jupyterlab-widgets", "widgetsnbextension"})
"""Distributions that hold files of a Jupyter front end and no Python: a kernel does without them."""

Lock: TypeAlias = dict[str, Any]
"""The JSON object of a lock file: `info` about the distribution, `packages` by name."""


@dataclass(frozen=True)
class Wheel:
    """A wheel file: what its name and its metadata say."""

    path: Path
    name: str
    version: Version
    tags: frozenset[Tag]
    requirements: tuple[Requirement, ...]


def read_wheel(path: Path) -> Wheel:
    """Read a wheel's name and metadata. Raises `BuildError` if it is no wheel."""
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            entry = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            metadata = email.parser.Parser().parsestr(archive.read(entry).decode(), headersonly=True)
    except (InvalidWheelFilename, zipfile.BadZipFile, StopIteration, OSError) as error:
        raise BuildError(f"{path} is not a wheel that can be read ({error}).") from error
    requirements = tuple(Requirement(text) for text in metadata.get_all("Requires-Dist", ()))
    return Wheel(path, canonicalize_name(name), version, tags, requirements)


def fits(wheel: Wheel, lock: Lock) -> bool:
    """Whether the wheel's tags suit the distribution: pure, or made for its Python and its ABI (PEP 783)."""
    return any(_platform(tag, lock) is not None for tag in wheel.tags)


def add_wheels(lock: Lock, wheels: Iterable[Wheel], *, required: bool = True) -> Lock:
    """Return the lock with the wheels as packages; `file_name` is the wheel's bare name.

    A wheel replaces the distribution's package of its name. Raises `BuildError` if one does not fit, or lacks
    something that it needs.

    With `required=False` the wheels are those that come with the kernel: the distribution's own packages go
    before them (they suit one another, as micropip and Pyodide do), where their versions are such as the
    kernel needs; and wheels that do not fit are left out.
    """
    given = {wheel.name: wheel for wheel in wheels}
    if required:
        for wheel in given.values():
            if not fits(wheel, lock):
                raise BuildError(
                    f"{wheel.path.name} is not made for this Pyodide (Python {lock['info']['python']}, ABI "
                    f"{lock['info'].get('abi_version')}): give a wheel that is pure Python or made for it."
                )
        for name, requirement in _unmet(lock, given).items():
            raise BuildError(
                f"{given[name].path.name} needs {requirement}, which is not in the site: "
                "add its wheel to LanewayAddon.wheels."
            )
        chosen = given
    else:
        chosen = _needed(lock, {name: wheel for name, wheel in given.items() if fits(wheel, lock)})
    return {**lock, "packages": {**lock["packages"], **_entries(lock, chosen.values())}}


def _needed(lock: Lock, given: Mapping[str, Wheel]) -> dict[str, Wheel]:
    """Of these wheels the kernel's own, those that the distribution lacks, and those that it has in a version
    that will not do; without those that lack something.
    """
    chosen = {name: wheel for name, wheel in given.items() if name == KERNEL or name not in lock["packages"]}
    left_out: set[str] = set()
    while unmet := _unmet(lock, chosen):
        for name, requirement in unmet.items():
            needed = canonicalize_name(requirement.name)
            if needed in given and needed not in {*chosen, *left_out}:
                chosen[needed] = given[needed]
            else:
                left_out.add(name)
                del chosen[name]
    return chosen


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text(lock: Lock) -> str:
    """The content of a lock file."""
    return json.dumps(lock, indent=1, sort_keys=True) + "\n"


def write_lock(lock: Lock, path: Path) -> None:
    path.write_text(text(lock), encoding="utf-8")


def start_packages(lock: Lock) -> list[str]:
    """The packages without which the kernel does not start."""
    return [name for name in ("laneway", "sqlite3") if name in lock["packages"]]


def closure(lock: Lock, names: Iterable[str]) -> list[str]:
    """The packages of these names and all that they depend on, each after what it depends on."""
    found: dict[str, None] = {}
    waiting: set[str] = set()

    def add(name: str) -> None:
        if name in found or name in waiting or name not in lock["packages"]:
            return
        waiting.add(name)
        for other in lock["packages"][name]["depends"]:
            add(canonicalize_name(other) if canonicalize_name(other) in lock["packages"] else other)
        found[name] = None

    for name in names:
        add(name)
    return list(found)


def _platform(tag: Tag, lock: Lock) -> str | None:
    """The tag's platform in the form that pyodide-lock knows, or None if the tag does not suit the
    distribution."""
    info = lock["info"]
    major, minor, *_ = info["python"].split(".")
    native = f"{info['platform']}_{info['arch']}"
    if tag.platform == "any":
        return "any" if tag.interpreter in (f"py{major}", f"py{major}{minor}", f"cp{major}{minor}") else None
    names = {
        native,
        *(f"{kind}_{info.get('abi_version')}_{info['arch']}" for kind in ("pyemscripten", "pyodide")),
    }
    return native if tag.platform in names and tag.interpreter == f"cp{major}{minor}" else None


def _requirements(wheel: Wheel, lock: Lock) -> list[Requirement]:
    """What the wheel needs in Pyodide, extras left out."""
    info = lock["info"]
    environment = {
        "implementation_name": "cpython",
        "implementation_version": info["python"],
        "os_name": "posix",
        "platform_machine": info["arch"],
        "platform_python_implementation": "CPython",
        "platform_release": info["platform"].removeprefix("emscripten_"),
        "platform_system": "Emscripten",
        "platform_version": "#1",
        "python_full_version": info["python"],
        "python_version": ".".join(info["python"].split(".")[:2]),
        "sys_platform": "emscripten",
        "extra": "",
    }
    return [
        requirement
        for requirement in wheel.requirements
        if (requirement.marker is None or requirement.marker.evaluate(environment))
        and canonicalize_name(requirement.name) not in FRONT_END_ONLY
    ]


def _unmet(lock: Lock, chosen: Mapping[str, Wheel]) -> dict[str, Requirement]:
    """By the name of each wheel that lacks something, the first requirement that is not met."""
    unmet: dict[str, Requirement] = {}
    for wheel in chosen.values():
        for requirement in _requirements(wheel, lock):
            if not _is_met(requirement, lock, chosen):
                unmet.setdefault(wheel.name, requirement)
    return unmet


def _is_met(requirement: Requirement, lock: Lock, chosen: Mapping[str, Wheel]) -> bool:
    name = canonicalize_name(requirement.name)
    if name in chosen:
        version = chosen[name].version
    elif name in lock["packages"]:
        try:
            version = Version(lock["packages"][name]["version"])
        except InvalidVersion:  # of a library in C (openssl 1.1.1w), which no wheel asks for by its version
            return not requirement.specifier
    else:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def _entries(lock: Lock, wheels: Iterable[Wheel]) -> dict[str, Any]:
    """The lock's entries for these wheels, made by pyodide-lock.

    It expects a binary wheel to be named by Emscripten's version, as before PEP 783: it is given a copy so
    named.
    """
    with tempfile.TemporaryDirectory() as folder:
        copies: list[Path] = []
        names: dict[str, str] = {}
        for wheel in wheels:
            platform = next(filter(None, (_platform(tag, lock) for tag in sorted(wheel.tags, key=str))))
            name = f"{wheel.path.stem.rpartition('-')[0]}-{platform}.whl"
            copies.append(Path(shutil.copy(wheel.path, Path(folder, name))))
            names[name] = wheel.path.name
        info = lock["info"]
        spec = PyodideLockSpec(
            info=InfoSpec(
                platform=info["platform"], python=info["python"], version=info.get("version", info["python"])
            ),
            packages={},
        )
        try:
            spec = add_wheels_to_spec(spec, copies, ignore_missing_dependencies=True)
        except (RuntimeError, ValueError) as error:
            raise BuildError(f"A wheel cannot be put into the lock: {error}") from error
    entries = {name: package.model_dump() for name, package in spec.packages.items()}
    for name, entry in entries.items():
        entry["file_name"] = names[entry["file_name"]]
        kept = _standard_modules(lock, lock["packages"].get(name, {}).get("depends", ()))
        entry["depends"] = sorted({*entry["depends"], *kept} - FRONT_END_ONLY)
    return entries


def _standard_modules(lock: Lock, names: Iterable[str]) -> set[str]:
    """Those of the packages that hold a part of Python's own library, which no wheel's metadata can name:
    IPython, say, has its history by sqlite3.
    """
    return {name for name in names if lock["packages"].get(name, {}).get("package_type") == "cpython_module"}
