"""Exact values of the metric for a corpus whose clusters are known: what draws by a faultless agent
estimate.

Shapes: T clusters of a corpus.
"""

from collections.abc import Sequence

import numpy as np

Counts = Sequence[int] | np.ndarray


def expected_clusters(counts_T: Counts, sample_size: int) -> tuple[float, float]:
    """Exact (E[C], E[C^2]) of the clusters seen in `sample_size` documents drawn without
    replacement.

    Args:
      counts_T: documents in each cluster.
      sample_size: K, at most their sum.

    With a(n) the probability that none of n given documents is drawn (hypergeometric), cluster t is
    seen with probability 1 - a(n_t), and clusters s and t both with 1 - a(n_s) - a(n_t) + a(n_s +
    n_t); the moments are sums of these."""
    # Clusters of one size are alike: work on the distinct sizes.
    sizes, number = np.unique(np.asarray(counts_T), return_counts=True)
    number = number.astype(np.float64)
    documents = int(np.sum(counts_T))
    absent = _absence(sizes, documents, sample_size)
    seen = 1 - absent
    both = (
        1
        - absent[:, None]
        - absent[None, :]
        + _absence(sizes[:, None] + sizes[None, :], documents, sample_size)
    )
    pairs = np.outer(number, number) - np.diag(number)  # ordered pairs of different clusters
    mean = float(number @ seen)
    return mean, mean + float((pairs * both).sum())


def _absence(sizes: np.ndarray, documents: int, sample_size: int) -> np.ndarray:
    """Probability that none of `sizes` given documents is among `sample_size` drawn from
    `documents`.
    """
    drawn = np.arange(sample_size)
    return np.prod(
        np.clip(documents - sizes[..., None] - drawn, 0, None) / (documents - drawn), axis=-1
    )


def expected_cluster_score(counts_T: Counts, sample_size: int) -> float:
    """Exact expectation of the published score, E[C^2] / K, for known cluster sizes."""
    return expected_clusters(counts_T, sample_size)[1] / sample_size


def expected_pair_share(counts_T: Counts) -> float:
    """Exact q: the share of pairs of documents that are in one cluster."""
    size_T = np.asarray(counts_T, dtype=np.float64)
    documents = size_T.sum()
    return float((size_T * (size_T - 1)).sum() / (documents * (documents - 1)))


def true_effective_clusters(counts_T: Counts) -> float:
    """What `effective_clusters` estimates, for known cluster sizes: N^2 / sum(n^2)."""
    size_T = np.asarray(counts_T, dtype=np.float64)
    return float(size_T.sum() ** 2 / (size_T**2).sum())
