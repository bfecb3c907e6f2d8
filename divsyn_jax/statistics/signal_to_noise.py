"""How far an outcome tells corpora apart beside what seeds make of one corpus.

Shapes: L levels, M seeds."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from scipy import stats


class SignalToNoise(TypedDict):
    """Signal and noise of an outcome.

    `signal`: standard deviation of the true means of levels (the variance of their means less what
    seeds add to it, at least 0). `noise`: that of seeds within levels, pooled. `ratio`: signal over
    noise; None without noise. `by_level`: signal over the noise of each level's own seeds, None
    where that is 0. `equal_noise_p`: of the test that all levels have the same noise (Brown and
    Forsythe 1974, doi 10.1080/01621459.1974.10482955); None with two seeds, where their distances
    to the median are no test."""

    signal: float
    noise: float
    ratio: float | None
    by_level: list[float | None]
    equal_noise_p: float | None


def signal_to_noise(values_LM: Sequence[Sequence[float]]) -> SignalToNoise:
    """Signal and noise of an outcome by level and seed; after Heineman et al. 2025, arXiv
    2508.13144, with the noise over seeds. Raises `ValueError` for fewer than two of either."""
    seen_LM = np.asarray(values_LM, float)
    levels, seeds = seen_LM.shape
    if levels < 2 or seeds < 2:
        raise ValueError(f"{levels} levels and {seeds} seeds: two of each are the least")
    variance_L = seen_LM.var(axis=1, ddof=1)
    noise = float(variance_L.mean())
    between = float(seen_LM.mean(axis=1).var(ddof=1)) - noise / seeds
    signal = max(between, 0.0) ** 0.5
    return {
        "signal": signal,
        "noise": noise**0.5,
        "ratio": signal / noise**0.5 if noise else None,
        "by_level": [signal / own**0.5 if own else None for own in variance_L],
        "equal_noise_p": None
        if seeds < 3 or not noise
        else float(stats.levene(*seen_LM, center="median").pvalue),
    }
