"""What hatchling runs before it builds a wheel. There are two: JupyterLab asks the kernelspec, and not the
kernel, whether there is a debugger, and pip installs what is in a wheel as it is.

    py311-none-any    for Python 3.11, which has no `sys.monitoring`, and so no debugger
    py3-none-any      for later ones

pip prefers the wheel that is made for the very version of its Python, then `py3`, then those for older ones.
One that it builds itself, from an sdist or a checkout, is for the Python that builds it. The environment
variable LANEWAY_WHEEL names another: `py3` or `py311`.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGET = "share/jupyter/kernels/laneway"


class Kernelspec(BuildHookInterface[Any]):
    """Gives a wheel its tag, and the kernelspec that is true there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        tag = os.environ.get("LANEWAY_WHEEL") or ("py311" if sys.version_info < (3, 12) else "py3")
        if tag not in ("py3", "py311"):
            self.app.abort(f"laneway: LANEWAY_WHEEL is {tag!r}; it must be py3 or py311.")
        folder = Path(self.root, "py", "kernelspec")
        if tag == "py311":
            folder = self._without_debugger(folder)
        build_data["tag"] = f"{tag}-none-any"
        build_data["shared_data"][str(folder)] = TARGET

    def _without_debugger(self, folder: Path) -> Path:
        self._temporary = TemporaryDirectory()  # as long as this object
        copy = Path(shutil.copytree(folder, Path(self._temporary.name, folder.name)))
        file = copy / "kernel.json"
        spec = json.loads(file.read_bytes())
        spec["metadata"]["debugger"] = False
        spec["metadata"]["supported_features"].remove("debugger")
        file.write_text(json.dumps(spec, indent=2) + "\n", encoding="utf-8")
        return copy
