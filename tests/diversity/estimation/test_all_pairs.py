"""Effective clusters from all pairs of a sample."""

import math

import numpy as np
import pytest

from divsyn_jax.diversity.estimation import all_pairs, groups
from divsyn_jax.diversity.estimation.all_pairs import MIDDLES_B, Join


def kinds(counts, noise=0.02, seed=0, dimensions=64):
    """Unit vectors around one direction a kind, far apart, and their labels."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(dimensions, len(counts))))[0].T
    label_N = np.repeat(np.arange(len(counts)), counts)
    vectors_NE = centres[label_N] + noise * rng.normal(size=(len(label_N), dimensions))
    return vectors_NE / np.linalg.norm(vectors_NE, axis=1, keepdims=True), label_N


def at(vectors_NE, middle):
    distances = all_pairs.pair_distances(vectors_NE)
    return all_pairs.effective_clusters_at(distances, all_pairs.join_at(middle).at(MIDDLES_B))


def test_known_kinds_are_counted_exactly():
    counts = [400, 300, 250, 200, 100, 50, 20, 5]
    vectors_NE, _ = kinds(counts)  # more documents than one block of rows
    truth = sum(counts) ** 2 / sum(count**2 for count in counts)
    found = at(vectors_NE, 0.5)
    assert found.value == pytest.approx(truth, rel=0.001)
    assert found.ci_low < truth < found.ci_high


def test_histograms_are_those_of_the_distances():
    rng = np.random.default_rng(0)
    vectors_NE = rng.normal(size=(40, 8))
    vectors_NE /= np.linalg.norm(vectors_NE, axis=1, keepdims=True)
    counts_NB = all_pairs.pair_distances(vectors_NE).counts_NB
    assert (counts_NB.sum(axis=1) == 39).all()
    nearer_NN = 1 - vectors_NE @ vectors_NE.T < 0.4
    assert (counts_NB[:, :80].sum(axis=1) == nearer_NN.sum(axis=1) - 1).all()
    hard = all_pairs.effective_clusters_at(
        all_pairs.pair_distances(vectors_NE), Join(0.4, 0.0).at(MIDDLES_B)
    )
    assert hard.share == pytest.approx((nearer_NN.sum() - 40) / (40 * 39))


def test_the_interval_covers_the_process():
    shares = np.array([0.3, 0.2, 0.1, *[0.04] * 10])
    q = float((shares**2).sum())
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        label_N = rng.choice(len(shares), 150, p=shares)
        same_NN = label_N[:, None] == label_N
        found = all_pairs.estimate_of_means((same_NN.sum(axis=1) - 1) / 149)
        hits += found.ci_low <= 150 / (1 + 149 * q) <= found.ci_high
    assert 0.92 <= hits / 300 <= 0.985, hits


@pytest.mark.parametrize("documents", [2, 3, 12, 200])
def test_no_pair_of_one_kind_and_none_of_two(documents):
    apart = all_pairs.estimate_of_means(np.zeros(documents))
    assert apart.value == apart.ci_high == documents
    assert apart.ci_low < documents
    assert apart.method == "rule of three"
    together = all_pairs.estimate_of_means(np.ones(documents))
    assert together.value == pytest.approx(1)
    assert together.ci_high > 1


@pytest.mark.parametrize("documents", [12, 60, 200])
def test_copies_alone_say_little_of_other_documents(documents):
    """A join a trace under 1 at distance 0 makes copies no surer than the rule of three."""
    exact = all_pairs.estimate_of_means(np.ones(documents))
    soft = all_pairs.estimate_of_means(np.full(documents, 0.99995))
    assert soft.ci_high >= exact.ci_high > 1.02 * soft.value
    assert soft.ci_low <= soft.value
    assert soft.log_error is not None
    copies = all_pairs.pair_distances(np.eye(8)[np.zeros(documents, int)])
    assert all_pairs.profile_mean(copies).ci_high >= exact.ci_high * 0.999


def test_one_pair_joined_says_little():
    means_N = np.zeros(100)
    means_N[:2] = 1 / 99
    found = all_pairs.estimate_of_means(means_N)
    # The exact limits of a count of one are 0.025 and 5.57.
    assert found.ci_low <= 100 / (1 + 99 * 5.5716 / 4950) * 1.001
    assert found.ci_high >= 100 / (1 + 99 * 0.02532 / 4950) * 0.999
    assert all_pairs.estimate_of_means(np.full(2, 0.3)).ci_low == pytest.approx(1, abs=0.2)


def test_the_profile_falls_with_copies_and_with_topics():
    many, _ = kinds([40] * 10, noise=0.06)
    few, _ = kinds([80] * 5, noise=0.06)
    copied = np.repeat(many[::10], 10, axis=0)
    found = [
        all_pairs.profile_mean(all_pairs.pair_distances(vectors_NE))
        for vectors_NE in (many, few, copied)
    ]
    assert found[1].ci_high < found[0].ci_low
    assert found[2].value < found[0].value
    reversed_order = all_pairs.pair_ratio(found[0], found[1])
    assert reversed_order.value < 1
    assert reversed_order.p_value < 0.001
    assert reversed_order.ci_high < 1


def test_the_range_holds_its_ends_and_the_curve_falls():
    vectors_NE, _ = kinds([30] * 12, noise=0.09)
    distances = all_pairs.pair_distances(vectors_NE)
    values = [estimate.value for _, estimate in all_pairs.curve(distances)]
    assert all(np.diff(values) <= 1e-9)
    found = all_pairs.topic_range(distances)
    assert found.low <= 12 <= found.high
    assert (found.fine, found.coarse) == all_pairs.TOPIC_BAND


def test_equal_vectors_are_copies():
    vectors_NE = np.tile(kinds([1])[0], (50, 1))
    assert at(vectors_NE, 0.1).value == pytest.approx(1, abs=0.02)


def test_within_groups_of_labels():
    found = groups.within_groups_of_labels(list("aabbabcdx"), list("111122223"))
    assert [group.distinct_kinds for group in found.groups] == [2, 4]
    assert [group.effective_kinds for group in found.groups] == [2.0, 4.0]
    assert found.distinct_kinds.value == 3
    assert found.single == 1
    assert found.sizes == (4, 4)
    assert groups.as_records(found)[0] == {
        "group": "1",
        "documents": 4,
        "distinct_kinds": 2,
        "effective_kinds": 2.0,
    }


def test_within_groups_of_vectors_agree_with_labels():
    vectors_NE, label_N = kinds([6, 6, 4, 4])
    group_N = np.arange(len(label_N)) % 2
    by_vectors = groups.within_groups_of_vectors(vectors_NE, group_N, join=all_pairs.join_at(0.5))
    by_labels = groups.within_groups_of_labels(label_N.tolist(), group_N.tolist())
    for one, two in zip(by_vectors.groups, by_labels.groups, strict=True):
        assert one.distinct_kinds == two.distinct_kinds == 4
        # Order 2 of all pairs without replacement, and of the shares: equal for N / (1 + (N-1) q).
        assert one.effective_kinds == pytest.approx(two.effective_kinds, rel=0.01)
    assert by_vectors.distinct_kinds.method.endswith("over 2 groups")


def test_one_group_has_no_interval():
    found = groups.within_groups_of_labels([1, 2, 3], ["p", "p", "q"])
    assert found.distinct_kinds is None
    assert len(found.groups) == 1
    assert math.isclose(found.groups[0].effective_kinds, 2)
