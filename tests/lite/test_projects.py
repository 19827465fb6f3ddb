"""Documentations that nobody here has written, unchanged but for conf.py: what works under doctest works in
the page, too. `make projects` fetches them, and runs this.
"""

from __future__ import annotations

import doctest
import functools
import json
import operator
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.page import KERNEL, chromium_page
from tests.static import static_server

from .projects import PROJECTS, build, run

pytestmark = pytest.mark.projects

CONF = """
extensions = [*extensions, "laneway_lite.sphinx"]
laneway_project = ".."
intersphinx_mapping = {}  # offline
"""

RUN = """async (cell, code) => {
  if (code) cell.code = code;
  await cell.run();
  const text = (selector) =>
    [...cell.outputs.querySelectorAll(selector)]
      .map((part) => part.textContent.replace(/\\n$/, "") + "\\n")
      .join("");
  return {
    state: cell.dataset.state,
    output: text("pre.laneway-text, pre.laneway-stdout"),
    error: text(".laneway-error pre:last-of-type"),
  };
}"""
"""Runs a cell; with `code`, this instead of its own."""


@dataclass(frozen=True)
class Project:
    """A project, and what of its documentation works under doctest, but not in a page."""

    folder: str
    unlike: dict[str, str]
    """By what the code of an example contains: why."""
    least: int
    """So many examples work under doctest."""


MAIN = "classes of sphinx.ext.doctest are in no module; here they are in __main__, as in any session"

EVERY = [
    Project(
        "more_itertools-11.2.1",
        {
            "callback_iter(func) as it": "a thread, of which a browser has none",
            "it.done": "see above",
            "it.result": "see above",
        },
        700,
    ),
    Project(
        "attrs-26.1.0",
        dict.fromkeys(
            ["D(1)", "resolve_types(", ".a.type", ".b.type", "REGISTRY", "class Derived(Base)"], MAIN
        ),
        450,
    ),
    Project(
        "python_dateutil-4.0.0",
        {
            "time.tzset()": "no timezone of the machine's",
            "/etc/localtime": "no file of the machine's",
            "/usr/share/zoneinfo": "no file of the machine's",
            "CST": "where the file with the timezone is",
            "dateutil.tzwin": "of Windows only; conf.py has put a mock in place of winreg",
        },
        300,
    ),
]


