"""Comms: the package `comm`, its messages carried by this kernel. That is all that ipywidgets asks for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import comm
from comm.base_comm import BaseComm, CommManager

from ..protocol.message import Message

Publish = Callable[..., None]
"""`publish(msg_type, content, metadata=, buffers=)` sends on iopub, in the name of the current run."""


class Comms:
    """The comm manager of a kernel, put where the package `comm` looks for one. `show_error` shows the
    exception that is being handled; `around` is told of IPython's events around each hook.
    """

    def __init__(
        self, publish: Publish, show_error: Callable[[], None], around: Callable[[str], object]
    ) -> None:
        self._show_error = show_error
        self.manager = CommManager()
        self._tasks: set[asyncio.Task[None]] = set()  # event loops hold theirs weakly
        self._saved = comm.create_comm, comm.get_comm_manager

        class LanewayComm(BaseComm):
            """The kernel's end of a comm."""

            def publish_msg(
                self,
                msg_type: str,
                data: dict[str, Any] | None = None,
                metadata: dict[str, Any] | None = None,
                buffers: Sequence[Any] | None = None,
                **keys: Any,
            ) -> None:
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

        self.comm_class = LanewayComm
        """What `comm.create_comm` makes."""

    def install(self) -> None:
        """Both functions are the package's own seams."""
        comm.create_comm, comm.get_comm_manager = self.comm_class, lambda: self.manager

    def uninstall(self) -> None:
        """Put the package's own back. What is open is closed: its other end has gone."""
        for known in self.manager.comms.values():
            known._closed = True  # pyright: ignore[reportPrivateUsage], as below
        self.manager.comms.clear()
        comm.create_comm, comm.get_comm_manager = self._saved

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
        except Exception:
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
        except Exception:
            self._show_error()

    def info(self, target_name: str | None) -> dict[str, dict[str, str]]:
        """The open comms, of one target or all: `{comm_id: {"target_name": ...}}`."""
        return {
            comm_id: {"target_name": known.target_name}
            for comm_id, known in list(self.manager.comms.items())
            if target_name in (None, known.target_name)
        }
