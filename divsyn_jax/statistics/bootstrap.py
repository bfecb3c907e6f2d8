"""Resampling over draws, items and seeds: how well the points of a correlation, or a difference of
two corpora, are known.

Shape legend: C corpora, M seeds of each, I items (documents or questions), B resamples.

The items are crossed with everything: a resample takes the same items for every corpus and seed.
Seeds are nested in corpora and resampled within each. Scores are redrawn from the normal
distribution that their interval over draws implies."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import optimize, stats

from divsyn_jax.statistics.intervals import LEVEL

RESAMPLES = 2000


@dataclasses.dataclass(frozen=True)
class ItemScores:
    """Per-item results of every corpus and seed on one test: performance is sum(numerator) /
    sum(denominator) over items.

    Attributes:
      numerator_CMI: e.g. bits of each document, or 0/1 for each question.
      denominator_I: e.g. bytes of each document, or ones.
    """

    numerator_CMI: np.ndarray
    denominator_I: np.ndarray

    @property
    def performance_CM(self) -> np.ndarray:
        """Performance on all items as they are."""
        return self.numerator_CMI.sum(-1) / self.denominator_I.sum()

    def resampled_BCM(self, generator: np.random.Generator) -> np.ndarray:
        """Performance on `RESAMPLES` resamples of the items."""
        C, M, items = self.numerator_CMI.shape
        weights_BI = generator.multinomial(items, np.full(items, 1 / items), RESAMPLES).astype(
            float
        )
        total_BR = weights_BI @ self.numerator_CMI.reshape(C * M, items).T
        return (total_BR / (weights_BI @ self.denominator_I)[:, None]).reshape(-1, C, M)


def noise_free_correlation(
    score_C: Sequence[float],
    score_stderr_C: Sequence[float] | None,
    tests: Sequence[ItemScores],
    seed: int = 0,
) -> dict[str, Any]:
    """Pearson's r that these corpora would show if scores, test and seeds held no noise, with an
    interval for that noise.

    Returns {estimate, ci_low, ci_high, reliability_score, reliability_performance, over}. It says
    nothing about other corpora; Fisher's interval does. Performance is the mean over `tests` and
    seeds.

    Attenuation-corrected r (Spearman 1904): covariance over the root of the product of variances,
    each less its noise. The
    noise is that of a bootstrap: scores redrawn from their standard errors, items with replacement,
    seeds within corpora (deviations scaled by sqrt(M / (M - 1)), without which M seeds would seem
    to vary less than they do). Interval: every rho whose points (the observed ones, shrunk to the
    noise-free spread and turned to correlate at rho), with that noise added, give the observed r
    within the central 95%. Resampling the observed points themselves would count noise twice.

    Refused (estimate None, with a `reason`) below four corpora and where the corpora differ by no
    more than the noise."""
    generator = np.random.default_rng(seed)
    x_C = np.asarray(score_C, float)
    C, M, _ = tests[0].numerator_CMI.shape
    y_C = np.mean([test.performance_CM.mean(-1) for test in tests], axis=0)
    performance_BCM = np.mean([test.resampled_BCM(generator) for test in tests], axis=0)
    y_noise_BC = performance_BCM.mean(-1) - y_C
    over = ["items"]
    if M > 1:
        chosen_BCM = generator.integers(M, size=(RESAMPLES, C, M))
        of_seeds_BC = np.take_along_axis(performance_BCM, chosen_BCM, axis=2).mean(
            -1
        ) - performance_BCM.mean(-1)
        y_noise_BC = y_noise_BC + math.sqrt(M / (M - 1)) * of_seeds_BC
        over.append("seeds")
    x_noise_BC = np.zeros((RESAMPLES, C))
    if score_stderr_C is not None:
        x_noise_BC = generator.standard_normal((RESAMPLES, C)) * np.asarray(score_stderr_C, float)
        over.insert(0, "draws")

    (xx, yy, xy), noise = (
        _moments(x_C, y_C),
        (x_noise_BC.var(-1, ddof=1).mean(), y_noise_BC.var(-1, ddof=1).mean()),
    )
    refused: dict[str, Any] = {"estimate": None, "ci_low": None, "ci_high": None, "over": over}
    if C < 4 or xx == 0 or yy == 0:
        return {
            **refused,
            "reason": f"{C} corpora are too few" if C < 4 else "one of the two does not vary",
        }
    reliability_x, reliability_y = 1 - noise[0] / xx, 1 - noise[1] / yy
    refused.update(
        reliability_score=float(reliability_x), reliability_performance=float(reliability_y)
    )
    if min(reliability_x, reliability_y) <= 0:
        return {**refused, "reason": "the corpora differ by no more than the noise"}
    r = float(np.clip(xy / math.sqrt((xx - noise[0]) * (yy - noise[1])), -1, 1))

    # Points of the noise-free spread that correlate at rho, as near to the observed ones as that
    # allows.
    u_C = (x_C - x_C.mean()) / math.sqrt(xx)
    residual_C = (y_C - y_C.mean()) / math.sqrt(yy) - xy / math.sqrt(xx * yy) * u_C
    spread = residual_C.std(ddof=1)
    v_C = residual_C / spread if spread > 1e-9 else np.zeros(C)
    noisy_x_BC = math.sqrt(xx - noise[0]) * u_C + x_noise_BC

    def excess(rho: float, share: float) -> float:
        latent_C = math.sqrt(yy - noise[1]) * (rho * u_C + math.sqrt(1 - rho * rho) * v_C)
        xx_B, yy_B, xy_B = _moments(noisy_x_BC, latent_C + y_noise_BC)
        return float(np.quantile(xy_B / np.sqrt(xx_B * yy_B), share)) - xy / math.sqrt(xx * yy)

    def root(share: float) -> float:
        return _root(lambda rho: excess(rho, share))

    low, high = root((1 + LEVEL) / 2), root((1 - LEVEL) / 2)
    return {**refused, "estimate": r, "ci_low": min(low, r), "ci_high": max(high, r)}


def _root(increasing: Callable[[float], float]) -> float:
    """Where an increasing function of a correlation crosses zero, -1 or 1 where it does not."""
    if increasing(-1.0) >= 0:
        return -1.0
    return 1.0 if increasing(1.0) <= 0 else float(optimize.brentq(increasing, -1, 1, xtol=1e-3))


def _moments(x_C: np.ndarray, y_C: np.ndarray) -> tuple[Any, Any, Any]:
    """Variances and covariance over the last axis."""
    x, y = x_C - x_C.mean(-1, keepdims=True), y_C - y_C.mean(-1, keepdims=True)
    n = x.shape[-1] - 1
    return (x * x).sum(-1) / n, (y * y).sum(-1) / n, (x * y).sum(-1) / n


def paired_difference(
    one: Sequence[ItemScores], two: Sequence[ItemScores], seed: int = 0
) -> dict[str, Any]:
    """Performance of corpus two less that of corpus one, on the same items: {value, ci_low,
    ci_high, p, over}.

    Each argument holds one corpus (C = 1), test by test. Variance over items by a paired bootstrap
    (the same items for both), over seeds from the differences of runs of the same seed; t quantile
    at the Welch-Satterthwaite degrees of freedom of the two parts. With one seed the interval is
    over items alone, of these two runs, and `over` says so."""
    generator = np.random.default_rng(seed)
    both = [
        ItemScores(np.concatenate([b.numerator_CMI, a.numerator_CMI]), a.denominator_I)
        for a, b in zip(one, two, strict=True)
    ]
    performance_CM = np.mean([test.performance_CM for test in both], axis=0)
    difference_M = performance_CM[0] - performance_CM[1]
    resampled_BC = np.mean([test.resampled_BCM(generator) for test in both], axis=0).mean(-1)
    items = sum(len(test.denominator_I) for test in both)
    parts = [(float(np.var(resampled_BC[:, 0] - resampled_BC[:, 1], ddof=1)), items - 1)]
    M = len(difference_M)
    if M > 1:
        parts.append((float(difference_M.var(ddof=1)) / M, M - 1))
    variance = sum(part for part, _ in parts)
    value = float(difference_M.mean())
    over = ["items", "seeds"] if M > 1 else ["items"]
    if variance == 0:
        return {
            "value": value,
            "ci_low": value,
            "ci_high": value,
            "p": float(value == 0),
            "over": over,
        }
    df = variance**2 / sum(part**2 / freedom for part, freedom in parts if freedom)
    half = float(stats.t.ppf((1 + LEVEL) / 2, df)) * math.sqrt(variance)
    p = float(2 * stats.t.sf(abs(value) / math.sqrt(variance), df))
    return {"value": value, "ci_low": value - half, "ci_high": value + half, "p": p, "over": over}


def paired_bootstrap(
    x: Sequence[float], y: Sequence[float], draws: int = 10_000, seed: int = 0
) -> dict[str, Any]:
    """Mean difference y - x of two systems on the same items, with a percentile bootstrap over
    items (Koehn 2004).

    Returns {difference, ci_low, ci_high, p, n}: `p` is two-sided, twice the smaller share of
    resamples on either side of zero. Raises `ValueError` unless both have the same number of items.
    """
    if len(x) != len(y) or not len(x):
        raise ValueError(f"{len(x)} and {len(y)} values; pairs are needed")
    gaps, counts = np.unique(np.asarray(y, float) - np.asarray(x, float), return_counts=True)
    n = len(x)
    # Resampling items is drawing how often each distinct difference occurs: few numbers, whatever
    # the number of items.
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
