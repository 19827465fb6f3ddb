"""The documentation as `make site` built it: where its links lead, and that its programs run."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "site" / "dist"
PAGES = sorted((DIST / "docs").rglob("*.html"))
SOURCES = sorted((ROOT / "site" / "docs").rglob("*.md"))
PROGRAMS = [
    pytest.param(program, id=f"{path.stem} {number}")
    for path in SOURCES
    for number, program in enumerate(
        re.findall(r"^```python\n((?!>>>).*?)```", path.read_text(), re.DOTALL | re.MULTILINE)
    )
]


class Parsed(HTMLParser):
    """The links of a page, what it loads, and the places that links can lead to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.places.add(value)
            elif name in ("href", "src", "data-worker") and value:
                (self.links if tag == "a" else self.loads).append(value)


parsed = cache(Parsed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DIST).as_posix())
def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(page: Path) -> None:
    for url in parsed(page).loads:
        assert not urlsplit(url).netloc, f"{url} is elsewhere"
    for url in parsed(page).links + parsed(page).loads:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "data"):
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        assert target.is_relative_to(DIST), url
        assert target.is_file(), url
        if parts.fragment and target in PAGES:
            assert unquote(parts.fragment) in parsed(target).places, url


def test_style_sheets_load_nothing_from_elsewhere() -> None:
    for sheet in (DIST / "docs").rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", sheet.read_text()), sheet


def test_outputs_are_there_before_any_script_runs() -> None:
    page = (DIST / "docs" / "start" / "first-cells.html").read_text()
    assert "[0, 1, 4, 9, 16, 25, 36, 49]" in page
    assert page.count("<laneway-cell") == 9


def test_everything_that_the_npm_packages_export_is_in_the_reference() -> None:
    page = parsed(DIST / "docs" / "reference" / "typescript-api.html")
    script = (
        "for (const path of process.argv.slice(1)) console.log(Object.keys(await import(path)).join('\\n'))"
    )
    modules = [str(ROOT / "jskernel" / "lib" / part / "index.js") for part in ("common", "browser")]
    command = ["node", "--input-type=module", "-e", script, *modules]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    names = {*done.stdout.split(), "LanewayCell", "useClient"}
    assert {"Client", "launch"} <= names
    assert {name for name in names if name.lower().replace("_", "-") not in page.places} == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(program: str) -> None:
    """Those of READMEs are tested by test_readme."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "DebugError: The debugger needs Python 3.12" in done.stderr and sys.version_info < (3, 12):
        pytest.skip("It is for Python 3.12 and later.")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
