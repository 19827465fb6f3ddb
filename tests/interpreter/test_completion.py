"""Completion without jedi finds what jedi finds, and asks it where it must."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import pytest
from IPython.core.completer import rectify_completions

from laneway.interpreter.completion import completions
from laneway.interpreter.ipython import IPythonInterpreter, Session, Settings
from laneway.interpreter.shell import ZMQInteractiveShell

from .context import RecordingContext

# as the interpreter itself does, once and for good
pytestmark = pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")

NAMESPACE = """
import json, os
class Thing:
    shared = 1
    @property
    def computed(self): raise AssertionError("Completion has run this.")
    def method(self): return self
thing = Thing()
thing.own = [thing]
"""

FROM_OBJECTS = [
    "os.pa",
    "import math; math.co",
    "import math\nprint(math.pi, [math.co",
    "import os.path as p\np.jo",
    "import collections.abc\ncollections.abc.Mut",
    "from collections import abc as a\na.Mut",
    "from collections import OrderedDict\nOrderedDict.mo",
    "import importlib\nimportlib.res",
    "import os\nos.path.jo",
    "thing.",
    "thing.sha",
    "Thing.me",
    "str.is",
    "print(thing.ow",
    "foo = 3\nfo",
    "from os import pa",
    "whi",
    "x = [thin",
]
JEDIS = [
    "import this_is_nowhere\nthis_is_nowhere.",
    "import xmlrpc.client as c\nc.Serv",
    "from math import *\nfrex",
    "import math as os\nos.co",
    "if thing:\n    import math as m\nelse:\n    import cmath as m\nm.co",
    "print(math := 'text', math.up",
    "thing = 'text'\nthing.up",
    "def f(argument):\n    arg",
    "for os in []: os.pa",
    "'text'.up",
    "thing.own[0].me",
    "thing.computed.",
    "_",
    "import o",
    "import math; from math import co",
]


@pytest.fixture(scope="module")
def shell() -> Generator[ZMQInteractiveShell]:
    session = Session(Settings())
    interpreter = IPythonInterpreter(session=session)
    interpreter.start(RecordingContext())
    exec(NAMESPACE, session.shell.user_ns)
    yield session.shell
    interpreter.stop()


def with_jedi(shell: ZMQInteractiveShell, code: str) -> set[tuple[str, int, int]]:
    found = rectify_completions(code, shell.Completer.completions(code, len(code)))
    return {(completion.text, completion.start, completion.end) for completion in found}


@pytest.mark.parametrize("code", [*FROM_OBJECTS, *JEDIS])
def test_the_names_are_those_of_jedi(shell: ZMQInteractiveShell, code: str) -> None:
    found = completions(shell, shell.Completer, code, len(code))
    assert {(completion.text, completion.start, completion.end) for completion in found} == with_jedi(
        shell, code
    )


@pytest.mark.parametrize("code", FROM_OBJECTS)
def test_jedi_is_not_asked_where_objects_tell_all(
    shell: ZMQInteractiveShell, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("jedi was asked")

    monkeypatch.setattr(shell.Completer, "_jedi_matches", asked)
    monkeypatch.setattr(shell.Completer, "_jedi_matcher", asked)
    assert completions(shell, shell.Completer, code, len(code))
    assert shell.Completer.use_jedi


def test_nothing_is_imported(shell: ZMQInteractiveShell) -> None:
    assert "xmlrpc.client" not in sys.modules
    found = completions(shell, shell.Completer, "import xmlrpc.client as c\nc.Serv", 30)
    assert "ServerProxy" in {completion.text for completion in found}
    assert "xmlrpc.client" not in sys.modules


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("os.pat", "path", "module"),
        ("thing.me", "method", "function"),
        ("thing.com", "computed", "property"),
        ("thing.ow", "own", "instance"),
        ("Thin", "Thing", "class"),
        ("whi", "while", "keyword"),
        ("value = 1\nval", "value", "statement"),
        ("from os import pat", "path", "module"),
        ("import math\nmath.co", "cos", "function"),
        ("import importlib\nimportlib.res", "resources", "module"),
    ],
)
def test_kinds(shell: ZMQInteractiveShell, code: str, text: str, kind: str) -> None:
    assert {found.text: found.type for found in completions(shell, shell.Completer, code, len(code))}[
        text
    ] == kind


def test_a_statement_is_not_offered_inside_an_expression(shell: ZMQInteractiveShell) -> None:
    assert "break" in {found.text for found in completions(shell, shell.Completer, "if x: br", 8)}
    assert "break" not in {found.text for found in completions(shell, shell.Completer, "print(br", 8)}
