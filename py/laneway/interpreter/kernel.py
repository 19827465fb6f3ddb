"""What packages find as `get_ipython().kernel`: the members of ipykernel's that are used in the wild."""

from __future__ import annotations

import asyncio
import getpass
import inspect
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from comm.base_comm import CommManager
from IPython.core.release import version as ipython_version

from ..protocol.message import Channel, Message
from ..protocol.routes import ROUTES
from ..version import __version__

if TYPE_CHECKING:
    from .shell import ZMQInteractiveShell

_PYTHON = ".".join(map(str, sys.version_info[:3]))


class KernelFacade:
    """ipywidgets' Output asks for the parent; others register comm targets, look for the shell, send a
    message, or put a call on the event loop.
    """

    implementation = "laneway"
    implementation_version = __version__
    banner = f"Python {_PYTHON} · IPython {ipython_version} · Laneway {__version__}"
    language_info: Mapping[str, Any] = {
        "name": "python",
        "version": _PYTHON,
        "mimetype": "text/x-python",
        "file_extension": ".py",
        "pygments_lexer": "ipython3",
        "codemirror_mode": {"name": "ipython", "version": 3},
        "nbconvert_exporter": "python",
    }
    log = logging.getLogger("laneway")
    iopub_socket = "iopub"
    """Only a name to give to `send_response` and `session.send`."""

    def __init__(self, shell: ZMQInteractiveShell, comm_manager: CommManager) -> None:
        self.shell = shell
        self.comm_manager = comm_manager
        self.session = Session(shell)
        self.shell_handlers: dict[str, Callable[..., Any]] = {
            msg_type: _unused for channel, msg_type in ROUTES if channel is Channel.SHELL
        }
        """Can be read and changed, and is never asked: a cell that polls for events is given those of comms
        only (jupyter_ui_poll puts a handler here that puts other cells off).
        """

    def attach(self) -> None:
        """The kernel begins to run, on the running event loop, where there is one."""
        with suppress(RuntimeError):
            self.io_loop = EventLoop(asyncio.get_running_loop())

    async def do_one_iteration(self) -> None:
        """Let what has arrived meanwhile be served, as far as it waits for no cell: comm messages."""
        await asyncio.sleep(0)

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
        "content"}`; empty where there is none, or none from `channel`.
        """
        parent = self.shell.runs.parent
        if parent is None or channel not in (None, parent.channel):
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

    def set_parent(self, ident: object, parent: Mapping[str, Any], channel: str = "shell") -> None:
        """See `shell.set_parent`; whom `ident` names is known."""
        self.shell.set_parent(parent)

    @property
    def _parent_header(self) -> dict[str, Any]:
        return self.get_parent()

    @property
    def _parent_ident(self) -> dict[str, Any]:
        """By channel, whom the request of the running cell came from."""
        parent = self.shell.runs.parent
        return dict.fromkeys(("shell", "control"), parent.route if parent else None)

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


class Session:
    """`kernel.session`: sends on iopub, in the name of any request."""

    def __init__(self, shell: ZMQInteractiveShell) -> None:
        self._shell = shell

    def send(
        self,
        stream: object,
        msg_or_type: str | Mapping[str, Any],
        content: dict[str, Any] | None = None,
        parent: Mapping[str, Any] | None = None,
        ident: object = None,
        buffers: Any = None,
        track: bool = False,
        header: object = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Send a message on iopub. `msg_or_type` is its type, or a message; `parent` a request or its header.
        What else jupyter_client takes has no meaning here.

        Raises ValueError where `stream` is another one than `kernel.iopub_socket`.
        """
        if stream != KernelFacade.iopub_socket:
            raise ValueError(
                "session.send sends on kernel.iopub_socket only; other messages answer by themselves."
            )
        if not isinstance(msg_or_type, str):
            message = msg_or_type
            msg_or_type = str(message["header"]["msg_type"])
            content = content or message.get("content")
            parent = parent or message.get("parent_header")
            metadata = metadata or message.get("metadata")
            buffers = buffers or message.get("buffers")
        self._shell.streams.flush()
        self._shell.context.publish(
            as_message(parent), msg_or_type, content or {}, metadata=metadata, buffers=buffers or ()
        )


class EventLoop:
    """`kernel.io_loop`: the main shell's event loop, as Tornado's IOLoop says it. Any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.asyncio_loop = loop

    def add_callback(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call `callback` soon; what it returns is awaited, if it can be."""
        self.asyncio_loop.call_soon_threadsafe(_call, partial(callback, *args, **kwargs))

    spawn_callback = add_callback

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """The same after `delay` seconds."""
        self.add_callback(self.asyncio_loop.call_later, delay, _call, partial(callback, *args, **kwargs))

    def time(self) -> float:
        """What `call_later` goes by."""
        return self.asyncio_loop.time()


def as_message(parent: Mapping[str, Any] | None) -> Message | None:
    """A request that `get_parent` has described, or a header; None where there is none."""
    header = (parent or {}).get("header", parent)
    if not parent or not header or "msg_id" not in header:
        return None
    whole = parent if "header" in parent else {}
    return Message(
        Channel.SHELL,
        dict(header),
        dict(whole.get("parent_header", {})),
        dict(whole.get("metadata", {})),
        dict(whole.get("content", {})),
    )


def _call(callback: Callable[[], Any]) -> None:
    result = callback()
    if inspect.isawaitable(result):
        task = asyncio.ensure_future(result)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


_tasks: set[asyncio.Future[Any]] = set()
"""Event loops hold theirs weakly."""


async def _unused(*_args: Any) -> None:
    """What `shell_handlers` holds."""
