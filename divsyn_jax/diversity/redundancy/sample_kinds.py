"""The kinds of a whole sample: average linkage of its documents, cut where the agent cuts draws.

Shapes: N documents, E embedding dimensions, M members of a kind, R rows at once.
"""

import dataclasses

import numpy as np

# Of this many documents the distances of all pairs take 100 MB, twice while they are linked.
MOST_CLUSTERED = 5_000
_ROWS_AT_ONCE = 512


@dataclasses.dataclass(frozen=True)
class SampleKind:
    """Documents of one kind.

    Attributes:
      members_M: positions in the sample, increasing.
      shown: up to three of them: the most central, one at the median distance from the centre, and
        the outermost.
    """

    members_M: np.ndarray
    shown: tuple[int, ...]


def clustered_documents(documents: int, order_N: np.ndarray) -> np.ndarray:
    """Positions of the documents that are linked, increasing: all of them, or the first
    `MOST_CLUSTERED` of a random order.
    """
    return np.sort(order_N[:MOST_CLUSTERED]) if documents > MOST_CLUSTERED else np.arange(documents)


def sample_kinds(vectors_NE: np.ndarray, cut: float) -> list[SampleKind]:
    """Every kind, the largest first (of equal sizes the one with the earliest document).

    Kinds are the clusters of average linkage (UPGMA) on cosine distance, cut at `cut`: a document
    joins a kind when its mean distance to the kind's documents is at most that.

    Args:
      vectors_NE: [N, E] unit vectors, N of `MOST_CLUSTERED` or fewer.
      cut: cosine distance.
    """
    # Not at the top: the command's --help imports this package.
    from scipy.cluster import hierarchy

    documents = len(vectors_NE)
    if documents < 2:
        return [SampleKind(np.arange(documents), tuple(range(documents)))]
    merges = hierarchy.linkage(condensed_distances(vectors_NE), "average")
    label_N = hierarchy.fcluster(merges, cut, "distance")
    order_N = np.argsort(label_N, kind="stable")
    ends = np.flatnonzero(np.diff(label_N[order_N])) + 1
    members = sorted(np.split(order_N, ends), key=lambda each: (-len(each), int(each[0])))
    return [SampleKind(each, _shown(vectors_NE, each)) for each in members]


def condensed_distances(vectors_NE: np.ndarray) -> np.ndarray:
    """[N (N-1) / 2] cosine distances of all pairs in scipy's order, made blockwise."""
    documents = len(vectors_NE)
    distances = np.empty(documents * (documents - 1) // 2)
    filled = 0
    for start in range(0, documents, _ROWS_AT_ONCE):
        rows_RN = vectors_NE[start : start + _ROWS_AT_ONCE] @ vectors_NE[start:].T
        for row in range(len(rows_RN)):
            later = 1.0 - rows_RN[row, row + 1 :]
            distances[filled : filled + len(later)] = later
            filled += len(later)
    return np.maximum(distances, 0.0, out=distances)


def _shown(vectors_NE: np.ndarray, members_M: np.ndarray) -> tuple[int, ...]:
    vectors_ME = vectors_NE[members_M]
    inward_M = members_M[np.argsort(-(vectors_ME @ vectors_ME.mean(axis=0)), kind="stable")]
    places = (0, len(inward_M) // 2, len(inward_M) - 1)
    return tuple(dict.fromkeys(int(inward_M[place]) for place in places))
