"""The noise floor against scipy's own tests."""

import numpy as np
import pytest
from scipy import stats

from divsyn_jax import statistics


def test_a_difference_at_the_noise_floor_has_a_p_value_of_five_percent():
    one, two = np.random.default_rng(0).normal(size=(2, 4))
    floor = statistics.noise_floor([one, two])
    moved = two + (one.mean() - two.mean()) + floor["least_difference"]
    assert stats.ttest_ind(one, moved).pvalue == pytest.approx(0.05)
    assert floor["degrees_of_freedom"] == 6


def test_the_scatter_is_pooled_within_groups_as_in_an_analysis_of_variance():
    groups = np.random.default_rng(1).normal(size=(5, 3)) + np.arange(5)[:, None]
    between = 3 * groups.mean(axis=1).var(ddof=1)
    assert statistics.noise_floor(groups)["sd"] ** 2 == pytest.approx(
        between / stats.f_oneway(*groups).statistic
    )


def test_one_seed_has_no_noise_floor_and_uneven_groups_are_refused():
    assert statistics.noise_floor([[1.0], [2.0]]) is None
    with pytest.raises(ValueError, match="inhomogeneous"):
        statistics.noise_floor([[1.0, 2.0], [2.0]])
