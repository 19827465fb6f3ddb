"""KernelProtocol, by transcripts: what goes in, what comes out."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from laneway.protocol.effects import Send, Start
from laneway.protocol.errors import LocalProtocolError, StdinNotAvailableError
from laneway.protocol.jobs import JobInfo
from laneway.protocol.kernel import KernelProtocol
from laneway.protocol.lanes import Job
from laneway.protocol.message import PROTOCOL_VERSION, Channel, Message, Stamp, as_error
from laneway.protocol.modes import Mode
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


def test_an_interrupt_reaches_all_user_code_that_runs() -> None:
    t = Transcript()
    t.execute("1")
    t.execute("2")
    t.execute("task", "# task")
    t.receive("complete_request", "c", {"code": ""})
    t.receive("comm_msg", "hook", {"comm_id": "x"})
    answered = ["busy i", "interrupt_reply i ok", "idle i"]
    assert t.receive("interrupt_request", "i", channel=Channel.CONTROL) == [
        *answered,
        "interrupt 1",
        "interrupt task",
        "interrupt hook",
        "interrupt what is left",
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
    assert interrupt("task") == ["interrupt_reply i ok", "idle i", "interrupt task alone"]
    assert interrupt("2") == ["interrupt_reply i ok", "idle i", "busy 2", "execute_reply 2 aborted", "idle 2"]
    assert interrupt("gone") == ["interrupt_reply i ok", "idle i"]
    assert interrupt(5) == ["interrupt_reply i error", "idle i"]
    assert t.finish("1") == ["execute_reply 1 ok", "idle 1"]


def test_what_is_queued_behind_a_cell_outlives_an_interrupt_aimed_at_it() -> None:
    t = Transcript()
    t.execute("1")
    t.execute("2")
    metadata = {"laneway": {"msg_id": "1"}}
    t.receive("interrupt_request", "i", channel=Channel.CONTROL, metadata=metadata)
    assert t.finish("1", "error") == ["execute_reply 1 error", "idle 1", "busy 2", "start 2"]


def test_an_interrupt_when_no_request_runs_means_what_is_left() -> None:
    t = Transcript()
    answered = ["busy i", "interrupt_reply i ok", "idle i", "interrupt what is left"]
    assert t.receive("interrupt_request", "i", channel=Channel.CONTROL) == answered


def test_shutdown() -> None:
    t = Transcript()
    t.execute("1")
    t.execute("2")
    assert t.receive("shutdown_request", "s", {"restart": True}, channel=Channel.CONTROL) == [
        *("busy s", "shutdown_reply s ok", "idle s"),
        "shutdown_reply s",  # on iopub, for other clients
        *("busy 2", "execute_reply 2 aborted", "idle 2"),
        "interrupt 1",
        "interrupt what is left",
        "stop True",
    ]
    assert t.execute("3") == ["busy 3", "execute_reply 3 error", "idle 3"]
    assert t.finish("1", "error") == ["execute_reply 1 error", "idle 1"]
    assert t.receive("shutdown_request", "s2", {"restart": True}, channel=Channel.CONTROL) == [
        *("busy s2", "shutdown_reply s2 ok", "idle s2"),
        "shutdown_reply s2",
    ]  # it ends once


def test_what_runs_when_the_kernel_is_terminated_is_not_answered() -> None:
    t = Transcript()
    t.execute("1")
    t.execute("2")
    t.core.stop(terminated=True)
    assert t.effects() == [
        *("busy 2", "execute_reply 2 aborted", "idle 2"),
        "interrupt 1",
        "interrupt what is left",
        "stop False",
    ]
    assert t.finish("1", "error") == []
    assert t.core.running == 0


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
        "interrupt 1 alone",
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
    t.core.send(t.core.output(request, "stream", {"name": "stdout", "text": "late"}))
    t.core.send(t.core.output(None, "stream", {"name": "stdout", "text": "nobody's"}))
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
        t.core.finished(job, t.core.reply(job, {"status": "ok"}))


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
    t.core.finished(t.jobs["1"], t.core.reply(t.jobs["1"], {"status": "ok"}))
    reply = t.core.effects()[0]
    assert isinstance(reply, Send)
    assert reply.message.metadata == {"started": "2026-01-01T00:00:00+00:00"}


def test_debug_requests_do_not_wait_for_one_another() -> None:
    t = Transcript()
    for msg_id in ("1", "2"):
        t.receive("debug_request", msg_id, {"command": "debugInfo"}, channel=Channel.CONTROL)
    assert t.jobs.keys() == {"1", "2"}
    assert {job.key.family for job in t.jobs.values()} == {Family.DEBUG}


def test_a_debug_request_that_the_debugger_has_not_answered_has_a_response_too() -> None:
    t = Transcript()
    request = {"type": "request", "seq": 7, "command": "evaluate", "arguments": {"expression": "1"}}
    t.receive("debug_request", "1", request, channel=Channel.CONTROL)
    error = as_error(KeyboardInterrupt("stop"))
    reply = t.core.reply(t.jobs["1"], error)
    assert reply
    assert reply.content == {
        **error,
        "type": "response",
        "seq": 0,
        "request_seq": 7,
        "command": "evaluate",
        "success": False,
        "message": "KeyboardInterrupt: stop",
        "body": {"error": {"format": "KeyboardInterrupt: stop"}},
    }


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
            core.finished(job, core.reply(job, {"status": chance.choice(["ok", "ok", "error"])}))
        elif running and chance.random() < 0.2:
            question(chance.choice(list(running.values())), number)
        else:
            send(number, *chance.choice(requests))
        perform()
    core.stop()
    perform()
    while running:
        job = running.pop(chance.choice(list(running)))
        core.finished(job, core.reply(job, {"status": "error"}))
        perform()
    assert core.running == 0
    assert (core._ids, core._asks) == (set(), {})  # pyright: ignore[reportPrivateUsage]
    assert not any(lane.queue or lane.running for lane in core._lanes.values())  # pyright: ignore[reportPrivateUsage]
    for msg_id, replies in asked.items():
        assert sent[msg_id, "busy"] == sent[msg_id, "idle"] == 1, msg_id
        assert sent[msg_id, "reply"] == (1 if replies else 0), msg_id


def test_families_name_all_lanes() -> None:
    assert {route.family for route in ROUTES.values()} == set(Family)


# ---- deadlines


def test_a_cell_whose_time_is_over_is_interrupted_harder_and_harder() -> None:
    t = Transcript()
    assert t.core.next_deadline() is None
    t.execute("1", "# queue timeout=5\n1", now=10)
    assert t.core.next_deadline() == 15
    assert t.tick(14.9) == []
    assert t.tick(15) == ["interrupt 1 alone CellTimeoutError"]
    assert t.core.next_deadline() == 16
    assert t.tick(15.9) == []
    assert t.tick(16.1) == ["interrupt 1 alone"]
    assert t.tick(17.2) == ["interrupt 1 alone"]
    assert t.finish("1") == ["execute_reply 1 error", "idle 1"]
    assert t.tick(30) == []
    assert t.core.next_deadline() is None


def test_a_timeout_begins_with_the_cell() -> None:
    t = Transcript()
    t.execute("1", now=10)
    t.execute("2", "# queue timeout=5", now=10)
    assert t.core.next_deadline() is None
    t.finish("1", now=100)
    assert t.core.next_deadline() == 105


def test_a_cell_that_ends_in_time_is_not_interrupted() -> None:
    t = Transcript()
    t.execute("1", "# queue timeout=5")
    t.execute("task", "# task timeout=3")
    assert t.core.next_deadline() == 3
    assert t.finish("task") == ["execute_reply task ok", "idle task"]
    assert t.tick(4) == []
    assert t.core.next_deadline() == 5
    assert t.finish("1") == ["execute_reply 1 ok", "idle 1"]
    assert t.tick(6) == []
    assert t.core.next_deadline() is None


def test_a_deadline_touches_nothing_else() -> None:
    t = Transcript(modes=frozenset(Mode))
    t.execute("1", "# queue timeout=1")
    t.execute("2")
    t.execute("task", "# task timeout=9")
    t.execute("io", "# thread name=io")
    assert t.tick(2) == ["interrupt 1 alone CellTimeoutError"]
    assert t.finish("1", "error") == ["execute_reply 1 error", "idle 1", "busy 2", "start 2"]


@pytest.mark.parametrize("status", ["ok", "error", None])
def test_the_reply_says_the_deadline_whatever_the_code_has_made_of_it(status: str | None) -> None:
    t = Transcript()
    t.execute("1", "# queue timeout=0.5")
    t.tick(1)
    job = t.jobs["1"]
    content = {"status": status, "execution_count": 7} if status else None
    reply = t.core.reply(job, content)
    assert reply
    assert reply.content["status"] == "error"
    assert reply.content["ename"] == "CellTimeoutError"
    assert reply.content["evalue"] == "The cell has not ended after 0.5 s, its timeout."
    assert reply.content.get("execution_count") == (7 if status else None)


def test_cells_of_a_named_thread_wait_for_one_another_and_for_nothing_else() -> None:
    t = Transcript(modes=frozenset(Mode))
    t.execute("1")
    assert t.execute("a", "# thread") == ["busy a", "start a"]
    assert t.execute("b", "# thread") == ["busy b", "start b"]
    assert t.execute("io", "# thread name=io") == ["busy io", "start io"]
    assert t.execute("io2", "# thread name=io") == []
    assert t.execute("net", "# thread name=net") == ["busy net", "start net"]
    assert t.execute("io3", "# thread name=io") == []
    assert t.finish("io") == ["execute_reply io ok", "idle io", "busy io2", "start io2"]
    aborted = ["busy io3", "execute_reply io3 aborted", "idle io3"]
    assert t.finish("io2", "error") == ["execute_reply io2 error", "idle io2", *aborted]


def test_a_named_thread_is_of_the_kernel_and_not_of_the_subshell_that_asks() -> None:
    t = Transcript(modes=frozenset(Mode))
    t.receive("create_subshell_request", channel=Channel.CONTROL)
    (subshell,) = t.core._subshells  # pyright: ignore[reportPrivateUsage]
    assert t.execute("io", "# thread name=io", subshell=subshell) == ["busy io", "start io"]
    assert t.execute("io2", "# thread name=io") == []
    delete = {"subshell_id": subshell}
    assert t.receive("delete_subshell_request", "d", delete, channel=Channel.CONTROL)[1:] == [
        "delete_subshell_reply d ok",
        "idle d",
        f"close {subshell}",
    ]


def test_a_bad_option_is_one_sentence_in_the_reply() -> None:
    t = Transcript(modes=frozenset(Mode))
    assert t.execute("1", "# thread nme=io") == ["busy 1", "execute_reply 1 error", "idle 1"]
    assert t.core.running == 0


# ---- jobs


def told(t: Transcript, now: float = 0) -> list[tuple[str, str, str, str]]:
    return [(job.id, job.kind, job.lane, job.state) for job in t.core.jobs(now)]


def test_what_runs_user_code_or_is_to_is_a_job() -> None:
    t = Transcript(modes=frozenset(Mode))
    t.execute("1", "# queue timeout=5\n\nx = 1\ny", now=10)
    t.execute("2")
    t.execute("task", "# task")
    t.execute("io", "# thread name=io")
    t.execute("io2", "# thread name=io")
    t.execute("alone", "# thread")
    t.execute("control", channel=Channel.CONTROL)
    t.receive("comm_msg", "m", {"comm_id": "x"})
    t.receive("complete_request", "c", {"code": ""})
    t.receive("history_request", "h", {"hist_access_type": "tail"})
    assert told(t) == [
        ("1", "cell", "main", "running"),
        ("task", "cell", "main", "running"),
        ("io", "cell", "thread io", "running"),
        ("alone", "cell", "thread", "running"),
        ("control", "cell", "control", "running"),
        ("m", "hook", "main", "running"),
        ("2", "cell", "main", "queued"),
        ("io2", "cell", "thread io", "queued"),
    ]
    first, *_others, queued = t.core.jobs(13)
    assert (first.code, first.elapsed, first.timeout) == ("x = 1", 3, 5)
    assert first.started == "2026-01-01T00:00:00+00:00"
    assert (queued.started, queued.elapsed) == (None, None)
    t.tick(15)
    assert told(t)[0] == ("1", "cell", "main", "ending")


def test_a_cancel_ends_one_job_and_insists() -> None:
    t = Transcript()
    t.execute("1", now=10)
    t.execute("2")
    t.execute("3")
    control = Channel.CONTROL

    def cancel(msg_id: str, job_id: str) -> list[str]:
        return t.receive("cancel_job_request", msg_id, {"job_id": job_id}, channel=control, now=10)

    answered = ["busy c", "cancel_job_reply c ok", "idle c"]
    assert cancel("c", "2") == [*answered, "busy 2", "execute_reply 2 aborted", "idle 2"]
    assert cancel("c", "1") == [*answered, "interrupt 1 alone"]
    assert t.tick(11) == ["interrupt 1 alone"]
    assert t.tick(11.5) == []
    assert t.tick(12) == ["interrupt 1 alone"]
    assert t.finish("1", "error") == ["execute_reply 1 error", "idle 1", "busy 3", "start 3"]
    assert t.tick(20) == []
    assert cancel("c", "1") == ["busy c", "cancel_job_reply c error", "idle c"]
    t.receive("complete_request", "complete", {"code": ""})
    assert cancel("c", "complete") == ["busy c", "cancel_job_reply c error", "idle c"]  # no user code


def test_what_shows_the_error_that_ended_it_is_left_alone() -> None:
    t = Transcript()
    t.execute("1", "# queue timeout=5")
    t.execute("2", "# task")
    assert t.core.cancel("1", 1)
    assert t.effects() == ["interrupt 1 alone"]
    t.core.spare("1", 1.5)
    t.core.spare("2", 1.5)  # shows an error of its own
    assert t.tick(15) == []
    assert t.tick(16.5) == ["interrupt 1 alone"]  # it does not come to an end
    assert t.tick(17.5) == ["interrupt 1 alone"]
    t.finish("1", "error")
    t.finish("2", "error")
    t.core.spare("1", 18)
    assert t.core.next_deadline() in (None, 18.5)


def test_the_reply_of_what_was_cancelled_says_no_deadline() -> None:
    t = Transcript()
    t.execute("1", "# queue timeout=5")
    assert t.core.cancel("1", 1)
    assert t.effects() == ["interrupt 1 alone"]
    assert t.tick(6) == ["interrupt 1 alone"]
    reply = t.core.reply(t.jobs["1"], {"status": "error", "ename": "KeyboardInterrupt"})
    assert reply
    assert reply.content["ename"] == "KeyboardInterrupt"


def test_tasks_are_the_hosts() -> None:
    task = JobInfo("1/Task-5", "task", "task", "main", "running", code="work")
    t = Transcript(tasks=lambda: [task])
    assert told(t) == [("1/Task-5", "task", "main", "running")]
    assert t.core.cancel("1/Task-5", 0)
    assert t.effects() == ["cancel 1/Task-5"]
    assert not t.core.cancel("1/Task-6", 0)


def test_changes_are_published_to_those_who_watch() -> None:
    t = Transcript()
    t.execute("1")

    def watch(watched: bool, session: str) -> None:
        t.receive("list_jobs_request", "w", {"watch": watched}, channel=Channel.CONTROL, session=session)

    watch(True, "a")
    watch(True, "b")
    watch(False, "a")
    assert t.execute("2") == ["job_event None"]
    assert t.core.cancel("1", 0)
    assert t.effects() == ["interrupt 1 alone", "job_event None"]
    assert t.finish("1") == [
        "execute_reply 1 ok",
        "idle 1",
        "job_event None",
        "busy 2",
        "start 2",
        "job_event None",
    ]
    watch(False, "b")
    assert t.finish("2") == ["execute_reply 2 ok", "idle 2"]


def test_who_waits_for_a_job_hears_of_its_end() -> None:
    t = Transcript()
    t.execute("1")
    t.execute("2")
    assert t.core.when_ended("1", lambda: None)
    assert t.core.when_ended("1", lambda: None)
    assert t.core.when_ended("2", lambda: None)
    assert not t.core.when_ended("3", lambda: None)
    t.core.cancel("2", 0)
    assert t.effects()[-1] == "ended for 1"
    assert t.finish("1") == ["execute_reply 1 ok", "idle 1", "ended for 2"]
    assert not t.core.when_ended("1", lambda: None)
