"""NovelSum: how much each document adds to the others, near ones weighing most.

Shapes: N documents, E embedding dimensions, B documents of a block. Vectors are rows of length 1.
"""

import numpy as np

from divsyn_jax.diversity.baselines.baseline import Baseline, BaselineInputs, Value, register
from divsyn_jax.diversity.baselines.embedding import FIXED_SIZE

RANK_EXPONENT = 1.0
_ROWS_AT_ONCE = 512


def novelsum(vectors_NE: np.ndarray, alpha: float = RANK_EXPONENT) -> float:
    """NovelSum without a reference set (beta 0), in [0, 2): the mean over documents of the weighted
    mean of a document's cosine distances to all N, itself included, in ascending order, the k-th
    nearest weighing 1 / k^alpha (Yang et al. 2025, ACL, arXiv 2502.17184).

    Four unrelated documents give (1/2 + 1/3 + 1/4) / (1 + 1/2 + 1/3 + 1/4) = 0.52, equal documents
    0. The published density factor (beta 0.5) needs a reference corpus and reverses the order of
    corpora where that holds near-duplicates; it is left out. A block of rows at a time: N^2 memory
    is never held.
    """
    count = len(vectors_NE)
    weights_N = 1 / np.arange(1, count + 1, dtype=np.float64) ** alpha
    weights_N /= weights_N.sum()
    total = 0.0
    for start in range(0, count, _ROWS_AT_ONCE):
        rows_BE = vectors_NE[start : start + _ROWS_AT_ONCE]
        distances_BN = np.clip(1 - rows_BE @ vectors_NE.T, 0, 2)
        # A document is at distance 0 of itself, which rounding hides.
        distances_BN[np.arange(len(rows_BE)), start + np.arange(len(rows_BE))] = 0
        distances_BN.sort(axis=1)
        total += float((distances_BN @ weights_N).sum())
    return total / count


def _novelsum(reading: BaselineInputs) -> Value:
    details = {"alpha": RANK_EXPONENT, "beta": 0.0, "documents": len(reading.vectors_NE)}
    return Value(novelsum(reading.vectors_NE), FIXED_SIZE, details=details)


register(
    Baseline(
        "novelsum",
        _novelsum,
        needs="vectors",
        direction="up",
        meaning=(
            "mean distance of a document to all others, the k-th nearest weighing 1/k (no"
            " reference set)"
        ),
        source="Yang et al. 2025, arXiv 2502.17184, with beta 0",
        depends_on="number of documents",
        title="NovelSum",
    )
)
