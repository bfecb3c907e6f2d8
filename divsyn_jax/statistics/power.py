"""What a number of corpora can show at all."""

import functools
import math

import numpy as np
from scipy import optimize, stats

from divsyn_jax.statistics.intervals import LEVEL

POWER = 0.8
_NODES = 200
# A t test on fewer residual degrees of freedom rejects only what is visible without it.
_MIN_DEGREES_OF_FREEDOM = 3


def critical_r(n: int, controls: int = 0) -> float | None:
    """The |r| that a two-sided 5% t test needs over `n` corpora, with `controls` variables
    partialled out; None below 1 df.
    """
    df = n - 2 - controls
    if df < 1:
        return None
    t = stats.t.ppf((1 + LEVEL) / 2, df)
    return float(t / math.sqrt(df + t * t))


@functools.cache
def detectable_r(n: int, controls: int = 0, tests: int = 1) -> float | None:
    """The true |r| that the two-sided t test at 5%/`tests` finds with 80% power over `n` corpora;
    None below four.

    Exact for a bivariate normal population: given the scores, t is noncentral t with noncentrality
    sqrt(W) r / sqrt(1 - r^2), and W, the sum of their squared deviations, is chi-squared on n - 1
    degrees of freedom."""
    df = n - 2 - controls
    if df < 2:
        return None
    t = stats.t.ppf(1 - (1 - LEVEL) / 2 / tests, df)
    nodes = stats.chi2.ppf((np.arange(_NODES) + 0.5) / _NODES, n - 1 - controls)

    def power(r: float) -> float:
        noncentrality = np.sqrt(nodes) * r / math.sqrt(1 - r * r)
        # The other tail is negligible where power is near 80%; scipy gives NaN where noncentrality
        # is huge and power 1.
        return float(np.mean(np.nan_to_num(stats.nct.sf(t, df, noncentrality), nan=1.0)))

    return float(optimize.brentq(lambda r: power(r) - POWER, 0.01, 0.9995, xtol=1e-5))


def is_descriptive(n: int, parameters: int) -> bool:
    """True where `n` corpora leave a model of so many parameters fewer than three residual degrees
    of freedom.
    """
    return n - parameters < _MIN_DEGREES_OF_FREEDOM
