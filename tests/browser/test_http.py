"""Fetching by Python's libraries in a page: `requests` (by urllib3, which knows browsers), `pyodide.http`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from playwright.async_api import Page

from laneway_lite.folder import Options, make_folder
from tests.page import ROOT, chromium_page
from tests.static import static_server

from .client import PAGE, WORKER

pytestmark = pytest.mark.anyio

_WHEELS = ["requests", "urllib3", "idna", "certifi", "charset-normalizer"]

RESULT = """async (code) => {
  const { result, error } = await kc.execute(code).done;
  return error ? `${error.ename}: ${error.evalue}` : (result?.["text/plain"] ?? "");
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose kernel has `requests`: the wheels of our environment, as it pins them."""
    folder = tmp_path_factory.mktemp("http")
    locked = (ROOT / ".ci" / "requirements.txt").read_text()
    pins = re.findall(r"^\S.*(?:\n .*)*", locked, flags=re.MULTILINE)
    wanted = [pin for pin in pins if pin.partition("==")[0] in _WHEELS]
    assert len(wanted) == len(_WHEELS)
    (folder / "wanted.txt").write_text("\n".join(wanted))
    platform = ["--platform", "any", "--only-binary", ":all:", "--no-deps", "--require-hashes"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *platform]
    subprocess.run([*command, "-r", folder / "wanted.txt", "-d", folder / "wheels"], check=True)
    site = folder / "site"
    site.mkdir()
    make_folder(site / "kernel", Options(wheels=(str(folder / "wheels"),)), ROOT / ".cache" / "bundle")
    (site / "index.html").write_text(PAGE)
    (site / "lib").symlink_to(ROOT / "jskernel" / "lib")
    (site / "data.json").write_text('{"a": 1}')
    return site


@pytest.fixture(scope="module")
async def page(site: Path) -> AsyncGenerator[Page, None]:
    with static_server(site) as address:
        async with chromium_page() as page:
            await page.goto(address)
            await page.evaluate(WORKER, "kernel/")
            await page.evaluate(RESULT, f"URL = {address + 'data.json'!r}")
            yield page


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("import requests\nr = requests.get(URL)\n(r.status_code, r.json())", "(200, {'a': 1})"),
        ("import requests\nrequests.get(URL + '.missing').status_code", "404"),
        ("import urllib3\nurllib3.request('GET', URL).json()", "{'a': 1}"),
        ("from pyodide.http import open_url\nopen_url(URL).read()", "'{\"a\": 1}'"),
        ("from pyodide.http import pyfetch\nawait (await pyfetch(URL)).json()", "{'a': 1}"),
    ],
)
async def test_what_fetches(page: Page, code: str, shown: str) -> None:
    assert await page.evaluate(RESULT, code) == shown


async def test_what_needs_sockets_says_what_fetches(page: Page) -> None:
    said = await page.evaluate(RESULT, "import urllib.request\nurllib.request.urlopen(URL)")
    assert said.startswith("RemoteDisconnected: ")
    assert "`requests`" in said
