"""What a command line says in IPython's own way: `--Class.trait=value`, its short names (`-c`,
`--matplotlib`) and flags (`--no-automagic`), read by traitlets.

Front ends pass such arguments to kernels that they take for IPython's (nbclient: where the history is), and
what is not for a kernel (`jupyter run FILE`). What nobody knows is a warning, and ends nothing. Imported only
where there are arguments.
"""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from IPython.core.application import base_aliases, base_flags
from IPython.core.shellapp import shell_aliases, shell_flags
from traitlets import TraitType
from traitlets.config import Config
from traitlets.config.loader import (
    ArgumentError,
    DeferredConfigList,
    DeferredConfigString,
    KVArgParseConfigLoader,
)

from .. import console

_SOCKETS = {"hb": "hb_port", **{name: f"{name}_port" for name in ("shell", "iopub", "stdin", "control")}}
_ALIASES: dict[str, str] = {
    **base_aliases,
    **shell_aliases,
    **{alias: f"IPKernelApp.{name}" for alias, name in _SOCKETS.items()},
    "ip": "IPKernelApp.ip",
    "transport": "IPKernelApp.transport",
}
_FLAGS: dict[str, Any] = {
    **base_flags,
    **shell_flags,
    "pylab": ({"IPKernelApp": {"pylab": "auto"}}, ""),
    "secure": ({}, ""),  # as it is by default
    "no-secure": ({"Session": {"key": ""}}, ""),
}


class Arguments(NamedTuple):
    """What is said on a command line."""

    config: Config
    rest: Sequence[str] = ()
    """What is no option: files, for example."""

    @property
    def connection(self) -> dict[str, Any]:
        """Fields of the connection file that are set here: ports, `ip`, `transport`, `key`."""
        app = self.config.get("IPKernelApp", {})
        names = ("ip", "transport", *_SOCKETS.values())
        fields = {name: _number(app[name]) for name in names if name in app}
        if "key" in (session := self.config.get("Session", {})):
            fields["key"] = str(session["key"])
        return fields

    def app(self, name: str) -> str | None:
        """A setting of the application: `profile`, `connection_file`, ..."""
        for section in ("IPKernelApp", "BaseIPythonApplication"):
            if name in (settings := self.config.get(section, {})):
                return str(settings[name])
        return None


def read_arguments(argv: Sequence[str]) -> Arguments:
    """What `argv` says. Never raises: what cannot be understood is said on stderr, and left out."""
    arguments, complaints = understand(argv)
    for sentence in complaints:
        console.say(f"laneway: {sentence}")
    return arguments


def understand(argv: Sequence[str]) -> tuple[Arguments, Sequence[str]]:
    """What `argv` says, and a sentence for each thing that cannot be understood."""
    complaints: list[str] = []
    end = list(argv).index("--") if "--" in argv else len(argv)
    options, rest = argv[:end], argv[end + 1 :]
    known: list[str] = []
    for argument, following in zip(options, (*options, "-")[1:], strict=True):
        if not argument.startswith("-") or "=" in argument or not following.startswith("-"):
            # `c.` is how a configuration file says it
            known.append(f"--{argument.removeprefix('--c.')}" if argument.startswith("--c.") else argument)
        elif argument == "-" or argument.lstrip("-") in _FLAGS:
            known.append(argument)
        elif argument.lstrip("-") in _ALIASES:
            complaints.append(f"The argument {argument} needs a value; it has no effect.")
        else:
            complaints.append(f"There is no argument {argument}; it has no effect.")
    loader = _Loader(known, _ALIASES, _FLAGS, logging.getLogger("laneway"), [])
    loader.complaints = complaints
    try:
        config = loader.load_config()
        _mark_values(config)
        return Arguments(config, (*loader.get_extra_args(), *rest)), complaints
    except ArgumentError as error:
        complaints.append(f"The arguments {' '.join(known)} have no effect: {error}.")
        return Arguments(Config(), rest), complaints


class _Parser(KVArgParseConfigLoader.parser_class):
    def error(self, message: str) -> NoReturn:
        """Without ending the program."""
        raise ArgumentError(message)


class _Loader(KVArgParseConfigLoader):
    parser_class: type[ArgumentParser] = _Parser
    complaints: list[str]

    def _handle_unrecognized_alias(self, arg: str) -> None:
        self.complaints.append(f"There is no argument --{arg}; it has no effect.")


class _Value(DeferredConfigString):
    def get_value(self, trait: TraitType[Any, Any]) -> Any:
        """What it means for `trait`, which the loader does not know: perhaps a list, with this one item, or
        written as a literal.
        """
        return DeferredConfigList([str(self)]).get_value(trait)

    __repr__ = str.__repr__  # traitlets' own does not end in a subclass


def _mark_values(config: Config) -> None:
    for name, value in config.items():
        if isinstance(value, Config):
            _mark_values(value)
        elif isinstance(value, DeferredConfigString):
            config[name] = _Value(value)


def _number(value: str) -> int | str:
    """A port, or what else it is."""
    return int(value) if value.isdecimal() else str(value)
