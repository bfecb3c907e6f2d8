"""Intervals and correlations against scipy and hand-computed cases."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from divsyn_jax import statistics


def test_mean_interval_is_students():
    x = [2.0, 3.5, 3.0, 4.5]
    interval = statistics.mean_interval(x)
    low, high = stats.t.interval(0.95, 3, np.mean(x), stats.sem(x))
    assert (interval["value"], interval["ci_low"], interval["ci_high"]) == pytest.approx(
        (3.25, low, high)
    )
    assert statistics.mean_interval([1.0])["ci_low"] is None


def test_pearson_matches_scipy():
    generator = np.random.default_rng(0)
    x = generator.standard_normal(9)
    y = x + generator.standard_normal(9)
    ours, theirs = statistics.pearson(x, y), stats.pearsonr(x, y)
    interval = theirs.confidence_interval(0.95)
    assert (ours["estimate"], ours["ci_low"], ours["ci_high"]) == pytest.approx(
        (theirs.statistic, interval.low, interval.high)
    )


def test_critical_r_is_where_p_is_five_percent():
    critical = statistics.pearson([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5])["critical"]
    t = critical * math.sqrt(4 / (1 - critical**2))
    assert 2 * stats.t.sf(t, 4) == pytest.approx(0.05)
    assert critical == pytest.approx(0.811, abs=1e-3)


def test_spearman_p_by_counting():
    # All six orders of three: |rho| >= 1 for two of them.
    assert statistics.spearman([1, 2, 3], [1, 2, 3])["p"] == pytest.approx(2 / 6)
    assert statistics.spearman([1, 2, 3, 4, 5], [5, 4, 3, 2, 1])["p"] == pytest.approx(2 / 120)
    generator = np.random.default_rng(1)
    x, y = generator.standard_normal(12), generator.standard_normal(12)
    random = statistics.spearman(x, y)
    assert random["estimate"] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert random["p"] == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.05)


def test_unusable_input_gives_a_reason():
    assert "at least 3" in statistics.pearson([1, 2], [1, 2])["reason"]
    assert "does not vary" in statistics.spearman([1, 1, 1], [1, 2, 3])["reason"]
    three = statistics.pearson([1, 2, 3], [1, 2, 4])
    assert three["ci_low"] is None
    assert three["estimate"] is not None


def test_spearman_counts_the_same_orders_with_ties_as_going_through_all():
    x, y = [1, 2, 2, 3, 5, 5, 8], [2, 1, 3, 3, 3, 7, 6]
    ours = statistics.spearman(x, y)
    ranks_x, ranks_y = stats.rankdata(x), stats.rankdata(y)
    sums = [np.corrcoef(ranks_x, order)[0, 1] for order in itertools.permutations(ranks_y)]
    assert ours["method"] == "exact"
    assert ours["p"] == pytest.approx(np.mean(np.abs(sums) >= abs(ours["estimate"]) - 1e-9))


def test_spearman_says_when_it_samples_orders():
    generator = np.random.default_rng(3)
    x, y = generator.standard_normal((2, 15))
    assert statistics.spearman(x, y)["method"] == "100,000 random orders"
    assert statistics.spearman(x, y)["p"] == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.02)


def test_partial_is_the_correlation_of_residuals():
    generator = np.random.default_rng(5)
    x, y, z = generator.standard_normal((3, 9))
    x, y = x + z, y - z
    residuals = [v - np.polyval(np.polyfit(z, v, 1), z) for v in (x, y)]
    found = statistics.partial(x, y, z)
    assert found["estimate"] == pytest.approx(np.corrcoef(*residuals)[0, 1])
    t = found["estimate"] * math.sqrt(6 / (1 - found["estimate"] ** 2))
    assert found["p"] == pytest.approx(2 * stats.t.sf(abs(t), 6))


def test_partial_refuses_what_the_data_cannot_separate():
    x, y = [1.0, 2, 3, 4, 5, 6], [2.0, 1, 4, 3, 6, 5]
    assert "collinear" in statistics.partial(x, y, [1.1, 2, 3, 4, 5, 6.1])["reason"]
    assert "degrees of freedom" in statistics.partial(x[:4], y[:4], [1, 3, 2, 5])["reason"]
    assert "held equal" in statistics.partial(x, y, [7] * 6)["reason"]


def test_curvature_matches_least_squares():
    generator = np.random.default_rng(2)
    x = generator.standard_normal(9)
    y = x**2 + 0.1 * generator.standard_normal(9)
    assert statistics.curvature(x, y)["p"] < 1e-4
    z = (x - x.mean()) / x.std()
    assert statistics.curvature(x, y)["estimate"] == pytest.approx(np.polyfit(z, y, 2)[0])
    assert "at least 5" in statistics.curvature(x[:4], y[:4])["reason"]


def test_leave_one_out_names_the_corpus_that_makes_the_correlation():
    x, y = [1, 2, 3, 4, 20], [1, -1, 1, -1, 20]
    found = statistics.leave_one_out(x, y, list("abcde"))
    assert found["low_without"] == "e"
    assert found["low"] == pytest.approx(np.corrcoef(x[:4], y[:4])[0, 1])


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_standard_error_inverts_a_normal_interval():
    half = stats.norm.ppf(0.975) * 0.3
    assert statistics.standard_error({"ci_low": 1 - half, "ci_high": 1 + half}) == pytest.approx(
        0.3
    )
    assert statistics.standard_error({"ci_low": 2.0, "ci_high": 8.0}, log2=True) == pytest.approx(
        2 / (2 * 1.959964)
    )
    assert statistics.standard_error({"value": 3.0}) is None
