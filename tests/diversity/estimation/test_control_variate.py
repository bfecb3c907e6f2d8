import math

import numpy as np
import pytest

from divsyn_jax.diversity.estimation.control_variate import (
    adjusted_effective_clusters,
    adjusted_mean,
    adjusted_score,
)
from divsyn_jax.diversity.estimation.estimators import cluster_score, draw_statistics
from divsyn_jax.diversity.estimation.exact import expected_cluster_score, true_effective_clusters
from divsyn_jax.diversity.sampling import draw_without_replacement


def _pair(rng, draws, rho=0.8, error=0.0):
    cheap_D = rng.normal(3, 2, draws)
    values_D = 5 + rho * (cheap_D - 3) / 2 + math.sqrt(1 - rho**2) * rng.normal(0, 1, draws)
    return values_D, cheap_D, 3 + rng.normal(0, error)


@pytest.mark.parametrize("error", [0.0, 0.05])
def test_adjusted_intervals_cover_and_save_what_they_say(error):
    rng = np.random.default_rng(0)
    hits, saved, means = 0, [], []
    for _ in range(4000):
        adjusted = adjusted_mean(*_pair(rng, 200, error=error), error, 0, 10)
        hits += adjusted.estimate.ci_low <= 5 <= adjusted.estimate.ci_high
        saved.append(adjusted.variance_saved)
        means.append(adjusted.estimate.value)
    assert 0.93 <= hits / 4000 <= 0.97
    # rho^2 for a known mean; for one with an error e, rho^2 / (1 + n e^2 / var): no slope does
    # better.
    expected = 0.8**2 / (1 + 200 * error**2 / 4)
    assert np.mean(saved) == pytest.approx(expected, abs=0.01)
    assert np.var(means) == pytest.approx((1 - expected) / 200, rel=0.1)


def test_an_agent_that_lumps_labels_helps_one_that_does_not():
    # The cheap agent sees 20 of 40 topics: draws shared with it, and its mean from many draws of
    # the same corpus.
    rng = np.random.default_rng(1)
    counts = [50] * 40
    label_N = np.repeat(np.arange(40), counts)
    many = draw_statistics((label_N // 2)[draw_without_replacement(rng, 2000, 100_000, 10)])
    hits, narrower, clusters = 0, [], 0
    for _ in range(300):
        draws_DK = draw_without_replacement(rng, 2000, 400, 10)
        draws, cheap = draw_statistics(label_N[draws_DK]), draw_statistics((label_N // 2)[draws_DK])
        error = many.scores_D.std() / math.sqrt(100_000)
        adjusted = adjusted_score(draws, cheap.scores_D, many.scores_D.mean(), error)
        hits += (
            adjusted.estimate.ci_low
            <= expected_cluster_score(counts, 10)
            <= adjusted.estimate.ci_high
        )
        narrower.append(adjusted.estimate.half_width / cluster_score(draws).half_width)
        error = many.pair_share_D.std() / math.sqrt(100_000)
        pairs = adjusted_effective_clusters(
            draws, cheap.pair_share_D, many.pair_share_D.mean(), error, 2000
        )
        clusters += (
            pairs.estimate.ci_low <= true_effective_clusters(counts) <= pairs.estimate.ci_high
        )
    assert np.mean(narrower) == pytest.approx(math.sqrt(1 - adjusted.variance_saved), abs=0.05)
    assert np.mean(narrower) < 0.85
    assert hits >= 273  # 95% of 300 is 285; fewer has probability 0.2%
    assert clusters >= 273


def test_within_criteria_sets():
    rng = np.random.default_rng(2)
    set_D = np.arange(1000) % 5
    values_D, cheap_D, mean = _pair(rng, 1000)
    shifted = adjusted_mean(values_D + set_D, cheap_D, mean, 0.0, 0, 20, set_D)
    assert shifted.correlation == pytest.approx(0.8, abs=0.03)
    assert (
        shifted.estimate.criteria.draws_half_width < 0.7 * shifted.plain.criteria.draws_half_width
    )
    assert shifted.estimate.method == "t over 5 criteria sets, adjusted by a control variate"


def test_where_there_is_nothing_to_adjust_the_plain_estimate_stands():
    values_D, cheap_D, mean = _pair(np.random.default_rng(3), 100)
    constant = adjusted_mean(values_D, np.ones(100), 1.0, 0.0, 0, 10)
    assert (constant.estimate, constant.variance_saved) == (constant.plain, 0)
    assert "do not vary" in constant.reason
    end = adjusted_mean(np.full(100, 10.0), cheap_D, mean, 0.0, 0, 10)
    assert end.estimate.method == "empirical Bernstein"
    assert "near an end" in end.reason
    with pytest.raises(ValueError, match="100 draws and 99"):
        adjusted_mean(values_D, cheap_D[1:], mean, 0.0, 0, 10)