@pytest.mark.anyio
@pytest.mark.parametrize("project", EVERY, ids=lambda project: project.folder)
async def test_what_works_under_doctest_works_live(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(PROJECTS / project.folder, folder)
    with (folder / "docs" / "conf.py").open("a") as conf:
        conf.write(CONF)
    build(folder, "docs")
    pages = json.loads(run(folder, Path(__file__).with_name("reference.py"), "docs", "../doctrees"))
    wrong: dict[str, str] = {}
    examples = worked = 0
    async with chromium_page() as page:
        with static_server(tmp_path / "html") as address:
            complaints: list[str] = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            for name, found in pages.items():
                await page.goto(f"{address}{name}.html")
                await page.wait_for_selector("laneway-cell[data-state]", state="attached")
                cells = await page.locator("laneway-cell:not([hidden])").all()
                assert len(cells) == len(found["cells"]), name
                for cell, judged in zip(cells, found["cells"], strict=True):
                    shown = await cell.evaluate(RUN)
                    works = [example for example in judged if example["works"]]
                    examples += len(works)
                    worked += len(works)
                    if works == judged and matches(judged, shown):
                        continue
                    for example in judged:  # which of them?
                        shown = await cell.evaluate(RUN, example["code"])
                        if example["works"] and not matches([example], shown):
                            worked -= 1
                            wrong[example["code"]] = f"{name}: {example}\n{shown}"
    said = f"{project.folder}: of {examples} examples that work under doctest {worked} work live."
    print(said)
    unlike = {code for code in wrong for part in project.unlike if part in code}
    unexplained = [said, *(wrong[code] for code in wrong if code not in unlike)]
    assert len(unexplained) == 1, "\n\n".join(unexplained)
    assert worked >= 0.95 * examples
    assert examples >= project.least
    assert complaints == []


def matches(judged: list[dict[str, Any]], shown: dict[str, str]) -> bool:
    """Is it what the author has written, as doctest compares these?"""
    same = doctest.OutputChecker().check_output
    flags = functools.reduce(operator.or_, (example["flags"] for example in judged), 0)
    if not same("".join(example["want"] for example in judged), shown["output"], flags):
        return False
    error = judged[-1]["error"] if judged else None
    if error is None:
        return shown["state"] == "done"
    kind = error.partition(":")[0].rpartition(".")[2].strip()
    return kind in shown["error"]


NOTEBOOK = """---
file_format: mystnb
kernelspec: {name: laneway, display_name: Laneway, language: python}
---

# Notebook

```{code-cell}
:tags: [remove-cell]

hidden = 20
```

```{code-cell}
:tags: [hide-cell]

more = hidden + 1
```

```{code-cell}
:tags: [remove-input]

more
```

```{code-cell}
more + 1
```
"""


def test_cells_that_myst_nb_does_not_show_run_in_their_turn(tmp_path: Path) -> None:
    conf = 'extensions = ["myst_nb", "laneway_lite.sphinx"]\nlaneway_kernel_url = "elsewhere"\n'
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "conf.py").write_text(f'{conf}nb_execution_mode = "off"\n')
    (docs / "index.md").write_text(NOTEBOOK)
    build(docs)
    html = (tmp_path / "html" / "index.html").read_text()
    cells = re.findall("<laneway-cell( hidden)?>(.*?)</laneway-cell>", html, re.DOTALL)
    said = [(bool(hidden), re.sub("<[^>]*>", "", code).strip()) for hidden, code in cells]
    assert said == [(True, "hidden = 20"), (True, "more = hidden + 1"), (True, "more"), (False, "more + 1")]


SCRIPT = '''"""
Script
======

A script of sphinx-gallery.
"""

number = 20
print("number", number)

# %%
# A value with HTML.


class Bold:
    def _repr_html_(self):
        return f"<b>{number + 1}</b>"


Bold()

# %%
# It fails.

1 / 0
'''


@pytest.mark.anyio
async def test_scripts_of_sphinx_gallery_show_its_output_until_they_run(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "examples").mkdir(parents=True)
    (docs / "conf.py").write_text(
        'extensions = ["sphinx_gallery.gen_gallery", "laneway_lite.sphinx"]\n'
        'exclude_patterns = ["examples"]\n'
        'sphinx_gallery_conf = {"examples_dirs": "examples", "gallery_dirs": "made", "image_scrapers": (),\n'
        '    "filename_pattern": "", "expected_failing_examples": ["examples/script.py"]}\n'
        'laneway_live = ["code-block"]\nlaneway_kernel_url = "../kernel"\n'
    )
    (docs / "index.rst").write_text("Gallery\n=======\n\n.. toctree::\n\n   made/index\n")
    (docs / "examples" / "README.rst").write_text("Examples\n========\n")
    (docs / "examples" / "script.py").write_text(SCRIPT)
    build(docs, output="../site/docs")
    (tmp_path / "site" / "kernel").symlink_to(KERNEL)
    with static_server(tmp_path / "site") as address:
        async with chromium_page() as page:
            await page.goto(f"{address}docs/made/script.html")
            await page.wait_for_selector("laneway-cell[data-state]", state="attached")
            first, second, third = await page.locator("laneway-cell").all()
            for cell, said in ((first, "number 20"), (second, "21")):
                await expect(cell.locator(".laneway-outputs")).to_have_text(re.compile(rf"^\s*{said}\s*$"))
                await cell.evaluate("(cell) => cell.run()")
                await expect(cell).to_have_attribute("data-state", "done")
                await expect(page.get_by_text(said)).to_have_count(1)
            await third.evaluate("(cell) => cell.run()")
            await expect(third).to_have_attribute("data-state", "failed")
