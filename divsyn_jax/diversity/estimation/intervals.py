"""95% intervals of means over draws, on one level (draws) or two (criteria sets, and draws within
them).

What varies between criteria sets is an error that more draws never remove, so a mean over R sets
stands on R numbers, the set means, and its interval is Student's t on R - 1 degrees of freedom.

Shapes: D draws, R criteria sets.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
from scipy import special

CONFIDENCE = 0.95
ERROR_RATE = 1 - CONFIDENCE


@dataclasses.dataclass(frozen=True)
class SetSpread:
    """How criteria sets and draws share in the uncertainty of a mean.

    Attributes: set_means: mean of each set, in order of their numbers. sets_sd: tau, the standard
      deviation between sets, draws apart (one-way analysis of variance; 0 when negative). draws_sd:
      standard deviation of the draws within a set, pooled. sets_half_width: what endless draws with
      these sets would leave of the half-width; None with one set. draws_half_width: what the draws
      add to it (in squares), which more draws remove; near an end their bound.
    """

    set_means: tuple[float, ...]
    sets_sd: float | None
    draws_sd: float
    sets_half_width: float | None
    draws_half_width: float


class SetSpreadRecord(TypedDict):
    """A `SetSpread` in a file."""

    set_means: Sequence[float]
    sets_sd: float | None
    draws_sd: float
    sets_half_width: float | None
    draws_half_width: float


class EstimateRecord(TypedDict):
    """An `Estimate` in a file: what is None there is not written."""

    value: float
    ci_low: float
    ci_high: float
    method: str
    half_width: NotRequired[float]
    criteria: NotRequired[SetSpreadRecord]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over draws, or a function of one, with its 95% interval.

    Attributes:
      value: the estimate.
      ci_low, ci_high: the interval, clipped to the range the quantity can take.
      method: how the interval was made.
      half_width: half its width before clipping; None where it is not symmetric.
      criteria: the shares of criteria sets and draws; None for an agent without criteria.
    """

    value: float
    ci_low: float
    ci_high: float
    method: str
    half_width: float | None = None
    criteria: SetSpread | None = None

    def to_json(self) -> EstimateRecord:
        """The fields that are known, for a result file."""
        record: EstimateRecord = {
            "value": self.value,
            "ci_low": self.ci_low,
            "ci_high": self.ci_high,
            "method": self.method,
        }
        if self.half_width is not None:
            record["half_width"] = self.half_width
        if self.criteria is not None:
            record["criteria"] = {
                "set_means": self.criteria.set_means,
                "sets_sd": self.criteria.sets_sd,
                "draws_sd": self.criteria.draws_sd,
                "sets_half_width": self.criteria.sets_half_width,
                "draws_half_width": self.criteria.draws_half_width,
            }
        return record


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean with its standard error, the degrees of freedom of that error, and the spread of
    criteria sets.
    """

    value: float
    error: float
    freedom: float
    criteria: SetSpread | None

    @property
    def half_width(self) -> float:
        """Of Student's t interval."""
        return t_quantile(self.freedom) * self.error

    @property
    def method(self) -> str:
        """Which t interval this is."""
        if self.criteria is None:
            return "t"
        sets = len(self.criteria.set_means)
        return (
            f"t over {sets} criteria sets"
            if sets > 1
            else "t over draws; one criteria set, its choice left out"
        )


def t_quantile(freedom: float) -> float:
    """The quantile of Student's t that a two-sided interval needs."""
    if math.isinf(freedom):
        return float(special.ndtri(1 - ERROR_RATE / 2))
    return float(special.stdtrit(freedom, 1 - ERROR_RATE / 2))


def mean_of(values_D: np.ndarray, set_D: np.ndarray | None = None) -> Mean:
    """Mean and standard error of one value a draw.

    Without sets: mean and sd / sqrt(D) over draws. With R > 1 sets: the mean of the set means, and
    their standard deviation over sqrt(R). With one set its choice cannot be judged: the error is
    that of the draws alone.

    Args: values_D: one value a draw. set_D: criteria set of each draw, numbered from 0 without
      gaps; None for an agent without criteria.

    Raises:
      ValueError: fewer than two draws, or fewer than two of a set.
    """
    values_D = np.asarray(values_D, dtype=np.float64)
    if len(values_D) < 2:
        raise ValueError(f"{len(values_D)} draws; an interval needs two or more")
    if set_D is None:
        error = float(values_D.std(ddof=1)) / math.sqrt(len(values_D))
        return Mean(float(values_D.mean()), error, len(values_D) - 1, None)
    draws_R = np.bincount(set_D)
    if draws_R.min() < 2:
        raise ValueError(
            f"criteria set {draws_R.argmin()} has {draws_R.min()} draws; an interval needs two or"
            " more"
        )
    means_R = np.bincount(set_D, weights=values_D) / draws_R
    sets, draws = len(draws_R), len(values_D)
    # Residuals, not E[x^2] - E[x]^2: values near an end hardly vary.
    squares_R = np.bincount(set_D, weights=(values_D - means_R[set_D]) ** 2)
    draws_sd = math.sqrt(squares_R.sum() / (draws - sets))
    draws_error = draws_sd * math.sqrt(np.mean(1 / draws_R) / sets)
    if sets == 1:
        criteria = SetSpread(
            (float(means_R[0]),), None, draws_sd, None, t_quantile(draws - 1) * draws_error
        )
        return Mean(float(means_R[0]), draws_error, draws - 1, criteria)
    error = float(means_R.std(ddof=1)) / math.sqrt(sets)
    sets_error = math.sqrt(max(0.0, error**2 - draws_error**2))
    quantile = t_quantile(sets - 1)
    criteria = SetSpread(
        set_means=tuple(means_R.tolist()),
        sets_sd=sets_error * math.sqrt(sets),
        draws_sd=draws_sd,
        sets_half_width=quantile * sets_error,
        draws_half_width=quantile * draws_error,
    )
    return Mean(float(means_R.mean()), error, sets - 1, criteria)


