"""Command lines of IPython's kind, and such as nobody understands."""

from __future__ import annotations

import pytest
from traitlets import Int, List, Unicode
from traitlets.config import Configurable

from laneway.interpreter.arguments import read_arguments


def test_arguments() -> None:
    arguments = read_arguments(
        [
            "--HistoryManager.hist_file=:memory:",
            "--c.InteractiveShell.cache_size=5",
            "--matplotlib",
            "-c",
            "1 + 1",
            "--no-automagic",
            "--profile-dir",
            "place",
            "one.py",
            "--ext=a",
            "--ext=b",
            "--",
            "--two",
        ]
    )
    assert arguments.config == {
        "HistoryManager": {"hist_file": ":memory:"},
        "InteractiveShell": {"cache_size": "5", "automagic": False},
        "InteractiveShellApp": {"matplotlib": "auto", "code_to_run": "1 + 1", "extra_extensions": ["a", "b"]},
        "ProfileDir": {"location": "place"},
    }
    assert arguments.rest == ("one.py", "--two")
    assert arguments.connection == {}


def test_where_to_listen() -> None:
    arguments = read_arguments(["--ip=127.0.0.2", "--shell=1234", "--IPKernelApp.hb_port=5", "--no-secure"])
    assert arguments.connection == {"ip": "127.0.0.2", "shell_port": 1234, "hb_port": 5, "key": ""}
    assert read_arguments(["--IPKernelApp.profile=a"]).app("profile") == "a"


class Lines(Configurable):
    """Has traits that the loader of arguments does not know."""

    lines = List(Unicode()).tag(config=True)
    count = Int().tag(config=True)


@pytest.mark.filterwarnings("ignore:.*deprecated in traitlets:DeprecationWarning")  # and understood
def test_what_a_value_means_the_trait_says() -> None:
    def lines(*argv: str) -> Lines:
        return Lines(config=read_arguments(argv).config)

    assert lines("--Lines.lines=['a', 'b']", "--Lines.count=3").lines == ["a", "b"]
    assert lines("--Lines.lines=a", "--Lines.count=3").count == 3
    assert lines("--Lines.lines=a").lines == ["a"]
    assert lines("--Lines.lines=a", "--Lines.lines=b").lines == ["a", "b"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--bogus"], "laneway: There is no argument --bogus; it has no effect."),
        (["-x"], "laneway: There is no argument -x; it has no effect."),
        (["--bogus", "1"], "laneway: There is no argument --bogus; it has no effect."),
        (["--A.b"], "laneway: There is no argument --A.b; it has no effect."),
        (["--=3"], "laneway: The arguments --=3 have no effect: "),
        (["--A..b=3"], "laneway: The arguments --A..b=3 have no effect: "),
        (["--A.b=1", "--A.b.c=2"], "laneway: The arguments --A.b=1 --A.b.c=2 have no effect: "),
        (["--profile-dir"], "laneway: The argument --profile-dir needs a value; it has no effect."),
        (["file.py", "-", "--", "--anything"], ""),
    ],
)
def test_what_is_not_understood_ends_nothing(
    argv: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert set(read_arguments(argv).config) <= {"bogus"}
    error = capfd.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == bool(said)


def test_an_unknown_flag_leaves_the_others_alone(capfd: pytest.CaptureFixture[str]) -> None:
    assert read_arguments(["--bogus", "--A.b=1", "--more"]).config == {"A": {"b": "1"}}
    assert capfd.readouterr().err.count("\n") == 2
