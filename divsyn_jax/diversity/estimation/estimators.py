"""From partitions of draws to numbers with intervals.

Shapes: D draws, K documents a draw.
"""

import dataclasses
import math

import numpy as np

from divsyn_jax.diversity.estimation.intervals import (
    Estimate,
    Mean,
    add_variance,
    bounded_mean,
    mean_of,
    ratio_values,
)

DROPPED = -1  # the label of a document that its draw no longer counts


@dataclasses.dataclass(frozen=True)
class DrawStatistics:
    """What the estimators need of each draw that has a document left.

    Attributes:
      clusters_D: C, the number of clusters.
      documents_D: documents left in the draw: K, less the dropped ones.
      entropy_D: entropy of the cluster shares, in nats.
      same_pairs_D: pairs of documents in one cluster.
      sample_size: K.
      kept: which of the draws asked for these are; the others have no document left.
      set_D: criteria set of each draw, from 0; None for an agent without criteria.
    """

    clusters_D: np.ndarray
    documents_D: np.ndarray
    entropy_D: np.ndarray
    same_pairs_D: np.ndarray
    sample_size: int
    kept: np.ndarray
    set_D: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.clusters_D)

    @property
    def empty(self) -> int:
        """Draws left out because all their documents were dropped."""
        return len(self.kept) - len(self)

    @property
    def scores_D(self) -> np.ndarray:
        """C / S of each draw, S its mean cluster size:

        C^2 / K when no document is dropped (arXiv 2410.15226).
        """
        mean_cluster_size_D = self.documents_D / self.clusters_D
        scores_D = self.clusters_D / mean_cluster_size_D
        low, high = score_range(self.sample_size)
        assert np.all((scores_D >= low * (1 - 1e-12)) & (scores_D <= high * (1 + 1e-12))), (
            "a score left [1/K, K]"
        )
        return scores_D

    @property
    def pair_share_D(self) -> np.ndarray:
        """Share of the pairs of a draw that fall in one cluster.

        Where dropped documents leave draws with different numbers of pairs, the values whose mean
        is the share of all pairs (see `ratio_values`). Raises `ValueError` when no draw has two
        documents left."""
        return ratio_values(self.same_pairs_D, self.documents_D * (self.documents_D - 1) / 2)


def draw_statistics(labels_DK: np.ndarray, set_D: np.ndarray | None = None) -> DrawStatistics:
    """Count clusters, entropy and same-cluster pairs of each draw.

    Args: labels_DK: [D, K] documents with one label share a cluster; `DROPPED` is no label but a
      document left out. set_D: [D] criteria set of each draw, numbered from 0; None for an agent
      without criteria.
    """
    kept = (labels_DK != DROPPED).any(axis=1)
    labels_DK = labels_DK[kept]
    here_DK = labels_DK != DROPPED
    documents_D = here_DK.sum(axis=1).astype(np.float64)
    cluster_size_DK = np.zeros(labels_DK.shape)  # of the cluster each document is in
    for position in range(labels_DK.shape[1]):
        cluster_size_DK += labels_DK == labels_DK[:, position, None]
    share_DK = np.where(here_DK, cluster_size_DK / documents_D[:, None], 1.0)
    return DrawStatistics(
        clusters_D=np.rint(np.where(here_DK, 1 / cluster_size_DK, 0).sum(axis=1)),
        documents_D=documents_D,
        entropy_D=-np.log(share_DK).sum(axis=1) / documents_D,
        same_pairs_D=np.where(here_DK, cluster_size_DK - 1, 0).sum(axis=1) / 2,
        sample_size=labels_DK.shape[1],
        kept=kept,
        set_D=None if set_D is None else np.asarray(set_D)[kept],
    )


def score_range(sample_size: int) -> tuple[float, float]:
    """The ends of the score of a draw: 1/K when all documents share a cluster, K when none do."""
    return 1 / sample_size, float(sample_size)


def cluster_score(draws: DrawStatistics) -> Estimate:
    """The published score:

    the mean of C / S over draws (over the means of criteria sets, where there are some).
    """
    return bounded_mean(draws.scores_D, *score_range(draws.sample_size), draws.set_D)


def clusters_per_document(draws: DrawStatistics) -> Estimate:
    """Mean of C over the documents of a draw (C / K), in [1/K, 1]."""
    return bounded_mean(
        draws.clusters_D / draws.documents_D, 1 / draws.sample_size, 1.0, draws.set_D
    )


def exp_entropy(draws: DrawStatistics) -> Estimate:
    """Mean of the exponential of the entropy of a draw's cluster shares (Hill number of order 1),
    in [1, K].
    """
    return bounded_mean(np.exp(draws.entropy_D), 1.0, float(draws.sample_size), draws.set_D)


def effective_clusters(draws: DrawStatistics, documents: int) -> Estimate:
    """Hill number of order 2 of a population of `documents`, from the pairs within draws without
    replacement.

    With q the share of pairs in one cluster, N / (1 + (N-1) q) is exactly 1 / sum(p^2) over the
    cluster shares p of the N documents, whatever K is; at q = 0 it is N. The interval is symmetric
    on log q, by the delta method from the per-draw shares, or the means of criteria sets. With no
    pair in one cluster, q is bounded by the rule of three, 3 / pairs seen; with none apart, 1 - q
    by 3 / draws, since one document apart takes many pairs of a draw with it. `criteria` of the
    result speaks of q."""
    mean = mean_of(draws.pair_share_D, draws.set_D)
    pairs = float((draws.documents_D * (draws.documents_D - 1) / 2).sum())
    return clusters_of_pair_share(mean, len(draws), pairs, documents)


