"""Means with intervals, and the way back from an interval to a standard error."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from scipy import stats

LEVEL = 0.95


class MeanInterval(TypedDict):
    """A mean of `n` values with its interval."""

    value: float
    ci_low: NotRequired[float | None]
    ci_high: NotRequired[float | None]
    n: NotRequired[int]


class NoiseFloor(TypedDict):
    """What equal treatments differ by; see `noise_floor`."""

    sd: float
    degrees_of_freedom: int
    least_difference: float


def mean_interval(values: Sequence[float]) -> MeanInterval:
    """Mean with a t interval: {value, ci_low, ci_high, n}; the interval is None below two
    values."""
    x = np.asarray(values, float)
    mean = float(x.mean())
    if len(x) < 2:
        return {"value": mean, "ci_low": None, "ci_high": None, "n": len(x)}
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x)))
    return {"value": mean, "ci_low": mean - half, "ci_high": mean + half, "n": len(x)}


def noise_floor(groups: Sequence[Sequence[float]]) -> NoiseFloor | None:
    """What equal treatments differ by: {sd, degrees_of_freedom, least_difference}, None where no
    group holds two values.

    `groups`: replicates (e.g. seeds) of each treatment, as many in each. sd: pooled within groups.
    least_difference: Fisher's least significant difference, t(0.975) * sd * sqrt(2 / replicates):
    two means that differ by less are not told apart at 5%, for one comparison planned beforehand.
    Raises ValueError for groups of unequal size."""
    values = np.array([list(group) for group in groups], float)  # ragged groups raise
    treatments, replicates = values.shape
    if replicates < 2:
        return None
    freedom = treatments * (replicates - 1)
    sd = float(np.sqrt(values.var(axis=1, ddof=1).mean()))
    least = float(stats.t.ppf((1 + LEVEL) / 2, freedom) * sd * math.sqrt(2 / replicates))
    return {"sd": sd, "degrees_of_freedom": freedom, "least_difference": least}


def standard_error(estimate: Mapping[str, Any], log2: bool = False) -> float | None:
    """Standard error that a 95% interval {ci_low, ci_high} of a normal estimate implies, on log2
    scale where asked for.

    None where the estimate has no interval, or none on that scale.
    """
    low, high = estimate.get("ci_low"), estimate.get("ci_high")
    if low is None or high is None or (log2 and low <= 0):
        return None
    width = math.log2(high / low) if log2 else high - low
    return float(width / (2 * stats.norm.ppf((1 + LEVEL) / 2)))
