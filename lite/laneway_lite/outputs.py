"""Outputs of cells as a page has them that was built: HTML of the same classes as live ones have
(jskernel/cell/README.md), or plain text. Pure.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

Output = dict[str, Any]
Picture = Callable[[bytes, str], str]
"""Called with the content of a picture and its file suffix; returns its address."""

PICTURES = {
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
}
WIDGET = "application/vnd.jupyter.widget-view+json"
COLORS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
ADDRESS = re.compile(r"""https?://(?:(?!&[lg]t;)[^\s"'`])*(?!&[lg]t;)[^\s"'`.,:;!?)\]}]""")
"""A web address in HTML, without what ends the sentence that it is in."""
STYLES = {1: "bold", 2: "faint", 3: "italic", 4: "underline"}


def inline(content: bytes, suffix: str) -> str:
    """A picture's address that holds the picture."""
    if suffix == "svg":
        return f"data:image/svg+xml,{quote(content)}"
    mime = next(name for name, known in PICTURES.items() if known == suffix)
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def to_html(outputs: Sequence[Output], picture: Picture = inline) -> str:
    """The outputs of a cell, without what is around them."""
    return "".join(_html(output, picture) for output in outputs)


def to_text(output: Output) -> str:
    """An output as plain text."""
    content = output["content"]
    if output["type"] == "stream":
        return _plain(_overwritten(content["text"]))
    if output["type"] == "error":
        return "\n".join(_traceback(content, _plain))
    return _plain(_text(content["data"].get("text/plain", "")))


def pictures(output: Output) -> Iterator[tuple[bytes, str]]:
    """The picture that an output is, if it is one: its content and its file suffix."""
    data = output["content"].get("data", {})
    for mime, suffix in PICTURES.items():
        if mime in data:
            yield _picture(data[mime], mime), suffix
            return


def _html(output: Output, picture: Picture) -> str:
    content = output["content"]
    if output["type"] == "stream":
        name = content["name"]
        return f'<pre class="laneway-stream laneway-{name}">{_ansi(_overwritten(content["text"]))}</pre>\n'
    if output["type"] == "error":
        blocks = "".join(f"<pre>{part}</pre>" for part in _traceback(content, _ansi))
        return f'<div class="laneway-error">{blocks}</div>\n'
    shown = _display(content["data"], content.get("metadata") or {}, picture)
    return f'<div class="laneway-display">{shown}</div>\n'


def _display(data: dict[str, Any], metadata: dict[str, Any], picture: Picture) -> str:
    """The best form that a page can show without scripts, in the order of the live cells."""
    if WIDGET in data:
        return "<p>A widget: run the cell to use it.</p>"
    if "text/html" in data:
        return f'<div class="laneway-html">{_text(data["text/html"])}</div>'
    for mime, suffix in PICTURES.items():
        if mime in data:
            said = _text(data.get("text/plain", ""))
            alt = "A picture without a description" if re.fullmatch(r"(<.*>)?", said, re.DOTALL) else said
            size = metadata.get(mime)
            size = size if isinstance(size, dict) else {}
            sizes = "".join(
                f' {name}="{size[name]}"'
                for name in ("width", "height")
                if isinstance(size.get(name), int | float)
            )
            source = picture(_picture(data[mime], mime), suffix)
            return f'<img src="{escape(source)}" alt="{escape(alt)}"{sizes}>'
    if "text/markdown" in data:
        return _markdown(_text(data["text/markdown"]))
    if "text/latex" in data:  # the element typesets it
        return f'<div class="laneway-latex">{escape(_text(data["text/latex"]), quote=False)}</div>'
    if "application/json" in data:  # whose plain form is the name of its class
        return f'<pre class="laneway-text">{escape(json.dumps(data["application/json"], indent=1))}</pre>'
    if "text/plain" in data:
        return f'<pre class="laneway-text">{_ansi(_text(data["text/plain"]))}</pre>'
    return "<p>Run the cell to see this output.</p>"


def _markdown(source: str) -> str:
    try:
        from markdown_it import MarkdownIt  # where MyST is
    except ImportError:
        return f'<div class="laneway-markdown"><pre class="laneway-text">{escape(source)}</pre></div>'
    html = MarkdownIt().enable(["table", "strikethrough"]).render(source)
    return f'<div class="laneway-markdown">{html}</div>'


def _picture(data: Any, mime: str) -> bytes:
    return _text(data).encode() if mime == "image/svg+xml" else base64.b64decode(_text(data))


def _text(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)


def _traceback(content: dict[str, Any], colored: Callable[[str], str]) -> list[str]:
    parts = [part for part in content["traceback"] if not re.fullmatch(r"-+", _plain(part).strip())]
    return [colored(part) for part in parts] or [colored(f"{content['ename']}: {content['evalue']}")]


def _overwritten(text: str) -> str:
    """As a terminal shows it: a carriage return begins the line anew."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)


def _ansi(text: str) -> str:
    """HTML of text with a terminal's colours; of the eight that a page has classes for."""
    shown: list[str] = []
    style: set[str] = set()
    for position, part in enumerate(re.split(r"\x1b\[([\d;]*)m", text)):
        if position % 2:
            style = _styled(style, [int(code or 0) for code in part.split(";")])
        elif part:
            html = ADDRESS.sub(_link, escape(_plain(part), quote=False))
            classes = " ".join(sorted(style))
            shown.append(f'<span class="{classes}">{html}</span>' if classes else html)
    return "".join(shown)


def _link(address: re.Match[str]) -> str:
    return f'<a href="{address[0]}" target="_blank" rel="noopener">{address[0]}</a>'


def _styled(style: set[str], codes: list[int]) -> set[str]:
    for code in codes:
        if code in (38, 48):  # one of 256 or of 16 million, for which there is no class
            return {name for name in style if not name.endswith("fg" if code == 38 else "bg")}
        if code == 0:
            style = set()
        elif code in STYLES:
            style = style | {f"ansi-{STYLES[code]}"}
        elif 30 <= code % 60 <= 39 and code < 100:
            style = {name for name in style if not name.endswith("fg")}
            style |= {f"ansi-{COLORS[code % 10]}-fg"} if code % 10 < 8 else set()
        elif 40 <= code <= 49 or 100 <= code <= 107:
            style = {name for name in style if not name.endswith("bg")}
            style |= {f"ansi-{COLORS[code % 10]}-bg"} if code % 10 < 8 else set()
    return style
