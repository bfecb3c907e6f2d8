"""Resampling over items and seeds: how well a difference of two corpora is known.

Shape legend: C corpora, M seeds of each, I items (documents or questions), B resamples.

The items are crossed with everything: a resample takes the same items for every corpus and seed.
Seeds are nested in corpora and resampled within each."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

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
