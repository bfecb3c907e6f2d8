import math

import numpy as np
import pytest
from scipy import stats

from divsyn_jax.diversity.estimation import intervals
from divsyn_jax.diversity.estimation.intervals import bounded_mean, mean_of


def test_interval_methods_are_named_and_clipped():
    constant = intervals.bounded_mean(np.full(1000, 10.0), 0.1, 10)
    assert (constant.method, constant.value, constant.ci_high) == (
        "empirical Bernstein",
        10.0,
        10.0,
    )
    assert constant.ci_low == pytest.approx(10 - 7 * 9.9 * math.log(80) / (3 * 999))
    rare = np.full(1000, 10.0)
    rare[:40] = 1.0  # 4% of the draws differ
    assert intervals.bounded_mean(rare, 0.1, 10).method == "empirical Bernstein"
    rare[:60] = 1.0
    assert intervals.bounded_mean(rare, 0.1, 10).method == "t"


def test_t_interval_equals_scipy():
    values = np.random.default_rng(1).normal(5, 1, 50)
    estimate = intervals.bounded_mean(values, 0, 10)
    low, high = stats.t.interval(0.95, 49, loc=values.mean(), scale=stats.sem(values))
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((low, high))


def test_two_levels_are_t_over_set_means():
    rng = np.random.default_rng(0)
    set_D = np.repeat(np.arange(4), [50, 60, 70, 80])
    values_D = rng.normal(5, 1, 260) + np.array([0.0, 0.5, 1.0, -0.5])[set_D]
    means = [values_D[set_D == number].mean() for number in range(4)]
    estimate = bounded_mean(values_D, 0, 20, set_D)
    assert estimate.method == "t over 4 criteria sets"
    assert estimate.value == pytest.approx(np.mean(means))
    low, high = stats.t.interval(0.95, 3, loc=np.mean(means), scale=stats.sem(means))
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((low, high))
    criteria = estimate.criteria
    assert criteria.set_means == pytest.approx(means)
    # The parts of the half-width add in squares.
    assert math.hypot(criteria.sets_half_width, criteria.draws_half_width) == pytest.approx(
        estimate.half_width
    )
    within = sum(((values_D[set_D == number] - means[number]) ** 2).sum() for number in range(4))
    assert criteria.draws_sd == pytest.approx(math.sqrt(within / 256))


def test_variance_components_recover_what_was_put_in():
    rng = np.random.default_rng(1)
    sets, draws = 400, 50
    set_D = np.tile(np.arange(sets), draws)
    values_D = rng.normal(0, 0.3, sets)[set_D] + rng.normal(5, 2, sets * draws)
    criteria = bounded_mean(values_D, -100, 100, set_D).criteria
    assert criteria.sets_sd == pytest.approx(0.3, rel=0.15)
    assert criteria.draws_sd == pytest.approx(2, rel=0.02)


def test_one_set_is_judged_by_its_draws_and_says_so():
    values_D = np.random.default_rng(2).normal(5, 1, 200)
    one = bounded_mean(values_D, 0, 10, np.zeros(200, int))
    none = bounded_mean(values_D, 0, 10)
    assert (one.value, one.ci_low, one.ci_high) == pytest.approx(
        (none.value, none.ci_low, none.ci_high)
    )
    assert "one criteria set, its choice left out" in one.method
    assert (one.criteria.sets_sd, one.criteria.sets_half_width) == (None, None)
    assert none.criteria is None
    assert "criteria" not in none.to_json()


def test_near_an_end_sets_that_agree_do_not_give_certainty():
    values_D, set_D = np.full(1000, 10.0), np.arange(1000) % 5
    estimate = bounded_mean(values_D, 0.1, 10, set_D)
    assert estimate.method.startswith("empirical Bernstein")
    assert estimate.ci_low == pytest.approx(bounded_mean(values_D, 0.1, 10).ci_low)
    assert estimate.criteria.draws_half_width == pytest.approx(estimate.half_width)


def test_too_few_draws_are_refused():
    with pytest.raises(ValueError, match="1 draws"):
        mean_of(np.ones(1))
    with pytest.raises(ValueError, match="criteria set 1 has 0 draws"):
        mean_of(np.ones(6), np.array([0, 0, 0, 2, 2, 2]))


def test_ratio_values_have_the_mean_and_spread_of_the_ratio():
    rng = np.random.default_rng(3)
    whole = rng.integers(1, 10, (4000, 200)).astype(float)
    part = rng.binomial(whole.astype(int), 0.3).astype(float)
    values = [intervals.ratio_values(*pair) for pair in zip(part, whole, strict=True)]
    ratios = part.sum(axis=1) / whole.sum(axis=1)
    assert np.mean(values, axis=1) == pytest.approx(ratios)
    errors = np.std(values, axis=1, ddof=1) / math.sqrt(200)
    assert errors.mean() == pytest.approx(ratios.std(), rel=0.05)
    assert intervals.ratio_values(np.array([1.0, 3.0]), np.array([4.0, 4.0])) == pytest.approx(
        [0.25, 0.75]
    )
    with pytest.raises(ValueError, match="nothing"):
        intervals.ratio_values(np.zeros(3), np.zeros(3))


def test_a_known_variance_is_added():
    mean = mean_of(np.random.default_rng(4).normal(0, 1, 30))
    wider = intervals.add_variance(mean, 0.5)
    assert wider.error**2 == pytest.approx(mean.error**2 + 0.5)
    assert wider.freedom > mean.freedom
    assert intervals.add_variance(mean_of(np.ones(30)), 1.0).half_width == pytest.approx(1.959964)
