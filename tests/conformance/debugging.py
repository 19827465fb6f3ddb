"""What the debugger does, on every transport whose kernel has one. As `checks.py`."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio

from laneway.client.client import Client
from laneway.client.execution import Execution
from laneway.protocol.debug import COMMANDS, Fields, murmur2
from laneway.protocol.errors import DebugError
from laneway.protocol.message import Content
from tests.tasks import begin, first

from .checks import PATIENCE, Check, needs, output, run, soon


class FrontEnd:
    """A debugger's front end: JupyterLab's requests, in its order."""

    def __init__(self, kc: Client) -> None:
        self.kc = kc
        self.events: list[Content] = []
        self.thread = 1
        self._sent = kc.debugger.events()
        self._seq = 0

    def close(self) -> None:
        self._sent.close()

    async def ask(self, command: str, **arguments: Any) -> Content:
        """The response to a request."""
        self._seq += 1
        request = {"type": "request", "seq": self._seq, "command": command, "arguments": arguments}
        response = await soon(self.kc.debug(request))
        assert response["type"] == "response", response
        assert response["command"] == command
        assert response["request_seq"] == self._seq
        return response

    async def __call__(self, command: str, **arguments: Any) -> Content:
        """The body of the response to a request that must succeed."""
        return await soon(self.kc.debugger.request(command, arguments))

    async def refused(self, command: str, **arguments: Any) -> str:
        """Why a request is refused."""
        response = await self.ask(command, **arguments)
        assert response["success"] is False, response
        return response["message"]

    async def event(self, name: str) -> Content:
        """The body of the next event of this name."""
        while True:
            content = await soon(anext(self._sent))
            self.events.append(content)
            if content["event"] == name:
                return content["body"]

    async def stopped(self) -> str:
        """Wait until code has stopped, and say why and where: `reason function:line`."""
        body = await self.event("stopped")
        self.thread = body["threadId"]
        return f"{body['reason']} {await self.where()}"

    async def where(self) -> str:
        """Where code has stopped."""
        top = (await self.frames())[0]
        return f"{top['name']}:{top['line']}"

    async def frames(self) -> list[Content]:
        return (await self("stackTrace", threadId=self.thread))["stackFrames"]

    async def go(self, action: str) -> None:
        """`continue`, `next`, `stepIn` or `stepOut`."""
        await self(action, threadId=self.thread)

    async def step(self, action: str) -> str:
        """Where it comes by that."""
        await self.go(action)
        return await self.stopped()

    async def break_at(self, code: str, *lines: int, **conditions: Any) -> str:
        """Set the breakpoints of a cell; returns its path."""
        path = (await self("dumpCell", code=code))["sourcePath"]
        points = [{"line": line, **conditions} for line in lines]
        answer = await self("setBreakpoints", source={"path": path}, breakpoints=points)
        assert [point["verified"] for point in answer["breakpoints"]] == [True for _ in lines], answer
        return path

    async def variables(self, scope: str = "Locals") -> dict[str, Content]:
        """Those of the innermost frame."""
        scopes = (await self("scopes", frameId=(await self.frames())[0]["id"]))["scopes"]
        (number,) = (found["variablesReference"] for found in scopes if found["name"] == scope)
        return {found["name"]: found for found in await self.inside(number)}

    async def inside(self, number: int, **page: Any) -> list[Content]:
        return (await self("variables", variablesReference=number, **page))["variables"]

    async def evaluate(self, expression: str, context: str = "repl") -> str:
        """In the innermost frame."""
        frame = (await self.frames())[0]["id"]
        return (await self("evaluate", expression=expression, frameId=frame, context=context))["result"]


@asynccontextmanager
async def attached(kc: Client) -> AsyncGenerator[FrontEnd, None]:
    """A front end that has attached."""
    front_end = FrontEnd(kc)
    try:
        assert (await soon(kc.debugger.attach()))["supportsConditionalBreakpoints"] is True
        await front_end.event("initialized")
        yield front_end
    finally:
        await front_end("disconnect")
        front_end.close()
    info = (await soon(kc.debug({"type": "request", "seq": 1, "command": "debugInfo"})))["body"]
    assert (info["isStarted"], info["stoppedThreads"], info["breakpoints"]) == (False, [], [])


CELL = """\
def double(n):
    doubled = n + n
    return doubled

