"""The exchange rate of repetition and diversity: a law fitted over unique text and breadth.

Shapes: L levels, P terms of the law, R resamples."""

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from scipy import stats

from divsyn_jax.statistics.intervals import LEVEL

_RESAMPLES = 4000
_PARAMETERS = 4
_CURVED_FROM = 3  # budgets; two points show no curvature
# The interval that answers the question: half of it, as a share of the rate.
WANTED_HALF_WIDTH = 0.3


class LawTerm(TypedDict):
    """A coefficient of the law with its 95% bootstrap interval."""

    value: float
    ci_low: float
    ci_high: float


class ExchangeRecord(TypedDict):
    """The law y = a + b u + f u^2 + c d + e u d over levels, u and d the doublings of unique text
    and of effective clusters from their means, and the exchange rate c / b: how many doublings of
    unique text one doubling of effective clusters is worth, by the slopes at those means, which for
    budgets evenly apart are the average ones.

    u^2, since at a fixed number of training tokens each doubling of unique text does less than the
    one before (Muennighoff et al. 2023, arXiv 2305.16264): `curve` is f, null with fewer than three
    budgets. `rate`: null where b cannot be told from 0 (`reason`): then no amount of text is worth
    it. `half_width`: of the interval of the rate, as a share of it. `residual_sd`: of a level's
    mean about the law. `levels_needed`: for a half-width of 30%, by the root of their number."""

    unique: LawTerm
    breadth: LawTerm
    both: LawTerm
    curve: LawTerm | None
    rate: LawTerm | None
    reason: str | None
    half_width: float | None
    levels_needed: int | None
    residual_sd: float
    levels: int


def exchange_rate(
    unique_L: Sequence[float],
    clusters_L: Sequence[float],
    performance_L: Sequence[float],
    seed: int = 0,
) -> ExchangeRecord:
    """Least squares on the means of levels, and a bootstrap of their residuals (scaled to their
    degrees of freedom and widened as t is beside the normal), percentile intervals.

    The unit is the level: what the law misses is in the error, beside what seeds make.

    Args:
      unique_L: unique tokens of each level, above 0.
      clusters_L: its effective clusters, above 0.
      performance_L: its mean performance over seeds.

    Raises `ValueError` for levels that cannot tell the terms apart."""
    u_L, d_L = (_centred_log2(values) for values in (unique_L, clusters_L))
    y_L = np.asarray(performance_L, float)
    count = len(y_L)
    terms = [np.ones(count), u_L, d_L, u_L * d_L]
    if len(set(unique_L)) >= _CURVED_FROM and count > _PARAMETERS + 1:
        terms.append(u_L**2 - np.mean(u_L**2))
    x_LP = np.stack(terms, axis=1)
    if count <= _PARAMETERS or np.linalg.matrix_rank(x_LP) < len(terms):
        raise ValueError(
            f"{count} levels do not tell unique text, breadth and both apart: cross two or more of"
            " each, five levels at the least"
        )
    solve_PL = np.linalg.pinv(x_LP)
    beta = solve_PL @ y_L
    residual_L = y_L - x_LP @ beta
    freedom = count - len(terms)
    scaled_L = residual_L * math.sqrt(count / freedom)
    scaled_L = scaled_L - scaled_L.mean()
    generator = np.random.default_rng(seed)
    # Percentiles of so few residuals are too narrow by what separates t from a normal.
    wider = float(stats.t.ppf((1 + LEVEL) / 2, freedom) / stats.norm.ppf((1 + LEVEL) / 2))
    drawn_RL = wider * generator.choice(scaled_L, (_RESAMPLES, count))
    beta_RP = beta + drawn_RL @ solve_PL.T
    unique, breadth, both = (_term(beta[at], beta_RP[:, at]) for at in (1, 2, 3))
    found: ExchangeRecord = {
        "unique": unique,
        "breadth": breadth,
        "both": both,
        "curve": _term(beta[4], beta_RP[:, 4]) if len(terms) > _PARAMETERS else None,
        "rate": None,
        "reason": None,
        "half_width": None,
        "levels_needed": None,
        "residual_sd": float(scaled_L.std()),
        "levels": count,
    }
    if unique["ci_low"] <= 0 <= unique["ci_high"]:
        found["reason"] = (
            "what unique text does cannot be told from nothing, so that no amount of it can be"
            " named that breadth is worth"
        )
        return found
    rate = _term(beta[2] / beta[1], beta_RP[:, 2] / beta_RP[:, 1])
    found["rate"] = rate
    if rate["value"]:
        half = (rate["ci_high"] - rate["ci_low"]) / 2 / abs(rate["value"])
        found["half_width"] = half
        found["levels_needed"] = max(count, math.ceil(count * (half / WANTED_HALF_WIDTH) ** 2))
    return found


def _centred_log2(values: Sequence[float]) -> np.ndarray:
    logs = np.log2(np.asarray(values, float))
    centred: np.ndarray = logs - logs.mean()
    return centred


def _term(value: float, drawn_R: np.ndarray) -> LawTerm:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn_R, [tail, 100 - tail])
    return {"value": float(value), "ci_low": float(low), "ci_high": float(high)}
