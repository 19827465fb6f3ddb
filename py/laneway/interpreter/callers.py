"""Who asks the import system for a module: user code, or a library, which may only want to know whether the
module is there. Stdlib only.

pandas tries pyarrow, scikit-learn tries pandas, the standard library tries ssl and lzma, each in a `try` at
the top of a module: they go on without it, and nobody who imports pandas wants to wait for pyarrow.
"""

from __future__ import annotations

import dis
import importlib
import sys
from pathlib import PurePosixPath
from types import FrameType
from typing import Any, NamedTuple

_BOOTSTRAP = "<frozen importlib._bootstrap>"
_IMPORTLIB = importlib.__file__
_STDLIB = str(PurePosixPath(_IMPORTLIB).parents[1])


class Caller(NamedTuple):
    """What is known of the code that asks."""

    module: str
    """Its `__name__`."""
    imports: bool
    """It imports the module; else it only looks for it (`find_spec`, jedi)."""
    library: bool
    """It is installed, and not the user's."""
    probes: bool
    """It is a library that most likely goes on without the module."""


def caller(name: str, site_packages: str, stops: frozenset[str]) -> Caller | None:
    """Who asks the finder that calls this for the module `name`. None where nobody does, or where code in one
    of the files `stops` is on the stack.
    """
    frame: FrameType | None = sys._getframe(2)  # pyright: ignore[reportPrivateUsage], the one way
    imports = False
    while frame and frame.f_code.co_filename == _BOOTSTRAP:
        imports = imports or frame.f_code.co_name == "_find_and_load"
        frame = frame.f_back
    while frame and frame.f_code.co_filename.startswith(("<frozen importlib", _IMPORTLIB)):
        frame = frame.f_back
    if frame is None:
        return None
    above = frame
    while above:
        if above.f_code.co_filename in stops:
            return None
        above = above.f_back
    library = frame.f_code.co_filename.startswith((site_packages, _STDLIB, "<frozen "))
    probes = library and _probes(frame, name)
    return Caller(frame.f_globals.get("__name__", ""), imports, library, probes)


def _probes(frame: FrameType, name: str) -> bool:
    code, at = frame.f_code, frame.f_lasti
    bytecode: Any = dis.Bytecode(code)  # typeshed lacks its exception_entries
    running = next((instruction for instruction in bytecode if instruction.offset == at), None)
    if running and running.opname == "IMPORT_NAME" and str(running.argval).partition(".")[0] != name:
        return True  # the module that is imported there is compiled, and has no frame of its own
    # a `with` pushes the instruction (lasti) for its own handler, a `try` does not
    return code.co_name == "<module>" and any(
        entry.start <= at < entry.end and not entry.lasti for entry in bytecode.exception_entries
    )
