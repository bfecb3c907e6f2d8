"""From partitions of draws to numbers with intervals, the exact expectations of those numbers, and comparisons.

Shapes: D draws, K documents a draw, T clusters of a corpus.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

CONFIDENCE = 0.95
_ALPHA = 1 - CONFIDENCE


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over draws, or a function of one, with its 95% interval.

    Attributes:
      value: the estimate.
      ci_low, ci_high: the interval, clipped to the range the quantity can take.
      method: how the interval was made.
    """

    value: float
    ci_low: float
    ci_high: float
    method: str

    def as_json(self) -> dict[str, Any]:
        """The fields, for score.json."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class DrawStatistics:
    """What the estimators need of each draw.

    Attributes:
      clusters_D: C, the number of clusters.
      entropy_D: entropy of the cluster shares, in nats.
      pair_share_D: share of the K(K-1)/2 pairs of documents that fall in one cluster.
      sample_size: K.
    """

    clusters_D: np.ndarray
    entropy_D: np.ndarray
    pair_share_D: np.ndarray
    sample_size: int

    @property
    def scores_D(self) -> np.ndarray:
        """C / S of each draw, S its mean cluster size: C^2 / K (Chen et al. 2024, arXiv 2410.15226)."""
        mean_cluster_size_D = self.sample_size / self.clusters_D
        scores_D = self.clusters_D / mean_cluster_size_D
        low, high = score_range(self.sample_size)
        assert np.all((scores_D >= low * (1 - 1e-12)) & (scores_D <= high * (1 + 1e-12))), "a score left [1/K, K]"
        return scores_D


def draw_statistics(labels_DK: np.ndarray) -> DrawStatistics:
    """Count clusters, entropy and same-cluster pairs of each draw from its labels [D, K]."""
    size = labels_DK.shape[1]
    cluster_size_DK = np.zeros(labels_DK.shape)  # of the cluster each document is in
    for position in range(size):
        cluster_size_DK += labels_DK == labels_DK[:, position, None]
    return DrawStatistics(
        clusters_D=np.rint((1 / cluster_size_DK).sum(axis=1)),
        entropy_D=-np.log(cluster_size_DK / size).mean(axis=1),
        pair_share_D=(cluster_size_DK - 1).sum(axis=1) / (size * (size - 1)),
        sample_size=size,
    )


def score_range(sample_size: int) -> tuple[float, float]:
    """The ends of the score of a draw: 1/K when all documents share a cluster, K when none do."""
    return 1 / sample_size, float(sample_size)


def cluster_score(draws: DrawStatistics) -> Estimate:
    """The published score: the mean of C / S over draws."""
    return mean_interval(draws.scores_D, *score_range(draws.sample_size))


def clusters_per_document(draws: DrawStatistics) -> Estimate:
    """Mean of C / K, in [1/K, 1]."""
    return mean_interval(draws.clusters_D / draws.sample_size, 1 / draws.sample_size, 1.0)


def exp_entropy(draws: DrawStatistics) -> Estimate:
    """Mean of the exponential of the entropy of a draw's cluster shares (Hill number of order 1), in [1, K]."""
    return mean_interval(np.exp(draws.entropy_D), 1.0, float(draws.sample_size))


def mean_interval(values_D: np.ndarray, low: float, high: float) -> Estimate:
    """Mean of bounded values of independent draws, with an interval clipped to [low, high].

    Student's t by default. Where it fails, because the rare draw has hardly been seen (sample standard deviation under
    0.5% of the range, or one value in over 95% of the draws), the empirical Bernstein bound of Maurer and Pontil 2009
    (arXiv 0907.3740), with ln(4/alpha) for two sides: sqrt(2 V l / D) + 7 R l / (3 (D - 1)).
    """
    count, mean, sd = len(values_D), float(np.mean(values_D)), float(np.std(values_D, ddof=1))
    _, repeats = np.unique(values_D, return_counts=True)
    if sd < 0.005 * (high - low) or repeats.max() > 0.95 * count:
        method, log_term = "empirical Bernstein", math.log(4 / _ALPHA)
        half_width = sd * math.sqrt(2 * log_term / count) + 7 * (high - low) * log_term / (3 * (count - 1))
    else:
        method, half_width = "t", float(special.stdtrit(count - 1, 1 - _ALPHA / 2)) * sd / math.sqrt(count)
    return Estimate(mean, max(low, mean - half_width), min(high, mean + half_width), method)


