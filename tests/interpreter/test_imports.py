"""What the text of a cell is seen to import."""

from __future__ import annotations

from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from laneway.interpreter.imports import imported_modules

transform = TransformerManager().transform_cell


def modules(cell: str) -> set[str]:
    return imported_modules(transform(cell), transform)


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("import numpy as np, scipy.linalg", {"numpy", "scipy"}),
        ("from pandas.core import frame\nfrom . import near", {"pandas"}),
        ("def later():\n    try:\n        import lxml\n    except ImportError:\n        pass", {"lxml"}),
        ("import importlib\nx = importlib.import_module('yaml.nodes')", {"importlib", "yaml"}),
        ("x = __import__('yaml')", {"yaml"}),
        ("%matplotlib inline\n!ls\n?print", {"matplotlib", "matplotlib_inline"}),
        ("%load_ext nothing.at_all", {"nothing"}),
        ("%time import numpy", {"numpy"}),
        ("%%time\nimport numpy\n%matplotlib inline", {"numpy", "matplotlib", "matplotlib_inline"}),
        ("%timeit -n1 -r 1 from numpy import dot", {"numpy"}),
        ("%%writefile some.py\nimport numpy", set[str]()),
        ("%%bash\nimport numpy", set[str]()),
        ("import numpy +", set[str]()),
        ("'import numpy'", set[str]()),
        ("1 + 1", set[str]()),
    ],
)
def test_what_is_imported(cell: str, found: set[str]) -> None:
    assert modules(cell) == found


def test_files_that_are_run_or_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("script.py").write_text("%matplotlib inline\nimport first_of_mine\n")
    Path("first_of_mine.py").write_text("import second_of_mine, numpy\n")
    Path("second_of_mine.py").write_text("import first_of_mine, scipy\n")
    own = {"first_of_mine", "second_of_mine", "numpy", "scipy"}
    assert modules("import first_of_mine") == own
    assert modules("%run -i script.py") == own | {"matplotlib", "matplotlib_inline"}
    assert modules("%run no_such_file.py") == set()
