"""The table of interrupts, as data; tests/apps/test_interrupts.py drives real kernels through it."""

from __future__ import annotations

import pytest

from laneway.hosts.interrupts import Act, Where, act


@pytest.mark.parametrize("where", Where)
def test_every_place_has_its_line(where: Where) -> None:
    assert act(where, aimed=False) in Act
    assert act(where, aimed=True) in Act


@pytest.mark.parametrize("aimed", [False, True])
@pytest.mark.parametrize(
    ("where", "what"),
    [
        (Where.ENDED, Act.NOTHING),
        (Where.UNBEGUN, Act.FIRST_STEP),
        (Where.AWAIT, Act.AWAIT),
        (Where.WAIT, Act.WAIT),
        (Where.STACK, Act.LINE),
    ],
)
def test_code_is_interrupted_where_it_is_whoever_is_meant(where: Where, what: Act, aimed: bool) -> None:
    assert act(where, aimed=aimed) is what


def test_the_stop_button_spares_what_other_code_keeps_from_beginning() -> None:
    assert act(Where.BEHIND, aimed=False) is Act.NOTHING
    assert act(Where.BEHIND, aimed=True) is Act.FIRST_STEP


def test_what_jobs_have_left_can_only_be_meant_with_the_rest() -> None:
    assert act(Where.LEFT, aimed=False) is Act.LINE
    assert act(Where.LEFT, aimed=True) is Act.NOTHING