def effective_clusters(draws: DrawStatistics, documents: int) -> Estimate:
    """Hill number of order 2 of a population of `documents`, from the pairs within draws without replacement.

    With q the share of pairs in one cluster, N / (1 + (N-1) q) is exactly 1 / sum(p^2) over the cluster shares p of
    the N documents, whatever K is; at q = 0 it is N. The interval is symmetric on log q, by the delta method from the
    per-draw shares. With no pair in one cluster (or none apart), q is bounded by the rule of three, 3 / pairs seen.
    """
    shares_D = draws.pair_share_D
    pairs = len(shares_D) * draws.sample_size * (draws.sample_size - 1) / 2
    q = float(shares_D.mean())
    if q == 0:
        q_low, q_high, method = 0.0, min(1.0, 3 / pairs), "rule of three"
    elif q == 1:
        q_low, q_high, method = max(0.0, 1 - 3 / pairs), 1.0, "rule of three"
    else:
        z = float(special.ndtri(1 - _ALPHA / 2))
        factor = math.exp(z * float(shares_D.std(ddof=1)) / math.sqrt(len(shares_D)) / q)
        q_low, q_high, method = q / factor, min(1.0, q * factor), "delta on log q"
    return Estimate(_hill(q, documents), _hill(q_high, documents), _hill(q_low, documents), method)


def document_variance(values_D: np.ndarray, draws_DK: np.ndarray, documents: int) -> float:
    """Variance that the choice of documents adds to the mean of `values_D`, beyond the choice of draws.

    The mean over draws is an incomplete U-statistic of order K of the documents, whose variance over samples of N
    documents is about K^2 zeta / N, zeta being the variance over documents of the expected value of a draw that holds
    that document (Hoeffding 1948). zeta is estimated from the mean over the draws that hold each document, less the noise
    of those means; it is 0 when that is negative.

    Args:
      values_D: one value a draw.
      draws_DK: indices of the documents in each draw.
      documents: N.
    """
    sample_size = draws_DK.shape[1]
    held = np.bincount(draws_DK.ravel(), minlength=documents)
    total = np.bincount(draws_DK.ravel(), weights=np.repeat(values_D, sample_size), minlength=documents)
    means, held = total[held > 0] / held[held > 0], held[held > 0]
    noise = float(values_D.var(ddof=1)) * float(np.mean(1 / held))
    return sample_size**2 * max(0.0, float(means.var(ddof=1)) - noise) / documents


def generator_interval_of_score(draws: DrawStatistics, draws_DK: np.ndarray, documents: int) -> tuple[float, float]:
    """95% interval of the published score for the process that wrote the documents: draws and documents both vary."""
    values_D = draws.scores_D
    variance = values_D.var(ddof=1) / len(values_D) + document_variance(values_D, draws_DK, documents)
    half_width = float(special.ndtri(1 - _ALPHA / 2)) * math.sqrt(variance)
    low, high = score_range(draws.sample_size)
    return max(low, float(values_D.mean()) - half_width), min(high, float(values_D.mean()) + half_width)


def generator_interval_of_clusters(
    draws: DrawStatistics, draws_DK: np.ndarray, documents: int
) -> tuple[float, float] | None:
    """The same for effective clusters, by the delta method on log q; None at q = 0 or 1, where it gives no width."""
    shares_D = draws.pair_share_D
    q = float(shares_D.mean())
    if q in (0.0, 1.0):
        return None
    variance = shares_D.var(ddof=1) / len(shares_D) + document_variance(shares_D, draws_DK, documents)
    factor = math.exp(float(special.ndtri(1 - _ALPHA / 2)) * math.sqrt(variance) / q)
    return _hill(min(1.0, q * factor), documents), _hill(q / factor, documents)