seen = []
for i in range(3):
    seen.append(double(i))
print(seen)
"""


# ---- always


async def check_debug_info(kc: Client) -> None:
    """Well formed in any kernel: front ends read it unchecked."""
    response = await soon(kc.debug({"type": "request", "seq": 7, "command": "debugInfo", "arguments": {}}))
    assert (response["success"], response["request_seq"]) == (True, 7)
    info = response["body"]
    assert (info["isStarted"], info["hashMethod"], info["stoppedThreads"]) == (False, "Murmur2", [])
    announced = (await soon(kc.kernel_info()))["supported_features"]
    assert ("debugger" in announced) == kc.info["laneway"]["debugger"]


async def check_variables_without_a_debugger(kc: Client) -> None:
    """What JupyterLab's panel shows after each cell."""
    front_end = FrontEnd(kc)
    await run(kc, "shown = {'a': [1, 2]}\nclass Broken:\n    def __repr__(self): 1 / 0\nbroken = Broken()")
    found = {one["name"]: one for one in (await front_end("inspectVariables"))["variables"]}
    assert found["shown"]["value"] == "{'a': [1, 2]}"
    assert found["shown"]["type"] == "dict"
    assert "ZeroDivisionError" in found["broken"]["value"]
    assert not {"In", "Out", "get_ipython", "__name__", "exit"} & found.keys()
    ((inner),) = await front_end.inside(found["shown"]["variablesReference"])
    assert (inner["name"], inner["evaluateName"]) == ("'a'", "shown['a']")
    rich = await front_end("richInspectVariables", variableName="shown")
    assert rich["data"]["text/plain"] == "{'a': [1, 2]}"
    front_end.close()


async def check_wrong_debug_requests(kc: Client) -> None:
    """Every command with every field missing and of the wrong type: a sentence each, and the kernel lives."""
    front_end = FrontEnd(kc)
    assert "'make_coffee'" in await front_end.refused("make_coffee")
    assert "goto" in await front_end.refused("goto", threadId=1, targetId=1)
    for command, fields in COMMANDS.items():
        for field in fields:
            name, wrong = field.removesuffix("?"), _right(fields)
            wrong[name] = 1.5
            assert f"'{name}'" in await front_end.refused(command, **wrong)
            if not field.endswith("?"):
                del wrong[name]
                assert f"lacks the field '{name}'" in await front_end.refused(command, **wrong)
    for content in ({}, {"command": 5}, {"command": "debugInfo", "arguments": []}):
        assert (await soon(kc.debug(content)))["success"] is False
    front_end.close()


async def check_debug_requests_that_nobody_answers(kc: Client) -> None:
    """What ends the answering code, as an interrupt does at any moment, is a response, too."""
    front_end = FrontEnd(kc)
    for error in ("SystemExit('ended')", "GeneratorExit('ended')", "KeyboardInterrupt('ended')"):
        expression = f"(_ for _ in ()).throw({error})"
        assert "ended" in await front_end.refused("evaluate", expression=expression)
    front_end.close()
    assert (await run(kc, "'lives'")).result == {"text/plain": "'lives'"}


def _right(fields: Fields) -> Content:
    examples: dict[str, Any] = {"str": "x", "int": 1, "dict": {"path": "x"}, "list": []}
    return {
        name.removesuffix("?"): examples[(kind if isinstance(kind, type) else type(kind)).__name__]
        for name, kind in fields.items()
    }


# ---- where there is one


