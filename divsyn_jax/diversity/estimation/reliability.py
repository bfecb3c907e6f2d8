"""Does the agent answer the same draw the same way, and does it look at the documents rather than
at their places?

Shapes: D draws, P times each was asked, K documents a draw.
"""

import dataclasses
import itertools
import math
from typing import Required, TypedDict

import numpy as np

from divsyn_jax.diversity.estimation.intervals import Estimate, EstimateRecord, bounded_mean

POSITION_BIAS_Z = 3.0  # beyond it, a warning: chance alone gets there once in 370 corpora


class PositionBiasRecord(TypedDict, total=False):
    """See `PositionBias`; `z` None and a `reason` for an agent that sees no order."""

    z: Required[float | None]
    observed: float
    expected: float
    warning: bool
    reason: str


class RetestRecord(TypedDict, total=False):
    """See `Repeatability`; only `draws` and a `reason` where nothing came of it."""

    draws: Required[int]
    times: int
    correlation: float | None
    clusters_sd: float
    adjusted_rand: EstimateRecord
    change_of_answer: float
    reason: str


@dataclasses.dataclass(frozen=True)
class PositionBias:
    """Whether documents shown next to each other are put together more (z > 0) or less often than
    chance allows.

    Attributes: z: standardised excess of neighbouring pairs in one cluster; None when no
      arrangement could differ. observed, expected: share of neighbouring pairs in one cluster, and
      its expectation under random order. warning: whether |z| > `POSITION_BIAS_Z`.
    """

    z: float | None
    observed: float
    expected: float
    warning: bool

    def to_json(self) -> PositionBiasRecord:
        """The fields, for a result file."""
        return {
            "z": self.z,
            "observed": self.observed,
            "expected": self.expected,
            "warning": self.warning,
        }


def position_bias(labels_DK: np.ndarray) -> PositionBias:
    """Test the neighbours of each draw against all orders of its documents.

    With the cluster sizes n of a draw given and all K! orders equally likely, the number A of
    neighbouring pairs in one cluster has E[A] = (K-1) p and, summing the covariances of its K-1
    indicators (those of two pairs that share a document, and of those that do not),

      Var[A] = (K-1) p (1-p) + 2 (K-2) (p3 - p^2) + (K-2)(K-3) (p22 - p^2),

    where p, p3 and p22 are the chances that two given documents share a cluster, that three do, and
    that two disjoint
    pairs do: sum n(n-1) / K(K-1), sum n(n-1)(n-2) / K(K-1)(K-2), and ((sum n(n-1))^2 - sum
    n(n-1)(4n-6)) / K(K-1)(K-2)(K-3). z sums A - E[A] and Var[A] over draws.

    Args: labels_DK: [D, K] the agent's partition in the order in which the documents were shown,
      before any policy for invalid clusters.
    """
    size = labels_DK.shape[1]
    n_DK = (labels_DK[:, :, None] == labels_DK[:, None, :]).sum(axis=2).astype(np.float64)
    # A sum over clusters of n f(n) is one over documents of f(n).
    twos_D = (n_DK - 1).sum(axis=1)
    threes_D = ((n_DK - 1) * (n_DK - 2)).sum(axis=1)
    pairs_of_pairs_D = twos_D**2 - ((n_DK - 1) * (4 * n_DK - 6)).sum(axis=1)
    p_D = twos_D / (size * (size - 1))
    variance_D = (size - 1) * p_D * (1 - p_D)
    if size > 2:
        variance_D += 2 * (size - 2) * (threes_D / (size * (size - 1) * (size - 2)) - p_D**2)
    if size > 3:
        chance_D = pairs_of_pairs_D / (size * (size - 1) * (size - 2) * (size - 3))
        variance_D += (size - 2) * (size - 3) * (chance_D - p_D**2)
    observed = float((labels_DK[:, 1:] == labels_DK[:, :-1]).sum())
    expected, variance = float((size - 1) * p_D.sum()), float(variance_D.sum())
    # A draw of singletons, or of one cluster, has one arrangement; rounding may leave it a trace of
    # variance.
    z = (observed - expected) / math.sqrt(variance) if variance > 1e-9 * len(labels_DK) else None
    pairs = len(labels_DK) * (size - 1)
    return PositionBias(
        z, observed / pairs, expected / pairs, z is not None and abs(z) > POSITION_BIAS_Z
    )