def clusters_of_pair_share(mean: Mean, draws: int, pairs: float, documents: int) -> Estimate:
    """Effective clusters from the mean share of same-cluster pairs and its error (see
    `effective_clusters`).

    Args:
      mean: of the pair share, in [0, 1].
      draws, pairs: how many it was seen on, for the rule of three at 1 and at 0.
      documents: N.
    """
    q = mean.value
    if q == 0:
        q_low, q_high, method = 0.0, min(1.0, 3 / pairs), "rule of three"
    elif q == 1:
        q_low, q_high, method = max(0.0, 1 - 3 / draws), 1.0, "rule of three"
    else:
        factor = math.exp(mean.half_width / q)
        q_low, q_high, method = q / factor, min(1.0, q * factor), f"delta on log q, {mean.method}"
    ends = hill(q_high, documents), hill(q_low, documents)
    return Estimate(hill(q, documents), *ends, method, criteria=mean.criteria)


@dataclasses.dataclass(frozen=True)
class DocumentVariance:
    """What the choice of documents adds to the variance of a mean over draws.

    Attributes:
      value: the variance.
      error: its standard error, from which an interval takes its degrees of freedom.
    """

    value: float
    error: float


def document_spread(
    values_D: np.ndarray, draws_DK: np.ndarray, documents: int, set_D: np.ndarray | None = None
) -> DocumentVariance:
    """Variance that the choice of documents adds to the mean of `values_D`, beyond the choice of
    draws.

    The mean over draws is an incomplete U-statistic of order K of the documents (Hoeffding 1948),
    zeta being the variance over documents of the expected value of a draw that holds that document.
    zeta is the mean product of the deviations of two draws that share a document: the noise of
    draws is in no product of different draws, so nothing need be subtracted for it, and a document
    counts by the pairs of draws that hold it. Two draws that share a document share
    (K-1)^2 / (N-1) others on average where any two share K^2 / N, which makes the jackknife of the
    complete U-statistic K^2 zeta (N-1) / (N-K)^2 (exact where the value is a mean over documents).
    It is 0 where the products are negative on average, and where N <= K: every draw then holds
    every document and says nothing of others.

    Args:
      values_D: one value a draw.
      draws_DK: indices of the documents in each draw.
      documents: N.
      set_D: criteria set of each draw; what sets do to all their draws is no document's doing and
        is taken out.
    """
    sample_size = draws_DK.shape[1]
    if documents <= sample_size:
        return DocumentVariance(0.0, 0.0)
    values_D = np.asarray(values_D, dtype=np.float64)
    if set_D is None:
        residual_D = values_D - values_D.mean()
    else:
        means_R = np.bincount(set_D, weights=values_D) / np.bincount(set_D)
        residual_D = values_D - means_R[set_D]
    held_N, sum_N, squares_N = (
        np.bincount(draws_DK.ravel(), weights=np.repeat(part_D, sample_size), minlength=documents)
        for part_D in (np.ones(len(values_D)), residual_D, residual_D**2)
    )
    pairs_N = held_N * (held_N - 1)
    pairs = float(pairs_N.sum())
    if pairs == 0:
        return DocumentVariance(0.0, 0.0)
    products_N = sum_N**2 - squares_N
    # Deviations from a mean that the draws themselves made: each product misses that mean's
    # variance.
    zeta = float(products_N.sum()) / pairs + float(residual_D.var()) / len(values_D)
    error = math.sqrt(float(((products_N - zeta * pairs_N) ** 2).sum())) / pairs
    scale = sample_size**2 * (documents - 1) / (documents - sample_size) ** 2
    return DocumentVariance(scale * max(0.0, zeta), scale * error)


def document_variance(
    values_D: np.ndarray, draws_DK: np.ndarray, documents: int, set_D: np.ndarray | None = None
) -> float:
    """The value of `document_spread` alone."""
    return document_spread(values_D, draws_DK, documents, set_D).value


def generator_interval_of_mean(
    values_D: np.ndarray,
    draws: DrawStatistics,
    ends: tuple[float, float],
    variance: float,
    variance_error: float = 0.0,
) -> tuple[float, float]:
    """95% interval of the mean of one value a draw for the process that wrote the documents:
    documents vary too.

    Args:
      values_D: of the draws.
      draws: their statistics.
      ends: between which the mean lies.
      variance, variance_error: `document_spread` of the values.
    """
    mean = add_variance(mean_of(values_D, draws.set_D), variance, variance_error)
    low, high = ends
    return max(low, mean.value - mean.half_width), min(high, mean.value + mean.half_width)


def generator_interval_of_score(
    draws: DrawStatistics, variance: float, variance_error: float = 0.0
) -> tuple[float, float]:
    """95% interval of the published score for the process that wrote the documents: documents vary
    too.

    Args:
      draws: their statistics.
      variance, variance_error: `document_spread` of their scores.
    """
    ends = score_range(draws.sample_size)
    return generator_interval_of_mean(draws.scores_D, draws, ends, variance, variance_error)


def generator_interval_of_clusters(
    draws: DrawStatistics, variance: float, documents: int, variance_error: float = 0.0
) -> tuple[float, float] | None:
    """The same for effective clusters of N `documents` of that process, `variance` being that of
    the pair shares.

    By the delta method on log q; None at q = 0 or 1, where it gives no width.
    """
    mean = add_variance(mean_of(draws.pair_share_D, draws.set_D), variance, variance_error)
    if mean.value in (0.0, 1.0):
        return None
    factor = math.exp(mean.half_width / mean.value)
    return hill(min(1.0, mean.value * factor), documents), hill(mean.value / factor, documents)


def hill(q: float, documents: int) -> float:
    """Hill number of order 2 of N `documents`, a share q of whose pairs fall in one cluster."""
    return documents / (1 + (documents - 1) * q)