@needs("debugger")
async def check_debugger(kc: Client) -> None:
    async with attached(kc) as debug:
        path = await debug.break_at(CELL, 2)
        cell = kc.execute(CELL)
        assert await debug.stopped() == "breakpoint double:2"
        assert (await debug("debugInfo"))["stoppedThreads"] == [debug.thread]
        top, below = await debug.frames()
        assert (top["source"]["path"], below["name"], below["line"]) == (path, "<module>", 7)
        assert (await debug.variables())["n"]["value"] == "0"
        assert (await debug.variables("Globals"))["seen"]["value"] == "[]"
        assert await debug.evaluate("n + 40") == "40"
        assert await debug.evaluate("(lambda: n + 2)()") == "2"
        assert await debug.evaluate("n = 21") == ""  # statements have no value
        assert await debug.evaluate("None") == ""  # as at a prompt
        assert await debug.evaluate("None", "hover") == "None"
        assert (await debug.variables())["n"]["value"] == "21"
        assert await debug.step("next") == "step double:3"
        assert (await debug.variables())["doubled"]["value"] == "42"
        assert await debug.step("next") == "step <module>:7"
        assert await debug.step("next") == "step <module>:6"
        assert await debug.step("next") == "step <module>:7"
        assert await debug.step("stepIn") == "breakpoint double:2"
        assert await debug.step("stepOut") == "step <module>:7"
        await debug("setBreakpoints", source={"path": path}, breakpoints=[])
        await debug.go("continue")
        result = await soon(cell)
        assert result.stdout == "[42, 2, 4]\n", result.reply


@needs("debugger")
async def check_steps_through_a_cell(kc: Client) -> None:
    """From statement to statement, each of which is code of its own; and from call to call in one of them."""
    code = """\
def inner(x):
    return x

def outer(y):
    return y + 1

a = outer(inner(1))
b = [inner(n) for n in (1, 2)]
import asyncio
await asyncio.sleep(0)
print(a, b)
"""
    steps = (
        *(("stepIn", "inner:2"), ("stepOut", "<module>:7"), ("stepIn", "outer:5"), ("next", "<module>:7")),
        *(("next", "<module>:8"), ("stepIn", "inner:2"), ("stepOut", "<module>:8")),
    )
    async with attached(kc) as debug:
        await debug.break_at(code, 7)
        cell = kc.execute(code)
        assert await debug.stopped() == "breakpoint <module>:7"
        for action, where in steps:
            assert await debug.step(action) == f"step {where}", action
        while await debug.step("next") == "step <module>:8":
            pass  # once more for each turn, and then
        assert await debug.where() == "<module>:9"
        for where in ("<module>:10", "<module>:11"):
            assert await debug.step("next") == f"step {where}"
        await debug.go("next")
        assert (await soon(cell)).stdout == "2 [1, 2]\n"


