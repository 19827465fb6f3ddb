"""Comms: the package `comm`, its messages carried by this kernel. That is all that ipywidgets asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import comm
from comm.base_comm import BaseComm, CommManager

from ..protocol.message import Message

Publish = Callable[..., None]
"""`publish(msg_type, content, metadata=, buffers=)` sends on iopub, in the name of the current run."""


class Comms:
    """The comm manager of a kernel, put where the package `comm` looks for one."""

    def __init__(self, publish: Publish) -> None:
        self.manager = CommManager()
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

        self._comm = LanewayComm

    def install(self) -> None:
        """Both functions are the package's own seams."""
        comm.create_comm, comm.get_comm_manager = self._comm, lambda: self.manager

    def uninstall(self) -> None:
        """Put the package's own back."""
        comm.create_comm, comm.get_comm_manager = self._saved

    def handle(self, request: Message) -> None:
        """Give a comm message to its comm. An error in a hook is logged, which prints it; it ends nothing."""
        message = {
            "header": request.header,
            "msg_id": request.msg_id,
            "msg_type": request.msg_type,
            "parent_header": request.parent_header,
            "metadata": request.metadata,
            "content": {"data": {}, **request.content},
            "buffers": list(request.buffers),
        }
        getattr(self.manager, request.msg_type)(None, "", message)

    def info(self, target_name: str | None) -> dict[str, dict[str, str]]:
        """The open comms, of one target or all: `{comm_id: {"target_name": ...}}`."""
        return {
            comm_id: {"target_name": known.target_name}
            for comm_id, known in list(self.manager.comms.items())
            if target_name in (None, known.target_name)
        }
