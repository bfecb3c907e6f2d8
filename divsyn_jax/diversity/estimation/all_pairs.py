"""Effective clusters from all pairs of a sample: no draws, no K, no cut that a draw shifts.

Two documents at cosine distance d are taken to be of one kind with probability join(d). With q the
mean of the join over all pairs, N / (1 + (N-1) q) is the diversity of order 2 of Leinster and
Cobbold 2012 (Ecology 93:477) with similarity join(d) and 1 on the diagonal; for a join of 0 and 1
along known kinds it is the Hill number of order 2. Distances are kept as one histogram a document,
so that any join, and the variance over documents, is a product with it.

Shapes: N documents, E embedding dimensions, B bins of distance.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from divsyn_jax.diversity.estimation.estimators import hill
from divsyn_jax.diversity.estimation.intervals import ALPHA, t_quantile

BIN = 0.005  # of cosine distance
BINS = 400  # over [0, 2]
MIDDLES_B = (np.arange(BINS) + 0.5) * BIN
_ROWS_AT_ONCE = 1024
_FEW_PAIRS = 30.0  # joined pairs under which their own count adds doubt that documents do not show


@dataclasses.dataclass(frozen=True)
class PairDistances:
    """The distances of all pairs of a sample.

    Attributes:
      counts_NB: [N, B] how many other documents lie at each distance from each document.
    """

    counts_NB: np.ndarray

    @property
    def documents(self) -> int:
        """N."""
        return len(self.counts_NB)

    @property
    def pairs_B(self) -> np.ndarray:
        """[B] pairs at each distance, each counted once."""
        return self.counts_NB.sum(axis=0, dtype=np.int64) // 2

    def of(self, documents: np.ndarray) -> np.ndarray:
        """[len(documents), B] the rows of some documents."""
        return self.counts_NB[documents]


@dataclasses.dataclass(frozen=True)
class PairEstimate:
    """Effective clusters with the 95% interval over documents.

    Attributes:
      value, ci_low, ci_high: effective clusters.
      share: q, the mean join over pairs.
      log_error: standard error of log q; None where q is 0 or 1.
      method: how the interval was made.
    """

    value: float
    ci_low: float
    ci_high: float
    share: float
    log_error: float | None
    method: str


@dataclasses.dataclass(frozen=True)
class Join:
    """P(one kind) = 1 / (1 + exp((d - middle) / width)) at cosine distance d; a step at 0 width."""

    middle: float
    width: float

    def at(self, distances: np.ndarray) -> np.ndarray:
        """The probability at each distance."""
        if self.width == 0:
            return (np.asarray(distances) < self.middle).astype(np.float64)
        return special.expit((self.middle - np.asarray(distances)) / self.width)


# A copy differs from its original by a word in ten (distance under 0.1 with MiniLM); two wordings
# of one answer keep its content (under 0.3); two answers to one question keep its topic (under
# 0.5). Widths are those of the distances within a kind; a copy's are small.
GRANULARITIES: Mapping[str, Join] = {
    "copies": Join(0.1, 0.02),
    "wordings": Join(0.3, 0.05),
    "topics": Join(0.5, 0.05),
}
CURVE = tuple(round(0.05 * step, 2) for step in range(1, 17))  # middles, 0.05 to 0.80
CURVE_WIDTH = 0.05


def pair_distances(vectors_NE: np.ndarray) -> PairDistances:
    """Distances 1 - cos of all pairs, blockwise: N = 5,000 takes seconds on two cores.

    Args:
      vectors_NE: [N, E] unit vectors.

    Raises:
      ValueError: fewer than two documents.
    """
    vectors_NE = np.asarray(vectors_NE, dtype=np.float32)
    documents = len(vectors_NE)
    if documents < 2:
        raise ValueError(f"{documents} documents; a pair needs two")
    counts_NB = np.empty((documents, BINS), np.int32)
    for start in range(0, documents, _ROWS_AT_ONCE):
        bins_RN = distance_bins(vectors_NE[start : start + _ROWS_AT_ONCE], vectors_NE)
        rows = len(bins_RN)
        flat = (bins_RN + np.arange(rows, dtype=np.int32)[:, None] * BINS).ravel()
        part_RB = np.bincount(flat, minlength=rows * BINS).reshape(rows, BINS)
        part_RB[np.arange(rows), bins_RN[np.arange(rows), start + np.arange(rows)]] -= 1  # itself
        counts_NB[start : start + rows] = part_RB
    return PairDistances(counts_NB)


def distance_bins(rows_RE: np.ndarray, vectors_NE: np.ndarray) -> np.ndarray:
    """[R, N] the bin of the distance of each row to each vector."""
    distances_RN = 1 - rows_RE @ vectors_NE.T
    # Rounding puts equal vectors a trace below 0.
    return np.clip((distances_RN / BIN).astype(np.int32), 0, BINS - 1)


def effective_clusters_at(distances: PairDistances, join_B: np.ndarray) -> PairEstimate:
    """Effective clusters at one join.

    The interval is symmetric on log q, Student's t with the jackknife variance of a U-statistic of
    order 2 over documents (Arvesen 1969); its degrees of freedom come from the spread of the
    documents' own terms (Satterthwaite). Where few pairs are joined, the exact Poisson limits of
    their number hold where they are wider; with none joined q is bounded by 3 / pairs, and with all
    joined 1 - q by 6 / N, since one document apart takes 2 / N of the pairs with it.

    Args:
      distances: of all pairs.
      join_B: [B] P(one kind) at the middle of each bin.
    """
    documents = distances.documents
    means_N = distances.counts_NB @ np.asarray(join_B, np.float64) / (documents - 1)
    return estimate_of_means(means_N)


def estimate_of_means(means_N: np.ndarray) -> PairEstimate:
    """The estimate from each document's mean join with the others (see `effective_clusters_at`)."""
    documents = len(means_N)
    pairs = documents * (documents - 1) / 2
    q = float(means_N.mean())
    if q * pairs < 1e-6:
        bounds = 0.0, min(1.0, 3 / pairs)
        return _estimate(q, bounds, documents, None, "rule of three")
    if q > 1 - 1e-9:
        bounds = max(0.0, 1 - 6 / documents), 1.0
        return _estimate(q, bounds, documents, None, "rule of three")
    variance, freedom = share_variance(means_N)
    half_width = t_quantile(freedom) * math.sqrt(variance) / q
    factor = math.exp(min(half_width, 700.0))
    low, high, method = q / factor, q * factor, "t on log q over documents"
    joined = q * pairs
    if joined < _FEW_PAIRS:
        few_low = special.gammaincinv(joined, ALPHA / 2) / pairs
        few_high = special.gammaincinv(joined + 1, 1 - ALPHA / 2) / pairs
        if few_low < low or few_high > high:
            low, high = min(low, few_low), max(high, few_high)
            method = "t on log q over documents, Poisson limits of the pairs joined"
    return _estimate(q, (low, min(1.0, high)), documents, math.sqrt(variance) / q, method)