@needs("debugger")
async def check_the_client_of_the_debugger(kc: Client) -> None:
    """Each call of `Client.debugger`, once."""
    async with kc.debugger as debug:
        path = await soon(debug.dump_cell(CELL))
        assert await soon(debug.source(path)) == CELL
        points = await soon(debug.set_breakpoints(path, [1, {"line": 2, "condition": "n == 1"}, 99]))
        assert [point["verified"] for point in points] == [True, True, False]
        await soon(debug.set_breakpoints(path, [{"line": 2, "condition": "n == 1"}]))
        (point,) = await soon(debug.set_function_breakpoints(["no_such_function"]))
        assert point["verified"]
        await soon(debug.set_exception_breakpoints(["uncaught"]))
        assert (await soon(debug.info()))["breakpoints"][0]["source"] == path
        events = debug.events("stopped")
        cell = kc.execute(CELL)
        assert (await soon(anext(events)))["body"]["reason"] == "breakpoint"
        (thread,) = debug.stopped
        assert thread in [one["id"] for one in await soon(debug.threads())]
        top, below = await soon(debug.stack_trace())
        assert (await soon(debug.stack_trace(start_frame=1, levels=1))) == [below]
        frame: int = top["id"]
        scope = (await soon(debug.scopes(frame)))[0]["variablesReference"]
        (variable,) = await soon(debug.variables(scope))
        assert (variable["name"], variable["value"]) == ("n", "1")
        assert (await soon(debug.set_variable(scope, "n", "20")))["value"] == "20"
        assert (await soon(debug.set_expression("n", "n + 1", frame)))["value"] == "21"
        assert (await soon(debug.evaluate("n * 2", frame)))["result"] == "42"
        assert (await soon(debug.rich_inspect_variables("n", frame)))["data"]["text/plain"] == "21"
        await soon(debug.copy_to_globals("n", frame, "kept_by_client"))
        targets = await soon(debug.completions("n.bit_l", frame))
        assert "bit_length" in [target["label"].rpartition(".")[2] for target in targets]
        assert "exception" in await refusal(debug.exception_info())
        steps = (
            (debug.next, 3),
            (debug.step_out, 7),
            (debug.next, 6),
            (debug.step_in, 7),
            (debug.step_in, 2),
        )
        for step, line in steps:
            await soon(step())
            await soon(anext(events))
            assert (await soon(debug.stack_trace()))[0]["line"] == line, step
        await soon(debug.continue_())
        assert (await soon(cell)).stdout == "[0, 42, 4]\n"
        assert debug.stopped == {}
        names = [one["name"] for one in await soon(debug.inspect_variables())]
        assert "kept_by_client" in names
        assert "not stopped" in await refusal(debug.next())
        await soon(debug.terminate())
        assert (await soon(debug.info()))["breakpoints"] == []
        events.close()
    assert not debug.attached


async def refusal(call: Awaitable[object]) -> str:
    """Why the client's debugger refuses."""
    try:
        await soon(call)
    except DebugError as error:
        return str(error)
    raise AssertionError("It was not refused.")


@needs("debugger")
async def check_all_is_answered_while_stopped(kc: Client) -> None:
    async with attached(kc) as debug:
        await debug.break_at(CELL, 2)
        cell = kc.execute(CELL)
        await debug.stopped()
        if kc.info["laneway"]["answers_while_blocking"]:
            assert "import" in (await soon(kc.complete("imp")))["matches"]
            assert (await soon(kc.inspect("len")))["found"]
        assert (await soon(kc.kernel_info()))["status"] == "ok"
        assert "thread 99" in await debug.refused("stackTrace", threadId=99)
        await soon(kc.interrupt())
        assert (await soon(cell)).reply["ename"] == "KeyboardInterrupt"
        assert (await debug("debugInfo"))["stoppedThreads"] == []
        assert (await run(kc, "'next'")).result == {"text/plain": "'next'"}


@needs("debugger")
async def check_stopped_cells_are_told_as_stopped(kc: Client) -> None:
    states: list[str] = []
    async with attached(kc) as debug, aclosing(kc.watch_jobs()) as jobs:
        await debug.break_at(CELL, 2)
        cell = kc.execute(CELL)
        await debug.event("stopped")
        assert [(job.id, job.state) for job in await soon(kc.jobs())] == [(cell.msg_id, "stopped")]
        with anyio.fail_after(PATIENCE):
            async for job in jobs:
                states.append(job.state)
                if job.state == "stopped":
                    await debug.go("continue")
                if job.state == "ended":
                    break
    assert states == [*["stopped", "running"] * 3, "ended"], states


