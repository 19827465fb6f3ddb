"""Is there something that a user has set up for IPython? Reads configuration files and looks for startup
files, and imports nothing for it in the usual case, where there are none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.profiledir import ProfileDir
from IPython.paths import get_ipython_dir
from traitlets.config import Config

from .. import console

if TYPE_CHECKING:
    from .arguments import Arguments

_CONFIG_FILES = ("ipython_config", "ipython_kernel_config")


def find_profile(name: str | None, arguments: Arguments | None = None) -> ProfileDir:
    """The folder of the profile `name`, or of that which the command line names; it is made where there is
    none.
    """
    root = get_ipython_dir()
    if arguments:
        if location := arguments.config.get("ProfileDir", {}).get("location"):
            return ProfileDir.create_profile_dir(str(location))
        root = arguments.app("ipython_dir") or root
        name = name or arguments.app("profile")
    return ProfileDir.create_profile_dir_by_name(root, name or "default")


def read_config(profile: ProfileDir, arguments: Arguments | None = None) -> Config:
    """The configuration of the machine, the environment, the profile and the command line, where the later
    ones prevail; so do files for kernels over those for IPython.
    """
    config = Config()
    for name in _CONFIG_FILES:
        for folder in (*_shared_folders(), Path(profile.location)):
            for path in (folder / f"{name}.py", folder / f"{name}.json"):
                if path.exists():
                    config.merge(_read(path))
    if arguments:
        if file := arguments.app("extra_config_file"):
            config.merge(_read(Path(file)))
        config.merge(arguments.config)
    return config


def has_startup(profile: ProfileDir, config: Config) -> bool:
    """Is there something to be run before the first cell?"""
    sections = [config.get(name, {}) for name in ("InteractiveShellApp", "IPKernelApp")]
    startup_folders = [Path(profile.startup_dir), *(folder / "startup" for folder in _shared_folders())]
    return (
        any(set(section) - {"connection_file"} for section in sections)
        or bool(os.environ.get("PYTHONSTARTUP"))
        or any(path.suffix in (".py", ".ipy") for folder in startup_folders for path in _entries(folder))
    )


def _shared_folders() -> list[Path]:
    # as in IPython.core.application, which is slow to import
    roots = (
        [Path(os.environ["PROGRAMDATA"])]
        if sys.platform == "win32"
        else [Path("/etc"), Path("/usr/local/etc")]
    )
    return [root / "ipython" for root in (*roots, Path(sys.prefix) / "etc")]


def _entries(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def _read(path: Path) -> Config:
    from IPython.core.application import ProfileAwareConfigLoader
    from traitlets.config.loader import JSONFileConfigLoader

    loader = JSONFileConfigLoader if path.suffix == ".json" else ProfileAwareConfigLoader
    try:
        return loader(path.name, path=str(path.parent)).load_config()
    except Exception as error:
        console.say(f"laneway: {path} was not read: {type(error).__name__}: {error}")
        return Config()
