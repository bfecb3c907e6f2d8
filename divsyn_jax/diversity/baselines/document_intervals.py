"""95% intervals over documents, which are the unit: pairs of documents and tokens of a document are
dependent.

Shapes: N documents.
"""

import dataclasses
import math

import numpy as np
from scipy import special

_QUANTILE = 0.975


@dataclasses.dataclass(frozen=True)
class DocumentInterval:
    """A 95% interval, or why there is none.

    Attributes: method: how it was made; begins with "no interval: " where it was not. ci_low,
      ci_high: its ends; None without one.
    """

    method: str
    ci_low: float | None = None
    ci_high: float | None = None

    def to_json(self) -> dict[str, float | str]:
        """{ci_low, ci_high, method}, or {method} alone."""
        if self.ci_low is None or self.ci_high is None:
            return {"method": self.method}
        return {"ci_low": self.ci_low, "ci_high": self.ci_high, "method": self.method}


def jackknife(value: float, without_N: np.ndarray, low: float, high: float) -> DocumentInterval:
    """Interval of a statistic from its values without each document in turn (Tukey 1958; Efron and
    Stein 1981).

    For a U-statistic such as a mean over pairs it estimates the variance that the choice of
    documents causes, where the spread of the pairs taken as independent is far too narrow (Arvesen
    1969). Student's t, clipped to [low, high].

    Returns:
      the interval; none with fewer than three documents.
    """
    count = len(without_N)
    if count < 3:
        return DocumentInterval("no interval: fewer than three documents")
    variance = (count - 1) / count * float(np.square(without_N - without_N.mean()).sum())
    half_width = float(special.stdtrit(count - 1, _QUANTILE)) * math.sqrt(variance)
    return DocumentInterval(
        "jackknife over documents", max(low, value - half_width), min(high, value + half_width)
    )


def ratio(numerator_N: np.ndarray, denominator_N: np.ndarray) -> tuple[float, float | None]:
    """Ratio of two sums over documents and its standard error by the delta method (Cochran 1977,
    6.4).

    The standard error is None for a single document.
    """
    count, total = len(numerator_N), float(denominator_N.sum())
    value = float(numerator_N.sum()) / total
    if count < 2:
        return value, None
    residual_N = numerator_N - value * denominator_N
    return value, math.sqrt(count / (count - 1) * float(np.square(residual_N).sum())) / total


def normal(value: float, standard_error: float | None) -> DocumentInterval:
    """Interval of a ratio of sums; none without a standard error."""
    if standard_error is None:
        return DocumentInterval("no interval: one document")
    half_width = float(special.ndtri(_QUANTILE)) * standard_error
    return DocumentInterval("delta method over documents", value - half_width, value + half_width)
