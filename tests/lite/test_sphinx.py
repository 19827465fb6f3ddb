"""The Sphinx extension, in what `sphinx-build` makes of small documentations, and in a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.page import asked_outside, chromium_page
from tests.static import static_server

INDEX = """
Examples
========

.. toctree::

   other
   plain

.. laneway::
   :label: Sum

   number = 6 * 7
   print("The number is", number)

.. code-block:: python
   :caption: A caption
   :linenos:

   number + 1

.. code-block:: python
   :class: not-live

   this is not Python

.. laneway::
   :hidden:

   unseen = number

>>> unseen  # doctest: +SKIP
1
>>> unseen
2

>>> pair = [unseen,
...         unseen]
>>> # the list, as it is
>>> pair
[42, 42]
>>> pair[0] is pair[1]
True

.. laneway::
   :raises: ValueError
   :label: Raising
   :debug:

   raise ValueError("<as it is to be>")

.. laneway::
   :label: Picture

   from IPython.display import HTML, SVG, display
   display(SVG("<svg xmlns='http://www.w3.org/2000/svg' width='40' height='30'/>"))
   display(HTML("<b id='bold'>bold</b>"))

.. laneway::
   :static:

   number + 2

.. laneway::
   :kernel: other
   :label: Apart
   :debug: 1, 7

   "number" in globals()
"""

OTHER = """
Other
=====

.. autofunction:: mine.double

   These lines are the page's:

   >>> ours = 20

.. testsetup::

   prepared = 20

.. doctest::

   >>> prepared
   20

.. testcode::

   print(prepared)

.. testoutput::

   20

.. jupyter-execute::

   prepared + 1

.. testsetup:: apart

   prepared = 30

.. doctest:: apart

   >>> prepared
   30
"""

MINE = '''
"""A project."""

_hidden = 2


def double(number):
    """Twice the number.

    >>> double(21)
    42
    >>> double([]) + {}
    Traceback (most recent call last):
        ...
    TypeError: can only concatenate list (not "dict") to list
    >>> double(_hidden)
    4
    """
    return 2 * number
'''

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "mine"
version = "1.0"

[tool.hatch.build.targets.wheel]
only-include = ["mine.py"]
"""


UNDISTURBED = """async () => {
  const written = (code) => [...document.querySelectorAll("laneway-cell")].find((cell) => cell.code === code);
  const seen = async (cell, code) => {
    cell.code = code;
    await cell.run();
    return cell.outputs.textContent.trim();
  };
  const [own, common] = [written("double(_hidden)"), written("prepared + 1")];
  await seen(own, "ours = 42");
  await seen(common, "ours");
  return [await seen(own, "ours"), await seen(common, "ours"), await seen(own, "ours")];
}"""
"""What a docstring's cell and one of the page see of a name that both have set, in turns."""

EXECUTED = """
Index
=====

.. jupyter-execute::
   :hide-code:

   number = 6 * 7
   print("shown:", number)

.. jupyter-execute::
   :code-below:

   print("above", number)

.. jupyter-execute::
   :hide-output:

   print("not shown", number)

.. jupyter-execute::
   :linenos:
   :lineno-start: 7
   :emphasize-lines: 2

   first = number
   first + 1

.. jupyter-execute::
   :stderr:

   import sys
   print("a complaint", file=sys.stderr)

.. jupyter-execute::
   :raises: KeyError, ValueError

   {}["missing"]

.. jupyter-execute::
   :raises:

   print("nothing is wrong")

.. jupyter-execute::
   :hide-code:
   :hide-output:

   print("nothing to be seen")
"""

NOW = ".. laneway::\n\n   import time; print(time.time_ns())\n"


@dataclass
class Docs:
    """A documentation, in the folder `docs` of a project."""

    project: Path
    conf: str = ""

    @property
    def folder(self) -> Path:
        return self.project / "docs"

    def write(self, **pages: str) -> None:
        self.folder.mkdir(exist_ok=True)
        for name, text in pages.items():
            (self.folder / f"{name}.rst").write_text(text)

    def run(self, builder: str = "html", *options: str) -> subprocess.CompletedProcess[str]:
        """`sphinx-build`, every warning an error."""
        (self.folder / "conf.py").write_text(self.conf)
        doctrees = str(self.folder / "_doctrees")
        command = [sys.executable, "-m", "sphinx", "-W", "-n", "-j", "2", "-b", builder, "-d", doctrees]
        return subprocess.run(
            [*command, *options, ".", f"_{builder}"],
            cwd=self.folder,
            env={**os.environ, "PIP_NO_BUILD_ISOLATION": "0"},  # that is how it says that hatchling is there
            capture_output=True,
            text=True,
            timeout=600,  # seconds: on a busy machine it takes its time
            check=False,
        )

    def build(self, builder: str = "html", *options: str) -> str:
        """Build, which must work; returns what was printed."""
        result = self.run(builder, *options)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()


