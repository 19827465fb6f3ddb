"""Packages on import in JupyterLite, with a real Pyodide distribution, 0.27.7: as a folder that is copied
into the site, and at an URL.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.distribution import real_distribution
from tests.lite.conftest import Site
from tests.static import StaticFiles, static_server

from .lite import jupyterlite, run_notebook

pytestmark = pytest.mark.anyio

CELLS = {
    "numpy": "import numpy as np\nnp.arange(3)",
    "pandas": "import pandas as pd\npd.DataFrame({'a': np.arange(2)})",
    "matplotlib": "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([3, 1, 2]);",
    "scipy": "def det():\n    from scipy import linalg\n    return float(linalg.det(np.eye(2)))\ndet()",
    "sklearn": "import importlib\nlinear = importlib.import_module('sklearn' + '.linear_model')\n"
    "linear.LinearRegression().fit([[1], [2]], [1, 2]).coef_.round(6)",
    "missing": "import torch",
}


class Elsewhere(StaticFiles):
    """Another origin, whose files any page may fetch."""

    protocol_version = "HTTP/1.1"

    def end_headers(self) -> None:
        """See the base."""
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


def notebook() -> dict[str, Any]:
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": name,
            "metadata": {"tags": ["raises-exception"]},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for name, source in CELLS.items()
    ]
    spec = {"name": "laneway", "display_name": "Python (Laneway)", "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": spec}, "cells": cells}


def make_site(folder: Path, pyodide: str) -> Path:
    """A folder to serve, with the JupyterLite in `lite/`."""
    sources = folder / "sources"
    (sources / "files").mkdir(parents=True)
    (sources / "files" / "science.ipynb").write_text(json.dumps(notebook()))
    config = {"jupyter-lite-schema-version": 0, "jupyter-config-data": {"exposeAppInBrowser": True}}
    (sources / "jupyter-lite.json").write_text(json.dumps(config))
    site = Site(sources, app="lab")
    site.build(pyodide_url=pyodide)
    (folder / "lite").symlink_to(site.output)
    (folder / "index.html").touch()
    return folder


@pytest.mark.parametrize("where", ["folder", "url"])
async def test_science_from_top_to_bottom(where: str, tmp_path: Path) -> None:
    distribution = real_distribution()
    with static_server(distribution, Elsewhere) as address:
        site = make_site(tmp_path, str(distribution) if where == "folder" else address)
        async with jupyterlite(site=site, kernel=False) as (page, strangers):
            cells = await run_notebook(page, "science.ipynb")
    numpy, pandas, matplotlib, scipy, sklearn, missing = [cell["outputs"] for cell in cells]
    # what was shown while they waited is gone; sklearn's import was not seen before its cell ran
    for (output,), text in ((numpy, "array([0, 1, 2])"), (sklearn[-1:], "array([1.])")):
        assert output["data"]["text/plain"] == text
    assert scipy[-1]["data"]["text/plain"] == "1.0"
    assert "<table" in pandas[-1]["data"]["text/html"]
    image = base64.b64decode(matplotlib[-1]["data"]["image/png"])
    assert image.startswith(b"\x89PNG")
    assert len(image) > 5000, "there is a curve in it"
    assert missing[-1]["evalue"].startswith("No module named 'torch': it is not in this site. `%pip install")
    texts = json.dumps([numpy, pandas, scipy, sklearn])
    assert "Loading" not in texts
    if where == "folder":
        assert not strangers
    else:
        assert {url.rpartition("/")[2].partition("-")[0] for url in strangers} >= {
            "numpy",
            "scipy",
            "openblas",
        }
