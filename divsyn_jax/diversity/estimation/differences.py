"""Tests of differences between corpora, from the summaries that score.json carries.

Shapes: R criteria sets.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from scipy import special

from divsyn_jax.diversity.estimation.all_pairs import Ratio
from divsyn_jax.diversity.estimation.intervals import Mean, add_variance
from divsyn_jax.statistics import holm

_Corpus = TypeVar("_Corpus")

ALL_PAIRS_UP_TO = 8  # corpora; beyond, Holm over all pairs would bury every difference
FAILURE_RATES_APART = (
    0.03  # failures go with content: beyond this, two scores are of different kinds of draws
)


@dataclasses.dataclass(frozen=True)
class Measured:
    """One metric of one corpus.

    Attributes: name: the corpus. mean, sd, draws: over its draws. set_means: mean of each criteria
      set, in the order both corpora share; None without criteria. failure_rate: share of the draws
      asked for that gave no answer. document_variance, document_variance_error: what the choice of
      documents adds to the mean's variance (`estimators.document_spread`), and the standard error
      of that.
    """

    name: str
    mean: float
    sd: float
    draws: int
    set_means: tuple[float, ...] | None = None
    failure_rate: float = 0.0
    document_variance: float = 0.0
    document_variance_error: float = 0.0


@dataclasses.dataclass(frozen=True)
class Difference:
    """Second mean minus first, with the interval of its t test; `p_value` is None when neither side
    varies.
    """

    value: float
    ci_low: float
    ci_high: float
    p_value: float | None


@dataclasses.dataclass(frozen=True)
class PairTest:
    """One pair of corpora: `difference` with its Holm-corrected p-value, or None and the `reason`
    for refusing.

    `method` names the test: `paired t over R criteria sets`, `Welch's t over set means`, `Welch's t
    over draws and documents`, or one of `ratio_tests`; `ratio` is there where it is of a ratio."""

    first: str
    second: str
    difference: Difference | None
    p_value_holm: float | None
    method: str | None
    reason: str | None
    ratio: Ratio | None = None


def pairs_tested(corpora: Sequence[_Corpus]) -> list[tuple[_Corpus, _Corpus]]:
    """All pairs up to `ALL_PAIRS_UP_TO` corpora, else neighbours in the order given."""
    few = len(corpora) <= ALL_PAIRS_UP_TO
    return list(itertools.combinations(corpora, 2) if few else itertools.pairwise(corpora))


def with_holm(found: Sequence[PairTest]) -> list[PairTest]:
    """The tests with p-values corrected over those that have one."""
    tested = {
        index: row.difference.p_value
        for index, row in enumerate(found)
        if row.difference and row.difference.p_value is not None
    }
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    return [
        dataclasses.replace(row, p_value_holm=corrected.get(index))
        for index, row in enumerate(found)
    ]


def compare_corpora(corpora: Sequence[Measured]) -> list[PairTest]:
    """Compare corpora by one metric: all pairs up to `ALL_PAIRS_UP_TO` corpora, else neighbours in
    the order given.

    Paired over criteria sets where both corpora were judged by the same ones, so that what a set
    does to both cancels; Welch's test over draws otherwise (draws of two corpora are independent).
    The documents count as a sample of what their
    process writes: endless draws from two samples of one process would tell them apart for nothing.
    A pair is refused when the failure rates differ by more than `FAILURE_RATES_APART`. Holm's
    correction is over the pairs tested."""
    return with_holm([_compare(*pair) for pair in pairs_tested(corpora)])


def _compare(first: Measured, second: Measured) -> PairTest:
    rates = first.failure_rate, second.failure_rate
    if abs(rates[1] - rates[0]) > FAILURE_RATES_APART:
        reason = (
            f"not compared: {rates[0]:.1%} and {rates[1]:.1%} of the draws failed, more than "
            f"{100 * FAILURE_RATES_APART:g} percentage points apart; failures go with content"
        )
        return PairTest(first.name, second.name, None, None, None, reason)
    set_means = [side.set_means or () for side in (first, second)]
    sets = [len(means) for means in set_means]
    documents = (
        first.document_variance + second.document_variance,
        math.hypot(first.document_variance_error, second.document_variance_error),
    )
    if sets[0] == sets[1] > 1:
        difference = paired(set_means[0], set_means[1], *documents)
        method = f"paired t over {sets[0]} criteria sets"
    elif min(sets) > 1:
        of_sets = [np.asarray(means) for means in set_means]
        sides = [(float(m.mean()), float(m.std(ddof=1)), len(m)) for m in of_sets]
        difference = welch(sides[0], sides[1], *documents)
        method = "Welch's t over set means"
    else:
        sides = [(side.mean, side.sd, side.draws) for side in (first, second)]
        difference = welch(sides[0], sides[1], *documents)
        method = "Welch's t over draws and documents"
    return PairTest(first.name, second.name, difference, None, method, None)


def paired(
    first_R: Sequence[float],
    second_R: Sequence[float],
    document_variance: float = 0.0,
    document_variance_error: float = 0.0,
) -> Difference:
    """Paired t test of set means, on R - 1 degrees of freedom (more where `document_variance` is
    added).
    """
    difference_R = np.asarray(second_R, float) - np.asarray(first_R, float)
    count = len(difference_R)
    variance = float(difference_R.var(ddof=1)) / count
    return _t_test(
        float(difference_R.mean()),
        variance,
        count - 1,
        document_variance,
        document_variance_error,
    )


def welch(
    first: tuple[float, float, int],
    second: tuple[float, float, int],
    document_variance: float = 0.0,
    document_variance_error: float = 0.0,
) -> Difference:
    """Welch's t test of two independent means, each given as (mean, standard deviation, values)."""
    (mean_1, sd_1, count_1), (mean_2, sd_2, count_2) = first, second
    part_1, part_2 = sd_1**2 / count_1, sd_2**2 / count_2
    variance = part_1 + part_2
    spread = part_1**2 / (count_1 - 1) + part_2**2 / (count_2 - 1)
    freedom = variance**2 / spread if spread else 1.0
    return _t_test(mean_2 - mean_1, variance, freedom, document_variance, document_variance_error)


def _t_test(
    difference: float,
    variance: float,
    freedom: float,
    document_variance: float,
    document_variance_error: float,
) -> Difference:
    mean = Mean(difference, math.sqrt(variance), freedom, None)
    found = add_variance(mean, document_variance, document_variance_error)
    if found.error == 0:
        return Difference(difference, difference, difference, None)
    standardised = -abs(difference) / found.error
    tail = (
        special.ndtr(standardised)
        if math.isinf(found.freedom)
        else special.stdtr(found.freedom, standardised)
    )
    return Difference(
        difference, difference - found.half_width, difference + found.half_width, 2 * float(tail)
    )
