"""Who asks for a module: told by code of a library, and code of the user's, that both import."""

from __future__ import annotations

import functools
import importlib.machinery
import sys
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from laneway.interpreter.callers import Caller, caller


class Recorder:
    """A finder that finds nothing, and notes who asks."""

    def __init__(self, site_packages: Path) -> None:
        self.site_packages = str(site_packages)
        self.stops: frozenset[str] = frozenset()
        self.callers: dict[str, Caller | None] = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """See `importlib.abc.MetaPathFinder`."""
        if name.startswith("wanted"):
            self.callers[name] = caller(name, self.site_packages, self.stops)


@pytest.fixture
def recorder(tmp_path: Path) -> Generator[Recorder]:
    finder: Any = Recorder(tmp_path)
    sys.meta_path.append(finder)
    try:
        yield finder
    finally:
        sys.meta_path.remove(finder)


def run(source: str, path: Path) -> None:
    exec(compile(source, str(path), "exec"), {"__name__": "asking"})


PROBES = """
import contextlib, importlib
try:
    import wanted_probe
except ImportError:
    pass
try:
    importlib.import_module("wanted_by_name")
except ImportError:
    pass
def use():
    try:
        import wanted_in_function.inside
    except ImportError:
        pass
use()
with contextlib.suppress(ImportError):
    import wanted_plainly
with contextlib.suppress(ImportError):
    from wanted_from import name
"""


def test_a_library_probes_at_the_top_of_a_module(recorder: Recorder, tmp_path: Path) -> None:
    run(PROBES, tmp_path / "library.py")
    asked = {name: asking and (asking.imports, asking.probes) for name, asking in recorder.callers.items()}
    assert asked == {
        "wanted_probe": (True, True),
        "wanted_by_name": (True, True),
        "wanted_in_function": (True, False),
        "wanted_plainly": (True, False),
        "wanted_from": (True, False),
    }
    assert all(
        asking and asking.library and asking.module == "asking" for asking in recorder.callers.values()
    )


def test_user_code_never_probes(recorder: Recorder, tmp_path: Path) -> None:
    run(PROBES, tmp_path.parent / "users" / "cell.py")
    for asking in recorder.callers.values():
        assert asking == Caller("asking", imports=True, library=False, probes=False)


def test_who_looks_only(recorder: Recorder, tmp_path: Path) -> None:
    code = "import importlib.util\nassert importlib.util.find_spec('wanted') is None"
    run(code, tmp_path.parent / "cell.py")
    asking = recorder.callers["wanted"]
    assert asking
    assert not asking.imports
    assert not asking.library
    run(code, tmp_path / "library.py")
    asking = recorder.callers["wanted"]
    assert asking
    assert not asking.imports
    assert asking.library
    recorder.stops = frozenset({__file__})
    run(code, tmp_path.parent / "cell.py")
    assert recorder.callers["wanted"] is None, "this file is on the stack"


def test_a_compiled_module_probes(recorder: Recorder, tmp_path: Path) -> None:
    """It has no frame: the one that is seen imports another module."""

    def no_module(_spec: object) -> None:
        pass

    def find_spec(name: str, *_where: object) -> object:
        return spec if name == "compiled_module" else None

    loader: Any = SimpleNamespace(
        create_module=no_module, exec_module=functools.partial(__import__, "wanted_by_compiled")
    )
    spec = importlib.machinery.ModuleSpec("compiled_module", loader)
    finder: Any = SimpleNamespace(find_spec=find_spec)
    sys.meta_path.insert(0, finder)
    try:
        with pytest.raises(ModuleNotFoundError, match="wanted_by_compiled"):
            run("def use():\n    import compiled_module\nuse()", tmp_path / "library.py")
    finally:
        sys.meta_path.remove(finder)
    asking = recorder.callers["wanted_by_compiled"]
    assert asking
    assert asking.probes
