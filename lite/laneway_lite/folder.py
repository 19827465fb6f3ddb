"""The one builder of *kernel folders*: all that a page needs to start the kernel, at addresses that never
change their content.

    laneway.json                    the manifest, the one file at a fixed address (see manifest.ts)
    core.<hash>/                    pyodide.mjs and what it loads
    python_stdlib.<hash>.zip        Python's own library
    lock.<hash>/pyodide-lock.json   Pyodide's list of packages
    wheels.<hash>/<wheel>           each package that the folder has
    index.<hash>/<name>/index.html  the folder's own pip index, with the same wheels
    worker.<hash>.js                the script of the kernel's worker
    quick.<hash>/                   what lets a kernel start quickly, see make_start.mjs
    laneway-cells.js, ...           the scripts of `<laneway-cell>`, where they are wanted

`<hash>` is made of the content. So whatever a browser has kept is right, and no mixture of two builds can be
loaded. The addon of JupyterLite builds one, and so does `python -m laneway_lite kernel`. Runs at build time
only.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.request
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import Version

from . import __version__, index, lock, start
from .errors import BuildError

BUNDLE = Path(__file__).parent / "bundle"
CELL = Path(__file__).parent / "cell"
SERVICE_WORKER_FILES = Path(__file__).parent / "service_worker"
MANIFEST = "laneway.json"
KERNEL = "laneway"
STDLIB = "python_stdlib.zip"
CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.js", "pyodide.asm.wasm")
WORKER = "worker.js"

OLDEST_PYTHON = Version("3.12")
"""The Python of Pyodide 0.27, the oldest that the kernel runs on."""

QUICK_PYTHON = Version("3.14")
"""That of the first Pyodide whose `loadPyodide` takes what starting in a quick way needs."""

HASH = 16
"""How many digits of a SHA-256 stand in an address."""


@dataclass(frozen=True)
class Options:
    """What goes into a kernel folder."""

    pyodide: str = ""
    """Another Pyodide distribution than the one that comes with this package: a folder or an URL."""
    wheels: Sequence[str] = ()
    """Wheels to add: paths, folders of wheels, or URLs."""
    packages: Sequence[str] = ()
    """Of the distribution only these, and what they depend on; all of it where there are none."""
    preload: Sequence[str] = ()
    """Packages that are loaded whenever a kernel starts, and not only when they are imported."""
    worker: str = WORKER
    """The script of the kernel's worker, one of the bundle's."""
    cells: bool = False
    """Add the scripts of `<laneway-cell>`, which find the kernel in the folder that they are in."""
    base: Path = field(default_factory=Path.cwd)
    """Paths are relative to this folder."""


def make_folder(out: Path, options: Options, cache: Path) -> dict[str, Any]:
    """Write a kernel folder to `out`, in the place of an older one, and return its manifest.

    What is downloaded or takes long to make is kept in the folder `cache`. Raises `BuildError`.
    """
    check(options)
    source = _Distribution.of(options, cache)
    packages, added = _packages(source, options, cache)
    kernel = lock.closure(packages, lock.start_packages(packages))
    quick = _quick(source, packages, kernel, added, cache)
    if out.exists() and not (out / MANIFEST).is_file() and any(out.iterdir()):
        raise BuildError(f"{out} is not empty, and no kernel folder: choose another folder.")
    new = out.with_name(f"{out.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    files = _Files(new)
    wheels: dict[str, tuple[str, str]] = {}
    for name, package in packages["packages"].items():
        path = added.get(name) or source.file(package, required=bool(options.packages))
        if path is None:
            package["file_name"] = urljoin(source.url, package["file_name"])
            continue
        place = files.add(path, f"wheels.*/{path.name}")
        package["file_name"] = f"../{place}"  # from where the lock and Pyodide's core are
        if path.suffix == ".whl":
            wheels[name] = (place, lock.digest(path))
    manifest = {
        "laneway": __version__,
        "python": packages["info"]["python"],
        "worker": files.add(BUNDLE / options.worker, "worker.*.js"),
        "core": files.add_together([source.folder / name for name in CORE], "core.*"),
        "stdlib": files.add(source.folder / STDLIB, "python_stdlib.*.zip"),
        "lock": files.write(lock.text(packages).encode(), f"lock.*/{lock.LOCK}"),
        "index": files.write_together(index.pages(wheels), "index.*") + index.TEMPLATE,
        "kernel": kernel,
        "preload": lock.closure(packages, _preload(packages, options)),
    }
    if quick:
        manifest["quick"] = {
            name: files.add(path, f"quick.*/{path.name}") for name, path in sorted(quick.items())
        }
    if options.cells:
        for path in sorted(CELL.iterdir()):
            files.add(path, path.name)
    manifest["files"] = files.found
    manifest["offline"] = _kept(manifest, packages, quick)
    text = json.dumps(manifest, indent=1, sort_keys=True)
    manifest["build"] = hashlib.sha256(text.encode()).hexdigest()[:HASH]
    (new / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    new.rename(out)
    return manifest


def service_worker_options(*, isolation: bool, offline: bool) -> str:
    """The query of a service worker's address: what it is not to do."""
    switches = {"isolation": isolation, "offline": offline}
    return "&".join(f"{name}=off" for name, on in switches.items() if not on)


