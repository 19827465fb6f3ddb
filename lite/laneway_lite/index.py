"""Makes the site's own pip index: static pages after PEP 503, from which micropip installs.

`{package_name}/index.html` lists the wheels of one package with their hashes. HTML, since its links may be
relative, which micropip does not allow in JSON, and since every static server gives it the right type.
Runs at build time only.
"""

import html
from collections.abc import Mapping
from urllib.parse import quote

TEMPLATE = "{package_name}/index.html"
"""A page's path in the index, as micropip's `index_urls` wants it."""


def pages(wheels: Mapping[str, tuple[str, str]]) -> dict[str, bytes]:
    """The pages of the packages, by their paths in the index.

    `wheels`: by normalized name, the wheel's path, relative to the folder that holds the index, and its
    SHA-256.
    """
    return {
        TEMPLATE.format(package_name=name): (
            f"<!DOCTYPE html>\n<title>{html.escape(name)}</title>\n"
            f'<a href="../../{quote(path)}#sha256={sha256}">{html.escape(path.rpartition("/")[2])}</a>\n'
        ).encode()
        for name, (path, sha256) in wheels.items()
    }
