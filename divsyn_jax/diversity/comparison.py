"""Several scored corpora side by side: every metric with its interval, and tests between neighbours."""

import itertools
from collections.abc import Sequence
from typing import Any

from divsyn_jax.diversity import baselines
from divsyn_jax.diversity.estimators import holm, welch

# Metric -> what more of it means, for readers of tables.
METRICS = {
    "effective_clusters": "effective number of clusters (Hill number of order 2): more is more diverse",
    "cluster_score": "clusters over mean cluster size of a draw (C/S of Chen et al. 2024): more is more diverse",
    "clusters_per_document": "clusters over documents of a draw (C/K): more is more diverse",
    "exp_entropy": "exponential of the entropy of a draw's clusters: more is more diverse",
    "near_duplicate_clusters": "effective clusters at the near-duplicate cut: more is more diverse",
    "duplicates.exact": "share of documents that repeat an earlier one exactly: less is more diverse",
    "duplicates.near": "share of documents that nearly repeat an earlier one: less is more diverse",
    "baselines.context_length": "mean words of a document",
    "baselines.compression_ratio": "bytes over gzip bytes: less is more diverse",
    "baselines.ngram_diversity": "distinct over all n-grams, summed over n = 1..4: more is more diverse",
    "baselines.self_repetition": "log of 4-grams shared with other documents: less is more diverse",
}
assert set(baselines.OFFERED) == {name.removeprefix("baselines.") for name in METRICS if name.startswith("baselines.")}


def compare(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The content of comparison.json for scores made with one agent and settings.

    Neighbours in the order given are tested by Welch's t test over draws, which are independent between corpora;
    `effective_clusters` is tested on the share of same-cluster pairs it is made from. p-values are Holm-corrected
    over the neighbours of one metric.
    """
    names = [score["corpus"]["name"] for score in scores]
    return {
        "corpora": names,
        "agent": scores[0]["agent"],
        "settings": scores[0]["settings"],
        "metrics": {
            metric: {score["corpus"]["name"]: measurement(score, metric) for score in scores} for metric in METRICS
        },
        "differences": _differences(scores, "cluster_score", "sd", "value")
        + _differences(scores, "effective_clusters", "pair_share_sd", "pair_share"),
        "differences_method": "Welch's t over draws between neighbours in the order given, second minus first; "
        "95% intervals; p_value_holm is corrected over the neighbours of one metric",
    }


def measurement(score: dict[str, Any], metric: str) -> dict[str, Any]:
    """One metric of a score: `value`, with `ci_low` and `ci_high` where it has an interval."""
    group, _, name = metric.rpartition(".")
    found = score[group][name] if group else score[name]
    if not isinstance(found, dict):
        return {"value": found}
    return {key: found[key] for key in ("value", "ci_low", "ci_high", "reason") if key in found}


def _differences(scores: Sequence[dict[str, Any]], metric: str, sd: str, mean: str) -> list[dict[str, Any]]:
    rows = []
    for first, second in itertools.pairwise(scores):
        draws = [(side[metric][mean], side[metric][sd], side["cluster_score"]["draws"]) for side in (first, second)]
        difference = welch(*draws)
        rows.append(
            {
                "metric": metric,
                "statistic": mean if mean != "value" else metric,
                "first": first["corpus"]["name"],
                "second": second["corpus"]["name"],
                "difference": difference.value,
                "ci_low": difference.ci_low,
                "ci_high": difference.ci_high,
                "p_value": difference.p_value,
            }
        )
    tested = [row for row in rows if row["p_value"] is not None]
    for row in rows:
        row["p_value_holm"] = None
    for row, adjusted in zip(tested, holm([row["p_value"] for row in tested]), strict=True):
        row["p_value_holm"] = adjusted
    return rows