@needs("debugger", "answers_while_blocking")
async def check_an_interrupt_ends_what_is_asked_and_the_cell(kc: Client) -> None:
    """Whatever of a user's code runs for the front end just then."""
    code = """\
class Endless:
    def __repr__(self):
        print("endless", flush=True)
        while True: pass

def look(value=None):
    return value

look(Endless())
"""
    async with attached(kc) as debug:
        await debug.break_at(code, 7)
        for command in ("evaluate", "variables", "richInspectVariables"):
            cell = kc.execute(code)
            await debug.stopped()
            frame = (await debug.frames())[0]["id"]
            scopes = (await debug("scopes", frameId=frame))["scopes"]
            arguments: Content = {
                "evaluate": {"expression": "repr(value)", "frameId": frame, "context": "repl"},
                "variables": {"variablesReference": scopes[0]["variablesReference"]},
                "richInspectVariables": {"variableName": "value", "frameId": frame},
            }[command]
            asked = begin(debug.ask(command, **arguments))
            await output(cell, "endless")
            await soon(kc.interrupt())
            response = await soon(asked)
            assert response["success"] is False, command
            assert "KeyboardInterrupt" in response["message"], response
            assert (await soon(cell)).reply["ename"] == "KeyboardInterrupt", command
            assert (await debug("debugInfo"))["stoppedThreads"] == []
    assert (await run(kc, "'next'")).result == {"text/plain": "'next'"}


@needs("debugger")
async def check_conditions(kc: Client) -> None:
    loop = "total = 0\nfor i in range(100):\n    total += i\nprint(total)"
    async with attached(kc) as debug:
        for conditions, seen in (
            ({"condition": "i == 7"}, ["7"]),
            ({"hitCondition": "3"}, ["2"]),
            ({"hitCondition": "% 50"}, ["49", "99"]),
            ({"condition": "i > 90", "hitCondition": "== 2"}, ["92"]),
            ({"condition": "i > 98 and no_such_name"}, ["99"]),
        ):
            await debug.break_at(loop, 3, **conditions)
            cell = kc.execute(loop)
            for i in seen:
                assert await debug.stopped() == "breakpoint <module>:3"
                assert await debug.evaluate("i") == i, conditions
                if conditions.get("hitCondition") == "3":
                    await debug.break_at(loop)
                await debug.go("continue")
            assert (await soon(cell)).stdout == "4950\n"
        await debug.break_at(loop, 3, condition="i == 5", logMessage="{i} and {total}")
        cell = kc.execute(loop)
        assert (await debug.event("output"))["output"] == "5 and 10\n"
        assert (await soon(cell)).stdout == "4950\n"
        path = (await debug("dumpCell", code=loop))["sourcePath"]
        for wrong in ({"condition": "i =="}, {"hitCondition": "often"}, {"line": 50}):
            answer = await debug("setBreakpoints", source={"path": path}, breakpoints=[{"line": 3, **wrong}])
            assert answer["breakpoints"][0]["verified"] is False
            assert answer["breakpoints"][0]["message"]


@needs("debugger")
async def check_functions_and_exceptions(kc: Client) -> None:
    code = """\
def inner(n):
    return 1 / n

def outer(n):
    try:
        return inner(n)
    except ZeroDivisionError:
        return None

outer(0)
inner(0)
"""
    async with attached(kc) as debug:
        await debug("setFunctionBreakpoints", breakpoints=[{"name": "outer"}])
        await debug("setExceptionBreakpoints", filters=["raised"])
        cell = kc.execute(code)
        assert await debug.stopped() == "function breakpoint outer:5"
        assert await debug.step("continue") == "exception inner:2"
        info = await debug("exceptionInfo", threadId=debug.thread)
        assert (info["exceptionId"], info["description"]) == ("ZeroDivisionError", "division by zero")
        assert await debug.evaluate("n") == "0"
        assert [frame["name"] for frame in await debug.frames()] == ["inner", "outer", "<module>"]
        await debug("setExceptionBreakpoints", filters=["uncaught"])
        await debug("setFunctionBreakpoints", breakpoints=[])
        assert await debug.step("continue") == "exception inner:2"
        assert [frame["name"] for frame in await debug.frames()] == ["inner", "<module>"]
        await debug.go("continue")
        assert (await soon(cell)).reply["ename"] == "ZeroDivisionError"
        answer = await debug("setExceptionBreakpoints", filters=["nonsense"])
        assert answer["breakpoints"][0]["verified"] is False


