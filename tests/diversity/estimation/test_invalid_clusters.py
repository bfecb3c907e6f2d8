import numpy as np
import pytest

from divsyn_jax.diversity.estimation.estimators import (
    cluster_score,
    draw_statistics,
    effective_clusters,
    exp_entropy,
)
from divsyn_jax.diversity.estimation.invalid_clusters import labels_by_policy, verification_change

LABELS = np.array([[0, 0, 0, 1, 1, 2], [3, 3, 3, 3, 3, 3], [0, 1, 2, 3, 4, 5]])
# The three of the first draw and the one of the second are invalid; so is a singleton, which is
# valid all the same.
VALID = np.array([[0, 0, 0, 1, 1, 1], [0] * 6, [0, 1, 1, 1, 1, 1]], bool)


def _clusters(labels_DK):
    return [len(set(draw) - {-1}) for draw in labels_DK.tolist()]


def test_policies_by_hand():
    labels = labels_by_policy(LABELS, VALID)
    assert _clusters(labels["split"]) == [5, 6, 6]
    assert _clusters(labels["keep"]) == [3, 1, 6]
    assert labels["drop"].tolist() == [[-1, -1, -1, 1, 1, 2], [-1] * 6, [0, 1, 2, 3, 4, 5]]
    split = labels["split"][0]
    assert split[3] == split[4] not in (split[0], split[1], split[2], split[5])


def test_dropped_documents_and_draws():
    draws = draw_statistics(labels_by_policy(LABELS, VALID)["drop"], set_D=np.array([0, 1, 0]))
    assert (len(draws), draws.empty) == (2, 1)
    assert draws.kept.tolist() == [True, False, True]
    assert draws.set_D.tolist() == [0, 0]
    assert draws.documents_D.tolist() == [3, 6]
    assert draws.clusters_D.tolist() == [2, 6]
    assert draws.scores_D == pytest.approx([2 / 1.5, 6])  # C / S with S = 3/2 and 1
    assert draws.same_pairs_D.tolist() == [1, 0]
    assert draws.pair_share_D.mean() == pytest.approx(1 / (3 + 15))  # of all pairs left
    assert np.exp(draws.entropy_D) == pytest.approx(
        [np.exp(2 / 3 * np.log(1.5) + 1 / 3 * np.log(3)), 6]
    )
    assert exp_entropy(draws).value <= 6


def test_the_score_stays_in_its_bounds_whatever_is_dropped():
    rng = np.random.default_rng(0)
    labels_DK = rng.integers(-1, 4, (5000, 10))
    labels_DK[0] = -1
    labels_DK[1, 1:] = -1  # one document left: C / S = 1
    draws = draw_statistics(labels_DK)
    assert (draws.scores_D >= 0.1).all()
    assert (draws.scores_D <= 10).all()
    assert cluster_score(draws).ci_low > 0.1
    counts = [
        np.unique(draw[draw >= 0], return_counts=True)[1] for draw in labels_DK if (draw >= 0).any()
    ]
    assert draws.scores_D == pytest.approx([len(n) / n.mean() for n in counts])
    # Dropping at random leaves the pairs of the rest as they were.
    assert effective_clusters(draws, 10**6).value == pytest.approx(4, rel=0.05)


def test_a_cluster_has_one_validity():
    with pytest.raises(ValueError, match="disagree"):
        labels_by_policy(np.array([[0, 0, 1]]), np.array([[True, False, True]]))
    with pytest.raises(ValueError, match="negative"):
        labels_by_policy(np.array([[0, -1, 1]]), np.ones((1, 3), bool))


def test_what_verification_changed():
    change = verification_change(np.tile(LABELS, (40, 1)), np.tile(VALID, (40, 1)))
    assert change.clusters_changed.value == pytest.approx(2 / 10)  # of 3 + 1 + 6 clusters
    assert change.change_of_clusters.value == pytest.approx((2 + 5 + 0) / 3)
    assert change.clusters_changed.ci_low < 0.2 < change.clusters_changed.ci_high
    nothing = verification_change(np.tile(LABELS, (40, 1)), np.ones((120, 6), bool))
    assert (nothing.clusters_changed.value, nothing.change_of_clusters.value) == (0, 0)
    assert nothing.clusters_changed.ci_high > 0  # 120 draws prove no more than that