def share_variance(means_N: np.ndarray) -> tuple[float, float]:
    """Jackknife variance over documents of the mean join over pairs, and its degrees of freedom.

    Two documents have one pair: its variance is that of a coin of the same chance.
    """
    documents = len(means_N)
    q = float(means_N.mean())
    if documents < 3:
        return q * (1 - q), 1.0
    squares_N = (means_N - q) ** 2
    mean = float(squares_N.mean())
    variance = 4 * (documents - 1) * mean / (documents - 2) ** 2
    doubt = float(squares_N.var(ddof=1)) / documents
    freedom = 2 * mean**2 / doubt if doubt > 0 else math.inf
    return variance, float(np.clip(freedom, 1.0, documents - 1))


def _estimate(
    q: float,
    bounds: tuple[float, float],
    documents: int,
    log_error: float | None,
    method: str,
) -> PairEstimate:
    low, high = bounds
    ends = hill(high, documents), hill(low, documents)
    return PairEstimate(hill(q, documents), *ends, q, log_error, method)


def curve(
    distances: PairDistances, middles: Sequence[float] = CURVE, width: float = CURVE_WIDTH
) -> list[tuple[float, PairEstimate]]:
    """(middle of the join, estimate), finest first: the whole profile over granularities."""
    return [
        (middle, effective_clusters_at(distances, Join(middle, width).at(MIDDLES_B)))
        for middle in middles
    ]
