"""What a user has set up for IPython, as ipykernel's application honours it: configuration files, extensions,
startup files, `exec_lines`. Imported only where there is something of it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.shellapp import InteractiveShellApp
from traitlets import List, Unicode
from traitlets.config import SingletonConfigurable

if TYPE_CHECKING:
    from .shell import ZMQInteractiveShell


class IPKernelApp(InteractiveShellApp, SingletonConfigurable):
    """Has the name under which ipykernel is configured, and stands in for its application.

    `IPKernelApp.initialized()` is how programs ask whether they run in a kernel.
    """

    default_extensions = List(Unicode(), [])  # %store is there without it
    connection_file = Unicode("", help="Where clients connect; empty where they cannot.").tag(config=True)
    log = logging.getLogger("laneway")

    def __init__(self, shell: ZMQInteractiveShell, extra_args: Sequence[str] = (), **traits: Any) -> None:
        super().__init__(parent=shell, **traits)
        self.extra_args = list(extra_args)
        """What the command line says beside options."""
        self.shell = shell
        self.kernel = shell.kernel
        self.profile_dir = shell.profile_dir
        self.ipython_dir = shell.ipython_dir

    @property
    def connection_dir(self) -> str:
        """The folder of it."""
        return str(Path(self.abs_connection_file).parent)

    @property
    def abs_connection_file(self) -> str:
        """The same, absolute."""
        return str(Path(self.connection_file).resolve()) if self.connection_file else ""

    def start(self) -> None:
        """Do what is set up. An error in it is shown, and ends nothing."""
        self.init_gui_pylab()
        self.init_extensions()
        self.init_code()


def get_connection_file(app: object = None) -> str:
    """The path of this kernel's connection file, as ipykernel's function of this name."""
    if not IPKernelApp.initialized():
        raise RuntimeError("This is no kernel that has a connection file.")
    return os.fspath(IPKernelApp.instance().abs_connection_file)
