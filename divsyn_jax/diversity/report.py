"""report.html of scored corpora:

what the numbers say, whether the judge may be believed, and the draws behind them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from divsyn_jax.base.html_page import interval, interval_plot, number, page, table, text
from divsyn_jax.diversity import baselines, legibility
from divsyn_jax.diversity.agents.kinds import AGENTS
from divsyn_jax.diversity.comparison import COMPARED, Comparison, Measurement, measurement
from divsyn_jax.diversity.draws_report import corpus_section
from divsyn_jax.diversity.estimation.estimators import hill
from divsyn_jax.diversity.estimation.reliability import RetestRecord
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_file import DrawRecord, PurposeRecord, Score

_HEADLINES: tuple[Literal["cluster_score", "effective_clusters"], ...] = (
    "cluster_score",
    "effective_clusters",
)
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
    drawn = [corpus_section(*each) for each in zip(scores, samples, draws, strict=True)]
    return page(
        "Diversity of corpora",
        [
            "<h1>Diversity of corpora</h1>",
            _words(scores, comparison),
            _legibility(scores),
            _lengths(comparison),
            (
                f"<p>{AGENTS[scores[0]['agent']['kind']].explanation} Scores of different agents,"
                " settings or K are not comparable, effective clusters excepted, which do not"
                " depend on K.</p>"
            ),
            *[_plot(scores, metric) for metric in _PLOTTED],
            _metric_table(
                "Metrics", scores, [name for name in COMPARED if not name.startswith("baselines.")]
            ),
            _difference_table(comparison),
            _size_table(scores),
            _judge_table(scores),
            _policy_table(scores),
            _round_table(scores),
            _curve_table(scores),
            _metric_table(
                "Baselines", scores, [name for name in COMPARED if name.startswith("baselines.")]
            ),
            _baseline_sources(),
            "<h2>Corpora and their draws</h2>",
            *drawn,
            _usage_table(scores),
            f'<h2>How this was made</h2><p class="soft">Agent {text(scores[0]["agent"]["kind"])},'
            " model "
            f"{text(scores[0]['agent']['model'])}; {text(scores[0]['agent']['settings'])}. "
            f"{text(scores[0]['settings'])}. Corpora: {text(', '.join(names))}.</p>",
        ],
    )


def _words(scores: Sequence[Score], comparison: Comparison) -> str:
    """The outcome in words, from the tests of effective clusters:

    of one number of documents, where corpora differ in it.
    """
    found = [score["effective_clusters"] for score in scores]
    documents = min(each["documents"] for each in found)
    values = {
        score["corpus"]["name"]: hill(each["pair_share"], documents)
        for score, each in zip(scores, found, strict=True)
    }
    ranked = sorted(values, key=lambda name: values[name])
    if len(ranked) == 1:
        only = comparison["metrics"]["effective_clusters"][ranked[0]]
        return (
            f'<p class="verdict">{text(ranked[0])} is worth {interval(only)} equally common kinds'
            " of document (effective clusters).</p>"
        )
    tests = [row for row in comparison["differences"] if row["metric"] == "effective_clusters"]
    refused = [row for row in tests if row["difference"] is None]
    open_pairs = [
        f"{text(row['first'])} and {text(row['second'])}"
        for row in tests
        if row["difference"] is not None
        and not (row["p_value_holm"] is not None and row["p_value_holm"] < _LEVEL)
    ]
    order = " &lt; ".join(f"{text(name)} ({number(values[name])})" for name in ranked)
    alike = all(each["documents"] == documents for each in found)
    of_each = (
        "" if alike else f" of {documents:,} documents of each (below: of all that were sampled)"
    )
    sentences = [f"From least to most diverse by effective clusters{of_each}: {order}."]
    if open_pairs:
        sentences.append(f"Not told apart: {'; '.join(open_pairs)}.")
    elif len(tests) > len(refused):
        sentences.append("Every pair that was tested is told apart.")
    if refused:
        sentences.append(
            f"{len(refused)} pairs were not compared; the table of differences says why."
        )
    return f'<p class="verdict">{" ".join(sentences)}</p>'


def _legibility(scores: Sequence[Score]) -> str:
    warned = [note for note in map(legibility.warning, scores) if note]
    cut = [note for note in map(legibility.cut, scores) if note]
    return "".join(
        [
            *[f'<p class="verdict"><strong>Warning.</strong> {text(note)}.</p>' for note in warned],
            *[f'<p class="soft">{text(note)}.</p>' for note in cut],
        ]
    )


def _lengths(comparison: Comparison) -> str:
    """What was cut, or left whole, because corpora differ in the length of documents."""
    notes = (comparison.get("lengths") or {}).get("notes", ())
    return "".join(f'<p class="verdict">{text(note)}</p>' for note in notes)


def _plot(scores: Sequence[Score], metric: str) -> str:
    drawn = interval_plot(
        [(score["corpus"]["name"], measurement(score, metric)) for score in scores], metric
    )
    return f"{drawn and f'<h3>{metric}</h3>'}{drawn and _meaning(metric)}{drawn}"


def _meaning(metric: str) -> str:
    return f'<p class="soft">{text(COMPARED[metric])}</p>'


def _names(scores: Sequence[Score]) -> list[str]:
    return [text(score["corpus"]["name"]) for score in scores]


def _metric_table(title: str, scores: Sequence[Score], metrics: Sequence[str]) -> str:
    rows = [
        [
            (
                f"{metric.removeprefix('baselines.')}<br><span"
                f' class="soft">{text(COMPARED[metric])}</span>'
            ),
            *[_cell(measurement(score, metric)) for score in scores],
        ]
        for metric in metrics
    ]
    return f"<h2>{title}, with 95% intervals</h2>{table(['metric', *_names(scores)], rows)}"


def _cell(measured: Measurement) -> str:
    """A value with its interval, or with why there is none, and what warns of it."""
    said = [measured.get("warning")]
    if measured["value"] is not None and "ci_low" not in measured:
        said.append(measured.get("method"))
    return interval(measured) + "".join(
        f'<br><span class="soft">{text(each)}</span>' for each in said if each
    )


def _difference_table(comparison: Comparison) -> str:
    if not comparison["differences"]:
        return ""
    rows = [
        [
            text(row["statistic"]),
            text(row["first"]),
            text(row["second"]),
            interval({**row, "value": row["difference"]}),
            number(row["p_value"]),
            number(row["p_value_holm"]),
            text(row["method"] or "refused"),
        ]
        for row in comparison["differences"]
    ]
    head = ["statistic", "first", "second", "second - first", "p", "p (Holm)", "test"]
    return (
        f"<h2>Differences</h2><p>{text(comparison['differences_method'])}.</p>{table(head, rows)}"
    )


def _size_table(scores: Sequence[Score]) -> str:
    rows = []
    for points in zip(*[score["by_sample_size"] for score in scores], strict=False):
        for metric in _HEADLINES:
            rows.append(
                [
                    f"K = {points[0]['sample_size']}: {metric}",
                    *[interval(point[metric]) for point in points],
                ]
            )
    note = (
        "<p>The published score grows with K and runs into it; effective clusters estimate one"
        " number at every K.</p>"
    )
    return (
        f"<h2>The same corpora at other draw sizes</h2>{note}{table(['', *_names(scores)], rows)}"
    )


def _judge_table(scores: Sequence[Score]) -> str:
    """What speaks for and against the judge, from the run itself."""
    if AGENTS[scores[0]["agent"]["kind"]].free:
        return ""

    def row(label: str, cell: Callable[[Score], str]) -> list[str]:
        return [label, *[cell(score) for score in scores]]

    rows = [
        row("answers shaped by", lambda score: text(score["usage"]["mode"])),
        row(
            "draws failed",
            lambda score: f"{len(score['failures'])} of {score['cluster_score']['draws_asked']}",
        ),
        row("neighbours put together, z", _position),
        row(
            "asked again: same number of clusters (ICC)",
            lambda score: number(score["test_retest"].get("correlation")),
        ),
        row(
            "asked again: same partition (adjusted Rand)",
            lambda score: _agreement(score["test_retest"]),
        ),
        row(
            "clusters found invalid",
            _invalid,
        ),
        row("sd of the score between criteria sets", _between_sets),
        row("score with control variate", _control),
        row("draws saved by the control variate", _saved),
    ]
    return f"<h2>May this judge be believed here?</h2>{table(['check', *_names(scores)], rows)}"


def _position(score: Score) -> str:
    found = score["position_bias"]
    if found["z"] is None:
        return "-"
    warning = " <strong>looks at places, not documents</strong>" if found["warning"] else ""
    return f"{found['z']:+.1f}{warning}"


def _agreement(found: RetestRecord) -> str:
    return interval(found["adjusted_rand"]) if "adjusted_rand" in found else "-"


def _invalid(score: Score) -> str:
    found = score["verification"]
    return interval(found["clusters_changed"]) if "clusters_changed" in found else "-"


def _between_sets(score: Score) -> str:
    criteria = score["cluster_score"].get("criteria")
    return number(criteria["sets_sd"] if criteria else None)


def _control(score: Score) -> str:
    found = score["control_variate"] or {}
    return interval(found["cluster_score"]) if "cluster_score" in found else "-"


def _saved(score: Score) -> str:
    found = (score["control_variate"] or {}).get("cluster_score")
    return "-" if found is None else f"{found['variance_saved']:.0%}"


def _policy_table(scores: Sequence[Score]) -> str:
    policies = scores[0]["verification"].get("policies")
    if not policies or len(policies) < 2:
        return ""
    rows = [
        [
            f"{policy}: {metric}",
            *[interval(score["verification"]["policies"][policy][metric]) for score in scores],
        ]
        for policy in policies
        for metric in _HEADLINES
    ]
    note = (
        "<p>Clusters that verification found invalid are split into single documents (the"
        " headline), dropped with their documents, or kept. All three come from the same calls.</p>"
    )
    return f"<h2>Invalid clusters</h2>{note}{table(['policy', *_names(scores)], rows)}"


def _round_table(scores: Sequence[Score]) -> str:
    if "rounds" not in scores[0]:
        return ""
    metrics = [
        name for name in COMPARED if all(name in score["rounds"]["metrics"] for score in scores)
    ]
    rows = [
        [
            name,
            *[
                f"{number(score['rounds']['metrics'][name]['mean'])} &plusmn;"
                f" {number(score['rounds']['metrics'][name]['sd'])}"
                for score in scores
            ],
        ]
        for name in metrics
    ]
    note = (
        f"<p>Mean and standard deviation over {scores[0]['rounds']['rounds']} fresh samples of each"
        " corpus.</p>"
    )
    return f"<h2>Rounds</h2>{note}{table(['metric', *_names(scores)], rows)}"


def _curve_table(scores: Sequence[Score]) -> str:
    if not scores[0]["curve"]:
        return ""
    rows = [
        [
            f"{points[0]['threshold']:g}",
            *[interval(point["effective_clusters"]) for point in points],
        ]
        for points in zip(*[score["curve"] for score in scores], strict=True)
    ]
    note = (
        "<p>The threshold sets the granularity; it is chosen by calibration, never per corpus.</p>"
    )
    return (
        "<h2>Effective clusters at every"
        f" threshold</h2>{note}{table(['threshold', *_names(scores)], rows)}"
    )


def _baseline_sources() -> str:
    rows = [
        [name, text(baselines.BASELINES[name].source), text(baselines.BASELINES[name].depends_on)]
        for name in baselines.baseline_names()
    ]
    head = ["baseline", "source", "also moves with"]
    return (
        "<details><summary>Who defined the baselines, and what else moves"
        f" them</summary>{table(head, rows, words=True)}</details>"
    )


def _usage_table(scores: Sequence[Score]) -> str:
    usage = scores[0]["usage"]
    if not usage.get("by_purpose"):
        return ""
    keys = tuple(PurposeRecord.__annotations__)
    table_of: dict[str, Mapping[str, object]] = {**usage["by_purpose"], "total": usage}
    rows = [
        [text(purpose), *[f"{counts[key]:,}" for key in keys]]
        for purpose, counts in table_of.items()
    ]
    cost = (
        "unknown (no prices given)"
        if usage["cost_with_cached"] is None
        else f"{usage['cost_with_cached']:.2f}"
    )
    others = [score["corpus"]["name"] for score in scores if score["usage"] != usage]
    apart = (
        f" Not in it, as they were scored in another run: {text(', '.join(others))}."
        if others
        else ""
    )
    note = (
        f"<p>For corpora that were scored together; answers used cost {cost}, those of earlier runs"
        f" included.{apart}</p>"
    )
    return (
        "<h2>Calls and"
        f" cost</h2>{note}{table(['purpose', *[key.replace('_', ' ') for key in keys]], rows)}"
    )
