import math

import numpy as np
import pytest

from divsyn_jax.diversity.estimation import estimators, exact
from divsyn_jax.diversity.sampling import draw_without_replacement

SKEWED = [500, 250, 120, 60, 30, 20, 10, 5, 3, 1, 1]
EVEN = [40] * 50


def _oracle_draws(counts, draws, size, seed):
    rng = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(len(counts)), counts)
    return estimators.draw_statistics(
        label_N[draw_without_replacement(rng, len(label_N), draws, size)]
    )


def test_draw_statistics_by_hand():
    draws = estimators.draw_statistics(
        np.array([[7, 7, 2, 2], [0, 1, 2, 3], [5, 5, 5, 5], [1, 1, 1, 9]])
    )
    assert draws.clusters_D.tolist() == [2, 4, 1, 2]
    assert draws.scores_D == pytest.approx([1.0, 4.0, 0.25, 1.0])  # C / S, S = 2, 1, 4, 2
    assert draws.pair_share_D == pytest.approx([2 / 6, 0, 1, 3 / 6])
    assert np.exp(draws.entropy_D) == pytest.approx(
        [2, 4, 1, math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))]
    )


def test_a_score_outside_its_bounds_is_refused():
    draws = estimators.DrawStatistics(
        clusters_D=np.array([12.0]),
        documents_D=np.array([10.0]),
        entropy_D=np.array([0.0]),
        same_pairs_D=np.array([0.0]),
        sample_size=10,
        kept=np.array([True]),
    )
    with pytest.raises(AssertionError, match="left"):
        _ = draws.scores_D


@pytest.mark.parametrize("size", [5, 10, 20])
@pytest.mark.parametrize("counts", [EVEN, SKEWED])
def test_intervals_cover_the_exact_expectation(counts, size):
    hits = {"score": 0, "effective": 0, "share": 0}
    repetitions = 60
    for seed in range(repetitions):
        draws = _oracle_draws(counts, 2000, size, seed)
        score, effective = (
            estimators.cluster_score(draws),
            estimators.effective_clusters(draws, sum(counts)),
        )
        share = estimators.clusters_per_document(draws)
        hits["score"] += score.ci_low <= exact.expected_cluster_score(counts, size) <= score.ci_high
        hits["effective"] += (
            effective.ci_low <= exact.true_effective_clusters(counts) <= effective.ci_high
        )
        hits["share"] += (
            share.ci_low <= exact.expected_clusters(counts, size)[0] / size <= share.ci_high
        )
        # The same number whatever K is: the point of effective clusters.
        assert effective.value == pytest.approx(exact.true_effective_clusters(counts), rel=0.15)
    for count in hits.values():  # 95% of 60 is 57; fewer than 51 has probability 0.4%
        assert count >= 51, hits


def test_effective_clusters_at_its_ends():
    apart = estimators.effective_clusters(
        estimators.draw_statistics(np.arange(40).reshape(4, 10)), 500
    )
    assert (apart.value, apart.ci_high, apart.method) == (500, 500, "rule of three")
    assert apart.ci_low == pytest.approx(500 / (1 + 499 * 3 / (4 * 45)))
    together = estimators.effective_clusters(
        estimators.draw_statistics(np.zeros((4, 10), int)), 500
    )
    assert (together.value, together.ci_low) == (1, 1)
    assert together.ci_high == pytest.approx(500 / (1 + 499 * (1 - 3 / 4)))
