"""report.html of scored corpora:

what the numbers say, whether the judge may be believed, and the draws behind them.
"""

from collections.abc import Sequence

from divsyn_jax.base.html import (
    Html,
    as_html,
    details,
    interval,
    interval_plot,
    join,
    markup,
    number,
    p_value,
    page,
    table,
)
from divsyn_jax.diversity import baselines, legibility
from divsyn_jax.diversity.agents.kinds import AGENTS
from divsyn_jax.diversity.comparison import COMPARED, Comparison, Measurement, measurement
from divsyn_jax.diversity.estimation.estimators import hill
from divsyn_jax.diversity.reporting import judge
from divsyn_jax.diversity.reporting.draws import corpus_part
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_file import HEADLINE_METRICS, DrawRecord, Score

_PLOTTED = ("effective_clusters", "cluster_score", "near_duplicate_clusters")
_LEVEL = 0.05  # of Holm-corrected tests, for the words


def render_scores(
    scores: Sequence[Score],
    comparison: Comparison,
    samples: Sequence[Sample],
    draws: Sequence[Sequence[DrawRecord]],
) -> str:
    """The page for scored corpora.

    Args:
      scores: contents of score.json.
      comparison: content of comparison.json.
      samples: the corpora's samples, for the documents' texts.
      draws: records of draws.jsonl of each corpus.
    """
    names = [score["corpus"]["name"] for score in scores]
    measured = [name for name in COMPARED if not name.startswith("baselines.")]
    baseline_names = [name for name in COMPARED if name.startswith("baselines.")]
    return page(
        "Diversity of corpora",
        [
            Html("<h1>Diversity of corpora</h1>"),
            _words(scores, comparison),
            _legibility(scores),
            _lengths(comparison),
            markup(
                "<p>{} Scores of different agents, settings or K are not comparable, effective"
                " clusters excepted, which do not depend on K.</p>",
                AGENTS[scores[0]["agent"]["kind"]].explanation,
            ),
            *[_plot(scores, metric) for metric in _PLOTTED],
            _metric_table("Metrics", scores, measured),
            _difference_table(comparison),
            _size_table(scores),
            judge.judge_table(scores),
            judge.policy_table(scores),
            _round_table(scores),
            _curve_table(scores),
            _metric_table("Baselines", scores, baseline_names),
            _baseline_sources(),
            Html("<h2>Corpora and their draws</h2>"),
            *[corpus_part(*each) for each in zip(scores, samples, draws, strict=True)],
            judge.usage_table(scores),
            markup(
                '<h2>How this was made</h2><p class="soft">Agent {}, model {}; {}. {}. Corpora:'
                " {}.</p>",
                scores[0]["agent"]["kind"],
                str(scores[0]["agent"]["model"] or "none"),
                as_html(scores[0]["agent"]["settings"]),
                as_html(scores[0]["settings"]),
                join(names, ", "),
            ),
        ],
    )


def _words(scores: Sequence[Score], comparison: Comparison) -> Html:
    """The outcome in words, from the tests of effective clusters:

    of one number of documents, where corpora differ in it.
    """
    found = [score["effective_clusters"] for score in scores]
    documents = min(each["documents"] for each in found)
    values = {
        score["corpus"]["name"]: hill(each["pair_share"], documents)
        for score, each in zip(scores, found, strict=True)
    }
    ranked = sorted(values, key=values.__getitem__)
    if len(ranked) == 1:
        only = comparison["metrics"]["effective_clusters"][ranked[0]]
        return markup(
            '<p class="verdict">{} is as diverse as a corpus of {} equally common kinds of document'
            " (effective clusters).</p>",
            ranked[0],
            interval(only),
        )
    tests = [row for row in comparison["differences"] if row["metric"] == "effective_clusters"]
    refused = [row for row in tests if row["difference"] is None]
    open_pairs = [
        markup("{} and {}", row["first"], row["second"])
        for row in tests
        if row["difference"] is not None
        and not (row["p_value_holm"] is not None and row["p_value_holm"] < _LEVEL)
    ]
    order = join((markup("{} ({})", name, values[name]) for name in ranked), " &lt; ")
    alike = all(each["documents"] == documents for each in found)
    of_each = (
        "" if alike else f" of {documents:,} documents of each (below: of all that were sampled)"
    )
    sentences = [
        markup("From least to most diverse by effective clusters{}: {}.", Html(of_each), order)
    ]
    if open_pairs:
        sentences.append(markup("Not told apart: {}.", join(open_pairs, "; ")))
    elif len(tests) > len(refused):
        sentences.append(
            Html("All pairs that were tested differ significantly (Holm-corrected p &lt; 0.05).")
        )
    if refused:
        sentences.append(
            markup("{} pairs were not compared; the table of differences says why.", len(refused))
        )
    return markup('<p class="verdict">{}</p>', join(sentences, " "))