@needs("debugger", "asyncio")
async def check_coroutines_and_generators(kc: Client) -> None:
    code = """\
import asyncio

def numbers():
    yield 1
    yield 2

async def plus(n):
    before = n
    await asyncio.sleep(0)
    after = before + sum(numbers())
    return after

print(await asyncio.gather(plus(1), plus(2)))
"""
    async with attached(kc) as debug:
        await debug.break_at(code, 8)
        cell = kc.execute(code)
        assert await debug.stopped() == "breakpoint plus:8"
        assert await debug.step("next") == "step plus:9"
        assert await debug.step("next") in ("breakpoint plus:8", "step plus:10")
        await debug.break_at(code)
        while await debug.where() != "plus:10":
            await debug.step("next")
        assert await debug.step("stepIn") == "step numbers:4"
        assert await debug.step("next") in ("step numbers:5", "step plus:11")
        await debug.go("continue")
        assert (await soon(cell)).stdout == "[4, 5]\n"


@needs("debugger")
async def check_variables(kc: Client) -> None:
    code = """\
class Broken:
    def __repr__(self):
        raise ValueError("no")

class Point:
    __slots__ = ("x",)
    def __init__(self):
        self.x = 3

def f():
    numbers = list(range(2000))
    table = {"a": {"b": 1}, 5: (1, 2)}
    broken, point, text = Broken(), Point(), "t" * 5000
    return table["a"]["b"], point.x, numbers[1500]

print(f())
"""
    async with attached(kc) as debug:
        await debug.break_at(code, 14)
        cell = kc.execute(code)
        assert await debug.stopped() == "breakpoint f:14"
        found = await debug.variables()
        assert found.keys() == {"numbers", "table", "broken", "point", "text"}
        assert "ValueError" in found["broken"]["value"]
        assert len(found["text"]["value"]) < 3000
        assert found["numbers"]["indexedVariables"] == 2000
        page = await debug.inside(found["numbers"]["variablesReference"], start=1498, count=4)
        assert [(one["name"], one["value"]) for one in page] == [(f"{n}", f"{n}") for n in range(1498, 1502)]
        some = await debug.inside(found["numbers"]["variablesReference"])
        assert len(some) == 501
        await debug(
            "setVariable", variablesReference=found["numbers"]["variablesReference"], name="1500", value="-1"
        )
        (first, second) = await debug.inside(found["table"]["variablesReference"])
        assert (first["evaluateName"], second["evaluateName"]) == ("table['a']", "table[5]")
        await debug(
            "setVariable", variablesReference=first["variablesReference"], name="'b'", value="len(numbers)"
        )
        frame = (await debug.frames())[0]["id"]
        answer = await debug("setExpression", expression="point.x", value="'set'", frameId=frame)
        assert answer["value"] == "'set'"
        refused = await debug.refused(
            "setVariable", variablesReference=second["variablesReference"], name="0", value="1"
        )
        assert "tuple" in refused
        await debug("copyToGlobals", srcVariableName="point", dstVariableName="kept_point", srcFrameId=frame)
        rich = await debug("richInspectVariables", variableName="table", frameId=frame)
        assert "'b': 2000" in rich["data"]["text/plain"]
        targets = (await debug("completions", text="numbers.app", column=12, frameId=frame))["targets"]
        assert any("append" in target["label"] for target in targets)
        failed = await debug.refused("evaluate", expression="no_such_name", frameId=frame, context="hover")
        assert "no_such_name" in failed
        await debug.go("continue")
        assert (await soon(cell)).stdout == "(2000, 'set', -1)\n"
        assert (await run(kc, "kept_point.x")).result == {"text/plain": "'set'"}
        assert "any more" in await debug.refused("scopes", frameId=frame)