def check(options: Options) -> None:
    """Raise `BuildError` where an option cannot be right."""
    for wheel in options.wheels:
        path = options.base / wheel
        if is_url(wheel) or path.is_dir():
            continue
        if not wheel.endswith(".whl"):
            raise BuildError(f"wheels: {wheel!r} is neither a wheel (.whl), a folder nor an URL.")
        if not path.is_file():
            raise BuildError(f"wheels: there is no file {path}.")
    if options.pyodide and not is_url(options.pyodide):
        folder = options.base / options.pyodide
        if not (folder / lock.LOCK).is_file():
            raise BuildError(
                f"pyodide: {folder} holds no {lock.LOCK}; "
                "give the folder or the URL of a Pyodide distribution."
            )
    if not (BUNDLE / lock.LOCK).is_file():
        raise BuildError("laneway-lite lacks its bundle: run `make` in its sources, or install it again.")


def verify(folder: Path) -> list[str]:
    """A sentence for each file of a kernel folder that is not what its manifest says. Raises `BuildError`
    where it is none.
    """
    if not (folder / MANIFEST).is_file():
        raise BuildError(f"{folder} is no kernel folder: it holds no {MANIFEST}.")
    manifest = read_json(folder / MANIFEST)
    faults: list[str] = []
    for name, entry in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{path} is missing.")
        elif path.stat().st_size != entry["size"] or lock.digest(path) != entry["sha256"]:
            faults.append(f"{path} is not the file that {MANIFEST} names.")
    return faults


def is_url(text: str) -> bool:
    """Whether it is an URL, and not a path."""
    return text.startswith(("http://", "https://"))


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def wheel_files(options: Options, cache: Path) -> list[Path]:
    """The wheels that the options name; those at URLs are downloaded."""
    found: list[Path] = []
    for wheel in options.wheels:
        if is_url(wheel):
            found.append(_download(wheel, cache))
        else:
            path = (options.base / wheel).resolve()
            found += sorted(path.glob("*.whl")) if path.is_dir() else [path]
    return found


# ---- where Pyodide comes from


