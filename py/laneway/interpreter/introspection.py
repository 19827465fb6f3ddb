"""Completion, inspection, completeness, history: what reads the namespace and runs no cell.

On a thread of its own where the host has threads, while cells run: nothing here may touch a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.utils.tokenutil import token_at_cursor

from ..protocol.errors import RemoteProtocolError
from ..protocol.message import Content
from .shell import ZMQInteractiveShell

if TYPE_CHECKING:
    from IPython.core.completer import IPCompleter


def complete(shell: ZMQInteractiveShell, completer: IPCompleter, content: Content) -> Content:
    """complete_reply. Offsets are in code points (messaging spec, "cursor_pos unicode note")."""
    from .completion import completions  # many kernels are never asked: they start the sooner

    code = content["code"]
    position = _position(content)
    found = completions(shell, completer, code, position)
    start, end = (found[0].start, found[0].end) if found else (position, position)
    return {
        "status": "ok",
        "matches": [completion.text for completion in found],
        "cursor_start": start,
        "cursor_end": end,
        "metadata": {
            "_jupyter_types_experimental": [
                {
                    "start": completion.start,
                    "end": completion.end,
                    "text": completion.text,
                    "type": completion.type or "<unknown>",
                    "signature": completion.signature,
                }
                for completion in found
            ]
        },
    }


def inspect(shell: ZMQInteractiveShell, content: Content) -> Content:
    """inspect_reply."""
    name = token_at_cursor(content["code"], _position(content))
    data: dict[str, Any] = {}
    found = False
    try:
        data = shell.object_inspect_mime(name, detail_level=content.get("detail_level") or 0)
        data.pop("text/html", None)  # a page; few clients can show it well
        found = True
    except KeyError:
        pass  # there is no such name
    return {"status": "ok", "found": found, "data": data, "metadata": {}}


def is_complete(shell: ZMQInteractiveShell, content: Content) -> Content:
    """is_complete_reply."""
    status, indent = shell.input_transformer_manager.check_complete(content["code"])
    reply: Content = {"status": status}
    if status == "incomplete":
        reply["indent"] = " " * (indent or 0)
    return reply


def history(shell: ZMQInteractiveShell, content: Content) -> Content:
    """history_reply. Raises RemoteProtocolError where the access type is unknown."""
    manager = shell.history_manager
    raw = content.get("raw") is not False
    output = bool(content.get("output"))
    match content["hist_access_type"]:
        case "tail":
            entries = manager.get_tail(content.get("n") or 10, raw=raw, output=output, include_latest=True)
        case "range":
            entries = manager.get_range(
                content.get("session") or 0,
                content.get("start") or 1,
                content.get("stop"),
                raw=raw,
                output=output,
            )
        case "search":
            entries = manager.search(
                content.get("pattern") or "*",
                raw=raw,
                output=output,
                n=content.get("n"),
                unique=bool(content.get("unique")),
            )
        case other:
            raise RemoteProtocolError(f"There is no hist_access_type {other!r}; use tail, range or search.")
    # IPython calls the present session 0 in a range, and by its number elsewhere
    present = manager.session_number
    return {"status": "ok", "history": [[session or present, *rest] for session, *rest in entries]}


def _position(content: Content) -> int:
    code, position = content["code"], content.get("cursor_pos")
    return len(code) if position is None else max(0, min(position, len(code)))
