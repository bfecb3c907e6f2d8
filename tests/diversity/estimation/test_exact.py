import itertools

import numpy as np
import pytest

from divsyn_jax.diversity.estimation import exact

SKEWED = [500, 250, 120, 60, 30, 20, 10, 5, 3, 1, 1]
EVEN = [40] * 50


@pytest.mark.parametrize(
    ("counts", "size"), [([3, 2, 1], 3), ([4, 1, 1, 1], 4), ([5], 2), ([1] * 6, 6), ([2, 2, 2], 5)]
)
def test_exact_expectations_equal_enumeration(counts, size):
    labels = np.repeat(np.arange(len(counts)), counts)
    clusters = [
        len({labels[i] for i in subset})
        for subset in itertools.combinations(range(len(labels)), size)
    ]
    mean, mean_square = exact.expected_clusters(counts, size)
    assert mean == pytest.approx(np.mean(clusters))
    assert mean_square == pytest.approx(np.mean(np.square(clusters)))
    assert exact.expected_cluster_score(counts, size) == pytest.approx(
        np.mean(np.square(clusters)) / size
    )
    pairs = [labels[i] == labels[j] for i, j in itertools.combinations(range(len(labels)), 2)]
    assert exact.expected_pair_share(counts) == pytest.approx(np.mean(pairs))


def test_occupancy_table_of_the_research():
    # T equal clusters, K = 10, so many documents that replacement does not matter
    # (diversity_anchors.md 6.3).
    for clusters, score in {2: 0.40, 10: 4.34, 50: 8.43, 300: 9.72}.items():
        assert exact.expected_cluster_score([10**6] * clusters, 10) == pytest.approx(
            score, abs=0.005
        )


@pytest.mark.parametrize("counts", [EVEN, SKEWED, [1] * 30, [30]])
def test_effective_clusters_formula_is_the_hill_number(counts):
    documents, q = sum(counts), exact.expected_pair_share(counts)
    assert documents / (1 + (documents - 1) * q) == pytest.approx(
        exact.true_effective_clusters(counts)
    )
