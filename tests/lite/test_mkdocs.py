"""The MkDocs plugin, in what `mkdocs build` makes, and in a browser."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.page import chromium_page
from tests.static import static_server

INDEX = """
# Examples

```laneway label="Sum"
number = 6 * 7
print(f"<{number}>")
```

```laneway hidden
unseen = number
```

```laneway kernel="other" raises debug="1"
number
```

```laneway debug
>>> unseen + 1
43
>>> unseen / 0
Traceback (most recent call last):
ZeroDivisionError: division by zero
```

```python
this is not live
```
"""


def build(folder: Path, config: str = "", **pages: str) -> subprocess.CompletedProcess[str]:
    (folder / "docs" / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "mkdocs.yml").write_text(
        f"site_name: Docs\nplugins:\n  - laneway:\n      timeout: 30\n{config}"
    )
    for name, text in pages.items():
        (folder / "docs" / f"{name.replace('__', '/')}.md").write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,  # seconds: on a busy machine it takes its time
        check=False,
    )


@pytest.mark.anyio
async def test_fences_become_cells(bundle: Path, tmp_path: Path) -> None:
    built = build(tmp_path, index="# Start\n", sub__page=INDEX)
    assert built.returncode == 0, built.stderr
    site = tmp_path / "site"
    assert "laneway" not in (site / "index.html").read_text()
    html = (site / "sub" / "page" / "index.html").read_text()
    assert "&lt;42&gt;" in html
    assert "NameError" in html
    assert '<script type="module" src="../../laneway/laneway-cells.js">' in html
    assert "this is not live" in re.sub("<[^>]*>", "", html)
    assert "<p><laneway-cell" not in html
    assert '<laneway-cell kernel="other" debug="1" raises>' in html
    assert '<laneway-cell debug="" raises allow-errors>' in html
    with static_server(tmp_path) as address:
        async with chromium_page() as page:
            await page.goto(f"{address}site/sub/page/")
            await page.wait_for_selector("laneway-cell[data-state]", state="attached")
            last = page.locator("laneway-cell").last
            await expect(last.locator(".laneway-outputs")).to_contain_text("43")
            await last.evaluate("cell => cell.run()")
            await expect(last).to_have_attribute("data-state", "done")
            assert (await last.locator(".laneway-outputs").inner_text()).startswith("43")
            await expect(last.locator(".laneway-outputs")).to_contain_text("ZeroDivisionError")
            await expect(page.locator("laneway-cell").nth(2)).to_have_attribute("data-state", "asleep")


def test_what_fails_is_said(bundle: Path, tmp_path: Path) -> None:
    page = "# Start\n\n```laneway\n1 / 0\n```\n"
    failed = build(tmp_path, index=page)
    assert failed.returncode != 0
    assert "index.md: A cell has failed: ZeroDivisionError: division by zero" in failed.stderr
    assert "1 cells have failed, see above" in failed.stderr
    # an option that is not ours is no fence of ours, as superfences has it
    assert build(tmp_path, index=page.replace("laneway", "laneway autorum")).returncode == 0
