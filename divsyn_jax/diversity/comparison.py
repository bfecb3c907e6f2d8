"""Several scored corpora side by side:

every metric with its interval, and tests of their differences.
"""

from collections.abc import Sequence
from typing import Any

from divsyn_jax.diversity import baselines
from divsyn_jax.diversity.estimation.differences import (
    ALL_PAIRS_UP_TO,
    Comparison,
    Measured,
    compare_corpora,
)

# Metric -> what more of it means, for readers of tables.
METRICS = {
    "effective_clusters": (
        "effective number of clusters (Hill number of order 2): more is more diverse"
    ),
    "cluster_score": (
        "clusters over mean cluster size of a draw (C/S of Chen et al. 2024): more is more diverse"
    ),
    "clusters_per_document": "clusters over documents of a draw (C/K): more is more diverse",
    "exp_entropy": "exponential of the entropy of a draw's clusters: more is more diverse",
    "near_duplicate_clusters": "effective clusters at the near-duplicate cut: more is more diverse",
    "duplicates.exact": (
        "share of documents that repeat an earlier one exactly: less is more diverse"
    ),
    "duplicates.near": "share of documents that nearly repeat an earlier one: less is more diverse",
    **{
        f"baselines.{name}": baselines.BASELINES[name].sentence
        for name in baselines.baseline_names()
    },
}


def compare(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The content of comparison.json for scores made with one agent and settings.

    Every pair of corpora (of neighbours in the order given, when there are many) is tested as
    `compare_corpora` says; `effective_clusters` on the share of same-cluster pairs it is made from,
    which does not depend on the number of documents as effective clusters do."""
    names = [score["corpus"]["name"] for score in scores]
    return {
        "corpora": names,
        "agent": scores[0]["agent"],
        "settings": scores[0]["settings"],
        "lengths": scores[0].get("lengths"),
        "metrics": {
            metric: {score["corpus"]["name"]: measurement(score, metric) for score in scores}
            for metric in METRICS
        },
        "differences": (
            _differences(scores, "cluster_score", "value", "sd")
            + _differences(scores, "effective_clusters", "pair_share", "pair_share_sd")
        ),
        "differences_method": (
            f"all pairs up to {ALL_PAIRS_UP_TO} corpora, else neighbours; second minus first; 95%"
            " intervals; each row names its test, which speaks of the processes that wrote the"
            " corpora: draws and documents both vary; p_value_holm is corrected over the pairs"
            " tested by one metric"
        ),
    }


def measurement(score: dict[str, Any], metric: str) -> dict[str, Any]:
    """One metric of a score: `value`, with `ci_low` and `ci_high` where it has an interval,
    `method` that says how it was made or why there is none, and `warning` or `reason` where there
    is one."""
    group, _, name = metric.partition(".")
    found = score[group]
    if name:
        found = found.get(name, _LATER)
    if not isinstance(found, dict):
        return {"value": found}
    return {key: found[key] for key in _MEASURED if key in found}


_MEASURED = ("value", "ci_low", "ci_high", "method", "warning", "reason")
_LATER = {"value": None, "reason": "this score was made before the metric was offered"}


def failure_rate(score: dict[str, Any]) -> float:
    """Share of the draws asked for that gave no answer; `draws` of a score counts the answered
    ones.
    """
    failed = len(score["failures"])
    return failed / (failed + score["cluster_score"]["draws"])


def _differences(
    scores: Sequence[dict[str, Any]], metric: str, mean: str, sd: str
) -> list[dict[str, Any]]:
    measured = [
        Measured(
            name=score["corpus"]["name"],
            mean=score[metric][mean],
            sd=score[metric][sd],
            draws=score["cluster_score"]["draws"],
            set_means=(
                score[metric]["criteria"]["set_means"] if "criteria" in score[metric] else None
            ),
            failure_rate=failure_rate(score),
            document_variance=score[metric]["document_variance"],
        )
        for score in scores
    ]
    statistic = metric if mean == "value" else mean
    return [_row(metric, statistic, compared) for compared in compare_corpora(measured)]


def _row(metric: str, statistic: str, compared: Comparison) -> dict[str, Any]:
    found = compared.difference
    return {
        "metric": metric,
        "statistic": statistic,
        "first": compared.first,
        "second": compared.second,
        "difference": found and found.value,
        "ci_low": found and found.ci_low,
        "ci_high": found and found.ci_high,
        "p_value": found and found.p_value,
        "p_value_holm": compared.p_value_holm,
        "method": compared.method,
        "reason": compared.reason,
    }
