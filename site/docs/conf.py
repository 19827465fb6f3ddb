"""Laneway's documentation, made with Laneway's own extension: its examples are live, and run at the build.

What a README says already is not written once more: a line

    <<< lite/README.md # Options

stands for the section "Options" of that README up to the next heading, `## Options` for all that is below it,
too, and no heading for what is before the first section; a line

    <<< jskernel/lib/common/index.d.ts

for the declarations of all that this module exports, as the TypeScript compiler has written them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "py"))

import laneway  # noqa: E402 - from the checkout

project = "Laneway"
author = "Laneway contributors"
project_copyright = "2026, Laneway contributors"
release = version = laneway.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "laneway_lite.sphinx"]
exclude_patterns = ["README.md"]
default_role = "code"
nitpicky = False
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

# the kernel folder is that of JupyterLite, which is beside this documentation
laneway_kernel_url = "../lite/static/laneway"
laneway_isolation = True
laneway_offline = True
laneway_timeout = 300  # seconds: a machine that builds may be busy

html_theme = "furo"
html_title = "Laneway"
html_logo = "../../py/kernelspec/logo-svg.svg"
html_favicon = html_logo
html_static_path = ["_static"]
html_css_files = ["laneway.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#176f66", "color-brand-content": "#176f66"},
    "dark_css_variables": {"color-brand-primary": "#5cc4b8", "color-brand-content": "#5cc4b8"},
}
pygments_style = "default"
pygments_dark_style = "monokai"

PAGES = {
    "README.md": "/index.md",
    "SECURITY.md": "/guide/security.md",
    "lite/README.md": "/reference/kernel-folder.md",
    "jskernel/README.md": "/reference/typescript.md",
    "jskernel/cell/README.md": "/reference/cell.md",
}
"""Where this documentation has what a README has."""


def _sections(app: Sphinx, docname: str, content: list[str]) -> None:
    """Put sections of READMEs in."""

    def section(found: re.Match[str]) -> str:
        path, below, heading = found[1], found[2] == "##", found[3]
        app.env.note_dependency(str(ROOT / path))
        parts = re.split(r"^(##+) (.*)\n", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
        if heading is None:
            return _linked(path, parts[0].split("\n", 1)[1])
        at = parts.index(heading)
        depth, text = len(parts[at - 1]), parts[at + 1]
        for marks, title, body in zip(
            parts[at + 2 :: 3], parts[at + 3 :: 3], parts[at + 4 :: 3], strict=True
        ):
            if not below or len(marks) <= depth:
                break
            text += f"{marks[depth - 1 :]} {title}\n{body}"
        return _linked(path, text)

    def declarations(found: re.Match[str]) -> str:
        for path in (ROOT / found[1]).parent.glob("*.d.ts"):
            app.env.note_dependency(str(path))
        every = _declarations(ROOT / found[1])
        return "\n".join(f"### {name}\n\n```ts\n{text}\n```\n" for name, text in sorted(every.items()))

    content[0] = re.sub(r"^<<< (\S+\.d\.ts)$", declarations, content[0], flags=re.MULTILINE)
    content[0] = re.sub(r"^<<< (\S+)(?: (##?) (.*))?$", section, content[0], flags=re.MULTILINE)


def _declarations(path: Path) -> dict[str, str]:
    """What a module exports, by name, with the comments before it."""
    text = path.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for names, module in re.findall(
        r"^export (?:type )?(\*|\{[^}]*\}) from \"\./(.*)\.js\";$", text, flags=re.MULTILINE
    ):
        inner = _declarations(path.with_name(f"{module}.d.ts"))
        wanted = inner if names == "*" else re.findall(r"\w+", names.replace("type ", ""))
        found |= {name: inner[name] for name in wanted if name in inner}  # else it is another package's
    # what begins at the margin is a statement, or the comment of one
    statement = r"^(?:/\*\*(?:(?!\*/).)*\*/\n)?export (?:(?!^\S).|^\})*"
    kinds = "class|function|const enum|const|enum|interface|type"
    for part in re.findall(statement, text, re.DOTALL | re.MULTILINE):
        if name := re.search(rf"^export (?:declare |abstract )*(?:{kinds}) (\w+)", part, re.MULTILINE):
            shown = re.sub(r"^ +#private;\n|^export (?:declare )?", "", part.rstrip(), flags=re.MULTILINE)
            found[name[1]] = "\n".join(filter(None, (found.get(name[1]), shown)))
    return found


def _linked(path: str, text: str) -> str:
    """Links to other files of the repository lead to pages; what has none is a name."""

    def link(found: re.Match[str]) -> str:
        target = (ROOT / path).parent.joinpath(found[2]).resolve().relative_to(ROOT).as_posix()
        return f"[{found[1]}]({PAGES[target]})" if target in PAGES else found[1]

    return re.sub(r"\[([^\]]+)\]\((?!https?:)([^)#]+)\)", link, text)


def _accessible(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: nodes.document | None
) -> None:
    """What scrolls can be reached by keyboard; headings of the sidebar have a level."""
    body = context.get("body", "").replace(
        '<div class="highlight"><pre>', '<div class="highlight"><pre tabindex="0">'
    )
    body = body.replace('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper')
    # the parameters of a signature, each in its line, define nothing
    context["body"] = body.replace("<dl>\n<dd>", '<dl role="presentation">\n<dd>')
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("html-page-context", _accessible, priority=900)  # behind the theme's own
    app.connect("source-read", _sections)
