"""The study's statistics against scipy and hand-computed cases."""

import math

import numpy as np
import pytest
from scipy import stats

from divsyn_jax import statistics


def test_mean_interval_is_students():
    x = [2.0, 3.5, 3.0, 4.5]
    interval = statistics.mean_interval(x)
    low, high = stats.t.interval(0.95, 3, np.mean(x), stats.sem(x))
    assert (interval["value"], interval["ci_low"], interval["ci_high"]) == pytest.approx((3.25, low, high))
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
