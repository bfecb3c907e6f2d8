"""A flat map of vectors.

Shapes: N documents, E embedding dimensions.
"""

import numpy as np


def principal_plane(vectors_NE: np.ndarray) -> tuple[np.ndarray, float]:
    """The documents on the two directions in which they vary most (PCA; Pearson 1901).

    Signs are fixed so that the largest weight of a direction is positive: equal vectors make equal
    maps.

    Returns:
      ([N, 2] coordinates around their mean, the share of the variance that the plane shows).
    """
    centred_NE = np.asarray(vectors_NE, np.float64) - np.mean(vectors_NE, axis=0)
    covariance_EE = centred_NE.T @ centred_NE
    variance_E, directions_EE = np.linalg.eigh(covariance_EE)
    plane_E2 = directions_EE[:, ::-1][:, :2]
    if plane_E2.shape[1] < 2:
        plane_E2 = np.pad(plane_E2, ((0, 0), (0, 2 - plane_E2.shape[1])))
    largest_2 = np.abs(plane_E2).argmax(axis=0)
    plane_E2 = plane_E2 * np.where(plane_E2[largest_2, [0, 1]] < 0, -1.0, 1.0)
    total = float(variance_E.sum())
    share = float(variance_E[-2:].sum() / total) if total > 0 else 0.0
    return centred_NE @ plane_E2, min(1.0, max(0.0, share))
