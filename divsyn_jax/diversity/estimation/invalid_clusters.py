"""What becomes of clusters that verification found invalid, and how much verification changed.

Shapes: D draws, K documents a draw.
"""

import dataclasses

import numpy as np

from divsyn_jax.diversity.estimation.estimators import DROPPED, draw_statistics
from divsyn_jax.diversity.estimation.intervals import Estimate, bounded_mean, ratio_values

POLICIES = ("split", "drop", "keep")


@dataclasses.dataclass(frozen=True)
class VerificationChange:
    """What verification changed.

    Attributes: clusters_changed: share of all clusters, singletons included, that were found
      invalid. change_of_clusters: mean over draws of C after splitting invalid clusters, less C
      before: in [0, K - 1].
    """

    clusters_changed: Estimate
    change_of_clusters: Estimate


def labels_by_policy(labels_DK: np.ndarray, valid_DK: np.ndarray) -> dict[str, np.ndarray]:
    """The partitions that every policy for invalid clusters makes of an agent's answers.

    `split` (the default of the metric) makes every document of an invalid cluster a cluster of its
    own, `drop` takes those documents out of the draw (label `DROPPED`), `keep` leaves the partition
    as it was. A cluster of one document is valid whatever was said of it.

    Args:
      labels_DK: [D, K] the agent's partition, labels from 0.
      valid_DK: [D, K] bool, whether the cluster that holds the document is valid.

    Returns:
      policy -> [D, K] labels.

    Raises:
      ValueError: documents of one cluster disagree on its validity, or a label is negative.
    """
    if labels_DK.min(initial=0) < 0:
        raise ValueError("a label is negative: the policies start from a full partition")
    same_DKK = labels_DK[:, :, None] == labels_DK[:, None, :]
    if (same_DKK & (valid_DK[:, :, None] != valid_DK[:, None, :])).any():
        raise ValueError("documents of one cluster disagree on its validity")
    invalid_DK = ~valid_DK & (same_DKK.sum(axis=2) > 1)
    alone_K = labels_DK.max(initial=0) + 1 + np.arange(labels_DK.shape[1])
    return {
        "split": np.where(invalid_DK, alone_K, labels_DK),
        "drop": np.where(invalid_DK, DROPPED, labels_DK),
        "keep": labels_DK,
    }


def verification_change(
    labels_DK: np.ndarray, valid_DK: np.ndarray, set_D: np.ndarray | None = None
) -> VerificationChange:
    """How much verification changed; arguments and errors as `labels_by_policy`, `set_D` as
    `draw_statistics`.
    """
    labels = labels_by_policy(labels_DK, valid_DK)
    before = draw_statistics(labels["keep"], set_D)
    clusters_D, size = before.clusters_D, before.sample_size
    left = draw_statistics(labels["drop"])
    invalid_D = clusters_D.copy()
    invalid_D[left.kept] -= left.clusters_D
    change_D = draw_statistics(labels["split"]).clusters_D - clusters_D
    return VerificationChange(
        bounded_mean(ratio_values(invalid_D, clusters_D), 0.0, 1.0, set_D),
        bounded_mean(change_D, 0.0, size - 1.0, set_D),
    )
