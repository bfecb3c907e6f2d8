"""The tables of a score's report: metrics, differences, draws and their Monte Carlo error."""

from collections.abc import Mapping, Sequence
from typing import Literal

from divsyn_jax.base.html import (
    Html,
    Part,
    details,
    interval,
    join,
    markup,
    number,
    p_value,
    table,
)
from divsyn_jax.diversity import baselines
from divsyn_jax.diversity.comparison import (
    COMPARED,
    Comparison,
    DifferenceRecord,
    Measurement,
    clusters_of_draws,
    measurement,
    profiles_of,
)
from divsyn_jax.diversity.score_records import Score

HEADLINES: tuple[Literal["cluster_score", "effective_clusters"], ...] = (
    "cluster_score",
    "effective_clusters",
)
# What the page calls a metric: the words of the field for the names in the files.
WORDS = {
    "effective_clusters": "effective clusters",
    "cluster_score": "C/S",
    "clusters_per_document": "clusters per document of a draw",
    "exp_entropy": "exponential of the entropy",
    "near_duplicate_clusters": "effective clusters, rewordings as one",
    "duplicates.exact": "exact duplicates",
    "duplicates.near": "near duplicates",
    "facets.topic": "topics",
    "facets.style": "styles",
    "facets.structure": "layouts",
    "facets.wording": "wordings of a place",
}


def words_of(metric: str) -> str:
    """What the page calls a metric."""
    baseline = baselines.BASELINES.get(metric.removeprefix("baselines."))
    return WORDS.get(metric) or (baseline.words if baseline else metric.replace("_", " "))


def names_of(scores: Sequence[Score]) -> list[str]:
    """The corpora, in order."""
    return [score["corpus"]["name"] for score in scores]


def metric_table(title: str, scores: Sequence[Score], metrics: Sequence[str]) -> Html:
    """Metrics down, corpora across, each with its interval over documents."""
    found = {metric: [measurement(score, metric) for score in scores] for metric in metrics}
    rows = [
        [
            markup('{}<br><span class="soft">{}</span>', words_of(metric), COMPARED[metric]),
            *map(_cell, measured),
        ]
        for metric, measured in found.items()
        if _missing(measured) is None
    ]
    head = ["metric", *names_of(scores)]
    return details(title, table(head, rows, stacked=True) if rows else Html(""), _left_out(found))


def _left_out(found: Mapping[str, Sequence[Measurement]]) -> Html:
    """The metrics that no corpus has, by the reason that all of them give, in place of rows."""
    by_reason: dict[str, list[str]] = {}
    for metric, measured in found.items():
        reason = _missing(measured)
        if reason is not None:
            by_reason.setdefault(reason, []).append(words_of(metric))
    return join(
        markup('<p class="soft">Without a number: {} ({}).</p>', ", ".join(names), reason)
        for reason, names in by_reason.items()
    )


def _missing(measured: Sequence[Measurement]) -> str | None:
    """Why no corpus has the metric, where they all give one reason; else None."""
    reasons = {each.get("reason") or "not measured" for each in measured}
    if any(each["value"] is not None for each in measured) or len(reasons) > 1:
        return None
    return reasons.pop()


def _cell(measured: Measurement) -> Html:
    """A value with its interval, or with why there is none, and what warns of it."""
    said = [measured.get("warning")]
    if measured["value"] is not None and measured.get("ci_low") is None:
        said.append(measured.get("method"))
    notes = join(markup('<br><span class="soft">{}</span>', each) for each in said if each)
    return markup("{}{}", interval(measured), notes)


def difference_table(comparison: Comparison) -> Html:
    """Every test of two corpora."""
    if not comparison["differences"]:
        return Html("")
    rows = [
        [
            markup('{}<br><span class="soft">{}</span>', words_of(row["metric"]), _statistic(row)),
            row["first"],
            row["second"],
            _difference(row),
            p_value(row["p_value"]),
            p_value(row["p_value_holm"]),
            row["method"] or "refused",
        ]
        for row in comparison["differences"]
    ]
    head = ["metric", "first", "second", "second against first", "p", "p (Holm)", "test"]
    return details(
        "All tests of differences",
        markup("<p>{}.</p>{}", comparison["differences_method"], table(head, rows, stacked=True)),
    )


def _statistic(row: DifferenceRecord) -> str:
    return {
        "log2 ratio": "second over first: above 1 the second is more diverse",
        "pair_share": "share of pairs in one cluster: below 0 the second is more diverse",
        "cluster_score": "second minus first: above 0 the second is more diverse",
        "share": "second minus first: above 0 the second repeats more",
    }.get(row["statistic"], row["statistic"])


def _difference(row: DifferenceRecord) -> Html:
    if row.get("ratio") is None:
        return interval(row, of="difference")
    ends = {"ci_low": row.get("ratio_ci_low"), "ci_high": row.get("ratio_ci_high")}
    return interval({"value": row.get("ratio"), **ends})


