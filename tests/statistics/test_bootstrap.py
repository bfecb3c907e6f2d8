"""Resampling: what it must give where the answer is known."""

import numpy as np
import pytest
from scipy import stats

from divsyn_jax import statistics
from divsyn_jax.statistics import ItemScores


def items(numerator_CMI) -> ItemScores:
    numerator_CMI = np.asarray(numerator_CMI, float)
    return ItemScores(numerator_CMI, np.ones(numerator_CMI.shape[-1]))


def test_the_difference_of_two_runs_is_the_paired_t_test():
    generator = np.random.default_rng(1)
    easy = generator.standard_normal(400)
    one, two = (
        easy + 0.3 * generator.standard_normal(400),
        easy + 0.05 + 0.3 * generator.standard_normal(400),
    )
    found = statistics.paired_difference([items(one[None, None])], [items(two[None, None])])
    theirs = stats.ttest_rel(two, one)
    interval = theirs.confidence_interval(0.95)
    assert found["over"] == ["items"]
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(
        (interval.low, interval.high), abs=0.004
    )
    assert found["p"] == pytest.approx(theirs.pvalue, abs=0.03)


def test_seeds_widen_the_difference():
    generator = np.random.default_rng(2)
    one, two = (generator.standard_normal((1, 3, 1)) + np.zeros((1, 3, 50)) for _ in range(2))
    found = statistics.paired_difference([items(one)], [items(two)])
    difference = (two - one)[0, :, 0]
    low, high = stats.t.interval(0.95, 2, difference.mean(), stats.sem(difference))
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((low, high))
