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
from divsyn_jax.diversity.estimation.intervals import ERROR_RATE, t_quantile

BIN = 0.005  # of cosine distance
BINS = 400  # over [0, 2]
MIDDLES_B = (np.arange(BINS) + 0.5) * BIN
_ROWS_AT_ONCE = 1024
_FEW_APART = 5.0  # documents apart under which their own count adds doubt that the rest do not show
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
      share: q, the mean join over pairs; None for a mean over granularities.
      log_error: standard error of the logarithm of the value; None where no pair, or every pair, is
        joined.
      method: how the interval was made.
    """

    value: float
    ci_low: float
    ci_high: float
    share: float | None
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


# A copy differs from its original by a word in ten (distances under 0.1 with MiniLM), two wordings
# of one content lie under 0.3, two texts on one topic under 0.5. The joins are so narrow that their
# tails do not reach the distances of unrelated documents (0.7 to 1): a wider one joins a share of
# those, which caps the count whatever the corpus holds (350 prompts read 28% low at a width of 0.05
# and 8% at 0.02).
WIDTH = 0.02


def join_at(middle: float) -> Join:
    """The soft join around a distance; narrower near 0, so that a copy at distance 0 is joined."""
    return Join(middle, min(WIDTH, middle / 5))


GRANULARITIES: Mapping[str, Join] = {
    "copies": join_at(0.1),
    "wordings": join_at(0.3),
    "topics": join_at(0.5),
}
CURVE = tuple(round(0.05 * step, 2) for step in range(1, 17))  # middles, 0.05 to 0.80
# A granularity is a scale, so its average runs over equal ratios: half octaves from copies to what
# random documents of one language share. Their joins are as wide in proportion at every scale; an
# order bears the tails that a count does not.
OCTAVES = tuple(0.05 * 2 ** (step / 2) for step in range(9))  # 0.05 to 0.80
OCTAVE_WIDTH = 0.1  # of the middle
# How far "one topic" may be read, from long answers to one prompt (0.4) to short texts on one
# subject (0.7), whose pairs lie at 0.57 on average.
TOPIC_BAND = (0.4, 0.7)


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
    their number hold where they are wider, and where few documents stand apart from all others the
    limit of theirs; with none joined q is bounded by 3 / pairs, and with all joined 1 - q by 6 / N,
    since one document apart takes 2 / N of the pairs with it.

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
        few_low = special.gammaincinv(joined, ERROR_RATE / 2) / pairs
        few_high = special.gammaincinv(joined + 1, 1 - ERROR_RATE / 2) / pairs
        if few_low < low or few_high > high:
            low, high = min(low, few_low), max(high, few_high)
            method = "t on log q over documents, Poisson limits of the pairs joined"
    error, apart = math.sqrt(variance) / q, documents * (1 - q) / 2
    if apart < _FEW_APART:
        # One document apart takes 2 / N of the pairs with it: so many may be apart in another
        # sample, whatever these documents show.
        few_low = max(
            0.0, 1 - 2 * float(special.gammaincinv(apart + 1, 1 - ERROR_RATE / 2)) / documents
        )
        if few_low < low:
            low, method = few_low, "t on log q over documents, Poisson limit of documents apart"
            error = max(error, (q - few_low) / q / t_quantile(math.inf))
    return _estimate(q, (low, min(1.0, high)), documents, error, method)


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
    share_error: float | None,
    method: str,
) -> PairEstimate:
    low, high = bounds
    ends = hill(high, documents), hill(low, documents)
    value = hill(q, documents)
    # d log(value) / d log(q) = -(N-1) q / (1 + (N-1) q)
    error = None if share_error is None else share_error * (1 - value / documents)
    return PairEstimate(value, *ends, q, error, method)


def curve(
    distances: PairDistances, middles: Sequence[float] = CURVE
) -> list[tuple[float, PairEstimate]]:
    """(middle of the join, estimate), finest first: the whole profile over granularities."""
    return [
        (middle, effective_clusters_at(distances, join_at(middle).at(MIDDLES_B)))
        for middle in middles
    ]


def octave_estimates(distances: PairDistances) -> list[PairEstimate]:
    """The estimates at `OCTAVES`, finest first."""
    return [
        effective_clusters_at(distances, Join(middle, OCTAVE_WIDTH * middle).at(MIDDLES_B))
        for middle in OCTAVES
    ]


def profile_mean(distances: PairDistances) -> PairEstimate:
    """Effective kinds over all granularities: the geometric mean of the estimates at `OCTAVES`.

    One number that falls with copies, with rewordings and with fewer topics alike, which no single
    granularity does.
    """
    return mean_over_granularities(octave_estimates(distances))


def mean_over_granularities(found: Sequence[PairEstimate]) -> PairEstimate:
    """The geometric mean of estimates of one corpus.

    The ends of its interval are the geometric means of theirs: granularities see the same
    documents, so their errors move together, and where they do not this is wider.
    """
    value, low, high = (
        math.exp(math.fsum(map(math.log, ends)) / len(found))
        for ends in zip(*((each.value, each.ci_low, each.ci_high) for each in found), strict=True)
    )
    errors = [each.log_error for each in found if each.log_error is not None]
    error = math.fsum(errors) / len(found) if errors else None
    return PairEstimate(value, low, high, None, error, "geometric mean over granularities")


def at_documents(estimate: PairEstimate, documents: int, other: int) -> PairEstimate:
    """The estimate of one granularity, made on N `documents`, as it is for `other` documents of the
    same process: the share of pairs joined does not depend on their number, effective clusters do.
    """

    def moved(value: float) -> float:
        return hill((documents / value - 1) / (documents - 1), other)

    value = moved(estimate.value)
    apart = 1 - estimate.value / documents
    error = (
        None
        if estimate.log_error is None or apart <= 0
        else estimate.log_error * (1 - value / other) / apart
    )
    ends = moved(estimate.ci_low), moved(estimate.ci_high)
    return PairEstimate(value, *ends, estimate.share, error, estimate.method)


@dataclasses.dataclass(frozen=True)
class GranularityRange:
    """Between how many kinds there are, depending on how fine a kind is.

    Attributes:
      low, high: effective clusters at the coarse and at the fine end, with their intervals.
      coarse, fine: the middles of the joins there.
    """

    low: float
    high: float
    coarse: float
    fine: float


def topic_range(
    distances: PairDistances, band: tuple[float, float] = TOPIC_BAND
) -> GranularityRange:
    """The range of effective clusters over a band of granularities, intervals included."""
    fine, coarse = min(band), max(band)
    middles = np.linspace(fine, coarse, 7)
    found = [estimate for _, estimate in curve(distances, middles.tolist())]
    low, high = min(each.ci_low for each in found), max(each.ci_high for each in found)
    return GranularityRange(low, high, coarse, fine)


@dataclasses.dataclass(frozen=True)
class Ratio:
    """Second value over the first, with its 95% interval and two-sided p-value (None where neither
    error is known).
    """

    value: float
    ci_low: float
    ci_high: float
    p_value: float | None


def pair_ratio(first: PairEstimate, second: PairEstimate) -> Ratio:
    """How two corpora, sampled independently, differ: a normal test on the logarithm."""
    value = second.value / first.value
    if first.log_error is None or second.log_error is None:
        low, high = second.ci_low / first.ci_high, second.ci_high / first.ci_low
        return Ratio(value, low, high, None)
    error = math.hypot(first.log_error, second.log_error)
    if error == 0:
        return Ratio(value, value, value, None)
    factor = math.exp(t_quantile(math.inf) * error)
    p_value = 2 * float(special.ndtr(-abs(math.log(value)) / error))
    return Ratio(value, value / factor, value * factor, p_value)
