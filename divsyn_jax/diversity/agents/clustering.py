"""Average-linkage clustering of many small draws at once.

Shapes: B draws, K documents a draw, E embedding dimensions.
"""

from collections.abc import Sequence

import numpy as np


def cosine_distances(vectors_BKE: np.ndarray) -> np.ndarray:
    """[B, K, K] cosine distances (1 - cosine, in [0, 2]) within each draw of unit vectors [B, K,
    E].
    """
    return np.clip(1.0 - vectors_BKE @ vectors_BKE.transpose(0, 2, 1), 0.0, 2.0)


def average_linkage(
    distances_BKK: np.ndarray, thresholds: Sequence[float]
) -> dict[float, np.ndarray]:
    """Cut the average-linkage (UPGMA) dendrogram of every draw at each threshold.

    All draws do their s-th merge together: K-1 steps in numpy whatever B is. Distances between
    clusters are the mean distance between their members, kept current by the Lance-Williams update;
    average linkage has no inversions, so a cut at t is the state after the last merge at height <=
    t (scipy's `fcluster(..., criterion="distance")`).

    Args:
      distances_BKK: symmetric distances within each draw; the diagonal is not read.
      thresholds: heights to cut at.

    Returns:
      threshold -> [B, K] int16 labels; a cluster's label is the position of its first document.
    """
    draws, size = distances_BKK.shape[:2]
    distances_BKK = distances_BKK.astype(np.float64)
    each, diagonal = np.arange(draws), np.arange(size)
    distances_BKK[:, diagonal, diagonal] = np.inf
    members_BK = np.ones((draws, size))
    labels = {threshold: np.tile(diagonal.astype(np.int16), (draws, 1)) for threshold in thresholds}
    for _ in range(size - 1):
        # The first minimum in row order lies above the diagonal, so `kept < gone`: slots keep their
        # first document.
        nearest_B = distances_BKK.reshape(draws, -1).argmin(axis=1)
        kept_B, gone_B = np.divmod(nearest_B, size)
        height_B = distances_BKK[each, kept_B, gone_B]
        kept_members_B1, gone_members_B1 = (
            members_BK[each, kept_B, None],
            members_BK[each, gone_B, None],
        )
        merged_BK = (
            kept_members_B1 * distances_BKK[each, kept_B]
            + gone_members_B1 * distances_BKK[each, gone_B]
        )
        merged_BK /= (
            kept_members_B1 + gone_members_B1
        )  # infinite for slots already merged away, and for the pair itself
        distances_BKK[each, kept_B] = merged_BK
        distances_BKK[each, :, kept_B] = merged_BK
        distances_BKK[each, gone_B] = np.inf
        distances_BKK[each, :, gone_B] = np.inf
        members_BK[each, kept_B] += members_BK[each, gone_B]
        for threshold, labels_BK in labels.items():
            moves_BK = (labels_BK == gone_B[:, None]) & (height_B <= threshold)[:, None]
            np.copyto(labels_BK, kept_B[:, None].astype(np.int16), where=moves_BK)
    return labels
