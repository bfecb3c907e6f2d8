import itertools
import math

import numpy as np
import pytest
from scipy import stats

from divsyn_jax.diversity import estimators
from divsyn_jax.diversity.sampling import draw_without_replacement

SKEWED = [500, 250, 120, 60, 30, 20, 10, 5, 3, 1, 1]
EVEN = [40] * 50


def _oracle_draws(counts, draws, size, seed):
    rng = np.random.default_rng(seed)
    label_N = np.repeat(np.arange(len(counts)), counts)
    return estimators.draw_statistics(label_N[draw_without_replacement(rng, len(label_N), draws, size)])


def test_draw_statistics_by_hand():
    draws = estimators.draw_statistics(np.array([[7, 7, 2, 2], [0, 1, 2, 3], [5, 5, 5, 5], [1, 1, 1, 9]]))
    assert draws.clusters_D.tolist() == [2, 4, 1, 2]
    assert draws.scores_D == pytest.approx([1.0, 4.0, 0.25, 1.0])  # C / S, S = 2, 1, 4, 2
    assert draws.pair_share_D == pytest.approx([2 / 6, 0, 1, 3 / 6])
    assert np.exp(draws.entropy_D) == pytest.approx([2, 4, 1, math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))])


def test_a_score_outside_its_bounds_is_refused():
    draws = estimators.DrawStatistics(np.array([12.0]), np.array([0.0]), np.array([0.0]), sample_size=10)
    with pytest.raises(AssertionError, match="left"):
        _ = draws.scores_D


@pytest.mark.parametrize(
    ("counts", "size"), [([3, 2, 1], 3), ([4, 1, 1, 1], 4), ([5], 2), ([1] * 6, 6), ([2, 2, 2], 5)]
)
def test_exact_expectations_equal_enumeration(counts, size):
    labels = np.repeat(np.arange(len(counts)), counts)
    clusters = [len({labels[i] for i in subset}) for subset in itertools.combinations(range(len(labels)), size)]
    mean, mean_square = estimators.expected_clusters(counts, size)
    assert mean == pytest.approx(np.mean(clusters))
    assert mean_square == pytest.approx(np.mean(np.square(clusters)))
    assert estimators.expected_cluster_score(counts, size) == pytest.approx(np.mean(np.square(clusters)) / size)
    pairs = [labels[i] == labels[j] for i, j in itertools.combinations(range(len(labels)), 2)]
    assert estimators.expected_pair_share(counts) == pytest.approx(np.mean(pairs))


def test_occupancy_table_of_the_research():
    # T equal clusters, K = 10, so many documents that replacement does not matter (diversity_anchors.md 6.3).
    for clusters, score in {2: 0.40, 10: 4.34, 50: 8.43, 300: 9.72}.items():
        assert estimators.expected_cluster_score([10**6] * clusters, 10) == pytest.approx(score, abs=0.005)


@pytest.mark.parametrize("counts", [EVEN, SKEWED, [1] * 30, [30]])
def test_effective_clusters_formula_is_the_hill_number(counts):
    documents, q = sum(counts), estimators.expected_pair_share(counts)
    assert documents / (1 + (documents - 1) * q) == pytest.approx(estimators.true_effective_clusters(counts))


@pytest.mark.parametrize("size", [5, 10, 20])
@pytest.mark.parametrize("counts", [EVEN, SKEWED])
def test_intervals_cover_the_exact_expectation(counts, size):
    hits = {"score": 0, "effective": 0, "share": 0}
    repetitions = 60
    for seed in range(repetitions):
        draws = _oracle_draws(counts, 2000, size, seed)
        score, effective = estimators.cluster_score(draws), estimators.effective_clusters(draws, sum(counts))
        share = estimators.clusters_per_document(draws)
        hits["score"] += score.ci_low <= estimators.expected_cluster_score(counts, size) <= score.ci_high
        hits["effective"] += effective.ci_low <= estimators.true_effective_clusters(counts) <= effective.ci_high
        hits["share"] += share.ci_low <= estimators.expected_clusters(counts, size)[0] / size <= share.ci_high
        # The same number whatever K is: the point of effective clusters.
        assert effective.value == pytest.approx(estimators.true_effective_clusters(counts), rel=0.15)
    for count in hits.values():  # 95% of 60 is 57; fewer than 51 has probability 0.4%
        assert count >= 51, hits


def test_interval_methods_are_named_and_clipped():
    constant = estimators.mean_interval(np.full(1000, 10.0), 0.1, 10)
    assert (constant.method, constant.value, constant.ci_high) == ("empirical Bernstein", 10.0, 10.0)
    assert constant.ci_low == pytest.approx(10 - 7 * 9.9 * math.log(80) / (3 * 999))
    rare = np.full(1000, 10.0)
    rare[:40] = 1.0  # 4% of the draws differ
    assert estimators.mean_interval(rare, 0.1, 10).method == "empirical Bernstein"
    rare[:60] = 1.0
    assert estimators.mean_interval(rare, 0.1, 10).method == "t"


def test_t_interval_equals_scipy():
    values = np.random.default_rng(1).normal(5, 1, 50)
    estimate = estimators.mean_interval(values, 0, 10)
    low, high = stats.t.interval(0.95, 49, loc=values.mean(), scale=stats.sem(values))
    assert (estimate.ci_low, estimate.ci_high) == pytest.approx((low, high))


def test_effective_clusters_at_its_ends():
    apart = estimators.effective_clusters(estimators.draw_statistics(np.arange(40).reshape(4, 10)), 500)
    assert (apart.value, apart.ci_high, apart.method) == (500, 500, "rule of three")
    assert apart.ci_low == pytest.approx(500 / (1 + 499 * 3 / (4 * 45)))
    together = estimators.effective_clusters(estimators.draw_statistics(np.zeros((4, 10), int)), 500)
    assert (together.value, together.ci_low) == (1, 1)
    assert 1 < together.ci_high < 10


def test_welch_equals_scipy():
    rng = np.random.default_rng(2)
    first, second = rng.normal(0, 1, 80), rng.normal(0.3, 2, 50)
    ours = estimators.welch(*[(v.mean(), v.std(ddof=1), len(v)) for v in (first, second)])
    theirs = stats.ttest_ind(second, first, equal_var=False)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval()
    assert (ours.ci_low, ours.ci_high) == pytest.approx((low, high))
    assert estimators.welch((1.0, 0.0, 10), (1.0, 0.0, 10)).p_value is None


def test_holm_by_hand():
    assert estimators.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert estimators.holm([0.9, 0.8]) == [1.0, 1.0]
    assert estimators.holm([]) == []
