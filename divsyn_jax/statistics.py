"""Statistics of a study: intervals over seeds, correlations over corpora. The unit of a correlation is the corpus.

Intervals are at 95% throughout.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95
_EXACT_PERMUTATIONS_UP_TO = 9  # 9! = 362,880 orders


def log2(values: Sequence[float]) -> list[float]:
    """Base-2 logarithms."""
    return [math.log2(value) for value in values]


def mean_interval(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean with a t interval: {value, ci_low, ci_high, n}; the interval is None below two values."""
    x = np.asarray(values, float)
    mean = float(x.mean())
    if len(x) < 2:
        return {"value": mean, "ci_low": None, "ci_high": None, "n": len(x)}
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x)))
    return {"value": mean, "ci_low": mean - half, "ci_high": mean + half, "n": len(x)}


def pearson(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """Pearson's r with Fisher's z interval: {estimate, ci_low, ci_high, n, critical}.

    `critical` is the |r| that a two-sided 5% test needs at this n. The interval is None below four points, and the
    estimate is None with a `reason` when either variable does not vary or there are fewer than three points.
    """
    reason = _unusable(x, y)
    if reason:
        return {"estimate": None, "ci_low": None, "ci_high": None, "n": len(x), "reason": reason}
    n = len(x)
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    t = stats.t.ppf((1 + LEVEL) / 2, n - 2)
    result = {"estimate": r, "ci_low": None, "ci_high": None, "n": n, "critical": float(t / math.sqrt(n - 2 + t * t))}
    if n >= 4:
        # Fisher 1921: atanh(r) is about normal with variance 1/(n-3). An exact fit has no finite z.
        z, half = math.atanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)), stats.norm.ppf((1 + LEVEL) / 2) / math.sqrt(n - 3)
        result.update(ci_low=math.tanh(z - half), ci_high=math.tanh(z + half))
    return result


def spearman(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """Spearman's rank correlation with a two-sided permutation p value: {estimate, p, n, method}.

    All orders are enumerated up to n = 9 (`method` 'exact'), 100,000 seeded random ones are drawn above.
    """
    reason = _unusable(x, y)
    if reason:
        return {"estimate": None, "p": None, "n": len(x), "method": None, "reason": reason}
    rank_x, rank_y = stats.rankdata(x), stats.rankdata(y)
    n = len(rank_x)
    observed = float(np.corrcoef(rank_x, rank_y)[0, 1])
    centred = rank_x - rank_x.mean()
    scale = np.sqrt(np.sum(centred**2) * np.sum((rank_y - rank_y.mean()) ** 2))
    if n <= _EXACT_PERMUTATIONS_UP_TO:
        orders = np.array(list(itertools.permutations(rank_y)))
        p = float(np.mean(np.abs(orders @ centred / scale) >= abs(observed) - 1e-12))
        return {"estimate": observed, "p": p, "n": n, "method": "exact"}
    generator = np.random.default_rng(0)
    draws = 100_000
    orders = np.array([generator.permutation(rank_y) for _ in range(draws)])
    extreme = int(np.sum(np.abs(orders @ centred / scale) >= abs(observed) - 1e-12))
    return {"estimate": observed, "p": (extreme + 1) / (draws + 1), "n": n, "method": f"{draws} random orders"}


def paired_bootstrap(x: Sequence[float], y: Sequence[float], draws: int = 10_000, seed: int = 0) -> dict[str, Any]:
    """Mean difference y - x of two systems on the same items, with a percentile bootstrap over items (Koehn 2004).

    Returns {difference, ci_low, ci_high, p, n}: `p` is two-sided, twice the smaller share of resamples on either side of
    zero. Raises `ValueError` unless both have the same number of items.
    """
    if len(x) != len(y) or not len(x):
        raise ValueError(f"{len(x)} and {len(y)} values; pairs are needed")
    gaps, counts = np.unique(np.asarray(y, float) - np.asarray(x, float), return_counts=True)
    n = len(x)
    # Resampling items is drawing how often each distinct difference occurs: few numbers, whatever the number of items.
    means = np.random.default_rng(seed).multinomial(n, counts / n, size=draws) @ gaps / n
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = min(np.sum(means <= 0), np.sum(means >= 0))
    return {
        "difference": float(gaps @ counts / n),
        "ci_low": float(low),
        "ci_high": float(high),
        "p": float(min(1.0, 2 * (tail + 1) / (draws + 1))),
        "n": n,
    }


def _unusable(x: Sequence[float], y: Sequence[float]) -> str | None:
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} values")
    if len(x) < 3:
        return f"{len(x)} corpora; a correlation needs at least 3"
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return "one of the two does not vary"
    return None
