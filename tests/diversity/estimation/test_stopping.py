import numpy as np
import pytest

from divsyn_jax.diversity.estimation.intervals import bounded_mean
from divsyn_jax.diversity.estimation.stopping import StoppingRule

RULE = StoppingRule(target_half_width=0.1, first_look=100, draws=1000)


def _values(draws, sd=1.0, seed=0):
    return np.random.default_rng(seed).normal(5, sd, draws)


def test_looks_double_and_end_with_all_draws():
    assert RULE.looks() == (100, 200, 400, 800, 1000)
    assert StoppingRule(0.1, 1000, 800).looks() == (800,)
    with pytest.raises(ValueError, match="positive"):
        StoppingRule(0.0, 100, 1000)


def test_stops_when_the_target_is_reached_or_the_draws_are_spent():
    for draws, expected in ((100, "continue"), (200, "continue"), (800, "target reached")):
        decision = RULE.decide(bounded_mean(_values(draws), 0, 10), draws)
        assert (decision.reason, decision.stop) == (expected, expected != "continue"), draws
    assert RULE.decide(bounded_mean(_values(1000, sd=5), -90, 90), 1000).reason == "draws spent"


def test_near_an_end_the_bound_decides():
    assert RULE.decide(bounded_mean(np.full(100, 10.0), 0.1, 10), 100).reason == "continue"
    sets = bounded_mean(np.full(100, 10.0), 0.1, 10, np.arange(100) % 5)
    assert RULE.decide(sets, 100).reason == "continue"


def test_with_criteria_sets_the_draws_part_decides():
    set_D = np.arange(800) % 4
    apart = np.array([0.0, 1.0, 2.0, 3.0])[set_D]
    noisy, quiet = (bounded_mean(_values(800, sd) + apart, 0, 20, set_D) for sd in (2.0, 0.5))
    assert quiet.half_width > 1  # what the sets leave
    assert RULE.decide(quiet, 800).reason == "target reached"
    assert RULE.decide(noisy, 800).reason == "criteria sets dominate"
    level = bounded_mean(_values(800, 5.0), 0, 20, set_D)
    assert RULE.decide(level, 800).reason == "continue"
