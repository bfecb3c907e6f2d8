import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from divsyn_jax.diversity.agents.clustering import average_linkage, cosine_distances

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9, 2.0)


def _same_cluster(labels_K):
    return labels_K[:, None] == labels_K[None, :]


@pytest.mark.parametrize("size", [2, 3, 10, 20])
def test_average_linkage_equals_scipy(size):
    rng = np.random.default_rng(size)
    # A few centres with noise: distances of all sizes.
    vectors_BKE = rng.normal(size=(200, 4, 8))[:, rng.integers(0, 4, size)] + 0.4 * rng.normal(
        size=(200, size, 8)
    )
    vectors_BKE /= np.linalg.norm(vectors_BKE, axis=2, keepdims=True)
    distances_BKK = cosine_distances(vectors_BKE)
    cuts = average_linkage(distances_BKK, THRESHOLDS)
    for draw, distances_KK in enumerate(distances_BKK):
        tree = linkage(squareform(distances_KK, checks=False), method="average")
        for threshold in THRESHOLDS:
            expected_K = fcluster(tree, threshold, criterion="distance")
            assert np.array_equal(_same_cluster(cuts[threshold][draw]), _same_cluster(expected_K))


def test_labels_are_the_position_of_the_first_member():
    distances = np.array(
        [[[0, 0.9, 0.1, 0.9], [0.9, 0, 0.9, 0.2], [0.1, 0.9, 0, 0.9], [0.9, 0.2, 0.9, 0]]]
    )
    cuts = average_linkage(distances, [0.05, 0.15, 0.5, 1.0])
    assert [cuts[t][0].tolist() for t in cuts] == [
        [0, 1, 2, 3],
        [0, 1, 0, 3],
        [0, 1, 0, 1],
        [0, 0, 0, 0],
    ]


def test_distances_given_are_left_alone():
    distances = np.full((1, 3, 3), 0.5)
    average_linkage(distances, [0.5])
    assert np.all(distances == 0.5)


def test_equal_vectors_are_one_cluster_at_any_cut():
    vectors = np.ones((1, 5, 3), np.float32) / np.sqrt(np.float32(3))
    assert average_linkage(cosine_distances(vectors), [1e-6])[1e-6].tolist() == [[0] * 5]