@dataclass(frozen=True)
class _Distribution:
    folder: Path
    """The core, the lock, and packages."""
    url: str
    """Where the packages are that the folder lacks; "" where there are none elsewhere."""
    cache: Path

    @classmethod
    def of(cls, options: Options, cache: Path) -> _Distribution:
        if not is_url(options.pyodide):
            folder = (options.base / options.pyodide).resolve() if options.pyodide else BUNDLE
            return cls(folder, "", cache)
        # the URL may also name `pyodide.mjs` in the folder
        base, _, last = options.pyodide.rpartition("/")
        url = (base if last.endswith((".js", ".mjs")) else options.pyodide.rstrip("/")) + "/"
        found = _download(url + lock.LOCK, cache)
        glue = "pyodide.asm.mjs" if python_of(read_json(found)) >= Version("3.14") else "pyodide.asm.js"
        for name in ("pyodide.mjs", glue, "pyodide.asm.wasm", STDLIB):
            _download(url + name, cache)
        return cls(found.parent, url, cache)

    @property
    def ours(self) -> bool:
        """Is it the one that comes with this package?"""
        return self.folder == BUNDLE

    def file(self, package: Mapping[str, Any], *, required: bool) -> Path | None:
        """The file of a package. None where it is not to be had here, and stays where it is."""
        path = self.folder / package["file_name"]
        if path.is_file() or not self.url:
            return path
        return _download(urljoin(self.url, package["file_name"]), self.cache) if required else None


def python_of(found: lock.Lock) -> Version:
    """The version of Python that a lock is for."""
    return Version(found["info"]["python"])


def _download(url: str, cache: Path) -> Path:
    """Download a file, once; all of one folder lie in one folder."""
    base, _, name = url.rpartition("/")
    path = (
        cache / "downloads" / hashlib.sha256(base.encode()).hexdigest()[:HASH] / unquote(urlsplit(name).path)
    )
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        try:
            with urllib.request.urlopen(url) as response, partial.open("wb") as file:
                shutil.copyfileobj(response, file)
        except (OSError, ValueError) as error:
            raise BuildError(
                f"{url} cannot be downloaded ({error}): is the address right, the network up?"
            ) from error
        partial.rename(path)
    return path


# ---- what is in it


def _packages(source: _Distribution, options: Options, cache: Path) -> tuple[lock.Lock, dict[str, Path]]:
    """The lock of all that can be loaded, and the files of what is not the distribution's, by name."""
    packages = read_json(source.folder / lock.LOCK)
    if python_of(packages) < OLDEST_PYTHON:
        raise BuildError(
            f"pyodide: {options.pyodide} has Python {python_of(packages)}; "
            "the kernel needs Pyodide 0.27 (Python 3.12) or later."
        )
    if not source.url:
        there = {
            name: package
            for name, package in packages["packages"].items()
            if (source.folder / package["file_name"]).is_file()
        }
        packages = {**packages, "packages": there}
    wheels: list[lock.Wheel] = []
    if not source.ours:
        ours = [lock.read_wheel(path) for path in sorted(BUNDLE.glob("*.whl"))]
        packages = lock.add_wheels(packages, ours, required=False)
        wheels += ours
        if KERNEL not in packages["packages"]:
            raise BuildError(
                f"pyodide: the packages of {options.pyodide} do not go together with the kernel's own; "
                "take a newer Pyodide."
            )
    own = [lock.read_wheel(path) for path in wheel_files(options, cache)]
    packages = lock.add_wheels(packages, own)
    wheels += own
    if options.packages:
        wanted = _known(packages, "packages", options.packages)
        basis = [*lock.start_packages(packages), "micropip", *_preload(packages, options)]
        kept = lock.closure(packages, [*basis, *wanted, *(wheel.name for wheel in own)])
        packages = {**packages, "packages": {name: packages["packages"][name] for name in kept}}
    # not by their file's name: ours and the distribution's may be of the same version, and are not the same
    hashes = {name: package["sha256"] for name, package in packages["packages"].items()}
    return packages, {w.name: w.path for w in wheels if hashes.get(w.name) == lock.digest(w.path)}


def _preload(packages: lock.Lock, options: Options) -> list[str]:
    return _known(packages, "preload", options.preload)


