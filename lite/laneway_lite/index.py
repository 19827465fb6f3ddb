"""Writes the site's own pip index: static pages after PEP 503, from which micropip installs.

`{package_name}/index.html` lists the wheels of one package with their hashes. HTML, since its links may be
relative, which micropip does not allow in JSON, and since every static server gives it the right type.
Runs at build time only.
"""

import html
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

TEMPLATE = "{package_name}/index.html"
"""A page's path in the index, as micropip's `index_urls` wants it."""


def write_index(folder: Path, files: Mapping[str, tuple[str, str]]) -> None:
    """Write the pages of the packages: by normalized name, the wheel's path and its SHA-256.

    Paths are relative to the folder that holds `folder`.
    """
    for name, (path, sha256) in files.items():
        page = folder / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(
            f"<!DOCTYPE html>\n<title>{html.escape(name)}</title>\n"
            f'<a href="../../{quote(path)}#sha256={sha256}">{html.escape(path.rpartition("/")[2])}</a>\n',
            encoding="utf-8",
        )
