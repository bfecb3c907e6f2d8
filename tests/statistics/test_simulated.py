"""Simulated studies with known truth, in small; the whole table is
tools/benchmarks/simulate_statistics.md.

Bounds are the claim (coverage 93 to 97%, type I error at most 6%) widened by three Monte Carlo
standard errors."""

import numpy as np
import pytest

from divsyn_jax import statistics
from tools.benchmarks import simulate_statistics as simulate


@pytest.mark.parametrize("n", [5, 10])
def test_fisher_covers(n):
    row = simulate.fisher_coverage(n, 0.6, 1500)
    assert 0.93 - 3 * row.stderr <= row.observed <= 0.97 + 3 * row.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["Pearson", "Spearman", "curvature", "Holm over 5 metrics", "Williams, equal metrics"]
)
def test_false_alarms_are_rare(name):
    row = simulate.false_alarms(name, 7, 800)
    assert row.observed <= 0.06 + 3 * row.stderr


def test_power_is_as_predicted():
    row = simulate.power(8, 1500)
    assert row.observed == pytest.approx(0.8, abs=3 * row.stderr)


def test_a_confounded_study_is_seen_through():
    naive, error, coverage = simulate.confounded(12, 800)
    assert naive.observed > 0.9  # the naive correlation is nearly always there
    assert error.observed <= 0.06 + 3 * error.stderr
    assert coverage.observed >= 0.93 - 3 * coverage.stderr


def test_paired_intervals_cover():
    assert simulate.paired_coverage(3, 100).observed >= 0.93 - 3 * 0.022


def test_more_corpora_find_weaker_correlations():
    detectable = [statistics.detectable_r(n) for n in (4, 5, 8, 12, 30)]
    assert np.all(np.diff(detectable) < 0)
    assert detectable[-1] == pytest.approx(0.49, abs=0.02)  # Cohen 1988, table 3.3.5: 29 for 0.5
