"""What packages find as `get_ipython().kernel`: the few members of ipykernel's kernel that are used in the
wild.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comm.base_comm import CommManager

if TYPE_CHECKING:
    from .shell import Shell


class KernelFacade:
    """ipywidgets' Output asks for the parent; others register comm targets or look for the shell."""

    def __init__(self, shell: Shell, comm_manager: CommManager) -> None:
        self.shell = shell
        self.comm_manager = comm_manager

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
        }
