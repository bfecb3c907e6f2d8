"""Simulated studies with known truth: a smaller tools/benchmarks/simulate_verdicts.py."""

import numpy as np
import pytest

from divsyn_jax.statistics.families import family_effects
from tools.benchmarks import simulate_verdicts

STUDIES = 80
# What 80 studies of a 5% rate exceed once in a thousand.
MOST = 11 / STUDIES


@pytest.mark.parametrize(
    ("draw", "n"),
    [
        (draw, n)
        for name, draw, false in simulate_verdicts.CASES
        if false and "not named" not in name
        for n in (5, 8)
    ],
)
def test_what_is_false_is_seldom_supported(draw, n):
    assert simulate_verdicts.simulate(draw, n, STUDIES)[1] <= MOST


@pytest.mark.parametrize("n", [5, 6, 8, 12])
def test_a_true_effect_is_kept(n):
    for draw in (simulate_verdicts.effect(), simulate_verdicts.effect(rivals=True)):
        naive, kept = simulate_verdicts.simulate(draw, n, STUDIES)
        assert naive >= 0.9
        assert kept >= 0.85 * naive


@pytest.mark.parametrize(("r", "errors"), [(0.6, 0.25), (0.6, 0.5), (0.9, 0.5), (0.9, 1.0)])
def test_errors_of_scores_are_carried_into_the_interval(r, errors):
    """It covers the r of the true scores, told apart (errors of 0.25) or not (of 1)."""
    covered, width = simulate_verdicts.coverage(r, errors, 12, 200)
    assert covered >= 0.95 - 3 * 0.0154
    assert width < 1.5


def test_orders_within_families_are_counted_exactly():
    x = np.array([1.0, 2, 3, 4, 11, 12, 13, 14])
    families = ["a"] * 4 + ["b"] * 4
    found = family_effects(x, -x + np.where(x > 10, 50, 0), families)
    assert found.exact
    assert found.permutation_p == pytest.approx(2 / 24**2)
    assert found.within == pytest.approx(-1)
    assert found.between == pytest.approx(4.0)
    few = family_effects(x[[0, 1, 2, 4, 5, 6]], x[[0, 1, 2, 4, 5, 6]], families[:3] + families[4:7])
    assert few.permutation_p is None  # 2 in 36 orders are never under 5%
