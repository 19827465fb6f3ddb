"""The settings of a kernel. Each is declared here once: help, validation, kernelspecs and README's table are
made of it.

    who says it                                    how
    `python -m laneway`, and kernelspecs' argv     --profile NAME
    `laneway install`, `run`, `exec`               the same
    `start_callback_kernel`, `launch` in a page    {"pipIndexURLs": [...]}

Every kernel imports this at its start: stdlib only, and nothing slow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Flag, auto
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple, Self

from ..protocol.errors import SettingsError


class Where(Flag):
    """The kernels that a setting is for."""

    DESKTOP = auto()
    BROWSER = auto()


class Setting(NamedTuple):
    """What is known of a setting, beside its value."""

    field: str
    """The attribute of `KernelSettings`; with hyphens it is the option of a command line."""
    key: str
    """Its name in JSON, and in sentences."""
    metavar: str
    help: str
    where: Where
    default: Any
    choices: Sequence[str] = ()
    """All values that there are; none where others will do."""
    without: str = ""
    """Characters that a value must not have."""

    @property
    def option(self) -> str:
        """On a command line."""
        return f"--{self.field.replace('_', '-')}"

    @property
    def many(self) -> bool:
        """Is it a list? A command line has the option once for each item."""
        return isinstance(self.default, tuple)

    def check(self, value: Any) -> Any:
        """The value as it is kept. Raises SettingsError where it cannot be used."""
        if not self.many:
            return self._check(value, "a text")
        if not isinstance(value, list | tuple):
            raise self._refuse("a list", value)
        items: Sequence[Any] = value
        return tuple(self._check(item, "a list of texts") for item in items)

    def _check(self, value: Any, wanted: str) -> str:
        if self.choices and value not in self.choices:
            raise self._refuse(" or ".join(self.choices), value)
        if not isinstance(value, str) or not value:
            raise self._refuse(wanted, value)
        if found := set(self.without) & set(value):
            raise self._refuse(f"without {min(found)!r}", value)
        return value

    def _refuse(self, wanted: str, value: Any) -> SettingsError:
        return SettingsError(f"The setting {self.key!r} must be {wanted}, not {value!r}.")


def _setting(
    default: Any, metavar: str, text: str, where: Where = Where.DESKTOP, *, key: str = "", **limits: Any
) -> Any:
    known = Setting("", key, metavar, text, where, default, **limits)
    return field(default=default, metadata={Setting: known})


@dataclass(frozen=True)
class KernelSettings:
    """The settings of one kernel. A new one is a line here, and what obeys it."""

    profile: str | None = _setting(
        None,
        "NAME",
        "the IPython profile whose configuration and startup files are used, in place of `default`",
        without="/\\\0",
    )
    backend: str = _setting(
        "asyncio",
        "LIBRARY",
        "the library whose `await` cells use that do not say `%%asyncio` or `%%trio`",
        choices=("asyncio", "trio"),
    )
    loop: str = _setting(
        "asyncio",
        "LOOP",
        "the event loop under asyncio's and trio's `await`: asyncio's own, or uvloop",
        choices=("asyncio", "uvloop"),
    )
    pip_index_urls: Sequence[str] = _setting(
        (), "URL", "a package index that %pip install asks first", Where.BROWSER, key="pipIndexURLs"
    )

    @classmethod
    def read(cls, values: Mapping[str, Any], where: Where) -> Self:
        """Those that are given, by their keys; the others are as by default. Raises SettingsError, with a
        sentence, where one is unknown, not for such kernels, or has a value that cannot be used.
        """
        known = {setting.key: setting for setting in settings(where)}
        for key in values:
            if key not in known:
                raise SettingsError(f"There is no setting {key!r}; the settings are {', '.join(known)}.")
        return cls(**{known[key].field: known[key].check(value) for key, value in values.items()})

    def arguments(self) -> list[str]:
        """The command line that says what is not as by default."""
        said: list[str] = []
        for setting in settings(Where.DESKTOP):
            value = getattr(self, setting.field)
            if value != setting.default:
                said += [f"{setting.option}={item}" for item in (value if setting.many else [value])]
        return said


@cache
def settings(where: Where) -> Sequence[Setting]:
    """Those for such kernels, in the order in which they are declared."""
    declared: list[tuple[str, Setting]] = [
        (one.name, one.metadata[Setting]) for one in fields(KernelSettings)
    ]
    return tuple(
        setting._replace(field=name, key=setting.key or name)
        for name, setting in declared
        if where & setting.where
    )


def given(options: Mapping[str, Any]) -> KernelSettings:
    """The settings among the options of a command line, of which None and () are what nobody has said. Raises
    SettingsError also where what they need is not installed in this Python.
    """
    said = {setting.key: options[setting.field] for setting in settings(Where.DESKTOP)}
    read = KernelSettings.read(
        {key: value for key, value in said.items() if value not in (None, ())}, Where.DESKTOP
    )
    for setting, library in (("backend", "trio"), ("loop", "uvloop")):
        if getattr(read, setting) == library and find_spec(library) is None:
            raise SettingsError(
                f"The setting {setting!r} is {library!r}, which is not installed: pip install {library}."
            )
    return read


def described(setting: Setting) -> str:
    """The help of it."""
    return f"{setting.help} (default: {setting.default})" if setting.default else setting.help
