"""Documents that nearly repeat an earlier one, by the distance of their vectors.

Shapes: N documents, E embedding dimensions, R rows at once.
"""

import dataclasses

import numpy as np

_ROWS_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True)
class NearCopy:
    """A document and the earlier one that it lies nearest to.

    Attributes:
      document, earlier: positions in the sample.
      distance: cosine distance between them, 0 or more.
    """

    document: int
    earlier: int
    distance: float


def near_copies(vectors_NE: np.ndarray, distance: float) -> list[NearCopy]:
    """Every document within `distance` of an earlier one, with the nearest of those; in order.

    At most N pairs, whatever the number of pairs that near; blockwise, in memory for R rows.

    Args:
      vectors_NE: [N, E] unit vectors.
      distance: the largest cosine distance.
    """
    found = []
    for start in range(0, len(vectors_NE), _ROWS_AT_ONCE):
        rows_RE = vectors_NE[start : start + _ROWS_AT_ONCE]
        cosine_RN = rows_RE @ vectors_NE[: start + len(rows_RE)].T
        # Only what lies before the row's own document.
        later_RN = np.arange(cosine_RN.shape[1]) >= start + np.arange(len(rows_RE))[:, None]
        cosine_RN[later_RN] = -np.inf
        nearest_R = cosine_RN.argmax(axis=1)
        cosine_R = cosine_RN[np.arange(len(rows_RE)), nearest_R]
        found += [
            NearCopy(start + int(row), int(nearest_R[row]), max(0.0, 1 - float(cosine_R[row])))
            for row in np.flatnonzero(cosine_R >= 1 - distance)
        ]
    return found
