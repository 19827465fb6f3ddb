"""Comms: the package `comm`, its messages carried by the kernel. That is all that ipywidgets asks for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from comm.base_comm import BaseComm, CommManager

from ..protocol.message import Message
from .run import RUN, Run

if TYPE_CHECKING:
    from .process import Find

Publish = Callable[..., None]
"""`publish(msg_type, content, metadata=, buffers=)` sends on iopub, in the name of the current run."""


def make_create_comm(find: Find, original: Callable[..., BaseComm]) -> Callable[..., BaseComm]:
    """`comm.create_comm`, the package's own seam, for the kernel that `find` finds."""

    def create_comm(*args: Any, **kwargs: Any) -> BaseComm:
        kernel = find()
        return (kernel.comms.comm_class if kernel else original)(*args, **kwargs)

    return create_comm


def make_get_comm_manager(find: Find, original: Callable[[], CommManager]) -> Callable[[], CommManager]:
    """`comm.get_comm_manager`, likewise."""

    def get_comm_manager() -> CommManager:
        kernel = find()
        return kernel.comms.manager if kernel else original()

    return get_comm_manager


class Comms:
    """The comms of one kernel. `show_error` shows the exception that is being handled; `around` is told of
    IPython's events around each hook; `is_going` says whether a run has not ended.
    """

    def __init__(
        self,
        publish: Publish,
        show_error: Callable[[], None],
        around: Callable[[str], object],
        is_going: Callable[[Run], bool],
    ) -> None:
        self._is_going = is_going
        self._show_error = show_error
        self.manager = manager = CommManager()
        self._tasks: set[asyncio.Task[None]] = set()  # event loops hold theirs weakly

        class LanewayComm(BaseComm):
            """The kernel's end of a comm."""

            sender: tuple[Run, asyncio.AbstractEventLoop] | None = None
            """Who has sent on it last, and on which event loop; None is no code of a cell, or no loop."""

            def publish_msg(
                self,
                msg_type: str,
                data: dict[str, Any] | None = None,
                metadata: dict[str, Any] | None = None,
                buffers: Sequence[Any] | None = None,
                **keys: Any,
            ) -> None:
                self.sender = _current()
                content = {"data": data or {}, "comm_id": self.comm_id, **keys}
                publish(msg_type, content, metadata=metadata, buffers=buffers or ())

            def handle_msg(self, msg: dict[str, Any]) -> Any:
                """As in the base class, but the result of the hook is not lost."""
                if self._msg_callback is None:
                    return None
                around("pre_execute")
                try:
                    return self._msg_callback(msg)
                finally:
                    around("post_execute")

            def close(
                self,
                data: dict[str, Any] | None = None,
                metadata: dict[str, Any] | None = None,
                buffers: list[bytes] | None = None,
                deleting: bool = False,
            ) -> None:
                """As in the base class, but that it is known to its own kernel, whoever closes it."""
                closed = self._closed
                super().close(data, metadata, buffers, deleting=True)
                if not (closed or deleting):
                    manager.comms.pop(self.comm_id, None)

        self.comm_class = LanewayComm
        """What `comm.create_comm` makes."""

    def stop(self) -> None:
        """What is open is closed: its other end has gone."""
        for known in self.manager.comms.values():
            known._closed = True  # pyright: ignore[reportPrivateUsage], as below
        self.manager.comms.clear()

    def loop_for(self, request: Message) -> asyncio.AbstractEventLoop | None:
        """Another event loop than this thread's, on which `request` is to be handled: that of a cell that has
        sent on the comm, and may await the answer.
        """
        known = self.manager.comms.get(request.content["comm_id"])
        sender = getattr(known, "sender", None)
        if sender and self._is_going(sender[0]) and sender[1] is not asyncio.get_running_loop():
            return sender[1]
        return None

    def handle(self, request: Message) -> None:
        """Give a comm message to its comm. A hook that is to be awaited goes on as a task: the next message
        does not wait for it. An error in a hook is shown as the output of this message; it ends nothing.

        A comm to a target that nobody has registered is closed again (messaging spec, "Opening a Comm");
        messages of comms that are closed are dropped.
        """
        content = request.content
        comm_id = content["comm_id"]
        message = {
            "header": request.header,
            "msg_id": request.msg_id,
            "msg_type": request.msg_type,
            "parent_header": request.parent_header,
            "metadata": request.metadata,
            "content": {"data": {}, **content},
            "buffers": list(request.buffers),
        }
        known = self.manager.comms.get(comm_id)
        match request.msg_type:
            case "comm_open":
                opened = self.comm_class(comm_id=comm_id, primary=False, target_name=content["target_name"])
                self.manager.register_comm(opened)
                target = self.manager.targets.get(opened.target_name)
                if target is None or not self._try(lambda: target(opened, message)):
                    opened.close()
            case "comm_msg" if known:
                self._try(lambda: known.handle_msg(message))
            case "comm_close" if known:
                known._closed = True  # pyright: ignore[reportPrivateUsage], it has no other way to learn of it
                self.manager.unregister_comm(known)
                self._try(lambda: known.handle_close(message))
            case _:
                pass

    def _try(self, hook: Callable[[], object]) -> bool:
        try:
            result = hook()
        except (Exception, KeyboardInterrupt):
            self._show_error()
            return False
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(self._finish(result))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return True

    async def _finish(self, hook: Awaitable[object]) -> None:
        try:
            await hook
        except (Exception, KeyboardInterrupt):
            self._show_error()

    def info(self, target_name: str | None) -> dict[str, dict[str, str]]:
        """The open comms, of one target or all: `{comm_id: {"target_name": ...}}`."""
        return {
            comm_id: {"target_name": known.target_name}
            for comm_id, known in list(self.manager.comms.items())
            if target_name in (None, known.target_name)
        }


def _current() -> tuple[Run, asyncio.AbstractEventLoop] | None:
    run = RUN.get()
    try:
        return (run, asyncio.get_running_loop()) if run else None
    except RuntimeError:
        return None
