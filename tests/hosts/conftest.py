import sys

import pytest


@pytest.fixture(autouse=True)
def _interrupts_arise_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    """Also in a callback of the garbage collector, which Python can only report. pytest's own report would be
    code of many lines, where the next interrupt may arise.
    """
    report = sys.unraisablehook

    def filtered(error: "sys.UnraisableHookArgs") -> None:
        if error.exc_type is not KeyboardInterrupt:
            report(error)

    monkeypatch.setattr(sys, "unraisablehook", filtered)