def _legibility(scores: Sequence[Score]) -> Html:
    warned = [note for note in map(legibility.warning, scores) if note]
    cut = [note for note in map(legibility.cut, scores) if note]
    return join(
        [
            *[
                markup('<p class="verdict"><strong>Warning.</strong> {}.</p>', note)
                for note in warned
            ],
            *[markup('<p class="soft">{}.</p>', note) for note in cut],
        ]
    )


def _lengths(comparison: Comparison) -> Html:
    """What was cut, or left whole, because corpora differ in the length of documents."""
    notes = (comparison.get("lengths") or {}).get("notes", ())
    return join(markup('<p class="verdict">{}</p>', note) for note in notes)


def _plot(scores: Sequence[Score], metric: str) -> Html:
    rows = [(score["corpus"]["name"], measurement(score, metric)) for score in scores]
    drawn = interval_plot(rows, metric)
    if not drawn:
        return drawn
    return markup("<h3>{}</h3>{}{}", metric.replace("_", " "), _meaning(metric), drawn)


def _meaning(metric: str) -> Html:
    return markup('<p class="soft">{}</p>', COMPARED[metric])


def _names(scores: Sequence[Score]) -> list[str]:
    return [score["corpus"]["name"] for score in scores]


def _metric_table(title: str, scores: Sequence[Score], metrics: Sequence[str]) -> Html:
    rows = [
        [
            markup(
                '{}<br><span class="soft">{}</span>',
                metric.removeprefix("baselines."),
                COMPARED[metric],
            ),
            *[_cell(measurement(score, metric)) for score in scores],
        ]
        for metric in metrics
    ]
    head = ["metric", *_names(scores)]
    return markup("<h2>{}, with 95% intervals</h2>{}", title, table(head, rows))


def _cell(measured: Measurement) -> Html:
    """A value with its interval, or with why there is none, and what warns of it."""
    said = [measured.get("warning")]
    if measured["value"] is not None and "ci_low" not in measured:
        said.append(measured.get("method"))
    notes = join(markup('<br><span class="soft">{}</span>', each) for each in said if each)
    return markup("{}{}", interval(measured), notes)


def _difference_table(comparison: Comparison) -> Html:
    if not comparison["differences"]:
        return Html("")
    rows = [
        [
            row["statistic"],
            row["first"],
            row["second"],
            interval(row, of="difference"),
            p_value(row["p_value"]),
            p_value(row["p_value_holm"]),
            row["method"] or "refused",
        ]
        for row in comparison["differences"]
    ]
    head = ["statistic", "first", "second", "second - first", "p", "p (Holm)", "test"]
    return markup(
        "<h2>Differences</h2><p>{}.</p>{}", comparison["differences_method"], table(head, rows)
    )


def _size_table(scores: Sequence[Score]) -> Html:
    rows = []
    for points in zip(*[score["by_sample_size"] for score in scores], strict=False):
        for metric in HEADLINE_METRICS:
            rows.append(
                [
                    f"K = {points[0]['sample_size']}: {metric}",
                    *[interval(point[metric]) for point in points],
                ]
            )
    return markup(
        "<h2>The same corpora at other draw sizes</h2><p>The published score grows with K and"
        " cannot exceed it; effective clusters estimate one number at every K.</p>{}",
        table(["", *_names(scores)], rows),
    )


def _round_table(scores: Sequence[Score]) -> Html:
    if "rounds" not in scores[0]:
        return Html("")
    metrics = [
        name for name in COMPARED if all(name in score["rounds"]["metrics"] for score in scores)
    ]
    rows = [
        [
            name,
            *[
                markup(
                    "{} &plusmn; {}",
                    number(score["rounds"]["metrics"][name]["mean"]),
                    number(score["rounds"]["metrics"][name]["sd"]),
                )
                for score in scores
            ],
        ]
        for name in metrics
    ]
    return markup(
        "<h2>Rounds</h2><p>Mean and standard deviation over {} fresh samples of each corpus.</p>{}",
        scores[0]["rounds"]["rounds"],
        table(["metric", *_names(scores)], rows),
    )


def _curve_table(scores: Sequence[Score]) -> Html:
    if not scores[0]["curve"]:
        return Html("")
    rows = [
        [
            f"{points[0]['threshold']:g}",
            *[interval(point["effective_clusters"]) for point in points],
        ]
        for points in zip(*[score["curve"] for score in scores], strict=True)
    ]
    return markup(
        "<h2>Effective clusters at every threshold</h2><p>The threshold sets the granularity; it is"
        " chosen by calibration, never per corpus.</p>{}",
        table(["threshold", *_names(scores)], rows),
    )


def _baseline_sources() -> Html:
    rows = [[name, row.source, row.depends_on] for name, row in baselines.BASELINES.items()]
    head = ["baseline", "source", "also moves with"]
    return details(
        "Who defined the baselines, and what else moves them", table(head, rows, words=True)
    )
