"""Blocks of examples as cells."""

from laneway_lite.doctests import Example, examples


def test_code_without_prompts_and_what_is_expected() -> None:
    block = """\
>>> def twice(x):  # doctest: +ELLIPSIS
...     # inside
...     return 2 * x
...
>>> # alone
>>> twice(2)
4

>>> print()
<BLANKLINE>
"""
    assert examples(block) == [
        Example(
            "def twice(x):\n    # inside\n    return 2 * x\n# alone\ntwice(2)\n\nprint()",
            "4\n\n",
            raises=False,
        )
    ]


def test_an_error_ends_a_cell() -> None:
    block = (
        ">>> x = 1\n>>> x / 0\nTraceback (most recent call last):\n  ...\nZeroDivisionError: no\n>>> x\n1\n"
    )
    found = examples(block)
    assert found
    assert [(part.code, part.raises) for part in found] == [("x = 1\nx / 0", True), ("x", False)]
    assert found[0].expected.endswith("ZeroDivisionError: no\n")


def test_what_is_not_to_run_or_is_no_example() -> None:
    assert examples(">>> fetch()  # doctest: +SKIP\n") is None
    assert examples("x = 1\n") is None
    assert examples(">>>broken\n") is None
