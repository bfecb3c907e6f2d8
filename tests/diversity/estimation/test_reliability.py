import itertools

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from divsyn_jax.diversity.estimation import reliability


def _neighbours(labels):
    return sum(first == second for first, second in itertools.pairwise(labels))


@pytest.mark.parametrize(
    "labels",
    [[0, 0], [0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1, 2], [0, 0, 0, 1, 1, 2], [0] * 4 + [1] * 3],
)
def test_position_bias_equals_all_orders(labels):
    counts = [_neighbours(order) for order in itertools.permutations(labels)]
    found = reliability.position_bias(np.array([labels]))
    assert found.expected == pytest.approx(np.mean(counts) / (len(labels) - 1))
    assert found.observed == _neighbours(labels) / (len(labels) - 1)
    if np.var(counts) == 0:
        assert (found.z, found.warning) == (None, False)
    else:
        assert found.z == pytest.approx((_neighbours(labels) - np.mean(counts)) / np.std(counts))


def test_position_bias_sums_draws_and_keeps_its_level():
    rng = np.random.default_rng(0)
    zs = [reliability.position_bias(rng.integers(0, 6, (200, 10))).z for _ in range(2000)]
    assert np.mean(zs) == pytest.approx(0, abs=0.08)
    assert np.std(zs) == pytest.approx(1, abs=0.05)


def test_an_agent_that_groups_neighbours_is_caught():
    rng = np.random.default_rng(1)
    labels_DK = rng.integers(0, 6, (400, 10))
    follows = rng.random((400, 9)) < 0.05
    labels_DK[:, 1:] = np.where(follows, labels_DK[:, :-1], labels_DK[:, 1:])
    found = reliability.position_bias(labels_DK)
    assert found.warning
    assert found.z > 3
    assert found.observed > found.expected
    assert reliability.position_bias(np.tile(np.arange(10), (50, 1))).z is None


def test_adjusted_rand_equals_scikit_learn():
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 4, (300, 8)), rng.integers(0, 5, (300, 8))
    first[:3], second[:2], second[2] = (
        0,
        0,
        np.arange(8),
    )  # both one cluster; one cluster against singletons
    first[3] = second[3] = np.arange(8)
    expected = [adjusted_rand_score(*pair) for pair in zip(first, second, strict=True)]
    assert reliability.adjusted_rand(first, second) == pytest.approx(expected)


def test_repeatability_of_a_steady_and_of_a_guessing_agent():
    rng = np.random.default_rng(3)
    steady = rng.integers(0, rng.integers(1, 9, (200, 1)), (200, 10))
    same = reliability.repeatability(np.stack([steady, steady + 7, 20 - steady]))
    assert (same.correlation, same.clusters_sd, same.adjusted_rand.value) == (1, 0, 1)
    assert (same.draws, same.times, same.change_of_answer) == (200, 3, 0)
    guess = reliability.repeatability(rng.integers(0, 4, (2, 2000, 10)))
    assert guess.correlation == pytest.approx(0, abs=0.07)
    assert guess.adjusted_rand.value == pytest.approx(0, abs=0.02)
    assert guess.change_of_answer > 0.99
    constant = reliability.repeatability(np.zeros((2, 50, 10), int))
    assert constant.correlation is None
    with pytest.raises(ValueError, match="1 answers"):
        reliability.repeatability(steady[None])


def test_correlation_is_the_intraclass_one():
    # Shrout and Fleiss 1979, table 2: ICC(1,1) = 0.17 of four judges on six targets.
    table = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    )
    labels_PDK = np.minimum(
        np.arange(10), table.T[:, :, None] - 1
    )  # as many clusters as the table says
    assert reliability.repeatability(labels_PDK).correlation == pytest.approx(0.17, abs=0.005)


def test_answers_are_aligned_by_document():
    rng = np.random.default_rng(4)
    label_N = rng.integers(0, 5, 100)
    draws_DK = np.array([rng.permutation(100)[:10] for _ in range(30)])
    again_DK = reliability.shuffled(rng, draws_DK)
    assert (again_DK != draws_DK).any(axis=1).all()
    first, second = (reliability.aligned(label_N[d], d) for d in (draws_DK, again_DK))
    assert (first == second).all()
