"""KernelProtocol, by transcripts: what goes in, what comes out."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from laneway.protocol.effects import Send, Start
from laneway.protocol.errors import LocalProtocolError, StdinNotAvailableError
from laneway.protocol.kernel import KernelProtocol
from laneway.protocol.lanes import Job
from laneway.protocol.message import PROTOCOL_VERSION, Channel, Message, Stamp
from laneway.protocol.routes import ROUTES, Family, Route

from .transcript import Transcript


def test_a_cell() -> None:
    t = Transcript()
    assert t.execute("1") == ["busy 1", "start 1"]
    assert t.finish("1") == ["execute_reply 1 ok", "idle 1"]
    assert t.core.running == 0


def test_cells_wait_for_one_another_and_for_nothing_else() -> None:
    t = Transcript()
    t.execute("1")
    assert t.execute("2") == []
    assert t.receive("complete_request", "c", {"code": ""}) == ["busy c", "start c"]
    assert t.receive("comm_msg", "m", {"comm_id": "x"}) == ["busy m", "start m"]
    assert t.receive("history_request", "h", {"hist_access_type": "tail"}) == ["busy h", "start h"]
    assert t.execute("control", channel=Channel.CONTROL) == ["busy control", "start control"]
    assert t.receive("kernel_info_request", "i") == ["busy i", "kernel_info_reply i ok", "idle i"]
    assert t.finish("m", None) == ["idle m"]
    assert t.finish("1") == ["execute_reply 1 ok", "idle 1", "busy 2", "start 2"]
    assert t.finish("c") == ["complete_reply c ok", "idle c"]


def test_a_comm_message_does_not_overtake_its_open() -> None:
    t = Transcript()
    assert t.receive("comm_open", "o", {"comm_id": "x", "target_name": "t"}) == ["busy o", "start o"]
    assert t.receive("comm_msg", "m", {"comm_id": "x"}) == []
    assert t.finish("o", None) == ["idle o", "busy m", "start m"]


def test_information_does_not_even_wait_for_its_like() -> None:
    t = Transcript()
    for msg_id in "ab":
        assert t.receive("comm_info_request", msg_id) == [f"busy {msg_id}", f"start {msg_id}"]


def test_a_task_does_not_wait_and_is_not_waited_for() -> None:
    t = Transcript()
    t.execute("1")
    assert t.execute("task", "# task") == ["busy task", "start task"]
    assert t.finish("1") == ["execute_reply 1 ok", "idle 1"]
    assert t.execute("2") == ["busy 2", "start 2"]
    assert t.finish("task", "error") == ["execute_reply task error", "idle task"]
    assert t.execute("3") == []


def test_a_mode_that_is_not_available_is_an_error() -> None:
    t = Transcript()
    assert t.execute("1", "%%thread\n1") == ["busy 1", "execute_reply 1 error", "idle 1"]


def test_an_error_aborts_what_is_queued_in_its_lane_and_nothing_else() -> None:
    t = Transcript()
    t.receive("create_subshell_request", channel=Channel.CONTROL)
    (subshell,) = t.core._subshells  # pyright: ignore[reportPrivateUsage]
    for msg_id in ("s1", "s2"):
        t.execute(msg_id, subshell=subshell)
    t.execute("task", "%%task")
    for msg_id in "123":
        t.execute(msg_id)
    aborted = ["busy 2", "execute_reply 2 aborted", "idle 2", "busy 3", "execute_reply 3 aborted", "idle 3"]
    assert t.finish("1", "error") == ["execute_reply 1 error", "idle 1", *aborted]
    assert t.execute("4") == ["busy 4", "start 4"]
    assert t.finish("s1") == ["execute_reply s1 ok", "idle s1", "busy s2", "start s2"]


def test_an_error_aborts_nothing_where_its_cell_says_so() -> None:
    t = Transcript()
    t.execute("1", stop_on_error=False)
    t.execute("2")
    assert t.finish("1", "error") == ["execute_reply 1 error", "idle 1", "busy 2", "start 2"]


def test_null_is_what_the_field_is_when_it_is_absent() -> None:
    t = Transcript()
    t.execute("1", stop_on_error=None)
    t.execute("2")
    aborted = ["busy 2", "execute_reply 2 aborted", "idle 2"]
    assert t.finish("1", "error") == ["execute_reply 1 error", "idle 1", *aborted]


def test_an_interrupt_reaches_the_cells_that_run() -> None:
    t = Transcript()
    t.execute("1")
    t.execute("2")
    t.execute("task", "# task")
    t.receive("complete_request", "c", {"code": ""})
    answered = ["busy i", "interrupt_reply i ok", "idle i"]
    assert t.receive("interrupt_request", "i", channel=Channel.CONTROL) == [
        *answered,
        "cancel 1",
        "cancel task",
    ]


def test_an_interrupt_can_be_aimed() -> None:
    def interrupt(target: object) -> list[str]:
        metadata = {"laneway": {"msg_id": target}}
        answer = t.receive("interrupt_request", "i", channel=Channel.CONTROL, metadata=metadata)
        assert answer[0] == "busy i"
        return answer[1:]

    t = Transcript()
    t.execute("1")
    t.execute("2")
    t.execute("task", "# task")
    assert interrupt("task") == ["interrupt_reply i ok", "idle i", "cancel task"]
    assert interrupt("2") == ["interrupt_reply i ok", "idle i", "busy 2", "execute_reply 2 aborted", "idle 2"]
    assert interrupt("gone") == ["interrupt_reply i ok", "idle i"]
    assert interrupt(5) == ["interrupt_reply i error", "idle i"]
    assert t.finish("1") == ["execute_reply 1 ok", "idle 1"]


def test_an_interrupt_when_idle_is_nothing() -> None:
    t = Transcript()
    answered = ["busy i", "interrupt_reply i ok", "idle i"]
    assert t.receive("interrupt_request", "i", channel=Channel.CONTROL) == answered


def test_shutdown() -> None:
    t = Transcript()
    t.execute("1")
    t.execute("2")
    assert t.receive("shutdown_request", "s", {"restart": True}, channel=Channel.CONTROL) == [
        *("busy s", "shutdown_reply s ok", "idle s"),
        "shutdown_reply s",  # on iopub, for other clients
        *("busy 2", "execute_reply 2 aborted", "idle 2"),
        "cancel 1",
        "stop True",
    ]
    assert t.execute("3") == ["busy 3", "execute_reply 3 error", "idle 3"]
    assert t.finish("1", "error") == ["execute_reply 1 error", "idle 1"]
    assert t.receive("shutdown_request", "s2", {"restart": True}, channel=Channel.CONTROL) == [
        *("busy s2", "shutdown_reply s2 ok", "idle s2"),
        "shutdown_reply s2",
    ]  # it ends once


def test_subshells() -> None:
    t = Transcript()
    created = t.receive("create_subshell_request", "c", channel=Channel.CONTROL)
    subshell = created[-1].removeprefix("open ")
    assert created[:-1] == ["busy c", "create_subshell_reply c ok", "idle c"]
    t.execute("main")
    assert t.execute("1", subshell=subshell) == ["busy 1", "start 1"]
    assert t.execute("2", subshell=subshell) == []
    content = {"subshell_id": subshell}
    assert t.receive("delete_subshell_request", "d", content, channel=Channel.CONTROL) == [
        *("busy d", "delete_subshell_reply d ok", "idle d"),
        *("busy 2", "execute_reply 2 aborted", "idle 2"),
        "cancel 1",
    ]
    assert t.execute("3", subshell=subshell) == ["busy 3", "execute_reply 3 error", "idle 3"]
    assert t.finish("1", "error") == ["execute_reply 1 error", "idle 1", f"close {subshell}"]
    refused = t.receive("delete_subshell_request", "d2", content, channel=Channel.CONTROL)
    assert refused == ["busy d2", "delete_subshell_reply d2 error", "idle d2"]


def ask(t: Transcript, msg_id: str) -> str:
    """The cell asks; returns the id of the question."""
    ask_id = t.core.ask(t.jobs[msg_id].request, "?", False)
    assert t.effects() == [f"input_request {msg_id}"]
    return ask_id


@pytest.mark.parametrize("parent", ["question", "cell", None])
def test_an_answer_finds_its_question(parent: str | None) -> None:
    t = Transcript()
    t.execute("1", allow_stdin=True, session="a")
    t.execute("2", "# task", allow_stdin=True, session="b")
    for msg_id, session in (("2", "b"), ("1", "a")):
        ask_id = ask(t, msg_id)
        of = {"question": ask_id, "cell": msg_id, None: None}[parent]
        reply = {"value": "v"}
        answered = t.receive("input_reply", "r", reply, channel=Channel.STDIN, parent=of, session=session)
        assert answered == [f"answer {ask_id} v"]
        again = t.receive("input_reply", "r", reply, channel=Channel.STDIN, parent=of, session=session)
        assert again == []
    assert t.core.dropped == 2


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    t = Transcript()
    t.execute("1", allow_stdin=True)
    t.core.withdraw(ask(t, "1"))
    late = ask(t, "1")
    t.finish("1")
    for parent in (late, "1", "unknown"):
        assert t.receive("input_reply", "r", {"value": ""}, channel=Channel.STDIN, parent=parent) == []
    assert t.core.dropped == 3


def test_an_answer_to_something_else_is_nobody_s() -> None:
    t = Transcript()
    t.execute("1", allow_stdin=True, session="a")
    ask_id = ask(t, "1")
    for parent, session in (("unknown", "a"), (None, "b")):
        reply = {"value": ""}
        answered = t.receive("input_reply", "r", reply, channel=Channel.STDIN, parent=parent, session=session)
        assert answered == []
    answer = t.receive("input_reply", "r", {"value": "v"}, channel=Channel.STDIN, parent=ask_id, session="b")
    assert answer == [f"answer {ask_id} v"]


def test_who_cannot_be_asked() -> None:
    t = Transcript()
    t.execute("1")
    with pytest.raises(StdinNotAvailableError, match="allow_stdin is false"):
        t.core.ask(t.jobs["1"].request, "", False)
    request = t.jobs["1"].request
    t.finish("1")
    for parent in (request, None):
        with pytest.raises(StdinNotAvailableError, match="needs a running cell"):
            t.core.ask(parent, "", False)


def test_output_may_come_after_the_reply_and_without_a_parent() -> None:
    t = Transcript()
    t.execute("1")
    request = t.jobs["1"].request
    t.finish("1")
    t.core.publish(request, "stream", {"name": "stdout", "text": "late"})
    t.core.publish(None, "stream", {"name": "stdout", "text": "nobody's"})
    assert t.effects() == ["stream 1", "stream None"]


def test_welcome_and_starting() -> None:
    t = Transcript()
    t.core.starting()
    t.core.subscribed("topic")
    assert t.effects() == ["starting None", "iopub_welcome None"]


def test_a_job_finishes_once() -> None:
    t = Transcript()
    t.execute("1")
    job = t.jobs["1"]
    t.finish("1")
    with pytest.raises(LocalProtocolError, match="twice"):
        t.core.finished(job, {"status": "ok"})


def test_a_handler_without_a_reply_is_answered_for() -> None:
    t = Transcript()
    t.execute("1")
    assert t.finish("1", None) == ["execute_reply 1 error", "idle 1"]


def test_an_id_that_runs_already_is_refused() -> None:
    t = Transcript()
    t.execute("1")
    assert t.execute("1") == ["busy 1", "execute_reply 1 error", "idle 1"]


def test_an_id_that_is_queued_already_is_refused() -> None:
    t = Transcript()
    t.execute("1")
    t.execute("2")
    assert t.receive("complete_request", "2", {"code": ""}) == ["busy 2", "complete_reply 2 error", "idle 2"]
    assert t.receive("comm_msg", "2", {"comm_id": "x"}) == ["busy 2", "idle 2"]
    assert t.finish("1") == ["execute_reply 1 ok", "idle 1", "busy 2", "start 2"]
    assert t.finish("2") == ["execute_reply 2 ok", "idle 2"]
    assert t.execute("2") == ["busy 2", "start 2"]


def test_an_id_is_free_again_after_an_abort() -> None:
    t = Transcript()
    t.execute("1")
    t.execute("2")
    t.finish("1", "error")
    assert t.execute("2") == ["busy 2", "start 2"]


@pytest.mark.parametrize("channel", Channel)
def test_unknown_messages(channel: Channel) -> None:
    t = Transcript()
    reply = "odd_reply 1" if channel is Channel.IOPUB else "odd_reply 1 error"  # of output, only the type
    assert t.receive("odd_request", channel=channel) == ["busy 1", reply, "idle 1"]
    assert t.receive("odd", channel=channel) == ["busy 1", "idle 1"]
    assert t.core.dropped == 2


_WRONG: dict[type, object] = {str: 5, int: "5", bool: "yes", dict: [], list: {}}


def wrong_contents(route: Route) -> list[Any]:
    """Everything that a request's content must not be."""
    good = {name: kind() for name, kind in route.required.items()}
    wrong: list[Any] = [None, [], "text", 5]
    wrong += [{key: value for key, value in good.items() if key != name} for name in good]
    wrong += [{**good, name: _WRONG[kind]} for name, kind in ({**route.required, **route.optional}).items()]
    return wrong


