"""Effective clusters against the number of documents: whether more of them would show more.

Up to the size of the sample the points are estimates from the first documents of one random order;
beyond it they are computed from the share of pairs joined, which does not depend on the number of
documents (`all_pairs.at_documents`).

Shapes: N documents, E embedding dimensions.
"""

from typing import TypedDict

import numpy as np

from divsyn_jax.diversity.estimation import all_pairs
from divsyn_jax.diversity.estimation.all_pairs import PairDistances, PairEstimate, pair_distances

_FEWEST = 50  # documents of a point
_DOUBLINGS_BEYOND = 2
_TOPICS = all_pairs.GRANULARITIES["topics"]


class CurveEstimate(TypedDict):
    """Effective clusters with the 95% interval over documents."""

    value: float
    ci_low: float
    ci_high: float


class DocumentsPoint(TypedDict):
    """Effective clusters of so many documents: the headline, and at the granularity of topics.

    `measured` is False where there are not so many in the sample.
    """

    documents: int
    measured: bool
    effective_clusters: CurveEstimate
    topics: CurveEstimate


def document_curve(
    vectors_NE: np.ndarray, distances: PairDistances, order_N: np.ndarray
) -> list[DocumentsPoint]:
    """Points at halves of the sample's size down to `_FEWEST`, the size, and doubles of it.

    Args:
      vectors_NE: [N, E] unit vectors.
      distances: of all pairs of them.
      order_N: a random order of the documents: a point stands on its first ones.
    """
    documents = distances.documents
    sizes = [documents]
    while sizes[0] // 2 >= _FEWEST:
        sizes.insert(0, sizes[0] // 2)
    points = []
    for size in sizes:
        some = distances if size == documents else pair_distances(vectors_NE[order_N[:size]])
        points.append(_point(size, True, all_pairs.octave_estimates(some), _topics(some)))
    octaves, topics = all_pairs.octave_estimates(distances), _topics(distances)
    for doubling in range(1, _DOUBLINGS_BEYOND + 1):
        size = documents * 2**doubling
        moved = [all_pairs.at_documents(found, documents, size) for found in [*octaves, topics]]
        points.append(_point(size, False, moved[:-1], moved[-1]))
    return points


def _topics(distances: PairDistances) -> PairEstimate:
    return all_pairs.effective_clusters_at(distances, _TOPICS.at(all_pairs.MIDDLES_B))


def _point(
    documents: int, measured: bool, octaves: list[PairEstimate], topics: PairEstimate
) -> DocumentsPoint:
    return {
        "documents": documents,
        "measured": measured,
        "effective_clusters": _estimate(all_pairs.mean_over_granularities(octaves)),
        "topics": _estimate(topics),
    }


def _estimate(found: PairEstimate) -> CurveEstimate:
    return {"value": found.value, "ci_low": found.ci_low, "ci_high": found.ci_high}
