"""The kernelspecs of Laneway in Jupyter's folders: `laneway install`, `list` and `uninstall`.

For a Jupyter of the same environment `pip install laneway` is enough: that puts one there. `install` copies
it, under a name of its own and with a command that names this Python, for a Jupyter of another environment or
with other settings.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import SYSTEM_JUPYTER_PATH

from ..protocol.errors import SettingsError
from .settings import KernelSettings

OWN_NAME = "laneway"
"""That of the kernelspec that comes with the package, and of the package."""


class Spec(NamedTuple):
    """A kernelspec that runs Laneway."""

    name: str
    display_name: str
    folder: Path
    argv: Sequence[str]
    env: Mapping[str, str]
    offers_debugger: bool
    """What JupyterLab goes by; it does not ask the kernel."""

    @property
    def is_pips(self) -> bool:
        """Is it as it comes with the package, for the Python of whoever starts it?"""
        return self.argv[0] == "python"

    @property
    def arguments(self) -> Sequence[str]:
        """What its command line says beside what every one does."""
        start = self.argv.index(OWN_NAME) + 1
        rest = [part for part in self.argv[start:] if part != "{connection_file}"]
        return [part for part in rest if part not in ("-f", "--f", "--connection-file")]

    @property
    def problem(self) -> str | None:
        """Why it cannot run, if that can be seen."""
        if shutil.which(self.argv[0]) is None:
            return f"there is no {self.argv[0]}"
        return None


def installed() -> list[Spec]:
    """Those that Jupyter finds, by their names. What is not a kernelspec is left out."""
    folders = _manager().find_kernel_specs()
    found = (_read(name, Path(folder)) for name, folder in sorted(folders.items()))
    return [spec for spec in found if spec]


def install(
    name: str,
    settings: KernelSettings,
    *,
    display_name: str | None = None,
    env: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    user: bool = False,
    prefix: str | None = None,
) -> Path:
    """Install a kernelspec that runs this Python, and return its folder.

    `arguments` are IPython's (`--Class.trait=value`). `user`: for this user; `prefix`: in the environment
    there; neither: system-wide. One of Laneway that has the name already is replaced.

    Raises SettingsError where a name or an argument cannot be used, OSError where the folder cannot be
    written.
    """
    if arguments:
        _check_arguments(arguments)
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(_source(), Path(folder) / "spec"))
        file = copy / "kernel.json"
        spec: dict[str, Any] = json.loads(file.read_bytes())
        command = [sys.executable, "-m", OWN_NAME, "-f", "{connection_file}"]
        spec["argv"] = [*command, *settings.arguments(), *arguments]
        if display_name or name != OWN_NAME:
            spec["display_name"] = display_name or f"{spec['display_name']}: {name}"
        if env:
            spec["env"] = dict(env)
        if sys.version_info < (3, 12):  # the source may be for later ones: a package of conda's is for all
            spec["metadata"] |= {"debugger": False, "supported_features": ["kernel subshells"]}
        file.write_text(json.dumps(spec, indent=1))
        manager = _manager()
        _check_free(name, manager, user, prefix)
        try:
            return Path(manager.install_kernel_spec(str(copy), name, user=user, prefix=prefix))
        except ValueError as error:
            raise SettingsError(str(error)) from None


def uninstall(name: str) -> Path:
    """Remove a kernelspec of Laneway, and return the folder where it was. Raises SettingsError where there is
    none of that name, OSError where it cannot be removed.
    """
    known = {spec.name: spec for spec in installed()}
    if name not in known:
        raise SettingsError(
            f"There is no kernelspec {name!r} of Laneway; those are {', '.join(known) or 'none'}."
        )
    return Path(_manager().remove_kernel_spec(name))


def _manager() -> KernelSpecManager:
    return KernelSpecManager(ensure_native_kernel=False)  # to look for ipykernel's takes a second


def _check_arguments(arguments: Sequence[str]) -> None:
    from ..interpreter.arguments import understand  # slow to import

    _, complaints = understand(arguments)
    if complaints:
        raise SettingsError(complaints[0])


def _source() -> Path:
    """The folder that comes with the package."""
    for file in metadata.files(OWN_NAME) or ():
        if file.parts[-3:] == ("kernels", OWN_NAME, "kernel.json"):
            return Path(str(file.locate())).resolve().parent
    raise SettingsError("The kernelspec that comes with laneway is missing; install laneway with pip.")


def _read(name: str, folder: Path) -> Spec | None:
    try:
        spec = json.loads((folder / "kernel.json").read_bytes())
        argv = [str(part) for part in spec["argv"]]
        if ("-m", OWN_NAME) not in pairwise(argv):
            return None
        debugger = dict(spec.get("metadata", {})).get("debugger") is True
        return Spec(name, str(spec["display_name"]), folder, argv, dict(spec.get("env", {})), debugger)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _check_free(name: str, manager: KernelSpecManager, user: bool, prefix: str | None) -> None:
    """jupyter_client would replace another kernel's."""
    if prefix:
        folder = Path(prefix) / "share" / "jupyter" / "kernels" / name
    else:
        folder = Path(manager.user_kernel_dir if user else f"{SYSTEM_JUPYTER_PATH[0]}/kernels") / name
    if folder.exists() and _read(name, folder) is None:
        raise SettingsError(f"The name {name!r} is another kernel's, in {folder}; choose another --name.")
