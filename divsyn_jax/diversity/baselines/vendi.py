"""The Vendi score and its profile: Hill numbers of the eigenvalues of the cosine matrix.

Shapes: N documents, E embedding dimensions. Vectors are rows of length 1.
"""

import math

import numpy as np

from divsyn_jax.diversity.baselines.baseline import Baseline, BaselineInputs, Value, register
from divsyn_jax.diversity.baselines.document_intervals import DocumentInterval, jackknife
from divsyn_jax.diversity.baselines.embedding import FIXED_SIZE

EIGENVALUE_FLOOR = 1e-12
ORDERS = (0.0, 0.5, 1.0, 2.0, math.inf)
PROFILE = (0.0, 1.0, 2.0, math.inf)
CONVERGED = 20_000  # documents; below, order 1 of a rich kernel still rises (arXiv 2410.21719)


def vendi_score(vectors_NE: np.ndarray, order: float = 1.0) -> float:
    """Vendi score: exp of the Renyi entropy of order q of the eigenvalues of K / N, K the cosine
    matrix, in [1, N].

    exp(H_q), H_1 = -sum(l ln l), H_q = ln(sum l^q) / (1 - q), H_inf = -ln(max l) (Friedman and
    Dieng 2023; Pasarkar and Dieng 2023). Eigenvalues are those of the E x E covariance when N > E,
    which shares them; those up to `EIGENVALUE_FLOOR` are noise around 0 and count nothing, or order
    0 would count them whole. Rises with N until the embedding's dimensions saturate."""
    return _renyi(_eigenvalues(vectors_NE), order)


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


def profile_interval(vectors_NE: np.ndarray) -> DocumentInterval:
    """95% interval of the Vendi score of order 2, by the jackknife over documents.

    The score is the inverse of the mean squared cosine over all N^2 ordered pairs, |V^T V|^2 / N^2
    (V the vectors), which a document's row and column leave in E^2 operations a document.
    """
    vectors_NE = vectors_NE.astype(np.float64)
    count = len(vectors_NE)
    covariance_EE = vectors_NE.T @ vectors_NE
    total = float(np.square(covariance_EE).sum())  # over all ordered pairs
    row_N = np.einsum("ne,ef,nf->n", vectors_NE, covariance_EE, vectors_NE, optimize=True)
    own_N = np.square(np.square(vectors_NE).sum(axis=1))
    share = total / count**2
    without_N = (total - 2 * row_N + own_N) / max(1, count - 1) ** 2
    found = jackknife(share, without_N, 1 / count, 1)
    if found.ci_low is None or found.ci_high is None:
        return found
    return DocumentInterval(found.method, 1 / found.ci_high, 1 / found.ci_low)


def _spectrum(reading: BaselineInputs) -> np.ndarray:
    return _eigenvalues(reading.vectors_NE)


def _of_orders(reading: BaselineInputs, orders: tuple[float, ...]) -> dict[str, float]:
    eigenvalues = reading.once(_spectrum)
    return {f"{order:g}": _renyi(eigenvalues, order) for order in orders}


def _vendi_score(reading: BaselineInputs) -> Value:
    documents, orders = len(reading.vectors_NE), _of_orders(reading, ORDERS)
    warning = None
    if documents < CONVERGED:
        warning = (
            f"made from {documents:,} documents: order 1 of a rich kernel has not converged"
            f" below about {CONVERGED:,} (arXiv 2410.21719) and rises with more documents; compare"
            " it only between corpora of one number of documents, or read order 2 (hill_profile)"
        )
    details = {"orders": orders, "documents": documents}
    return Value(orders["1"], FIXED_SIZE, warning=warning, details=details)


def _hill_profile(reading: BaselineInputs) -> Value:
    orders, interval = _of_orders(reading, PROFILE), profile_interval(reading.vectors_NE)
    return Value(
        orders["2"],
        interval.method,
        interval.ci_low,
        interval.ci_high,
        details={"orders": orders, "documents": len(reading.vectors_NE)},
    )


register(
    Baseline(
        "vendi_score",
        _vendi_score,
        needs="vectors",
        direction="up",
        meaning="exponential entropy of the eigenvalues of the cosine matrix (order 1)",
        source=(
            "Friedman and Dieng 2023, arXiv 2210.02410; other orders: Pasarkar and Dieng 2023,"
            " arXiv 2310.12952"
        ),
        depends_on="number of documents",
        title="Vendi score",
    )
)
register(
    Baseline(
        "hill_profile",
        _hill_profile,
        needs="vectors",
        direction="up",
        meaning=(
            "Hill number of order 2 of the eigenvalues of the cosine matrix, beside orders 0, 1"
            " and infinity"
        ),
        source="Hill 1973, doi 10.2307/1934352; Pasarkar and Dieng 2023, arXiv 2310.12952",
        depends_on="number of documents, order 2 the least",
        title="Vendi score of order 2",
    )
)
