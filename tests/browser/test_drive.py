"""JupyterLite's files, where worker and page share memory."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from .lite import DIST, jupyterlite

pytestmark = pytest.mark.anyio

FOLDER = Path("lite/static/laneway")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The site, but for a worker whose patience is short."""
    copy = tmp_path / "site"
    shutil.copytree(DIST, copy, copy_function=os.symlink)
    worker = copy / FOLDER / json.loads((DIST / FOLDER / "laneway.json").read_text())["worker"]
    source = worker.read_text()
    assert source.count("=3e4") == 1
    worker.unlink()
    worker.write_text(source.replace("=3e4", "=4000"))
    return copy


async def test_a_page_that_does_not_answer_is_an_error_and_nothing_is_lost(site: Path) -> None:
    async with jupyterlite(site=site) as (page, strangers):
        text = ""
        for _ in range(10):  # Python looks at a file in ways of which it ignores the errors
            text = await page.evaluate(
                """async () => {
                  const code = `
                import time
                with open("kept.txt", "w") as file: file.write("kept")
                print("ready")
                try:
                    while True:
                        began = time.monotonic()
                        with open("kept.txt", "r+"): pass
                        if time.monotonic() > began + 3.5:
                            print("ignored")
                            break
                except OSError as error:
                    print(error.strerror)
                `.replaceAll("\\n                ", "\\n");
                  const run = window.run(code);
                  await run.until("ready");
                  // begins when the kernel has given up, before the page wakes and answers what was given up
                  const after = window.run("print(open('kept.txt').read())");
                  const until = performance.now() + 6000;
                  while (performance.now() < until);
                  await Promise.all([run.finished, after.finished]);
                  return run.text + after.text;
                }"""
            )
            if "ignored" not in text:
                break
        assert text.splitlines() == ["ready", "Operation timed out", "kept"]
        assert strangers == []
