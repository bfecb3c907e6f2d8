"""Effective clusters of a corpus from pairs of its documents that someone judged.

Distances say where to ask and how to weigh an answer back (Horvitz and Thompson 1952); the answers
make the number, so a bad embedding widens the interval and does not move the estimate far
(prediction-powered inference in the sense of Angelopoulos et al. 2023, arXiv 2301.09633, with
strata for the prediction). Strata borrow from each other as far as their answers agree with one
curve (`chances`).

Shapes: N documents, H strata, B bins of distance, P judged pairs.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from divsyn_jax.diversity.estimation.all_pairs import (
    BINS,
    PairDistances,
    pair_distances,
    share_variance,
)
from divsyn_jax.diversity.estimation.estimators import hill
from divsyn_jax.diversity.estimation.intervals import t_quantile
from divsyn_jax.diversity.pairs.chances import StratumChances, fit_chances
from divsyn_jax.diversity.pairs.design import (
    Strata,
    allocate,
    bins_of_pairs,
    draw_pairs,
    make_strata,
)

PAIRS = 400  # judged, where nothing else is said
WANTED_ERROR = 0.1  # of log q: a 95% interval of a fifth either way
PILOT = 0.5  # of the budget, asked in equal numbers of every stratum

Judge = Callable[[Sequence[tuple[int, int]]], Sequence[bool | None]]


@dataclasses.dataclass(frozen=True)
class JudgedPairs:
    """Answers about pairs of one sample.

    Attributes:
      pairs: (first, second) positions in the sample.
      same_P: [P] whether a pair is of one kind; NaN where there was no answer.
    """

    pairs: tuple[tuple[int, int], ...]
    same_P: np.ndarray


@dataclasses.dataclass(frozen=True)
class StratumAnswers:
    """One stratum: the nearest distance in it, its pairs, and how many of those asked were of one
    kind.
    """

    distance: float
    pairs: int
    asked: int
    same: int


@dataclasses.dataclass(frozen=True)
class JudgedEstimate:
    """Effective clusters from judged pairs.

    Attributes:
      value, ci_low, ci_high: with the 95% interval over documents and the choice of pairs.
      share: q, the share of all pairs that are of one kind.
      log_error: standard error of log q.
      pairs_log_error, documents_log_error: its two parts: more answers remove the first only.
      judged, unanswered: pairs with and without an answer.
      strata: what was asked and answered where.
      method: how the interval was made.
    """

    value: float
    ci_low: float
    ci_high: float
    share: float
    log_error: float
    pairs_log_error: float
    documents_log_error: float
    judged: int
    unanswered: int
    strata: tuple[StratumAnswers, ...]
    method: str = "normal on log q over documents and judged pairs"


def sheet_pairs(
    vectors_NE: np.ndarray, budget: int = PAIRS, seed: int = 0
) -> list[tuple[int, int]]:
    """Pairs to ask people about in one round: equally many of every stratum of distance.

    A second round, where one is wanted, is `judge_in_two_phases` with the people as its judge.
    """
    distances = pair_distances(vectors_NE)
    strata = make_strata(distances)
    rng = np.random.default_rng([seed, distances.documents])
    return draw_pairs(vectors_NE, distances, strata, allocate(budget, strata), rng)


def estimate_from_sheet(vectors_NE: np.ndarray, judged: JudgedPairs) -> JudgedEstimate:
    """The estimate from the answers about `sheet_pairs` of the same sample.

    Raises:
      ValueError: no pair has an answer.
    """
    distances = pair_distances(vectors_NE)
    return estimate(vectors_NE, distances, make_strata(distances), judged)


def judge_in_two_phases(
    vectors_NE: np.ndarray,
    judge: Judge,
    budget: int = PAIRS,
    seed: int = 0,
    distances: PairDistances | None = None,
) -> tuple[JudgedEstimate, JudgedPairs]:
    """Ask about `budget` pairs: half in equal numbers of every stratum, half where they help most.

    Args:
      vectors_NE: [N, E] unit vectors of the sample.
      judge: pairs -> for each whether it is of one kind, or None where there is no answer.
      budget: pairs to ask about.
      seed: of their choice.
      distances: of the vectors, where they are known already.

    Raises:
      ValueError: no pair got an answer.
    """
    distances = pair_distances(vectors_NE) if distances is None else distances
    strata = make_strata(distances)
    rng = np.random.default_rng([seed, distances.documents])
    pilot_H = allocate(int(budget * PILOT), strata)
    pairs = draw_pairs(vectors_NE, distances, strata, pilot_H, rng)
    answers = list(judge(pairs))
    bins_P = bins_of_pairs(vectors_NE, pairs)
    chance_H = _chances(strata, bins_P, _floats(answers)).chance_H
    room_H = np.asarray(strata.pairs_H) - pilot_H
    rest = Strata(strata.first_bin_H, tuple(np.maximum(room_H, 0).tolist()))
    spread_H = (
        np.sqrt(chance_H * (1 - chance_H)) * strata.weight_H / np.maximum(rest.weight_H, 1e-300)
    )
    more_H = allocate(budget - len(pairs), rest, np.where(room_H > 0, spread_H, 0.0))
    more = draw_pairs(vectors_NE, distances, strata, more_H, rng, known=pairs)
    if more:
        answers += list(judge(more))
        pairs = pairs + more
    judged = JudgedPairs(tuple(pairs), _floats(answers))
    return estimate(vectors_NE, distances, strata, judged), judged


def estimate(
    vectors_NE: np.ndarray, distances: PairDistances, strata: Strata, judged: JudgedPairs
) -> JudgedEstimate:
    """The estimate from answers about pairs that `draw_pairs` drew from `strata`.

    Raises:
      ValueError: no pair has an answer.
    """
    bins_P = bins_of_pairs(vectors_NE, judged.pairs)
    answered_P = ~np.isnan(judged.same_P)
    if not answered_P.any():
        raise ValueError("no pair has an answer")
    stratum_P, same_P = strata.of_bins(bins_P)[answered_P], judged.same_P[answered_P]
    asked_H = np.bincount(stratum_P, minlength=len(strata))
    hits_H = np.bincount(stratum_P, weights=same_P, minlength=len(strata))
    chances = _chances(strata, bins_P, judged.same_P)
    chance_H, weight_H, size_H = chances.chance_H, strata.weight_H, np.asarray(strata.pairs_H)
    q = float(weight_H @ chance_H)
    pairs_error = math.sqrt(float(weight_H @ chances.covariance_HH @ weight_H)) / q
    documents_error = _documents_error(distances, strata, chance_H, q)
    error = math.hypot(pairs_error, documents_error)
    factor = math.exp(min(t_quantile(math.inf) * error, 700.0))
    documents = distances.documents
    low, high = hill(min(1.0, q * factor), documents), hill(q / factor, documents)
    firsts = strata.first_bin_H
    return JudgedEstimate(
        value=hill(q, documents),
        ci_low=low,
        ci_high=high,
        share=q,
        log_error=error,
        pairs_log_error=pairs_error,
        documents_log_error=documents_error,
        judged=int(answered_P.sum()),
        unanswered=int((~answered_P).sum()),
        strata=tuple(
            StratumAnswers(first * 2 / BINS, int(size), int(asked), int(hits))
            for first, size, asked, hits in zip(firsts, size_H, asked_H, hits_H, strict=True)
        ),
    )


def _chances(strata: Strata, bins_P: np.ndarray, same_P: np.ndarray) -> StratumChances:
    answered_P = ~np.isnan(same_P)
    stratum_P = strata.of_bins(bins_P)[answered_P]
    asked_H = np.bincount(stratum_P, minlength=len(strata))
    hits_H = np.bincount(stratum_P, weights=same_P[answered_P], minlength=len(strata))
    return fit_chances(np.asarray(strata.pairs_H), asked_H, hits_H)


def pairs_needed(log_error: float, judged: int, wanted: float) -> int:
    """Judged pairs after which the pairs' part of the error of log q falls to `wanted`: it falls as
    one over the root of their number.
    """
    return math.ceil(judged * (log_error / wanted) ** 2)


def _documents_error(
    distances: PairDistances, strata: Strata, chance_H: np.ndarray, q: float
) -> float:
    """Standard error of log q from the choice of documents, each pair standing with its stratum's
    chance.
    """
    chance_B = chance_H[strata.of_bins(np.arange(BINS))]
    means_N = distances.counts_NB @ chance_B / (distances.documents - 1)
    variance, _ = share_variance(means_N)
    return math.sqrt(variance) / q


def _floats(answers: Sequence[bool | None]) -> np.ndarray:
    return np.array([math.nan if answer is None else float(answer) for answer in answers])
