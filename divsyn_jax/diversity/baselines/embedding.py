"""Baselines on sentence embeddings: spread, nearest neighbours, clusters and DCScore.

They see what the embedding sees (the first word pieces of a document), so the length of documents
enters only where they are shorter than that. All but the remote clique change with the number of
documents: compared corpora give the same.

Shapes: N documents, E embedding dimensions, B documents of a block. Vectors are rows of length 1.
"""

import warnings

import numpy as np

from divsyn_jax.diversity.baselines.baseline import (
    Baseline,
    BaselineInputs,
    Value,
    no_value,
    register,
)
from divsyn_jax.diversity.baselines.document_intervals import jackknife

CLUSTERS = 100
TEMPERATURE = 0.1
FIXED_SIZE = "no interval: depends on the number of documents, which resampling would change"
_ROWS_AT_ONCE = 1024


def kmeans(vectors_NE: np.ndarray, seed: int = 0, clusters: int = CLUSTERS) -> Value:
    """K-means with mini-batches (Sculley 2010, WWW) and k-means++ starts: how far documents lie
    from their centre.

    `value`, the inertia per document, is the mean squared distance to the nearest centre, in [0, 1]
    up to the quality of the fit; 1 minus it is the share of the vectors' squared length that the
    centres explain. `occupied` counts centres with a document and `exp_entropy` is the effective
    number of centres by their shares: with a fixed number of centres both say how even the clusters
    are, not how many there are.

    The number of centres is at most half the documents, so that a small corpus is not fitted
    exactly."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    clusters = max(1, min(clusters, len(vectors_NE) // 2))
    model = MiniBatchKMeans(clusters, n_init=3, random_state=seed)
    # Batches are too small to share: on a busy machine sklearn's threads would spin for each other,
    # at many times the cost.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # fewer distinct documents than centres: `occupied` says so
        labels_N = model.fit_predict(vectors_NE)
    shares = np.bincount(labels_N) / len(labels_N)
    shares = shares[shares > 0]
    details = {
        "occupied": len(shares),
        "exp_entropy": float(np.exp(-(shares * np.log(shares)).sum())),
        "centres": clusters,
        "documents": len(vectors_NE),
    }
    return Value(float(model.inertia_) / len(vectors_NE), "no interval: one fit", details=details)


def dcscore(vectors_NE: np.ndarray, temperature: float = TEMPERATURE) -> float:
    """DCScore: trace of the row softmax of the cosine matrix over the temperature, in [1, N] (Zhu
    et al. 2025).

    The published temperature of 1 gives N e / (e + N - 1) to N unrelated documents, under e
    whatever N is; at 0.1 it is N e^10 / (e^10 + N - 1), so thousands of documents are told apart. A
    block of rows at a time."""
    total = 0.0
    for start in range(0, len(vectors_NE), _ROWS_AT_ONCE):
        rows_BE = vectors_NE[start : start + _ROWS_AT_ONCE].astype(np.float64)
        logits_BN = rows_BE @ vectors_NE.T / temperature
        own_B = logits_BN[np.arange(len(rows_BE)), start + np.arange(len(rows_BE))]
        total += float((1 / np.exp(logits_BN - own_B[:, None]).sum(axis=1)).sum())
    return total


def remote_clique(vectors_NE: np.ndarray, parity: str | None = None) -> Value:
    """Mean over all N^2 ordered pairs of the cosine distance, 1 - |mean vector|^2: no matrix is
    needed.

    As published the N pairs of a document with itself count, with distance 0, so it is (N - 1) / N
    times the mean distance of two different documents. The interval is the jackknife over
    documents.

    Parity: rounded to 3 decimals.
    """
    vectors_NE = vectors_NE.astype(np.float64)
    count, sum_E = len(vectors_NE), vectors_NE.sum(axis=0)
    value = 1 - float(np.square(sum_E / count).sum())
    if parity:
        published = "no interval: published form"
        return Value(round(value, 3), published, details={"documents": count})
    squared_N = (
        sum_E @ sum_E - 2 * vectors_NE @ sum_E + np.square(vectors_NE).sum(axis=1)
    )  # |sum without i|^2
    without_N = 1 - squared_N / max(1, count - 1) ** 2
    interval = jackknife(value, without_N, 0, 2)
    return Value(
        value, interval.method, interval.ci_low, interval.ci_high, details={"documents": count}
    )


def chamfer(vectors_NE: np.ndarray, parity: str | None = None) -> float | None:
    """Mean over documents of the cosine distance to the nearest other; None for a single document.

    Falls with the number of documents. A block of rows at a time. Parity: rounded to 3 decimals.
    """
    if len(vectors_NE) < 2:
        return None
    total = 0.0
    for start in range(0, len(vectors_NE), _ROWS_AT_ONCE):
        rows_BE = vectors_NE[start : start + _ROWS_AT_ONCE]
        cosines_BN = rows_BE @ vectors_NE.T
        cosines_BN[np.arange(len(rows_BE)), start + np.arange(len(rows_BE))] = -np.inf
        total += float(np.clip(1 - cosines_BN.max(axis=1).astype(np.float64), 0, 2).sum())
    value = total / len(vectors_NE)
    return round(value, 3) if parity else value


def _kmeans(reading: BaselineInputs) -> Value:
    return kmeans(reading.vectors_NE, reading.settings.seed)


def _dcscore(reading: BaselineInputs) -> Value:
    details = {"temperature": TEMPERATURE, "documents": len(reading.vectors_NE)}
    return Value(dcscore(reading.vectors_NE), FIXED_SIZE, details=details)


def _remote_clique(reading: BaselineInputs) -> Value:
    return remote_clique(reading.vectors_NE, reading.settings.parity)


def _chamfer(reading: BaselineInputs) -> Value:
    value = chamfer(reading.vectors_NE, reading.settings.parity)
    if value is None:
        return no_value("fewer than two documents")
    return Value(value, FIXED_SIZE, details={"documents": len(reading.vectors_NE)})


_COX = "Cox et al. 2021, doi 10.1145/3411764.3445782 (PyPI diversity 0.3.1)"
register(
    Baseline(
        "kmeans",
        _kmeans,
        needs="vectors",
        direction="up",
        meaning="mean squared distance to the nearest of a fixed number of K-means centres",
        source=(
            "the K-means baseline of Chen et al. 2024, arXiv 2410.15226, which leaves its score"
            " unstated; mini-batches of Sculley 2010"
        ),
        depends_on="number of documents and of centres",
        title="K-means distance",
    )
)
register(
    Baseline(
        f"dcscore_tau{TEMPERATURE:g}",
        _dcscore,
        needs="vectors",
        direction="up",
        meaning=(
            "sum of the softmax weights of documents on themselves at temperature"
            f" {TEMPERATURE:g} (published with 1)"
        ),
        source="Zhu et al. 2025, arXiv 2502.08512",
        depends_on="number of documents, temperature",
        title=f"DCScore (temperature {TEMPERATURE:g})",
    )
)
register(
    Baseline(
        "remote_clique",
        _remote_clique,
        needs="vectors",
        direction="up",
        meaning="mean cosine distance of documents",
        source=_COX,
        depends_on="nothing else",
        parity=True,
    )
)
register(
    Baseline(
        "chamfer",
        _chamfer,
        needs="vectors",
        direction="up",
        meaning="mean cosine distance to the nearest other document",
        source=_COX,
        depends_on="number of documents",
        parity=True,
        title="Chamfer distance",
    )
)
