"""Several scored corpora side by side:

every metric with its interval, and tests of their differences.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict, cast

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.typed_json import as_typed
from divsyn_jax.diversity import baselines
from divsyn_jax.diversity.estimation.all_pairs import PairEstimate
from divsyn_jax.diversity.estimation.differences import (
    ALL_PAIRS_UP_TO,
    Measured,
    PairTest,
    compare_corpora,
)
from divsyn_jax.diversity.estimation.profile import (
    OrderRecord,
    ProfileRecord,
    estimate_at,
    mean_at,
    orders_over_band,
)
from divsyn_jax.diversity.estimation.ratio_tests import CopyShare, compare_ratios, compare_shares
from divsyn_jax.diversity.facets.names import FACET_NAMES
from divsyn_jax.diversity.facets.records import estimate_of
from divsyn_jax.diversity.score_records import (
    AgentRecord,
    ClusterScoreRecord,
    EffectiveClustersRecord,
    Score,
    SettingsRecord,
)

# Metric -> what more of it means, for readers of tables.
COMPARED = {
    "effective_clusters": (
        "effective number of clusters (Hill number of order 2; from all pairs, the geometric mean"
        " over granularities): more is more diverse"
    ),
    "cluster_score": (
        "clusters over mean cluster size of a draw (C/S of Chen et al. 2024): more is more diverse"
    ),
    "clusters_per_document": "clusters over documents of a draw (C/K): more is more diverse",
    "exp_entropy": "exponential of the entropy of a draw's clusters: more is more diverse",
    "near_duplicate_clusters": (
        "effective clusters where rewordings count as one: more is more diverse"
    ),
    "duplicates.exact": (
        "share of documents that repeat an earlier one exactly: less is more diverse"
    ),
    "duplicates.near": "share of documents that repeat one exactly or nearly: less is more diverse",
    "facets.topic": "effective number of topics: more is more diverse in topic",
    "facets.style": "effective number of styles (registers): more is more diverse in style",
    "facets.structure": "effective number of layouts: more is more diverse in structure",
    "facets.wording": (
        "effective number of words for one place in a sentence: more is more diverse in wording"
    ),
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
    """The test of one pair of corpora by one metric; see `differences.PairTest`.

    `ratio`, where there is one, is the second over the first, of which `difference` is log2."""

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
    ratio: NotRequired[float | None]
    ratio_ci_low: NotRequired[float | None]
    ratio_ci_high: NotRequired[float | None]


class Comparison(TypedDict):
    """The content of comparison.json; `metrics` by metric and corpus; `orders` where the agent has
    vectors: whether each pair stands in one order at every granularity."""

    corpora: list[str]
    agent: AgentRecord
    settings: SettingsRecord
    lengths: NotRequired[dict[str, Any] | None]
    metrics: dict[str, dict[str, Measurement]]
    differences: list[DifferenceRecord]
    differences_method: str
    orders: NotRequired[list[OrderRecord]]


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


def comparison_of(scores: Sequence[Score]) -> Comparison:
    """The content of comparison.json for scores made with one agent and settings.

    Every pair of corpora (of neighbours in the order given, when there are many) is tested:
    `cluster_score` as `compare_corpora` says; `effective_clusters` and `near_duplicate_clusters` of
    all pairs on their logarithm, at the number of documents of the smallest sample, and effective
    clusters of draws on the share of same-cluster pairs they are made from; shares of exact and
    near duplicates over documents."""
    names = [score["corpus"]["name"] for score in scores]
    profiles = profiles_of(scores)
    compared: Comparison = {
        "corpora": names,
        "agent": scores[0]["agent"],
        "settings": scores[0]["settings"],
        "lengths": scores[0].get("lengths"),
        "metrics": {
            metric: {score["corpus"]["name"]: measurement(score, metric) for score in scores}
            for metric in COMPARED
        },
        "differences": [
            *_differences(scores, "cluster_score"),
            *(
                _differences(scores, "effective_clusters")
                if profiles is None
                else _ratios("effective_clusters", headlines(profiles))
            ),
            *_copies(scores),
            *_facets(scores),
        ],
        "differences_method": (
            f"Every pair of corpora is tested where there are at most {ALL_PAIRS_UP_TO}, neighbours"
            " in the order given where there are more. Intervals are at 95%. Each row names its"
            " test, which is of the processes that wrote the corpora: it takes the documents, and"
            " draws where there are any, for a sample. p (Holm) is corrected over the pairs tested"
            " by one metric"
        ),
    }
    if profiles is not None and len(profiles) > 1:
        compared["orders"] = orders_over_band(profiles)
    return compared


def measurement(score: Score, metric: str) -> Measurement:
    """One metric of a score: `value`, with `ci_low` and `ci_high` where it has an interval over
    documents (and draws, where it is made of them), `method` that says how it was made or why there
    is none, and `warning` or `reason` where there is one.

    An interval over draws alone is Monte Carlo error and no interval of a metric."""
    place: object = score
    for key in metric.split(".", 1):  # names such as dcscore_tau0.1 hold a point themselves
        assert isinstance(place, Mapping)
        place = place.get(key, _LATER)
    if not isinstance(place, Mapping):
        place = {"value": place}
    known = {key: place[key] for key in Measurement.__annotations__ if key in place}
    if metric in _OF_DOCUMENTS and place["value"] is not None:
        known["ci_low"], known["ci_high"] = (
            place.get(f"generator_{end}") for end in ("ci_low", "ci_high")
        )
        if known["ci_low"] is None:
            del known["ci_low"], known["ci_high"]
            known["method"] = place.get("generator_ci_reason") or _NO_INTERVAL
    if metric in _SHARES and place["value"] is not None:
        share = _SHARES[metric](score)
        if share is None:
            known["method"] = _NO_INTERVAL
        else:
            known["ci_low"], known["ci_high"] = share.interval
    return as_typed(Measurement, known)


# Metrics whose interval over documents and draws is `generator_ci`.
_OF_DOCUMENTS = (
    "effective_clusters",
    "cluster_score",
    "clusters_per_document",
    "exp_entropy",
    "near_duplicate_clusters",
)
_NO_INTERVAL = "no interval over documents: this score was made before it was offered"
_LATER = {"value": None, "reason": "this score was made before the metric was offered"}


def failure_rate(score: Score) -> float:
    """Share of the draws asked for that gave no answer; `draws` of a score counts the answered
    ones.
    """
    failed = len(score["failures"])
    return failed / (failed + score["cluster_score"]["draws"])


def profiles_of(scores: Sequence[Score]) -> dict[str, ProfileRecord] | None:
    """Effective clusters from all pairs, by corpus; None where a score has them from draws."""
    found = {score["corpus"]["name"]: score["effective_clusters"] for score in scores}
    if not all("octaves" in each for each in found.values()):
        return None
    return cast(dict[str, ProfileRecord], found)


def clusters_of_draws(score: Score) -> EffectiveClustersRecord:
    """Effective clusters from draws, which are the headline of an agent without vectors."""
    found = score.get("effective_clusters_of_draws", score["effective_clusters"])
    return cast(EffectiveClustersRecord, found)


_Statistic = Literal["cluster_score", "effective_clusters"]


def _differences(scores: Sequence[Score], metric: _Statistic) -> list[DifferenceRecord]:
    tests = compare_corpora([_measured(score, metric) for score in scores])
    statistic = "cluster_score" if metric == "cluster_score" else "pair_share"
    return [_record(metric, statistic, tested) for tested in tests]


def _measured(score: Score, metric: _Statistic) -> Measured:
    """What the test needs: effective clusters by the pair share that they are made from."""
    found: ClusterScoreRecord | EffectiveClustersRecord
    if metric == "cluster_score":
        found = score["cluster_score"]
        mean, sd = found["value"], found["sd"]
    else:
        clusters = clusters_of_draws(score)
        found, mean, sd = clusters, clusters["pair_share"], clusters["pair_share_sd"]
    return Measured(
        name=score["corpus"]["name"],
        mean=mean,
        sd=sd,
        draws=score["cluster_score"]["draws"],
        set_means=tuple(found["criteria"]["set_means"]) if "criteria" in found else None,
        failure_rate=failure_rate(score),
        document_variance=found["document_variance"],
        document_variance_error=found.get("document_variance_error", 0.0),
    )


def headlines(profiles: Mapping[str, ProfileRecord]) -> dict[str, PairEstimate]:
    """The headline of every corpus at the number of documents of the smallest sample."""
    documents = min(profile["documents"] for profile in profiles.values())
    return {name: mean_at(profile, documents) for name, profile in profiles.items()}


def _ratios(metric: str, estimates: Mapping[str, PairEstimate]) -> list[DifferenceRecord]:
    return [_record(metric, "log2 ratio", tested) for tested in compare_ratios(estimates)]


def _facets(scores: Sequence[Score]) -> list[DifferenceRecord]:
    """Tests of facets, of those that every corpus has, at the documents of the smallest sample."""
    fewest = min(sampled(score) for score in scores)
    found: list[DifferenceRecord] = []
    for facet in FACET_NAMES:
        estimates = {
            score["corpus"]["name"]: estimate_of(score["facets"][facet], fewest)
            for score in scores
            if facet in score.get("facets", {})
        }
        known = {name: each for name, each in estimates.items() if each is not None}
        if len(known) == len(scores):
            found += _ratios(f"facets.{facet}", known)
    return found


def _copies(scores: Sequence[Score]) -> list[DifferenceRecord]:
    """Tests of copies: near-duplicate clusters, and the shares of exact and of near duplicates."""
    found: list[DifferenceRecord] = []
    clusters = {
        score["corpus"]["name"]: (score["near_duplicate_clusters"], sampled(score))
        for score in scores
    }
    fewest = min(documents for _, documents in clusters.values())
    estimates = {
        name: estimate_at(each["granularity"], documents, fewest)
        for name, (each, documents) in clusters.items()
        if each["value"] is not None and "granularity" in each
    }
    if len(estimates) == len(scores):
        found += _ratios("near_duplicate_clusters", estimates)
    shares = {"duplicates.exact": [_exact_share(score) for score in scores]}
    near = [_near_share(score) for score in scores]
    if None not in near:
        shares["duplicates.near"] = [share for share in near if share is not None]
    for metric, each in shares.items():
        found += [_record(metric, "share", tested) for tested in compare_shares(each)]
    return found


def sampled(score: Score) -> int:
    """Documents that effective clusters speak of."""
    return int(score["effective_clusters"]["documents"])


def _exact_share(score: Score) -> CopyShare:
    return CopyShare(
        score["corpus"]["name"], score["duplicates"]["exact"], score["corpus"]["documents"]
    )


def _near_share(score: Score) -> CopyShare | None:
    value, error = score["duplicates"]["near"], score["duplicates"].get("near_standard_error")
    if value is None or error is None:
        return None
    return CopyShare(score["corpus"]["name"], value, sampled(score), error)


_SHARES: dict[str, Callable[[Score], CopyShare | None]] = {
    "duplicates.exact": _exact_share,
    "duplicates.near": _near_share,
}


def _record(metric: str, statistic: str, tested: PairTest) -> DifferenceRecord:
    found, ratio = tested.difference, tested.ratio
    record: DifferenceRecord = {
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
    if ratio is not None:
        record["ratio"] = ratio.value
        record["ratio_ci_low"], record["ratio_ci_high"] = ratio.ci_low, ratio.ci_high
    return record
