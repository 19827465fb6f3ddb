"""What packages find as `get_ipython().kernel`: the members of ipykernel's that are used in the wild."""

from __future__ import annotations

import getpass
import logging
from typing import TYPE_CHECKING, Any

from comm.base_comm import CommManager

if TYPE_CHECKING:
    from .shell import ZMQInteractiveShell


class KernelFacade:
    """ipywidgets' Output asks for the parent; others register comm targets, look for the shell, or send a
    message.
    """

    implementation = "laneway"
    log = logging.getLogger("laneway")

    def __init__(self, shell: ZMQInteractiveShell, comm_manager: CommManager) -> None:
        self.shell = shell
        self.comm_manager = comm_manager
        self.iopub_socket = None
        """Only a name to give to `send_response`."""

    def raw_input(self, prompt: str = "") -> str:
        """As `input`."""
        return input(prompt)

    def getpass(self, prompt: str = "") -> str:
        """As `getpass.getpass`."""
        return getpass.getpass(prompt)

    @property
    def config(self) -> Any:
        """The shell's; `config["IPKernelApp"]["connection_file"]` is where clients connect."""
        return self.shell.config

    @property
    def execution_count(self) -> int:
        """The shell's."""
        return self.shell.execution_count

    @property
    def user_ns(self) -> dict[str, Any]:
        """The shell's."""
        return self.shell.user_ns

    def get_parent(self, channel: str | None = None) -> dict[str, Any]:
        """The request of the running cell: `{"header", "msg_id", "msg_type", "parent_header", "metadata",
        "content"}`; empty where there is none.
        """
        parent = self.shell.runs.parent
        if parent is None:
            return {}
        return {
            "header": parent.header,
            "msg_id": parent.msg_id,
            "msg_type": parent.msg_type,
            "parent_header": parent.parent_header,
            "metadata": parent.metadata,
            "content": parent.content,
            "buffers": list(parent.buffers),
        }

    @property
    def _parent_header(self) -> dict[str, Any]:
        return self.get_parent()

    def send_response(
        self,
        stream: object,
        msg_or_type: str,
        content: dict[str, Any] | None = None,
        ident: object = None,
        buffers: Any = None,
        track: bool = False,
        header: object = None,
        metadata: dict[str, Any] | None = None,
        channel: object = None,
    ) -> None:
        """Send on iopub in the name of the running cell. What else ipykernel takes has no meaning here."""
        self.shell.publish(msg_or_type, content or {}, metadata=metadata, buffers=buffers or ())