@pytest.mark.parametrize(("channel", "msg_type"), ROUTES)
def test_wrong_contents(channel: Channel, msg_type: str) -> None:
    route = ROUTES[channel, msg_type]
    reply = msg_type.removesuffix("_request") + "_reply"
    for content in wrong_contents(route):
        t = Transcript()
        t.core.receive(Message(channel, {"msg_id": "1", "msg_type": msg_type}, content=content, route="1"))
        effects = t.effects()
        assert effects == (
            ["busy 1", f"{reply} 1 error", "idle 1"] if route.replies else ["busy 1", "idle 1"]
        )


def test_kernel_info_holds_what_the_interpreter_says_of_itself() -> None:
    t = Transcript()
    for channel in (Channel.SHELL, Channel.CONTROL):
        t.core.receive(Message(channel, {"msg_id": "1", "msg_type": "kernel_info_request"}))
        _, reply, _ = t.core.effects()
        assert isinstance(reply, Send)
        assert (reply.message.channel, reply.message.content) == (
            channel,
            {"status": "ok", "protocol_version": PROTOCOL_VERSION, "implementation": "test"},
        )


def test_the_subshells_are_listed() -> None:
    def listed() -> list[str]:
        t.core.receive(Message(Channel.CONTROL, {"msg_id": "l", "msg_type": "list_subshell_request"}))
        _, reply, _ = t.core.effects()
        assert isinstance(reply, Send)
        return reply.message.content["subshell_id"]

    t = Transcript()
    assert listed() == []
    created = [t.receive("create_subshell_request", channel=Channel.CONTROL)[-1][5:] for _ in range(2)]
    assert listed() == created
    t.execute("1", subshell=created[0])
    t.receive("delete_subshell_request", content={"subshell_id": created[0]}, channel=Channel.CONTROL)
    assert listed() == created[1:]  # although its cell runs still
    deleted = {"subshell_id": created[1]}
    answer = t.receive("delete_subshell_request", "d", deleted, channel=Channel.CONTROL)
    assert answer == ["busy d", "delete_subshell_reply d ok", "idle d", f"close {created[1]}"]
    assert listed() == []