@needs("debugger")
async def check_lines_are_those_of_the_editor(kc: Client) -> None:
    """IPython drops empty lines before a cell's first."""
    code = "\n\n  before = 1\n  at = 2\n  print(before, at)"
    async with attached(kc) as debug:
        await debug.break_at(code, 4)
        cell = kc.execute(code)
        assert await debug.stopped() == "breakpoint <module>:4"
        assert await debug.evaluate("before") == "1"
        await debug.go("continue")
        assert (await soon(cell)).stdout == "1 2\n"
        assert (await run(kc, "\n\n%%capture captured\nprint(5)")).stdout == ""


@needs("debugger")
async def check_what_a_front_end_goes_on_to_show(kc: Client) -> None:
    """JupyterLab asks for it again after each step, by the name and the frame that it was shown in first."""
    code = """\
class Table:
    def _repr_html_(self):
        return f"<table><tr><td>{self.value}</td></tr></table>"

def fill(value=0):
    table = Table()
    table.value = 1
    table.value = 2
    return table

table = fill()
"""
    async with attached(kc) as debug:
        await debug.break_at(code, 8)
        cell = kc.execute(code)
        assert await debug.stopped() == "breakpoint fill:8"
        (frame, caller) = (one["id"] for one in await debug.frames())

        async def rich(name: str, number: int = frame) -> Content:
            return (await debug("richInspectVariables", variableName=name, frameId=number))["data"]

        assert "<td>1</td>" in (await rich("table"))["text/html"]
        for unknown in ("no_such_name", "0", "'key'", "None"):
            assert await rich(unknown, caller) == {}, unknown
        assert await debug.step("next") == "step fill:9"
        assert [one["id"] for one in await debug.frames()] == [frame, caller]
        assert "<td>2</td>" in (await rich("table"))["text/html"]
        assert (await debug.variables())["table"]["type"] == "Table"
        assert await debug.inside(0) == []
        await debug.go("continue")
        assert (await soon(cell)).status == "ok"
        rendered = await debug("richInspectVariables", variableName="table")
        assert "<td>2</td>" in rendered["data"]["text/html"]
        assert await debug("richInspectVariables", variableName="fill(3)") == {"data": {}, "metadata": {}}


@needs("debugger", "answers_while_blocking")
async def check_pause(kc: Client) -> None:
    async with attached(kc) as debug:
        cell = kc.execute("turns = 0\nprint('ready', flush=True)\nwhile turns >= 0:\n    turns += 1")
        await output(cell, "ready")
        await debug("pause", threadId=1)
        assert (await debug.stopped()).split(":")[0] == "pause <module>"
        await debug.evaluate("turns = -5")
        await debug.go("continue")
        assert (await soon(cell)).status == "ok"


@needs("debugger")
async def check_a_breakpoint_elsewhere_costs_nothing(kc: Client) -> None:
    """Once the lines of a function have run, no event of Python's comes from them any more."""
    code = """\
import sys
def far(never=False):
    if never:
        print("never")
    return 1
def events(calls):
    mon = sys.monitoring
    (tool,) = (tool for tool in range(6) if mon.get_tool(tool) == "laneway")
    kinds = (mon.events.PY_START, mon.events.PY_RESUME, mon.events.LINE, mon.events.PY_RETURN)
    seen, callbacks = [], {}
    def heard(kind):
        return lambda *arguments: [seen.append(kind), callbacks[kind](*arguments)][1]
    callbacks |= {kind: mon.register_callback(tool, kind, heard(kind)) for kind in kinds}
    for _ in range(calls):
        far()
    for kind, callback in callbacks.items():
        mon.register_callback(tool, kind, callback)
    return len(seen)
print(events(1) > 0, events(100))"""
    async with attached(kc) as debug:
        await debug.break_at(code, 4)
        assert (await run(kc, code)).stdout == "True 0\n"


