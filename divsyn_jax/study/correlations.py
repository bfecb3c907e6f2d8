"""Every metric against every outcome, over the corpora of a study."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax import statistics
from divsyn_jax.statistics import ItemScores
from divsyn_jax.study.hypotheses.evidence import shared_corpora
from divsyn_jax.study.study_file import CorrelationRow, LevelRecord, Outcome

# Every metric that performance is set against; effective clusters, the primary one, on a log scale.
CORRELATED_METRICS = (
    "effective_clusters",
    "cluster_score",
    "baselines.context_length",
    "baselines.compression_ratio",
    "baselines.ngram_diversity",
    "baselines.self_repetition",
)
PRIMARY_METRIC = CORRELATED_METRICS[0]
# What moves together with diversity in the paper; each is held fixed in turn.
CONTROLS = ("length", "unique_tokens", "repetition")


def correlations(
    recipe: Mapping[str, Any],
    levels: Sequence[LevelRecord],
    measured: Sequence[Outcome],
    items: Mapping[str, Mapping[str, Sequence[ItemScores]] | None],
) -> list[CorrelationRow]:
    """Every metric with every outcome, over corpora, a level each; the null twin is left out."""
    used = [level for level in levels if level["name"] not in recipe["null_control"][1:]]
    rows = []
    for outcome in measured:
        performance = [level["performance"][outcome.name]["value"] for level in used]
        tests = items[outcome.name]
        stacked = tests and [
            ItemScores(
                np.concatenate([level.numerator_CMI for level in of_levels]),
                of_levels[0].denominator_I,
            )
            for of_levels in zip(*(tests[level["name"]] for level in used), strict=True)
        ]
        found = [
            _correlation(metric, used, outcome, performance, stacked)
            for metric in CORRELATED_METRICS
        ]
        others = [
            row for row in found if row["metric"] != PRIMARY_METRIC and row.get("p") is not None
        ]
        for row, p in zip(others, statistics.holm([row["p"] for row in others]), strict=True):
            row["p_holm"] = p
        rows += found
    return rows


def _correlation(
    metric: str,
    used: Sequence[LevelRecord],
    outcome: Outcome,
    performance: Sequence[float],
    items: Sequence[ItemScores] | None,
) -> CorrelationRow:
    estimates = [level["metrics"][metric] for level in used]
    log2 = metric == PRIMARY_METRIC
    row = {
        "metric": metric,
        "scale": "log2" if log2 else "linear",
        "performance": outcome.name,
        "method": "Pearson, Fisher 95% interval; the unit is the corpus",
    }
    if reason := shared_corpora(used):
        corpora = len({level["fingerprint"] for level in used})
        return {**row, "estimate": None, "reason": reason, "n": corpora, "spearman": None}
    if any(estimate["value"] is None for estimate in estimates):
        return {
            **row,
            "estimate": None,
            "reason": "metric not run",
            "n": len(used),
            "spearman": None,
        }
    x = [math.log2(estimate["value"]) if log2 else estimate["value"] for estimate in estimates]
    errors = [statistics.standard_error(estimate, log2) for estimate in estimates]
    known = None if any(error is None for error in errors) else errors
    return {
        **row,
        **statistics.pearson(x, performance),
        "spearman": statistics.spearman(x, performance),
        "partial": {
            control: statistics.partial(
                x, performance, [level["controls"][control] for level in used]
            )
            for control in CONTROLS
        },
        "leave_one_out": statistics.leave_one_out(
            x, performance, [level["name"] for level in used]
        ),
        "curvature": statistics.curvature(x, performance),
        "noise_free": statistics.noise_free_correlation(x, known, items) if items else None,
    }
