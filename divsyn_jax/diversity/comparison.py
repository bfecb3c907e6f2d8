"""Several scored corpora side by side:

every metric with its interval, and tests of their differences.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.typed_json import as_typed
from divsyn_jax.diversity import baselines
from divsyn_jax.diversity.estimation.differences import (
    ALL_PAIRS_UP_TO,
    Measured,
    PairTest,
    compare_corpora,
)
from divsyn_jax.diversity.score_file import AgentRecord, Score, SettingsRecord

# Metric -> what more of it means, for readers of tables.
COMPARED = {
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


class Measurement(TypedDict):
    """One metric of one corpus: its value, with its interval or the reason why there is none."""

    value: float | None
    ci_low: NotRequired[float | None]
    ci_high: NotRequired[float | None]
    method: NotRequired[str | None]
    warning: NotRequired[str | None]
    reason: NotRequired[str | None]


class DifferenceRecord(TypedDict):
    """The test of one pair of corpora by one metric; see `differences.PairTest`."""

    metric: str
    statistic: str
    first: str
    second: str
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    p_value_holm: float | None
    method: str | None
    reason: str | None


class Comparison(TypedDict):
    """The content of comparison.json; `metrics` by metric and corpus."""

    corpora: list[str]
    agent: AgentRecord
    settings: SettingsRecord
    lengths: NotRequired[dict[str, Any] | None]
    metrics: dict[str, dict[str, Measurement]]
    differences: list[DifferenceRecord]
    differences_method: str


def write_comparison(path: str | os.PathLike, compared: Comparison) -> None:
    """Write comparison.json."""
    files.write_json(path, compared)


def read_comparison(path: str | os.PathLike) -> Comparison:
    """Read comparison.json. Raises `UserError` naming the file when it is missing or damaged."""
    content = files.read_json(path)
    try:
        return as_typed(Comparison, content)
    except ValueError as error:
        raise UserError(
            f"{path}: damaged ({error}); remove it and repeat the command that wrote it"
        ) from None


def compare(scores: Sequence[Score]) -> Comparison:
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
            for metric in COMPARED
        },
        "differences": (
            _differences(scores, "cluster_score") + _differences(scores, "effective_clusters")
        ),
        "differences_method": (
            f"all pairs up to {ALL_PAIRS_UP_TO} corpora, else neighbours; second minus first; 95%"
            " intervals; each row names its test, which speaks of the processes that wrote the"
            " corpora: draws and documents both vary; p_value_holm is corrected over the pairs"
            " tested by one metric"
        ),
    }


def measurement(score: Score, metric: str) -> Measurement:
    """One metric of a score: `value`, with `ci_low` and `ci_high` where it has an interval,
    `method` that says how it was made or why there is none, and `warning` or `reason` where there
    is one."""
    place: object = score
    for key in metric.split(".", 1):  # names such as dcscore_tau0.1 hold a point themselves
        assert isinstance(place, Mapping)
        place = place.get(key, _LATER)
    if not isinstance(place, Mapping):
        place = {"value": place}
    known = {key: place[key] for key in Measurement.__annotations__ if key in place}
    return as_typed(Measurement, known)


_LATER = {"value": None, "reason": "this score was made before the metric was offered"}


def failure_rate(score: Score) -> float:
    """Share of the draws asked for that gave no answer; `draws` of a score counts the answered
    ones.
    """
    failed = len(score["failures"])
    return failed / (failed + score["cluster_score"]["draws"])


_Statistic = Literal["cluster_score", "effective_clusters"]


def _differences(scores: Sequence[Score], metric: _Statistic) -> list[DifferenceRecord]:
    tests = compare_corpora([_measured(score, metric) for score in scores])
    statistic = "cluster_score" if metric == "cluster_score" else "pair_share"
    return [_record(metric, statistic, tested) for tested in tests]


def _measured(score: Score, metric: _Statistic) -> Measured:
    """What the test needs: effective clusters by the pair share that they are made from."""
    if metric == "cluster_score":
        mean, sd = score["cluster_score"]["value"], score["cluster_score"]["sd"]
    else:
        clusters = score["effective_clusters"]
        mean, sd = clusters["pair_share"], clusters["pair_share_sd"]
    found = score[metric]
    return Measured(
        name=score["corpus"]["name"],
        mean=mean,
        sd=sd,
        draws=score["cluster_score"]["draws"],
        set_means=tuple(found["criteria"]["set_means"]) if "criteria" in found else None,
        failure_rate=failure_rate(score),
        document_variance=found["document_variance"],
    )


def _record(metric: str, statistic: str, tested: PairTest) -> DifferenceRecord:
    found = tested.difference
    return {
        "metric": metric,
        "statistic": statistic,
        "first": tested.first,
        "second": tested.second,
        "difference": None if found is None else found.value,
        "ci_low": None if found is None else found.ci_low,
        "ci_high": None if found is None else found.ci_high,
        "p_value": None if found is None else found.p_value,
        "p_value_holm": tested.p_value_holm,
        "method": tested.method,
        "reason": tested.reason,
    }