@needs("debugger")
async def check_breakpoint_stops_in_the_front_end(kc: Client) -> None:
    code = "def f():\n    here = 5\n    breakpoint()\n    return here\n\nprint(f())"
    async with attached(kc) as debug:
        cell = kc.execute(code)
        assert await debug.stopped() == "breakpoint f:3"
        assert await debug.evaluate("here") == "5"
        assert await debug.step("next") == "step f:4"
        await debug.go("continue")
        assert (await soon(cell)).stdout == "5\n"


@needs("debugger")
async def check_breakpoints_of_a_cell_that_is_not_known_yet(kc: Client) -> None:
    """After a restart front ends say where to stop, and may run cells before they say what those are."""
    code = "def unknown(n):\n    twice = n * 2\n    return twice\nunknown(4)"
    async with attached(kc) as front_end:
        info = await front_end("debugInfo")
        name = murmur2(code.encode(), info["hashSeed"])
        path = f"{info['tmpFilePrefix']}{name}{info['tmpFileSuffix']}"
        answer = await front_end("setBreakpoints", source={"path": path}, breakpoints=[{"line": 3}])
        assert [point["verified"] for point in answer["breakpoints"]] == [False]
        cell = kc.execute(code)
        assert await front_end.stopped() == "breakpoint unknown:3"
        await front_end.go("continue")
        assert (await soon(cell)).status == "ok"


@needs("debugger")
async def check_a_function_of_an_earlier_cell(kc: Client) -> None:
    """Be it run before the front end came."""
    earlier = "def earlier(n):\n    m = n + 1\n    return m"
    await run(kc, earlier)
    async with attached(kc) as debug:
        path = await debug.break_at(earlier, 2)
        cell = kc.execute("earlier(4)")
        assert await debug.stopped() == "breakpoint earlier:2"
        assert (await debug.frames())[0]["source"]["path"] == path
        await debug.go("continue")
        assert (await soon(cell)).result == {"text/plain": "5"}


@needs("debugger")
async def check_a_front_end_that_goes_releases_what_is_stopped(kc: Client) -> None:
    async with attached(kc) as debug:
        await debug.break_at(CELL, 2)
        cell = kc.execute(CELL)
        await debug.stopped()
    assert (await soon(cell)).stdout == "[0, 2, 4]\n"


STORM = """\
import asyncio

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def squares(n):
    for i in range(n):
        yield i * i

async def later(n):
    await asyncio.sleep(0)
    return sum(squares(n))

def caught(n):
    try:
        return 1 // (n % 2)
    except ZeroDivisionError:
        return -1

total = []
for i in range(4):
    total.append(fib(i) + caught(i))
total += await asyncio.gather(*(later(i) for i in range(4)))
print(total)
"""


async def storm(kc: Client, stops: int, seed: int = 1) -> None:
    """Many stops, with random commands in random order: none is lost, and the cells' results are right."""
    chance = random.Random(seed)
    count = 0
    async with attached(kc) as debug:
        while count < stops:
            lines = chance.sample([4, 8, 11, 12, 16, 18, 22, 23], 3)
            await debug.break_at(STORM, *lines)
            await debug("setExceptionBreakpoints", filters=chance.choice([[], ["raised"], ["uncaught"]]))
            cell = kc.execute(STORM)
            ended = begin(_ended(cell))
            while True:
                stopped = begin(debug.stopped())
                await soon(first(stopped, ended))
                if ended.done and not stopped.done:
                    stopped.cancel()
                    break
                await stopped
                count += 1
                if chance.random() < 0.3:
                    await debug.variables()
                if chance.random() < 0.3:
                    assert await debug.evaluate("1 + 1") == "2"
                await debug.go(chance.choice(["continue", "continue", "next", "stepIn", "stepOut"]))
            assert await ended == "[-1, 2, 0, 3, 0, 0, 1, 5]\n"


async def _ended(cell: Execution) -> str:
    return (await cell).stdout


@needs("debugger")
async def check_storm_of_stops(kc: Client) -> None:
    await storm(kc, 60)


DEBUGGER_CHECKS: list[Check] = [value for name, value in list(globals().items()) if name.startswith("check_")]
