"""Baselines on sentence embeddings: spread, nearest neighbours, clusters and effective numbers.

They see what the embedding sees (the first word pieces of a document), so the length of documents
enters only where they are shorter than that. All but the remote clique change with the number of
documents: compared corpora give the same.

Shapes: N documents, E embedding dimensions, B documents of a block. Vectors are rows of length 1.
"""

import math
import warnings
from typing import Any

import numpy as np

from divsyn_jax.diversity.baselines.intervals import jackknife
from divsyn_jax.diversity.baselines.table import Baseline

CLUSTERS = 100
TEMPERATURE = 0.1
EIGENVALUE_FLOOR = 1e-12
ORDERS = (0.0, 0.5, 1.0, 2.0, math.inf)
_ROWS_AT_ONCE = 1024

METRICS = {
    "kmeans": Baseline(
        "mean squared distance to the nearest of a fixed number of K-means centres: more is more"
        " diverse",
        "the K-means baseline of Chen et al. 2024, arXiv 2410.15226, which leaves its score"
        " unstated; mini-batches of Sculley 2010",
        "number of documents and of centres",
    ),
    "vendi_score": Baseline(
        "exponential entropy of the eigenvalues of the cosine matrix (order 1): more is more"
        " diverse",
        "Friedman and Dieng 2023, arXiv 2210.02410; other orders: Pasarkar and Dieng 2023, arXiv"
        " 2310.12952",
        "number of documents",
    ),
    "dcscore": Baseline(
        f"sum of the softmax weights of documents on themselves (temperature {TEMPERATURE}): more"
        " is more diverse",
        "Zhu et al. 2025, arXiv 2502.08512",
        "number of documents, temperature",
    ),
    "remote_clique": Baseline(
        "mean cosine distance of documents: more is more diverse",
        "Cox et al. 2021, doi 10.1145/3411764.3445782 (PyPI diversity 0.3.1)",
        "nothing else",
    ),
    "chamfer": Baseline(
        "mean cosine distance to the nearest other document: more is more diverse",
        "Cox et al. 2021, doi 10.1145/3411764.3445782 (PyPI diversity 0.3.1)",
        "number of documents",
    ),
}


def kmeans(vectors_NE: np.ndarray, seed: int = 0, clusters: int = CLUSTERS) -> dict[str, Any]:
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
    return {
        "value": float(model.inertia_) / len(vectors_NE),
        "occupied": len(shares),
        "exp_entropy": float(np.exp(-(shares * np.log(shares)).sum())),
        "centres": clusters,
        "documents": len(vectors_NE),
        "method": "no interval: one fit",
    }


def vendi_score(vectors_NE: np.ndarray, order: float = 1.0) -> float:
    """Vendi score: exp of the Renyi entropy of order q of the eigenvalues of K / N, K the cosine
    matrix, in [1, N].

    exp(H_q), H_1 = -sum(l ln l), H_q = ln(sum l^q) / (1 - q), H_inf = -ln(max l) (Friedman and
    Dieng 2023; Pasarkar and Dieng 2023). Eigenvalues are those of the E x E covariance when N > E,
    which shares them; those up to `EIGENVALUE_FLOOR` are noise around 0 and count nothing, or order
    0 would count them whole. Rises with N until the embedding's dimensions saturate."""
    return _renyi(_eigenvalues(vectors_NE), order)


def vendi_scores(vectors_NE: np.ndarray) -> dict[str, Any]:
    """`value` of order 1 and every order of `ORDERS`, from one decomposition."""
    eigenvalues = _eigenvalues(vectors_NE)
    return {
        "value": _renyi(eigenvalues, 1.0),
        "orders": {f"{order:g}": _renyi(eigenvalues, order) for order in ORDERS},
    }


def _eigenvalues(vectors_NE: np.ndarray) -> np.ndarray:
    vectors_NE = vectors_NE.astype(np.float64)
    documents, dimensions = vectors_NE.shape
    product = vectors_NE.T @ vectors_NE if documents > dimensions else vectors_NE @ vectors_NE.T
    eigenvalues = np.linalg.eigvalsh(product / documents)
    return eigenvalues[eigenvalues > EIGENVALUE_FLOOR]


def _renyi(eigenvalues: np.ndarray, order: float) -> float:
    if order == 1:
        return float(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()))
    if order == math.inf:
        return float(1 / eigenvalues.max())
    return float((eigenvalues**order).sum() ** (1 / (1 - order)))


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


def remote_clique(vectors_NE: np.ndarray, parity: str | None = None) -> dict[str, Any]:
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
        return {
            "value": round(value, 3),
            "documents": count,
            "method": "no interval: published form",
        }
    squared_N = (
        sum_E @ sum_E - 2 * vectors_NE @ sum_E + np.square(vectors_NE).sum(axis=1)
    )  # |sum without i|^2
    without_N = 1 - squared_N / max(1, count - 1) ** 2
    return {"value": value, **jackknife(value, without_N, 0, 2), "documents": count}


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