@dataclasses.dataclass(frozen=True)
class Repeatability:
    """How far answers about one draw, asked several times in fresh orders, agree.

    Attributes: draws, times: draws asked again, and times each was asked. correlation: ICC(1,1) of
      the number of clusters: the share of its variance that lies between draws (Shrout and Fleiss
      1979, one-way random effects); None when it never varies. clusters_sd: standard deviation of
      the number of clusters over orders of one draw. adjusted_rand: mean over draws of the adjusted
      Rand index, over all pairs of answers. change_of_answer: share of the pairs of answers whose
      partitions differ.
    """

    draws: int
    times: int
    correlation: float | None
    clusters_sd: float
    adjusted_rand: Estimate
    change_of_answer: float

    def to_json(self) -> RetestRecord:
        """The fields, for a result file."""
        return {
            "draws": self.draws,
            "times": self.times,
            "correlation": self.correlation,
            "clusters_sd": self.clusters_sd,
            "adjusted_rand": self.adjusted_rand.to_json(),
            "change_of_answer": self.change_of_answer,
        }


def repeatability(labels_PDK: np.ndarray) -> Repeatability:
    """Agreement of answers: test-retest with P = 2, order sensitivity with P = 5.

    Args: labels_PDK: [P, D, K] partitions of the same D draws, their documents in one order for all
      P (see `aligned`).

    Raises:
      ValueError: fewer than two answers, or two draws.
    """
    times, draws = labels_PDK.shape[:2]
    if times < 2 or draws < 2:
        raise ValueError(f"{times} answers about {draws} draws; two of each are needed")
    clusters_PD = np.stack([number_of_clusters(labels_DK) for labels_DK in labels_PDK])
    within = float(clusters_PD.var(axis=0, ddof=1).mean())
    between = times * float(clusters_PD.mean(axis=0).var(ddof=1))
    total = between + (times - 1) * within
    indices_D = np.mean(
        [adjusted_rand(*pair) for pair in itertools.combinations(labels_PDK, 2)], axis=0
    )
    differs = [_differ(*pair) for pair in itertools.combinations(labels_PDK, 2)]
    return Repeatability(
        draws=draws,
        times=times,
        correlation=(between - within) / total if total > 0 else None,
        clusters_sd=math.sqrt(within),
        adjusted_rand=bounded_mean(indices_D, -1.0, 1.0),
        change_of_answer=float(np.mean(differs)),
    )


def number_of_clusters(labels_DK: np.ndarray) -> np.ndarray:
    """[D] clusters in each draw."""
    ordered_DK = np.sort(labels_DK, axis=1)
    return 1 + (np.diff(ordered_DK, axis=1) != 0).sum(axis=1)


def shuffled(rng: np.random.Generator, draws_DK: np.ndarray) -> np.ndarray:
    """The same draws, the documents of each in a fresh order."""
    return rng.permuted(draws_DK, axis=1)


def aligned(labels_DK: np.ndarray, draws_DK: np.ndarray) -> np.ndarray:
    """Labels put in increasing order of their documents, so that answers about one draw can be
    compared.

    Args:
      labels_DK: [D, K] partition in the order shown.
      draws_DK: [D, K] documents in that order.
    """
    return np.take_along_axis(labels_DK, np.argsort(draws_DK, axis=1), axis=1)


def adjusted_rand(first_DK: np.ndarray, second_DK: np.ndarray) -> np.ndarray:
    """[D] adjusted Rand index of two partitions of each draw (Hubert and Arabie 1985).

    1 for equal partitions, 0 on average for unrelated ones; two partitions that are both all
    singletons, or both one cluster, agree fully (1), as in scikit-learn."""
    upper = np.triu_indices(first_DK.shape[1], k=1)
    first_DP = first_DK[:, upper[0]] == first_DK[:, upper[1]]
    second_DP = second_DK[:, upper[0]] == second_DK[:, upper[1]]
    both_D = (first_DP & second_DP).sum(axis=1)
    ones_D, twos_D = first_DP.sum(axis=1), second_DP.sum(axis=1)
    chance_D = ones_D * twos_D / len(upper[0])
    room_D = (ones_D + twos_D) / 2 - chance_D
    return np.where(room_D == 0, 1.0, (both_D - chance_D) / np.where(room_D == 0, 1.0, room_D))


def _differ(first_DK: np.ndarray, second_DK: np.ndarray) -> np.ndarray:
    first_DKK = first_DK[:, :, None] == first_DK[:, None, :]
    return (first_DKK != (second_DK[:, :, None] == second_DK[:, None, :])).any(axis=(1, 2))