def test_a_reply_says_when_its_cell_has_started() -> None:
    t = Transcript()
    t.execute("1")
    t.core.finished(t.jobs["1"], {"status": "ok"})
    reply = t.core.effects()[0]
    assert isinstance(reply, Send)
    assert reply.message.metadata == {"started": "2026-01-01T00:00:00+00:00"}


def test_debug_is_answered_in_its_own_protocol() -> None:
    core = Transcript().core
    request = {"type": "request", "seq": 4, "command": "initialize"}
    core.receive(Message(Channel.CONTROL, {"msg_id": "1", "msg_type": "debug_request"}, content=request))
    (reply,) = [
        effect.message.content
        for effect in core.effects()
        if isinstance(effect, Send) and effect.message.msg_type == "debug_reply"
    ]
    assert (reply["type"], reply["request_seq"], reply["command"]) == ("response", 4, "initialize")
    assert reply["success"] is False


@pytest.mark.parametrize("seed", range(100))
def test_whatever_happens_each_request_has_one_reply_and_one_idle(seed: int) -> None:
    """Random requests, ends, errors, interrupts, subshells, and a shutdown at the end."""
    chance = random.Random(seed)
    stamp_numbers = iter(range(10**6))
    core = KernelProtocol({}, Stamp("k", lambda: f"k{next(stamp_numbers)}", lambda: "now"))
    running: dict[str, Job] = {}
    sent: Counter[tuple[str, str]] = Counter()
    asked: dict[str, bool] = {}
    subshells: list[str] = [""]

    def perform() -> None:
        for effect in core.effects():
            if isinstance(effect, Start):
                job = effect.job
                assert job.id not in running
                if job.route.serial and job.mode == "queue":
                    beside = [j for j in running.values() if j.key == job.key and j.mode == "queue"]
                    assert beside == [], "a serial lane runs one job at a time"
                running[job.id] = job
            elif isinstance(effect, Send) and (parent := effect.message.parent_id):
                message = effect.message
                if message.channel is Channel.STDIN:
                    continue  # a question
                state = message.content.get("execution_state")
                sent[parent, state or ("reply" if message.channel is not Channel.IOPUB else "other")] += 1
                if message.msg_type == "create_subshell_reply":
                    subshells.append(message.content["subshell_id"])

    def send(number: int, channel: Channel, msg_type: str) -> None:
        msg_id = f"r{number}"
        route = ROUTES[channel, msg_type]
        content: dict[str, Any] = {name: kind() for name, kind in route.required.items()}
        if msg_type == "execute_request":
            content["code"] = chance.choice(["", "# task", "%%thread"])
            content["stop_on_error"] = chance.random() < 0.7
            content["allow_stdin"] = chance.random() < 0.7
        if msg_type == "delete_subshell_request":
            content["subshell_id"] = chance.choice(subshells)
        metadata = (
            {"laneway": {"msg_id": f"r{chance.randrange(number + 1)}"}} if chance.random() < 0.5 else {}
        )
        header: dict[str, Any] = {"msg_id": msg_id, "msg_type": msg_type, "session": "c"}
        if channel is Channel.SHELL and (subshell := chance.choice(subshells)):
            header["subshell_id"] = subshell
        asked[msg_id] = route.replies
        core.receive(Message(channel, header, {}, metadata, content))

    def question(job: Job, number: int) -> None:
        try:
            ask_id = core.ask(job.request, "", False)
        except StdinNotAvailableError:
            return
        if chance.random() < 0.3:
            core.withdraw(ask_id)
        if chance.random() < 0.7:
            header = {"msg_id": f"a{number}", "msg_type": "input_reply", "session": "c"}
            parent = chance.choice([{}, {"msg_id": ask_id}, {"msg_id": job.id}])
            core.receive(Message(Channel.STDIN, header, parent, {}, {"value": ""}))

    requests = [key for key in ROUTES if key[1] not in ("shutdown_request", "input_reply")]
    requests += [(Channel.SHELL, "execute_request")] * 10
    for number in range(300):
        if running and chance.random() < 0.4:
            job = running.pop(chance.choice(list(running)))
            core.finished(job, {"status": chance.choice(["ok", "ok", "error"])})
        elif running and chance.random() < 0.2:
            question(chance.choice(list(running.values())), number)
        else:
            send(number, *chance.choice(requests))
        perform()
    core.stop()
    perform()
    while running:
        core.finished(running.pop(chance.choice(list(running))), {"status": "error"})
        perform()
    assert core.running == 0
    assert (core._ids, core._asks) == (set(), {})  # pyright: ignore[reportPrivateUsage]
    assert not any(lane.queue or lane.running for lane in core._lanes.values())  # pyright: ignore[reportPrivateUsage]
    for msg_id, replies in asked.items():
        assert sent[msg_id, "busy"] == sent[msg_id, "idle"] == 1, msg_id
        assert sent[msg_id, "reply"] == (1 if replies else 0), msg_id


def test_families_name_all_lanes() -> None:
    assert {route.family for route in ROUTES.values()} == set(Family)