def granularity_table(scores: Sequence[Score]) -> Html:
    """Effective clusters at the named granularities."""
    profiles = profiles_of(scores)
    if profiles is None:
        return Html("")
    rows: list[list[Part]] = []
    for granularity, meaning in GRANULARITY_MEANINGS.items():
        found = [profile["granularities"][granularity] for profile in profiles.values()]
        name = markup(
            '{}<br><span class="soft">{} (distance {})</span>',
            granularity,
            meaning,
            f"{found[0]['distance']:g}",
        )
        rows.append([name, *[interval(each) for each in found]])
    head = ["two documents are one kind when they are", *names_of(scores)]
    return markup(
        "<h3>Effective clusters by how fine a kind is</h3>{}",
        table(head, rows, stacked=True),
    )


GRANULARITY_MEANINGS = {
    "copies": "copies of each other, up to about a word in ten",
    "wordings": "two wordings of one content",
    "topics": "on one topic, as long answers to one prompt are",
}


def draws_part(scores: Sequence[Score]) -> Html:
    """What draws say, and their Monte Carlo error, in one fold."""
    return details(
        "Draws: other draw sizes, Monte Carlo error",
        _size_table(scores),
        _monte_carlo_table(scores),
        _curve_table(scores),
    )


def _size_table(scores: Sequence[Score]) -> Html:
    rows = []
    for points in zip(*[score["by_sample_size"] for score in scores], strict=False):
        for metric in HEADLINES:
            label = f"K = {points[0]['sample_size']}: {words_of(metric)} of draws"
            rows.append([label, *[number(point[metric]["value"]) for point in points]])
    moved = join((_moved(score) for score in scores), " ")
    return markup(
        "<h3>The same corpora at other draw sizes K</h3><p>C/S grows with K and cannot exceed it:"
        " quote K with it. {}</p>{}",
        moved,
        table(["", *names_of(scores)], rows),
    )


def _moved(score: Score) -> Html:
    """How far effective clusters of draws move with K, computed."""
    points = score["by_sample_size"]
    if len(points) < 2:
        return Html("")
    values = [point["effective_clusters"]["value"] for point in points]
    return markup(
        "{}: from K = {} to {} effective clusters of draws move by {}.",
        score["corpus"]["name"],
        str(points[0]["sample_size"]),
        str(points[-1]["sample_size"]),
        f"{values[-1] / values[0] - 1:+z.0%}",
    )


def _monte_carlo_table(scores: Sequence[Score]) -> Html:
    found = [
        {"cluster_score": score["cluster_score"], "effective_clusters": clusters_of_draws(score)}
        for score in scores
    ]
    rows = [
        [f"{words_of(metric)} of draws", *[interval(each[metric]) for each in found]]
        for metric in HEADLINES
    ]
    return markup(
        "<h3>Monte Carlo error</h3><p>Over draws of these same documents alone: what more draws"
        " would remove. It says nothing of other documents of the same process; compare corpora by"
        " the intervals above.</p>{}",
        table(["", *names_of(scores)], rows),
    )


def _curve_table(scores: Sequence[Score]) -> Html:
    if not scores[0]["curve"]:
        return Html("")
    rows = [
        [
            f"{points[0]['threshold']:g}",
            *[number(point["effective_clusters"]["value"]) for point in points],
        ]
        for points in zip(*[score["curve"] for score in scores], strict=True)
    ]
    return markup(
        "<h3>Effective clusters of draws at every cut of the dendrogram</h3>{}",
        table(["cut at distance", *names_of(scores)], rows),
    )


def round_table(scores: Sequence[Score]) -> Html:
    """How far every metric moves between fresh samples."""
    if "rounds" not in scores[0]:
        return Html("")
    metrics = [
        name for name in COMPARED if all(name in score["rounds"]["metrics"] for score in scores)
    ]
    rows = [[words_of(name), *[_spread(score, name) for score in scores]] for name in metrics]
    return markup(
        "<h2>Rounds</h2><p>Mean and standard deviation over {} fresh samples of each corpus.</p>{}",
        scores[0]["rounds"]["rounds"],
        table(["metric", *names_of(scores)], rows),
    )


def _spread(score: Score, metric: str) -> Html:
    found = score["rounds"]["metrics"][metric]
    return markup("{} &plusmn; {}", number(found["mean"]), number(found["sd"]))


def baseline_sources() -> Html:
    """Who defined the baselines."""
    rows = [[row.words, row.source, row.depends_on] for row in baselines.BASELINES.values()]
    head = ["baseline", "source", "also moves with"]
    return details(
        "Who defined the baselines, and what else moves them", table(head, rows, words=True)
    )


def settings_part(score: Score) -> Html:
    """Agent and settings by their names in score.json; those that were not set are left out."""
    found = {**score["agent"]["settings"], **score["settings"]}
    rows = [
        [markup("<code>{}</code>", name), _setting(value)]
        for name, value in found.items()
        if value not in (None, False, "", [], {})
    ]
    return details("Settings, by their names in score.json", table(["", "value"], rows, words=True))


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