@pytest.fixture(scope="module")
def docs(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Docs:
    """A documentation with all kinds of examples, and its project; built for browsers."""
    project = tmp_path_factory.mktemp("project")
    (project / "mine.py").write_text(MINE)
    (project / "pyproject.toml").write_text(PYPROJECT)
    docs = Docs(
        project,
        f"""
import sys
sys.path.insert(0, {str(project)!r})
extensions = ["sphinx.ext.autodoc", "sphinx.ext.doctest", "laneway_lite.sphinx"]
exclude_patterns = ["_*"]
html_theme = "furo"
laneway_live = ["doctest", "jupyter-execute", "code-block"]
laneway_project = ".."
""",
    )
    docs.write(index=INDEX, other=OTHER, plain="Plain\n=====\n\nNothing to run::\n\n   x\n")
    docs.build("dirhtml")
    return docs


@pytest.fixture
def small(bundle: Path, tmp_path: Path) -> Docs:
    """Another one, to be written, and built without browsers."""
    return Docs(tmp_path, 'extensions = ["laneway_lite.sphinx"]\nexclude_patterns = ["_*"]\n')


def cells(html: str) -> list[str]:
    return re.findall(r"<laneway-cell.*?</laneway-cell>", html, re.DOTALL)


def text(html: str) -> str:
    return re.sub(r"<[^>]*>", "", html)


def test_examples_have_their_output_before_any_script_runs(docs: Docs) -> None:
    html = docs.read("_dirhtml/index.html")
    assert "The number is 42" in text(html)
    found = cells(html)
    hidden = [cell for cell in found if re.match("<laneway-cell[^>]* hidden", cell)]
    assert [text(cell).strip() for cell in hidden][-1] == "unseen = number"
    shown = [cell for cell in found if cell not in hidden]
    assert text(shown[1]).split() == ["1number", "+", "1", "43"]
    assert '<span class="linenos">1</span>' in shown[1]
    assert html.index("A caption") < html.index(shown[1])
    assert html.count("A caption") == 1
    assert text(shown[2]).strip().startswith("pair = [unseen,\n        unseen]\n# the list, as it is\npair\n")
    assert text(shown[2]).strip().endswith("[42, 42]\nTrue")
    assert shown[3].startswith('<laneway-cell label="Raising" raises debug>')
    assert "ValueError: &lt;as it is to be&gt;" in text(shown[3])
    picture = re.search(r'<img src="(_images/laneway-[0-9a-f]+\.svg)"', shown[4])
    assert picture
    assert "<svg" in docs.read(f"_dirhtml/{picture[1]}")
    assert "<b id='bold'>bold</b>" in shown[4]
    assert "False" in text(shown[5])
    assert shown[5].startswith('<laneway-cell label="Apart" kernel="other" debug="1 7">')
    assert len(shown) == 6  # the block with an example to skip, and what is marked, stay as they are
    assert "&gt;&gt;&gt; unseen" in text(html)
    static = html.partition('<div class="laneway-static">')[2].partition("<laneway-cell")[0]
    assert text(static).split()[:4] == ["number", "+", "2", "44"]


def test_docstrings_and_sphinx_own_doctest(docs: Docs) -> None:
    found = cells(docs.read("_dirhtml/other/index.html"))
    shown = [cell for cell in found if " hidden" not in cell[:80]]
    assert [text(cell).split("\n")[1] for cell in shown] == [
        "double(21)",
        "double(_hidden)",
        "ours = 20",
        "prepared",
        "print(prepared)",
        "prepared + 1",
        "prepared",
    ]
    assert 'chain="apart"' in shown[6]
    assert 'chain="mine.double"' in shown[0]
    assert "raises" in shown[0][:80]
    assert "raises" not in shown[1][:80]
    assert "chain" not in shown[2][:80]
    assert text(shown[4]).split() == ["print(prepared)", "20"]
    assert text(shown[5]).split() == ["prepared", "+", "1", "21"]
    (setup,) = [cell for cell in found if "import_module" in cell]
    assert 'import_module("mine")' in text(setup).replace("&quot;", '"')
    assert 'chain="mine.double"' in setup
    assert " setup hidden" in setup
    # doctest itself finds what it finds without us (and lacks the names)
    tests = 12 if sys.version_info >= (3, 13) else 11  # it counts what it skips
    assert f"   {tests} tests\n" in docs.run("doctest").stdout


def test_pages_without_cells_load_nothing(docs: Docs) -> None:
    assert "laneway" not in docs.read("_dirhtml/plain/index.html").replace("laneway_lite", "")
    assert "../_static/laneway/laneway-cells.js" in docs.read("_dirhtml/other/index.html")
    assert (docs.folder / "_dirhtml" / "_static" / "laneway" / "laneway.json").is_file()
    assert list((docs.folder / "_dirhtml" / "_static" / "laneway").glob("wheels.*/mine-1.0-*.whl"))


@pytest.mark.anyio
@pytest.mark.parametrize("theme", ["furo", "alabaster"])
async def test_readers_run_them_under_any_path(docs: Docs, theme: str) -> None:
    output = "_html" if theme == "alabaster" else "_dirhtml"
    if theme == "alabaster":
        docs.build("html", "-D", "html_theme=alabaster", "-d", "_doctrees_alabaster")
    with static_server(docs.folder) as address:
        async with chromium_page() as page:
            errors: list[str] = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            asked = asked_outside(page, address)
            await page.goto(f"{address}{output}/other{'.html' if theme == 'alabaster' else '/'}")
            await page.wait_for_selector("laneway-cell[data-state]", state="attached")
            outputs = "cells => cells.filter(cell => !cell.hidden).map(cell => cell.outputs.innerText.trim())"
            built = await page.eval_on_selector_all("laneway-cell", outputs)
            for cell in await page.locator("laneway-cell:not([hidden])").all():
                await cell.evaluate("cell => cell.run()")
                await expect(cell).to_have_attribute("data-state", "done")
            live = await page.eval_on_selector_all("laneway-cell", outputs)
            assert await page.evaluate(UNDISTURBED) == ["42", "20", "42"]
            # what doctest expects of a traceback is its last line
            last = [text.rpartition("\n")[2] for text in built]
            assert [text.rpartition("\n")[2] for text in live] == last
            assert last[1:] == ["4", "", "20", "20", "21", "30"]
            assert errors == []
            assert asked == []


def test_what_jupyter_sphinx_says_of_its_options_holds(small: Docs) -> None:
    small.conf += 'laneway_kernel_url = "elsewhere"\n'
    small.write(index=EXECUTED)
    small.build()
    unseen, below, silent, numbered, complaining, raising, fine, nothing = cells(
        small.read("_html/index.html")
    )
    assert unseen.startswith("<laneway-cell hide-code>")
    assert "shown: 42" in text(unseen)
    assert below.startswith("<laneway-cell code-below>")
    assert "above 42" in text(below)
    assert '<div class="laneway-outputs"></div>' in silent
    assert '<span class="linenos">7</span>' in numbered
    assert re.search(r'<span class="hll"><span class="linenos">8</span>.*first', numbered)
    assert "laneway-stderr" in complaining
    assert "KeyError" in text(raising)
    assert "nothing is wrong\n" in text(fine)
    assert nothing.startswith("<laneway-cell hidden")
    small.build("text")
    plain = small.read("_text/index.txt")
    assert "number = 6 * 7" not in plain
    assert plain.index("above 42") < plain.index('print("above", number)')
    assert "not shown 42" not in plain
    assert "a complaint\n" in plain
    assert "nothing to be seen" not in plain


def test_stderr_is_a_warning_and_cells_without_output_can_fail(small: Docs) -> None:
    cell = ".. jupyter-execute::\n\n   import sys; print('a complaint', file=sys.stderr); print('a word')\n"
    small.write(index=f"Index\n=====\n\n{cell}")
    failed = small.run("text")
    assert failed.returncode != 0
    assert "index.rst:4: WARNING: A cell has written to stderr" in failed.stderr
    assert "a complaint" in failed.stderr
    small.conf += 'suppress_warnings = ["laneway.stderr"]\n'
    small.build("text")
    assert "   a word\n" in small.read("_text/index.txt")
    assert "   a complaint\n" not in small.read("_text/index.txt")
    small.write(index="Index\n=====\n\n.. jupyter-execute::\n   :hide-output:\n\n   1 / 0\n")
    assert "index.rst:4: ERROR: A cell has failed: ZeroDivisionError" in small.run("text").stderr


def test_chains_do_not_disturb_each_other(small: Docs) -> None:
    def cell(code: str, chain: str = "") -> str:
        return f".. laneway::\n   {f':chain: {chain}' if chain else ':label: Common'}\n\n   {code}\n"

    parts = [
        cell("x = 'common'"),
        cell("x = 'of a'", "a"),
        cell("print('1:', x)"),
        cell("print('2:', x); x = 'of b'", "b"),
        cell("print('3:', x)", "a"),
        cell("print('4:', x)"),
    ]
    small.write(index="\n".join(["Index\n=====\n", *parts]))
    small.build("text")
    said = re.findall(r"^ +(\d: .*)$", small.read("_text/index.txt"), re.MULTILINE)
    assert said == ["1: common", "2: common", "3: of a", "4: common"]


def test_other_formats_have_code_and_output(docs: Docs) -> None:
    docs.build("text")
    plain = docs.read("_text/index.txt")
    assert plain.index('print("The number is", number)') < plain.index("The number is 42")
    assert ">>> pair\n[42, 42]" in plain
    assert "unseen = number" not in plain
    assert "ValueError: <as it is to be>" in plain
    docs.build("latex")
    (latex,) = (docs.folder / "_latex").glob("*.tex")
    assert "The number is 42" in latex.read_text()


def test_only_what_has_changed_runs_again(small: Docs) -> None:
    small.write(
        index=f"Index\n=====\n\n.. toctree::\n\n   second\n\n{NOW}",
        second=f"Second\n======\n\n{NOW}",
    )
    assert "running the cells of 2 pages" in small.build("text")
    first, second = small.read("_text/index.txt"), small.read("_text/second.txt")
    assert "running the cells" not in small.build("text", "-E", "-a")
    assert (small.read("_text/index.txt"), small.read("_text/second.txt")) == (first, second)
    with (small.folder / "second.rst").open("a") as file:
        file.write("\n.. laneway::\n\n   print('more')\n")
    assert "running the cells of 1 pages" in small.build("text")
    assert small.read("_text/index.txt") == first
    assert "more" in small.read("_text/second.txt")
    assert len(list((small.folder / "_doctrees" / "laneway" / "outputs").iterdir())) == 2


def test_what_fails_is_said_with_file_and_line(small: Docs) -> None:
    cells = [
        "   x = 1\n   y = x / 0",
        "   :raises: KeyError\n\n   [][1]",
        "   :raises:\n\n   'nothing'",
        "   print(x)",
    ]
    directives = [".. laneway::\n" + ("" if ":raises:" in cell else "\n") + cell for cell in cells]
    small.write(index="\n\n".join(["Index\n=====", *directives]) + "\n")
    failed = small.run("text")
    assert failed.returncode != 0
    assert (
        "index.rst:4: ERROR: A cell has failed: ZeroDivisionError: division by zero "
        "(line 2 of the cell: y = x / 0)" in failed.stderr
    )
    assert "index.rst:9: ERROR: A cell has failed: IndexError" in failed.stderr
    assert "where it is said to raise KeyError" in failed.stderr
    assert "index.rst:14: ERROR: A cell has failed: it raises nothing, though it is said to" in failed.stderr
    assert "3 cells have failed, see above" in failed.stderr
    small.conf += 'laneway_on_error = "warning"\nsuppress_warnings = ["laneway.cell"]\n'
    small.build("text")
    assert "ZeroDivisionError" in small.read("_text/index.txt")
    small.conf += "laneway_execute = False\n"
    small.build("text")
    assert "ZeroDivisionError" not in small.read("_text/index.txt")


def test_a_cell_that_does_not_end_and_one_that_asks(small: Docs) -> None:
    small.conf += "laneway_timeout = 1\n"
    small.write(index="Index\n=====\n\n.. laneway::\n\n   while True: pass\n\n.. laneway::\n\n   input()\n")
    failed = small.run("text")
    assert failed.returncode != 0
    assert "index.rst:4: ERROR: A cell has failed: " in failed.stderr
    assert "index.rst:8: ERROR: A cell has failed: " in failed.stderr
    assert "2 cells have failed" in failed.stderr


def test_a_kernel_that_dies_is_said_of_its_cell(small: Docs) -> None:
    small.write(index="Index\n=====\n\n.. laneway::\n\n   import os; os._exit(3)\n\n.. laneway::\n\n   1\n")
    failed = small.run("text")
    assert failed.returncode != 0
    assert "index.rst:4: ERROR: A cell has failed: The kernel has exited with code 3." in failed.stderr
    assert "1 cells have failed" in failed.stderr


def test_task_cells_and_displays_that_are_updated(small: Docs) -> None:
    small.write(
        index="""
Index
=====

.. laneway::
   :mode: task

   import asyncio
   shown = display("before", display_id=True)
   go = asyncio.Event()
   await go.wait()
   print("gone on")

.. laneway::

   while "go" not in globals():
       await asyncio.sleep(0)
   shown.update("after")
   go.set()

.. laneway::

   from IPython.display import clear_output
   print("cleared")
   clear_output(wait=True)
   print("kept")

.. laneway::

   len?
"""
    )
    small.build("text")
    plain = small.read("_text/index.txt")
    assert plain.index("'after'") < plain.index("gone on\n\n") < plain.index("   kept\n")
    assert "'before'" not in plain
    assert "\n   cleared" not in plain
    assert "Return the number of items in a container." in plain


@pytest.mark.parametrize(
    ("conf", "sentence"),
    [
        ('laneway_live = ["everything"]', "laneway_live: 'everything' is unknown; choose among doctest"),
        ('laneway_on_error = "panic"', 'laneway_on_error: write "error" or "warning".'),
        ('laneway_project = "_none"', "_none has neither pyproject.toml nor setup.py."),
        ('laneway_packages = ["numpy"]', "packages: 'numpy' is not in this Pyodide"),
    ],
)
def test_what_is_wrong_gets_a_sentence(small: Docs, conf: str, sentence: str) -> None:
    small.conf += conf
    small.write(index="Index\n=====\n\n.. laneway::\n\n   1\n")
    failed = small.run("html")
    assert failed.returncode != 0
    assert sentence in failed.stderr


def test_markdown_and_a_page_that_is_off(small: Docs) -> None:
    small.conf = (
        'extensions = ["myst_parser", "laneway_lite.sphinx"]\nexclude_patterns = ["_*"]\n'
        'laneway_live = ["code-block"]\nlaneway_kernel_url = "../kernel"\nlaneway_isolation = True\n'
    )
    small.folder.mkdir()
    (small.folder / "index.md").write_text(
        "# Index\n\n```{toctree}\noff\n```\n\n```python\n1 + 1\n```\n\n"
        '```{laneway}\n:label: "Two"\n2 + 2\n```\n\n```python\n>>> 3\n3\n```\n'
    )
    (small.folder / "off.md").write_text("---\nlaneway: off\n---\n\n# Off\n\n```python\n1 / 0\n```\n")
    small.build()
    html = small.read("_html/index.html")
    assert [text(cell).split() for cell in cells(html)] == [["1", "+", "1", "2"], ["2", "+", "2", "4"]]
    assert 'src="_static/../../kernel/laneway-cells.js"' in html
    off = small.read("_html/off.html")
    assert "laneway-cell" not in off
    script = '<script src="register.js" data-worker="service-worker.js?offline=off"></script>'
    assert script in html.split("</head>")[0]
    assert script in off
    assert (small.folder / "_html" / "service-worker.js").is_file()
    assert (small.folder / "_html" / "register.js").is_file()
    assert not (small.folder / "_html" / "_static" / "laneway").exists()


def test_who_has_no_sphinx_can_use_the_rest() -> None:
    script = (
        "import sys; sys.modules.update(sphinx=None, mkdocs=None, laneway=None);"
        "import laneway_lite.folder, laneway_lite.addon, laneway_lite.doctests, laneway_lite.outputs"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