def _hill(q: float, documents: int) -> float:
    return documents / (1 + (documents - 1) * q)


# --- Exact values for a corpus whose clusters are known ---------------------------------------------------------------


def expected_clusters(counts_T: Sequence[int], sample_size: int) -> tuple[float, float]:
    """Exact (E[C], E[C^2]) of the clusters seen in `sample_size` documents drawn without replacement.

    Args:
      counts_T: documents in each cluster.
      sample_size: K, at most their sum.

    With a(n) the probability that none of n given documents is drawn (hypergeometric), cluster t is seen with
    probability 1 - a(n_t), and clusters s and t both with 1 - a(n_s) - a(n_t) + a(n_s + n_t); the moments are sums of
    these.
    """
    # Clusters of one size are alike: work on the distinct sizes.
    sizes, number = np.unique(np.asarray(counts_T), return_counts=True)
    number = number.astype(np.float64)
    documents = int(np.sum(counts_T))
    absent = _absence(sizes, documents, sample_size)
    seen = 1 - absent
    both = 1 - absent[:, None] - absent[None, :] + _absence(sizes[:, None] + sizes[None, :], documents, sample_size)
    pairs = np.outer(number, number) - np.diag(number)  # ordered pairs of different clusters
    mean = float(number @ seen)
    return mean, mean + float((pairs * both).sum())


def _absence(sizes: np.ndarray, documents: int, sample_size: int) -> np.ndarray:
    """Probability that none of `sizes` given documents is among `sample_size` drawn from `documents`."""
    drawn = np.arange(sample_size)
    return np.prod(np.clip(documents - sizes[..., None] - drawn, 0, None) / (documents - drawn), axis=-1)


def expected_cluster_score(counts_T: Sequence[int], sample_size: int) -> float:
    """Exact expectation of the published score, E[C^2] / K, for known cluster sizes."""
    return expected_clusters(counts_T, sample_size)[1] / sample_size


def expected_pair_share(counts_T: Sequence[int]) -> float:
    """Exact q: the share of pairs of documents that are in one cluster."""
    counts_T = np.asarray(counts_T, dtype=np.float64)
    documents = counts_T.sum()
    return float((counts_T * (counts_T - 1)).sum() / (documents * (documents - 1)))


def true_effective_clusters(counts_T: Sequence[int]) -> float:
    """What `effective_clusters` estimates, for known cluster sizes: N^2 / sum(n^2)."""
    counts_T = np.asarray(counts_T, dtype=np.float64)
    return float(counts_T.sum() ** 2 / (counts_T**2).sum())


# --- Comparisons ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Difference:
    """Second mean minus first, with Welch's interval; `p_value` is None when neither side varies."""

    value: float
    ci_low: float
    ci_high: float
    p_value: float | None


def welch(first: tuple[float, float, int], second: tuple[float, float, int]) -> Difference:
    """Welch's t test of two independent means, each given as (mean, standard deviation, draws)."""
    (mean_1, sd_1, count_1), (mean_2, sd_2, count_2) = first, second
    part_1, part_2 = sd_1**2 / count_1, sd_2**2 / count_2
    difference, variance = mean_2 - mean_1, part_1 + part_2
    if variance == 0:
        return Difference(difference, difference, difference, None)
    freedom = variance**2 / (part_1**2 / (count_1 - 1) + part_2**2 / (count_2 - 1))
    error = math.sqrt(variance)
    half_width = float(special.stdtrit(freedom, 1 - _ALPHA / 2)) * error
    p_value = 2 * float(special.stdtr(freedom, -abs(difference) / error))
    return Difference(difference, difference - half_width, difference + half_width, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Holm 1979) of p-values tested together, in the order given."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted
