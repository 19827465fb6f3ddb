"""The short way of plain code through IPython's transformers ends where their long way does."""

from __future__ import annotations

import random
from typing import Any

import pytest
from IPython.core import prefilter as prefilter_module
from IPython.core.inputtransformer2 import EscapedCommand, TransformerManager
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.macro import Macro
from IPython.core.prefilter import PrefilterChecker, PrefilterTransformer
from traitlets.config import Config

from laneway.interpreter.transformers import PrefilterManager, Transformers
from tests.soak import rounds

SPECIAL = ["!", "!!", "%", "%%", "?", "??", "/", ",", ";", "=", "==", "!=", "%time", "%%magic", "!ls"]
BLANK = [" ", "    ", "\n", "\n", "\n", "\n    ", "\t", "\f", "\x0b", "\u2028", "\\", "\\\n"]
PLAIN = ["(", ")", "[", "{", "}", "'", '"', "'''", "#", "@", ":", ".", "f'{a}'", "f'{a=}'", "a", "b1", "1"]
WORDS = ["if ", "else:", "def f():", "lambda ", "await ", "print(1)", "x = 2", "a.b"]


def random_code(numbers: random.Random) -> str:
    kinds = numbers.choices([SPECIAL, BLANK, PLAIN, WORDS], [1, 3, 2, 2], k=numbers.randint(1, 25))
    return "".join(numbers.choice(kind) for kind in kinds)


def transformed(manager: TransformerManager, code: str) -> str | type[Exception]:
    try:
        return manager.transform_cell(code)
    except Exception as error:
        return type(error)


def check(code: str) -> None:
    ours = Transformers()
    theirs = TransformerManager()
    theirs.cleanup_transforms = ours.cleanup_transforms
    expected = transformed(theirs, code)
    if isinstance(expected, str):  # else `tokenize` refuses it; Python may take it, or says what is wrong
        assert transformed(ours, code) == expected, code


@pytest.mark.parametrize(
    "code",
    [
        "a = \\\n  %time 1",
        "def f():\n    b =!ls\n    return 1\na.b?",
        "x = 1 # why?\nprint('%d' % x, x != 2)",
        "",
    ],
)
def test_it_is_the_same(code: str) -> None:
    check(code)


@pytest.mark.filterwarnings("ignore:`make_tokens_by_line` received")  # IPython's own
def test_it_is_the_same_for_whatever_is_typed() -> None:
    numbers = random.Random(1)
    for _ in range(rounds(3_000, 300_000)):
        check(random_code(numbers))


def test_plain_code_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(TransformerManager, "do_one_token_transform")  # the long way
    code = "x = '%d' % 2\nif x != 'a?b':\n    print(x); y = x\n"
    assert Transformers().transform_cell(code) == code


def test_transformers_of_others_are_asked() -> None:
    class Shouts(EscapedCommand):
        @classmethod
        def find(cls, tokens_by_line: Any) -> EscapedCommand | None:
            return cls((1, 0)) if tokens_by_line[0][0].string == "loud" else None

        def transform(self, lines: list[str]) -> list[str]:
            return ["LOUD\n"]

    transformers = Transformers()
    transformers.token_transformers.append(Shouts)
    assert transformers.transform_cell("loud") == "LOUD\n"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """IPython's own, with a macro and a name that hides a magic. It leaves the user's history alone."""
    config = Config({"HistoryManager": {"hist_file": ":memory:"}})
    shell = InteractiveShell(
        config=config, ipython_dir=str(tmp_path_factory.mktemp("ipython")), user_ns={"who": 1, "f": print}
    )
    shell.user_ns["m"] = Macro("1\n2\n")
    return shell


@pytest.mark.parametrize("autocall", [0, 2])
def test_a_line_is_called_or_left_as_by_ipython(shell: Any, autocall: int) -> None:
    words = ["who", "who_ls", "ls", "m", "f", "exit", "x", "cd ..", "time", "a.b", "1", "", " ", "*", "é"]
    words += ["+", "=", "= 1", "(1)", " 1", ", 2", "%", "!", "?", "/f", ";f", ",f", "# PYTHON-MODE", "'s'"]
    theirs, ours = (
        cls(shell=shell, parent=shell) for cls in (prefilter_module.PrefilterManager, PrefilterManager)
    )
    shell.autocall = autocall
    numbers = random.Random(2)
    for _ in range(rounds(2_000, 100_000)):
        line = "".join(numbers.choices(words, k=numbers.randint(0, 3)))
        assert ours.prefilter_lines(line) == theirs.prefilter_lines(line), line


def test_checkers_of_others_are_asked(shell: Any) -> None:
    class Loud(PrefilterChecker):
        def check(self, line_info: Any) -> Any:
            return Shouts() if line_info.ifun == "loud" else None

    class Shouts:
        def handle(self, line_info: Any) -> str:
            return "LOUD"

    prefilter = PrefilterManager(shell=shell, parent=shell)
    Loud(shell=shell, prefilter_manager=prefilter, parent=prefilter)
    assert prefilter.prefilter_lines("loud") == "LOUD"


def test_transformers_of_lines_are_asked(shell: Any) -> None:
    class Upper(PrefilterTransformer):
        def transform(self, line: str, continue_prompt: bool) -> Any:
            return line.upper()

    prefilter = PrefilterManager(shell=shell, parent=shell)
    Upper(shell=shell, prefilter_manager=prefilter, parent=prefilter)
    assert prefilter.prefilter_lines("loud") == "LOUD"
