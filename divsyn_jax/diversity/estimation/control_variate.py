"""Fewer draws for the same interval: a cheap agent's answers on the same draws as a control
variate.

The cheap agent (embeddings) has judged the D draws that the dear one (an LLM) judged and, apart
from them, so many that its own mean is nearly known. What the cheap values of the shared draws miss
of that mean is taken out of the dear mean in proportion to their covariance (regression estimator;
Cochran 1977, Sampling Techniques, 7.1 and, for a cheap mean that is itself estimated, 12.6).

Shapes: D draws that both agents judged.
"""

import dataclasses

import numpy as np

from divsyn_jax.diversity.estimation.estimators import (
    DrawStatistics,
    clusters_of_pair_share,
    score_range,
)
from divsyn_jax.diversity.estimation.intervals import (
    Estimate,
    Mean,
    add_variance,
    bounded_mean,
    mean_of,
    near_an_end,
)


@dataclasses.dataclass(frozen=True)
class Adjusted:
    """A mean adjusted by a control variate.

    Attributes: estimate: the adjusted estimate; the plain one where `reason` says why there is
      nothing to adjust. plain: the same without the control variate. correlation: rho of the two
      agents over the draws (within criteria sets); None when either does not vary. variance_saved:
      share of the squared standard error (of the draws; criteria sets keep theirs) that the control
      variate took away, the error of the cheap mean counted: the plain interval needs that share of
      draws less. reason: why it was not adjusted, or None.
    """

    estimate: Estimate
    plain: Estimate
    correlation: float | None
    variance_saved: float
    reason: str | None


@dataclasses.dataclass(frozen=True)
class _Control:
    adjusted_D: np.ndarray
    error: float  # what the cheap mean's own error adds
    correlation: float
    variance_saved: float


def adjusted_score(
    draws: DrawStatistics, cheap_D: np.ndarray, cheap_mean: float, cheap_error: float
) -> Adjusted:
    """The published score, adjusted by the cheap agent's scores of the same draws.

    Args: draws: the dear agent's draws. cheap_D: the cheap agent's score of each of them (of the
      kept ones, where dropped documents emptied a draw). cheap_mean: its mean over many other draws
      of the same documents. cheap_error: the standard error of that mean.
    """
    return adjusted_mean(
        draws.scores_D,
        cheap_D,
        cheap_mean,
        cheap_error,
        *score_range(draws.sample_size),
        draws.set_D,
    )


def adjusted_mean(
    values_D: np.ndarray,
    cheap_D: np.ndarray,
    cheap_mean: float,
    cheap_error: float,
    low: float,
    high: float,
    set_D: np.ndarray | None = None,
) -> Adjusted:
    """Regression-adjusted mean of bounded values, with a t interval; near an end the plain estimate
    stands.

    Args: values_D: the dear agent's value of each draw, in [low, high]. cheap_D: the cheap agent's
      value of the same draw, in any unit. cheap_mean, cheap_error: the cheap agent's mean over
      draws independent of these, and its standard error. low, high: the range of the dear value.
      set_D: criteria set of each draw; None without criteria.
    """
    plain = bounded_mean(values_D, low, high, set_D)
    if near_an_end(values_D, low, high):
        return Adjusted(plain, plain, None, 0.0, "the values are near an end of their range")
    control = _control(values_D, cheap_D, cheap_mean, cheap_error, set_D)
    if control is None:
        return Adjusted(plain, plain, None, 0.0, "the cheap values do not vary")
    mean = add_variance(mean_of(control.adjusted_D, set_D), control.error**2)
    ends = max(low, mean.value - mean.half_width), min(high, mean.value + mean.half_width)
    value = min(high, max(low, mean.value))
    method = f"{mean.method}, adjusted by a control variate"
    estimate = Estimate(value, *ends, method, mean.half_width, mean.criteria)
    return Adjusted(estimate, plain, control.correlation, control.variance_saved, None)


def adjusted_effective_clusters(
    draws: DrawStatistics,
    cheap_D: np.ndarray,
    cheap_mean: float,
    cheap_error: float,
    documents: int,
) -> Adjusted:
    """Effective clusters from the adjusted pair share.

    Args:
      draws: the dear agent's draws.
      cheap_D, cheap_mean, cheap_error: the cheap agent's pair shares, as in `adjusted_mean`.
      documents: N, as in `estimators.effective_clusters`.
    """
    shares_D = draws.pair_share_D
    pairs = float((draws.documents_D * (draws.documents_D - 1) / 2).sum())
    plain = clusters_of_pair_share(mean_of(shares_D, draws.set_D), len(draws), pairs, documents)
    control = _control(shares_D, cheap_D, cheap_mean, cheap_error, draws.set_D)
    if control is None:
        return Adjusted(plain, plain, None, 0.0, "the pair shares of one of the agents do not vary")
    mean: Mean = add_variance(mean_of(control.adjusted_D, draws.set_D), control.error**2)
    if not 0 < mean.value < 1:
        reason = "the adjusted pair share left (0, 1)"
        return Adjusted(plain, plain, control.correlation, 0.0, reason)
    estimate = clusters_of_pair_share(mean, len(draws), pairs, documents)
    estimate = dataclasses.replace(
        estimate, method=f"{estimate.method}, adjusted by a control variate"
    )
    return Adjusted(estimate, plain, control.correlation, control.variance_saved, None)


def _control(
    values_D: np.ndarray,
    cheap_D: np.ndarray,
    cheap_mean: float,
    cheap_error: float,
    set_D: np.ndarray | None,
) -> _Control | None:
    if len(cheap_D) != len(values_D):
        raise ValueError(f"{len(values_D)} draws and {len(cheap_D)} cheap values of them")
    # Within sets: the draws' noise is what the control variate can take away.
    dear_D, cheap_residual_D = _residuals(values_D, set_D), _residuals(cheap_D, set_D)
    count = len(values_D)
    dear, cheap = (
        float(dear_D @ dear_D) / (count - 1),
        float(cheap_residual_D @ cheap_residual_D) / (count - 1),
    )
    if dear == 0 or cheap == 0:
        return None
    covariance = float(dear_D @ cheap_residual_D) / (count - 1)
    # The slope that minimises the variance when the cheap mean has an error too; so the result is
    # never worse.
    slope = covariance / (cheap + count * cheap_error**2)
    left = dear - 2 * slope * covariance + slope**2 * (cheap + count * cheap_error**2)
    return _Control(
        adjusted_D=values_D - slope * (np.asarray(cheap_D) - cheap_mean),
        error=abs(slope) * cheap_error,
        correlation=covariance / float(np.sqrt(dear * cheap)),
        variance_saved=1 - left / dear,
    )


def _residuals(values_D: np.ndarray, set_D: np.ndarray | None) -> np.ndarray:
    values_D = np.asarray(values_D, dtype=np.float64)
    if set_D is None:
        return values_D - values_D.mean()
    return values_D - (np.bincount(set_D, weights=values_D) / np.bincount(set_D))[set_D]
