"""The declared settings: what they take, refuse, and say."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.apps.settings import KernelSettings, Where, described, given, settings
from laneway.protocol.errors import SettingsError


def test_every_setting_has_what_help_and_documentation_need() -> None:
    for setting in (*settings(Where.DESKTOP), *settings(Where.BROWSER)):
        assert setting.help[0].islower()
        assert not setting.help.endswith(".")
        assert setting.metavar.isupper() or setting.choices
        assert setting.help in described(setting)
        assert getattr(KernelSettings(), setting.field) == setting.default


def test_by_default_nothing_is_said() -> None:
    assert KernelSettings().arguments() == []
    nobody = {setting.field: () if setting.many else None for setting in settings(Where.DESKTOP)}
    assert given(nobody) == KernelSettings()


def test_a_command_line_says_what_is_set() -> None:
    options = {setting.field: None for setting in settings(Where.DESKTOP)} | {"profile": "mine"}
    assert given(options).arguments() == ["--profile=mine"]


def test_values_are_kept_as_they_are() -> None:
    urls = ["https://example.org/simple"]
    read = KernelSettings.read({"pipIndexURLs": urls}, Where.BROWSER)
    assert read == KernelSettings(pip_index_urls=tuple(urls))


@pytest.mark.parametrize(
    ("values", "where", "sentence"),
    [
        ({"profile": ""}, Where.DESKTOP, "The setting 'profile' must be a text, not ''."),
        ({"profile": 1}, Where.DESKTOP, "The setting 'profile' must be a text, not 1."),
        ({"profile": "a/b"}, Where.DESKTOP, "The setting 'profile' must be without '/', not 'a/b'."),
        ({"profile": "mine"}, Where.BROWSER, "There is no setting 'profile'; the settings are "),
        ({"pipIndexURLs": "one"}, Where.BROWSER, "The setting 'pipIndexURLs' must be a list, not 'one'."),
        ({"pipIndexURLs": [1]}, Where.BROWSER, "The setting 'pipIndexURLs' must be a list of texts, not 1."),
    ],
)
def test_what_cannot_be_used_is_a_sentence(values: dict[str, Any], where: Where, sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        KernelSettings.read(values, where)
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(("setting", "library"), [("backend", "trio"), ("loop", "uvloop")])
def test_what_is_not_installed_is_said(setting: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {setting.field: None for setting in settings(Where.DESKTOP)} | {setting: library}
    monkeypatch.setattr("laneway.apps.settings.find_spec", lambda _name: object())  # pyright: ignore[reportUnknownLambdaType]
    assert given(options).arguments() == [f"--{setting}={library}"]
    monkeypatch.setattr("laneway.apps.settings.find_spec", lambda _name: None)  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(SettingsError, match=f"which is not installed: pip install {library}"):
        given(options)