def add_variance(mean: Mean, variance: float, variance_error: float = 0.0) -> Mean:
    """The mean with an independent variance added.

    Degrees of freedom are the fewer of two: Satterthwaite's 2 V^2 / Var(V) (1946), V the total and
    Var(V) the sum of the variances of both parts' estimates, and those at which Student's quantile
    gives Howe's half-width (1974, JASA 69:789), in which each part keeps its own quantile. The
    first counts the doubt of the added part; the second holds where few set means happen to lie
    close together, which makes Satterthwaite's degrees of freedom too many.

    Args:
      mean: its own error squared is one part.
      variance: the other part.
      variance_error: the standard error of `variance`; 0 where it is known.
    """
    if variance == 0 and variance_error == 0:
        return mean
    own = mean.error**2
    total = own + variance
    doubt = (0.0 if math.isinf(mean.freedom) else own**2 / mean.freedom) + variance_error**2 / 2
    freedom = total**2 / doubt if doubt > 0 else math.inf
    if own > 0 and total > 0:
        normal = t_quantile(math.inf)
        parts = t_quantile(mean.freedom) ** 2 * own + normal**2 * variance
        quantile = math.sqrt(parts / total)
        if quantile > normal * (1 + 1e-9):
            freedom = min(freedom, float(special.stdtridf(1 - ERROR_RATE / 2, quantile)))
    return dataclasses.replace(mean, error=math.sqrt(total), freedom=max(1.0, freedom))


def near_an_end(values_D: np.ndarray, low: float, high: float) -> bool:
    """Whether the rare draw has hardly been seen, so that Student's t fails.

    The standard deviation is under 0.5% of the range, or one value fills over 95% of the draws.
    """
    _, repeats = np.unique(values_D, return_counts=True)
    return float(np.std(values_D, ddof=1)) < 0.005 * (high - low) or repeats.max() > 0.95 * len(
        values_D
    )


def bernstein_half_width(values_D: np.ndarray, low: float, high: float) -> float:
    """The empirical Bernstein bound of Maurer and Pontil 2009 (arXiv 0907.3740), ln(4/alpha) for
    two sides.

    sqrt(2 V l / D) + 7 (high - low) l / (3 (D - 1)), V the sample variance of D independent values
    in [low, high]."""
    count, log_term = len(values_D), math.log(4 / ERROR_RATE)
    sd = float(np.std(values_D, ddof=1))
    return sd * math.sqrt(2 * log_term / count) + 7 * (high - low) * log_term / (3 * (count - 1))


def bounded_mean(
    values_D: np.ndarray, low: float, high: float, set_D: np.ndarray | None = None
) -> Estimate:
    """Mean of values of independent draws bounded in [low, high], with an interval clipped to that
    range.

    Student's t (see `mean_of`) by default; near an end (see `near_an_end`) the empirical Bernstein
    bound over draws. With several criteria sets that bound knows nothing of what varies between
    them: the wider of it and t holds.

    Args:
      values_D: one value a draw.
      low, high: the range of the value.
      set_D: criteria set of each draw; None for an agent without criteria.

    Raises:
      ValueError: see `mean_of`.
    """
    mean = mean_of(values_D, set_D)
    half_width, method, criteria = mean.half_width, mean.method, mean.criteria
    if near_an_end(values_D, low, high):
        bound = bernstein_half_width(values_D, low, high)
        if criteria is not None:
            criteria = dataclasses.replace(
                criteria, draws_half_width=max(bound, criteria.draws_half_width)
            )
        if criteria is None or len(criteria.set_means) == 1:
            half_width, method = bound, method.replace("t", "empirical Bernstein", 1)
        elif bound > half_width:
            half_width, method = (
                bound,
                "empirical Bernstein over draws, wider than t over criteria sets",
            )
    ends = max(low, mean.value - half_width), min(high, mean.value + half_width)
    return Estimate(mean.value, *ends, method, half_width, criteria)


def ratio_values(part_D: np.ndarray, whole_D: np.ndarray) -> np.ndarray:
    """[D] values whose mean is sum(part) / sum(whole) and whose variance gives that ratio's, to
    first order.

    r + (part - r whole) / mean(whole), with r the ratio (linearisation; Cochran 1977, Sampling
    Techniques, 6.4); where all wholes are equal these are the shares part / whole themselves.

    Raises:
      ValueError: the wholes are all zero.
    """
    whole = float(np.mean(whole_D))
    if whole == 0:
        raise ValueError("a ratio over nothing")
    ratio = float(np.mean(part_D)) / whole
    return ratio + (part_D - ratio * whole_D) / whole
