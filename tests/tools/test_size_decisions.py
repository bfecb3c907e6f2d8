"""Decisions between corpora by two sizes, where the answer is known."""

from tools.benchmarks.size_decisions import agreement, page, pairs_apart

LARGE = {"a": [1.0, 1.01], "b": [2.0, 2.01], "c": [2.3, 1.75]}


def test_pairs_that_the_seeds_leave_open_are_not_apart():
    assert pairs_apart(LARGE) == {("a", "b"): True, ("a", "c"): False, ("b", "c"): False}
    one_seed = {name: values[:1] for name, values in LARGE.items()}
    assert not any(pairs_apart(one_seed).values())


def test_agreement_counts_all_pairs_and_those_that_are_told_apart():
    small = {"a": [5.0, 5.0], "b": [4.0, 4.0], "c": [6.0, 6.0]}
    assert agreement(small, LARGE) == {"pairs": 3, "same": 2, "apart": 1, "apart_same": 0}
    assert agreement(LARGE, LARGE) == {"pairs": 3, "same": 3, "apart": 1, "apart_same": 1}


def test_the_page_puts_the_best_of_the_largest_size_first():
    found = {name: {"1m": [5.0, 5.1], "4m": values} for name, values in LARGE.items()}
    said = page(found, "So it was.")
    assert said.index("| a |") < said.index("| b |") < said.index("| c |")
    assert "1m decides as 4m does in 0 of 3 pairs of" in said
