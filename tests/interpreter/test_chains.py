"""What cells of several chains make of one namespace."""

from __future__ import annotations

from typing import Any

from laneway.interpreter.chains import Chains


def run(chains: Chains, names: dict[str, Any], chain: str, code: str) -> Any:
    """Run a cell; returns what it calls `seen`."""
    chains.enter(chain)
    exec(code, names)
    return names.get("seen")


def test_chains_do_not_disturb_each_other() -> None:
    names: dict[str, Any] = {}
    chains = Chains(names)
    run(chains, names, "", "x = 1; deleted = 1")
    run(chains, names, "a", "x = x + 1; own = 'a'; del deleted")
    assert run(chains, names, "b", "seen = x, deleted; own = 'b'") == (1, 1)
    assert run(chains, names, "a", "seen = x, own; x = 3") == (2, "a")
    assert run(chains, names, "", "seen = x, deleted; x = 10; later = 1") == (1, 1)
    assert run(chains, names, "a", "seen = x, own, later") == (3, "a", 1)
    assert run(chains, names, "b", "seen = x, own; del own") == (10, "b")
    assert run(chains, names, "", "seen = x") == 10


def test_a_chain_may_set_what_another_has_left_there() -> None:
    names: dict[str, Any] = {}
    chains = Chains(names)
    run(chains, names, "a", "x = 1")
    run(chains, names, "b", "x = 1")
    run(chains, names, "a", "x = 2")
    assert run(chains, names, "b", "seen = x") == 1


def test_what_comes_later_finds_its_names() -> None:
    names: dict[str, Any] = {}
    chains = Chains(names)
    run(chains, names, "a", "helper = lambda: 'there'\ncallback = lambda: helper()")
    run(chains, names, "b", "other = 1")
    assert names["callback"]() == "there"


def test_what_ipython_counts_is_left_alone() -> None:
    names: dict[str, Any] = {"_": 1, "_i": "one", "_1": 1}
    chains = Chains(names)
    chains.enter("a")
    names.update({"_": 2, "_i": "two", "_2": 2})
    chains.enter("")
    assert (names["_"], names["_i"]) == (2, "two")
