"""Which mode a cell asks for, and with which options."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.protocol.errors import RemoteProtocolError
from laneway.protocol.message import Channel, Message
from laneway.protocol.modes import Mode, Wish, is_magic, wish

QUEUE, TASK, THREAD = Mode.QUEUE, Mode.TASK, Mode.THREAD


def cell(code: str = "", **metadata: Any) -> Message:
    return Message(Channel.SHELL, {"msg_id": "1"}, {}, metadata, {"code": code})


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("# task", Wish(TASK)),
        ("# task\n1", Wish(TASK)),
        ("# task  \n1", Wish(TASK)),
        ("# task\t\n1", Wish(TASK)),
        ("%%task\n1", Wish(TASK)),
        ("%%thread\n1", Wish(THREAD)),
        ("# queue\n1", Wish(QUEUE)),
        ("# thread name=io timeout=30\n1", Wish(THREAD, "io", 30)),
        ("# thread timeout=30   name=io  \n1", Wish(THREAD, "io", 30)),
        ("%%thread\tname=io\n1", Wish(THREAD, "io")),
        ("# thread name='in and out'", Wish(THREAD, "in and out")),
        ('# thread name="it\'s=5"', Wish(THREAD, "it's=5")),
        ("# thread name=5", Wish(THREAD, "5")),
        ("# thread name=Größe", Wish(THREAD, "Größe")),
        ("%%task timeout=5", Wish(TASK, None, 5)),
        ("# queue timeout=.5", Wish(QUEUE, None, 0.5)),
        ("# task timeout=1e-3\n1", Wish(TASK, None, 0.001)),
    ],
)
def test_a_first_line(code: str, wanted: Wish) -> None:
    assert wish(cell(code)) == wanted


@pytest.mark.parametrize(
    "code",
    [
        "",
        "1",
        "threads = 4",
        "thread",
        "task",
        "# thread safety",
        "# thread safety matters",
        "# task list:",
        "# task: this",
        "# task - this",
        "# tasks",
        "# task_list",
        "# task1",
        "# Task",
        "#task",
        "#  task",
        "##task",
        " # task",
        "\n# task",
        "x = 1  # task",
        "1\n# task",
        "# thread name = io",
        "# thread name=io, timeout=3",
        "# thread name=",
        "# task timeout=__import__('os')",
        "# thread name='io",
        "# thread name=io and so on",
        "# queue (timeout=3)",
        "%task",
        "%%tasks\n1",
        "%%time\n# task",
        "# taskё",
    ],
)
def test_ordinary_code(code: str) -> None:
    assert wish(cell(code)) == Wish()


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("# task name=io", "'task' has no option 'name'; it has timeout"),
        ("# thread nme=io", "'thread' has no option 'nme'; it has timeout and name"),
        ("# queue name=io", "'queue' has no option 'name'"),
        ("# task timeout=soon", "number of seconds, more than 0, which 'soon' is not"),
        ("# task timeout=0", "which 0.0 is not"),
        ("# task timeout=-1", "which -1.0 is not"),
        ("# task timeout=nan", "which nan is not"),
        ("# task timeout=inf", "which inf is not"),
        ("# task timeout=\"__import__('os')\"", "which \"__import__('os')\" is not"),
        ("# task timeout=1 timeout=2", "'timeout' of the run mode 'task' is given twice"),
        ("# thread name=''", "1 to 64 characters"),
        (f"# thread name={'x' * 65}", "1 to 64 characters"),
        ("# thread name='a\x07b'", "1 to 64 characters"),
        ("%%task list", "key=value, which 'list' is not"),
        ("%%thread name=io now", "key=value, which 'now' is not"),
    ],
)
def test_a_bad_option_is_said(code: str, problem: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        wish(cell(code))
    assert problem in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_what_is_quoted_in_an_option_is_never_evaluated() -> None:
    assert wish(cell("# thread name=\"__import__('os')\"")) == Wish(THREAD, "__import__('os')")


@pytest.mark.parametrize(
    ("metadata", "wanted"),
    [
        ({"mode": "task"}, Wish(TASK)),
        ({"mode": "thread", "name": "io", "timeout": 3}, Wish(THREAD, "io", 3)),
        ({"mode": "thread", "name": None, "timeout": None}, Wish(THREAD)),
        ({"mode": "queue", "timeout": 0.5}, Wish(QUEUE, None, 0.5)),
        ({"timeout": 0.5}, Wish(QUEUE, None, 0.5)),
        ({"msg_id": "x"}, Wish()),
    ],
)
def test_metadata(metadata: dict[str, Any], wanted: Wish) -> None:
    assert wish(cell("1", laneway=metadata)) == wanted


@pytest.mark.parametrize(
    ("metadata", "problem"),
    [
        ({"mode": "quickly"}, "queue, task, thread"),
        ({"mode": 5}, "queue, task, thread"),
        ({"mode": ["task"]}, "queue, task, thread"),
        ({"mode": "task", "name": "io"}, "no option 'name'"),
        ({"name": "io"}, "needs the mode 'thread'"),
        ({"mode": "thread", "name": 5}, "1 to 64"),
        ({"timeout": "5"}, "which '5' is not"),
        ({"timeout": True}, "which True is not"),
        ({"timeout": 0}, "which 0 is not"),
        ({"timeout": float("inf")}, "which inf is not"),
        ({"mode": "task", "timeout": []}, "which [] is not"),
    ],
)
def test_bad_metadata_is_said(metadata: dict[str, Any], problem: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        wish(cell("1", laneway=metadata))
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        (["other", "task"], Wish(TASK)),
        (["thread name=io timeout=2"], Wish(THREAD, "io", 2)),
        (["task list", "thread"], Wish(THREAD)),
        (["tasks"], Wish()),
        ("task", Wish()),
        ([["task"]], Wish()),
        ([None, 5], Wish()),
    ],
)
def test_tags(tags: object, wanted: Wish) -> None:
    assert wish(cell("1", tags=tags)) == wanted


def test_metadata_comes_before_the_first_line_and_that_before_tags() -> None:
    assert wish(cell("# task timeout=1", laneway={"mode": "queue"}, tags=["thread"])) == Wish(QUEUE)
    assert wish(cell("# queue", tags=["task"])) == Wish(QUEUE)
    assert wish(cell("# thread name=io timeout=1", laneway={"timeout": 2})) == Wish(THREAD, "io", 2)


@pytest.mark.parametrize("metadata", [{"laneway": None}, {"laneway": []}, {"laneway": "task"}])
def test_what_is_not_for_us_is_ignored(metadata: dict[str, Any]) -> None:
    assert wish(cell("1", **metadata)) == Wish()


def test_what_becomes_of_a_cell_magic() -> None:
    assert is_magic("%%task\n")
    assert is_magic("%%thread name=io\n")
    assert not is_magic("# task\n")
    assert not is_magic("%%tasks\n")
