"""Correlations over corpora:

Pearson, Spearman, partial, compared, and what single corpora and curvature do to them.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from divsyn_jax.statistics.intervals import LEVEL
from divsyn_jax.statistics.power import critical_r, detectable_r, is_descriptive

_EXACT_PERMUTATIONS_UP_TO = 12
_RANDOM_ORDERS = 100_000
# A control that shares more than 90% of the metric's variance (variance inflation above 10) leaves
# nothing to estimate from.
_MAX_VARIANCE_INFLATION = 10.0


def pearson(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """Pearson's r with Fisher's z interval and the t test: {estimate, ci_low, ci_high, p, n,
    critical, detectable, descriptive}.

    `critical` is the |r| that a two-sided 5% test needs at this n, `detectable` the true |r| it
    finds with 80% power. The interval is None below four points, and the estimate is None with a
    `reason` when either variable does not vary or there are fewer than three points."""
    n = len(x)
    reason = _unusable(x, y)
    limits = {
        "n": n,
        "critical": critical_r(n),
        "detectable": detectable_r(n),
        "descriptive": is_descriptive(n, 2),
    }
    if reason:
        return {
            "estimate": None,
            "ci_low": None,
            "ci_high": None,
            "p": None,
            **limits,
            "reason": reason,
        }
    r = _r(x, y)
    low, high = _fisher(r, n - 3)
    return {"estimate": r, "ci_low": low, "ci_high": high, "p": _p_of_r(r, n - 2), **limits}


def partial(x: Sequence[float], y: Sequence[float], control: Sequence[float]) -> dict[str, Any]:
    """Pearson's r of x and y given one control: {estimate, ci_low, ci_high, p, n, critical,
    detectable, descriptive}.

    The correlation of the residuals of both on the control; t test on n - 3 degrees of freedom,
    Fisher interval with variance 1/(n - 4). Refused (estimate None, with a `reason`) below five
    corpora, or where the control is nearly collinear with either variable."""
    n = len(x)
    limits = {
        "n": n,
        "critical": critical_r(n, 1),
        "detectable": detectable_r(n, 1),
        "descriptive": is_descriptive(n, 3),
    }
    refused = {"estimate": None, "ci_low": None, "ci_high": None, "p": None, **limits}
    reason = _unusable(x, y)
    if not reason and n < 5:
        reason = (
            f"{n} corpora leave too few degrees of freedom; a partial correlation needs at least 5"
        )
    if not reason and np.ptp(control) == 0:
        reason = "the control does not vary: it is held equal already"
    if reason:
        return {**refused, "reason": reason}
    xy, xz, yz = _r(x, y), _r(x, control), _r(y, control)
    if 1 / max(1 - xz**2, 1e-12) > _MAX_VARIANCE_INFLATION:
        return {
            **refused,
            "reason": (
                f"collinear: metric and control correlate at {xz:.3f}; no data here separates them"
            ),
        }
    if 1 / max(1 - yz**2, 1e-12) > 1e6:
        return {
            **refused,
            "reason": "the control determines the performance; nothing is left to explain",
        }
    r = float(np.clip((xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2)), -1, 1))
    low, high = _fisher(r, n - 4)
    return {"estimate": r, "ci_low": low, "ci_high": high, "p": _p_of_r(r, n - 3), **limits}


def spearman(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """Spearman's rank correlation with a two-sided permutation p value: {estimate, p, n, method}.

    All orders are counted up to n = 12 (`method` 'exact'), 100,000 seeded random ones are drawn
    above."""
    reason = _unusable(x, y)
    if reason:
        return {"estimate": None, "p": None, "n": len(x), "method": None, "reason": reason}
    # Doubled mid-ranks are whole numbers, so that sums of products compare exactly.
    a, b = (np.rint(2 * stats.rankdata(values)).astype(np.int64) for values in (x, y))
    n = len(a)
    centre = a.sum() * b.sum()  # n times the mean over orders of sum(a * b)
    observed = abs(n * int(a @ b) - centre)
    if n <= _EXACT_PERMUTATIONS_UP_TO:
        orders = _orders_by_sum(a, b)
        extreme = np.abs(n * np.arange(len(orders)) - centre) >= observed
        p, method = float(orders[extreme].sum() / orders.sum()), "exact"
    else:
        generator = np.random.default_rng(0)
        sums = generator.permuted(np.tile(b, (_RANDOM_ORDERS, 1)), axis=1) @ a
        extreme = int(np.sum(np.abs(n * sums - centre) >= observed))
        p, method = (extreme + 1) / (_RANDOM_ORDERS + 1), f"{_RANDOM_ORDERS:,} random orders"
    return {"estimate": _r(a, b), "p": p, "n": n, "method": method}


def curvature(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """Test of a quadratic term in y on x: {estimate, p, n, descriptive}; `estimate` in y units per
    squared sd of x.

    The t test on n - 3 degrees of freedom; refused below five corpora or three distinct x.
    """
    n = len(x)
    refused = {"estimate": None, "p": None, "n": n, "descriptive": is_descriptive(n, 3)}
    reason = _unusable(x, y)
    if not reason and (n < 5 or len(set(x)) < 3):
        reason = f"{n} corpora are too few; a test for curvature needs at least 5"
    if reason:
        return {**refused, "reason": reason}
    z = (np.asarray(x, float) - np.mean(x)) / np.std(x)
    design = np.stack([np.ones(n), z, z * z], axis=1)
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ np.asarray(y, float)
    residual = np.asarray(y, float) - design @ beta
    stderr = math.sqrt(max(residual @ residual / (n - 3) * inverse[2, 2], 1e-300))
    return {
        **refused,
        "estimate": float(beta[2]),
        "p": float(2 * stats.t.sf(abs(beta[2]) / stderr, n - 3)),
    }


def leave_one_out(
    x: Sequence[float], y: Sequence[float], names: Sequence[str]
) -> dict[str, Any] | None:
    """Range of Pearson's r when each corpus in turn is left out: {low, high, low_without,
    high_without}; None below four.
    """
    if len(x) < 4:
        return None
    found = []
    for index, name in enumerate(names):
        rest = pearson(np.delete(x, index).tolist(), np.delete(y, index).tolist())
        if rest["estimate"] is not None:
            found.append((rest["estimate"], name))
    if not found:
        return None
    (low, low_name), (high, high_name) = min(found), max(found)
    return {"low": low, "high": high, "low_without": low_name, "high_without": high_name}


def compare_dependent(
    x1: Sequence[float], x2: Sequence[float], y: Sequence[float]
) -> dict[str, Any]:
    """Does x1 correlate with y more strongly than x2 does, over the same corpora? {difference, p,
    n, descriptive}.

    Williams's t test of |r(x1, y)| = |r(x2, y)| on n - 3 degrees of freedom (Williams 1959; Steiger
    1980, eq. 7), two-sided; variables are turned so that both correlations are positive.
    `difference` is |r1| - |r2|."""
    n = len(y)
    refused = {"difference": None, "p": None, "n": n, "descriptive": is_descriptive(n, 3)}
    reason = _unusable(x1, y) or _unusable(x2, y)
    if not reason and n < 5:
        reason = f"{n} corpora are too few to compare two correlations; it takes at least 5"
    if reason:
        return {**refused, "reason": reason}
    r1, r2 = _r(x1, y), _r(x2, y)
    r12 = _r(x1, x2) * math.copysign(1, r1) * math.copysign(1, r2)
    r1, r2 = abs(r1), abs(r2)
    determinant = max(1 - r1**2 - r2**2 - r12**2 + 2 * r1 * r2 * r12, 0.0)
    spread = 2 * determinant * (n - 1) / (n - 3) + ((r1 + r2) / 2) ** 2 * (1 - r12) ** 3
    if spread <= 0:
        return {
            **refused,
            "difference": r1 - r2,
            "reason": "the two metrics order the corpora alike",
        }
    t = (r1 - r2) * math.sqrt((n - 1) * (1 + r12) / spread)
    return {**refused, "difference": r1 - r2, "p": float(2 * stats.t.sf(abs(t), n - 3))}


def _orders_by_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Number of orders of `b` by the value of sum(a * b), counted over subsets of b (2^n states,
    not n! orders).
    """
    n, top = len(a), int(np.sort(a) @ np.sort(b))
    counts = np.zeros((1 << n, top + 1))
    counts[0, 0] = 1  # float64 holds 12! exactly
    for used in range(1 << n):
        position = used.bit_count()
        for j in range(n):
            if not used >> j & 1:
                step = int(a[position] * b[j])
                counts[used | 1 << j, step:] += counts[used, : top + 1 - step]
    return counts[-1]


def _r(x: Sequence[float], y: Sequence[float]) -> float:
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))


def _fisher(r: float, precision: int) -> tuple[float | None, float | None]:
    """Fisher 1921: atanh(r) is about normal with variance 1/precision.

    An exact fit has no finite z and is held just inside.
    """
    if precision < 1:
        return None, None
    z, half = (
        math.atanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)),
        stats.norm.ppf((1 + LEVEL) / 2) / math.sqrt(precision),
    )
    return math.tanh(z - half), math.tanh(z + half)


def _p_of_r(r: float, df: int) -> float:
    t = abs(r) * math.sqrt(df / max(1 - r * r, 1e-300))
    return float(2 * stats.t.sf(t, df))


def _unusable(x: Sequence[float], y: Sequence[float]) -> str | None:
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} values")
    if len(x) < 3:
        return f"{len(x)} corpora; a correlation needs at least 3"
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return "one of the two does not vary"
    return None