def _known(packages: lock.Lock, option: str, names: Iterable[str]) -> list[str]:
    for name in names:
        if canonicalize_name(name) not in packages["packages"]:
            raise BuildError(
                f"{option}: {name!r} is not in this Pyodide; add its wheel (option wheels), "
                "or take a Pyodide distribution that has it (option pyodide)."
            )
    return [canonicalize_name(name) for name in names]


def _quick(
    source: _Distribution,
    packages: lock.Lock,
    kernel: Collection[str],
    added: Mapping[str, Path],
    cache: Path,
) -> dict[str, Path]:
    """What lets a kernel start quickly: the bundle's, where the kernel's packages are, else made anew where
    that can be done.
    """
    own = read_json(BUNDLE / lock.LOCK)["packages"]
    if source.ours and all(packages["packages"][name]["sha256"] == own[name]["sha256"] for name in kernel):
        return start.read(BUNDLE / start.FOLDER)
    if python_of(packages) < QUICK_PYTHON:
        return {}
    files: dict[str, Path] = {}
    for name in kernel:
        path = added.get(name) or source.file(packages["packages"][name], required=True)
        assert path
        files[name] = path
    return start.make(source.folder, packages, files, cache / "quick")


def _kept(manifest: Mapping[str, Any], packages: lock.Lock, quick: Collection[str]) -> int:
    """How many bytes a browser keeps of a kernel that has started, for when it is offline."""
    core = [name for name in manifest["files"] if name.startswith(manifest["core"])]
    used = {manifest["worker"], manifest["stdlib"], manifest["lock"], *core}
    loaded = [*manifest["preload"]]
    if "memory" in quick:
        used |= {manifest["quick"]["memory"], manifest["quick"]["rest"]}
    else:
        loaded += manifest["kernel"]
    used |= {packages["packages"][name]["file_name"].removeprefix("../") for name in loaded}
    return sum(entry["size"] for name, entry in manifest["files"].items() if name in used)


def summary(manifest: Mapping[str, Any]) -> str:
    """What a kernel folder is, in one sentence."""
    size = sum(entry["size"] for entry in manifest["files"].values()) / 1e6
    ways = "memory snapshot" if "memory" in manifest.get("quick", {}) else "plain"
    return (
        f"Python {manifest['python']}, {len(manifest['files'])} files, {size:.0f} MB; "
        f"quickest start: {ways}; a browser keeps {manifest['offline'] / 1e6:.0f} MB to start it offline, "
        "and the packages used."
    )


class _Files:
    """Puts files into a folder, at addresses with a hash of their content: `*` stands for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.found: dict[str, dict[str, Any]] = {}

    def add(self, path: Path, pattern: str) -> str:
        """Copy a file; returns its place."""
        return self._put(path, pattern.replace("*", lock.digest(path)[:HASH], 1))

    def add_together(self, paths: Iterable[Path], pattern: str) -> str:
        """Copy those of the files that exist into one folder, which is returned."""
        there = [path for path in paths if path.is_file()]
        return self.write_together({path.name: path.read_bytes() for path in there}, pattern)

    def write(self, content: bytes, pattern: str) -> str:
        """Write a file; returns its place."""
        digest = hashlib.sha256(content).hexdigest()
        return self._write(content, pattern.replace("*", digest[:HASH], 1))

    def write_together(self, contents: Mapping[str, bytes], pattern: str) -> str:
        """Write files into one folder, which is returned."""
        digest = hashlib.sha256()
        for name, content in sorted(contents.items()):
            digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
        folder = pattern.replace("*", digest.hexdigest()[:HASH], 1)
        for name, content in contents.items():
            self._write(content, f"{folder}/{name}")
        return f"{folder}/"

    def _put(self, path: Path, place: str) -> str:
        target = self._folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        self.found[place] = {"size": path.stat().st_size, "sha256": lock.digest(path)}
        return place

    def _write(self, content: bytes, place: str) -> str:
        target = self._folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self.found[place] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return place
