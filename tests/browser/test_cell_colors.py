"""The colours of a cell's outputs, as the style sheet names them, light and dark."""

from __future__ import annotations

import re

import pytest

from tests.page import ROOT

SHEET = (ROOT / "jskernel" / "cell" / "src" / "outputs.css").read_text()
PAIR = r"light-dark\((#\w+), (#\w+)\)"
INKS = {name: pair for name, *pair in re.findall(rf"--_(\w+): {PAIR}", SHEET)}
GROUNDS = {name: pair for name, *pair in re.findall(rf"ansi-(\w+)-bg {{\s+background: {PAIR}", SHEET)}
FAINT = float(re.findall(r"ansi-faint {\s+opacity: (.*);", SHEET)[0])
PAGES = ("#ffffff", "#16191b")
"""Of the page, light and dark."""

READABLE = 4.5
"""What WCAG 2 (1.4.3, AA) asks of small text."""


def channels(color: str) -> list[float]:
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    return [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]


def luminance(color: list[float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(*colors: list[float]) -> float:
    darker, lighter = sorted(map(luminance, colors))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_a_terminals_colours_can_be_read(scheme: int) -> None:
    assert len(GROUNDS) == 8
    assert set(GROUNDS) < set(INKS)
    for name in GROUNDS:
        ink, page = channels(INKS[name][scheme]), channels(PAGES[scheme])
        faint = [FAINT * one + (1 - FAINT) * other for one, other in zip(ink, page, strict=True)]
        assert contrast(faint, page) >= READABLE, f"faint {name}"
        for ground, pair in GROUNDS.items():
            assert contrast(ink, channels(pair[scheme])) >= READABLE, f"{name} on {ground}"
