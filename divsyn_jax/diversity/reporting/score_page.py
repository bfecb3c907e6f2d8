"""report.html of scored corpora: the answer in words and its figure first, the evidence folded."""

from collections.abc import Sequence

from divsyn_jax.base.html import (
    Html,
    bullets,
    figure,
    interval_plot,
    join,
    line_chart,
    markup,
    number,
    page,
)
from divsyn_jax.diversity import legibility
from divsyn_jax.diversity.agents.kinds import AGENTS
from divsyn_jax.diversity.comparison import COMPARED, Comparison, measurement, profiles_of, sampled
from divsyn_jax.diversity.pairs.report_pairs import pairs_part
from divsyn_jax.diversity.redundancy.records import Redundancy
from divsyn_jax.diversity.reporting import answer, facet_profile, judge_tables, tables
from divsyn_jax.diversity.reporting.draws import corpus_part
from divsyn_jax.diversity.reporting.enough import document_charts, enough
from divsyn_jax.diversity.reporting.redundancy_part import redundancy_part
from divsyn_jax.diversity.reporting.sentences import Sentence
from divsyn_jax.diversity.sampling import Sample
from divsyn_jax.diversity.score_records import DrawRecord, Score


def render_scores(
    scores: Sequence[Score],
    comparison: Comparison,
    samples: Sequence[Sample],
    draws: Sequence[Sequence[DrawRecord]],
    found: Sequence[Redundancy | None] = (),
) -> str:
    """The page for scored corpora.

    Args:
      scores: contents of score.json.
      comparison: content of comparison.json.
      samples: the corpora's samples, for the documents' texts.
      draws: records of draws.jsonl of each corpus.
      found: clusters.jsonl of each corpus; None where there is none, empty where there is
        none of any.
    """
    names = tables.names_of(scores)
    own = [name for name in COMPARED if not name.startswith("baselines.")]
    measured = [name for name in own if not name.startswith("facets.")]
    baseline_names = [name for name in COMPARED if name.startswith("baselines.")]
    return page(
        "Diversity of corpora",
        [
            Html("<h1>Diversity of corpora</h1>"),
            _answer(scores, comparison),
            _counts(scores),
            _headline(scores),
            _conditions(scores, comparison),
            facet_profile.facet_part(scores, comparison),
            tables.granularity_table(scores),
            markup(
                '<div class="beside">{}{}{}</div>',
                _curve(scores),
                document_charts(scores),
                _enough(scores),
            ),
            pairs_part(scores),
            redundancy_part(scores, samples, found or [None] * len(scores)),
            _published(scores),
            Html("<h2>Evidence</h2>"),
            tables.metric_table("All metrics, with 95% intervals over documents", scores, measured),
            tables.difference_table(comparison),
            tables.draws_part(scores),
            tables.metric_table("Baselines, with 95% intervals", scores, baseline_names),
            tables.baseline_sources(),
            judge_tables.judge_part(scores),
            judge_tables.policy_part(scores),
            tables.round_table(scores),
            Html("<h2>Corpora and their draws</h2>"),
            *[corpus_part(*each) for each in zip(scores, samples, draws, strict=True)],
            judge_tables.usage_part(scores),
            markup(
                '<h2>How this was made</h2><p class="soft">{} Agent: {}; model: {}. Corpora: {}.'
                " Numbers of other agents or settings are not comparable with these, and C/S not"
                " with that of another K.</p>{}",
                AGENTS[scores[0]["agent"]["kind"]].explanation,
                scores[0]["agent"]["kind"],
                str(scores[0]["agent"]["model"] or "none"),
                join(names, ", "),
                tables.settings_part(scores[0]),
            ),
        ],
    )


def _answer(scores: Sequence[Score], comparison: Comparison) -> Html:
    """The answer in a box, with what makes it void."""
    warned = [note for note in map(legibility.warning, scores) if note]
    return join(
        [
            markup(
                '<p class="verdict">{}</p>',
                join((each.html() for each in answer.answer(scores, comparison)), " "),
            ),
            *[
                markup('<p class="verdict"><strong>Warning.</strong> {}.</p>', note)
                for note in warned
            ],
        ]
    )


def _conditions(scores: Sequence[Score], comparison: Comparison) -> Html:
    """What else has to be known of the answer, and what was cut or left whole."""
    said = [
        answer.band(comparison),
        answer.kinds(scores),
        answer.copies(scores, comparison),
        answer.saturation(scores),
        [Sentence(note) for note in [answer.sizes_note(scores)] if note],
    ]
    lengths = (comparison.get("lengths") or {}).get("notes", ())
    return join(
        [
            *[
                markup('<p class="note">{}</p>', join((each.html() for each in some), " "))
                for some in said
                if some
            ],
            *[markup('<p class="note">{}</p>', note) for note in lengths],
            *[markup('<p class="soft">{}.</p>', note) for note in legibility.cuts(scores)],
        ]
    )


def _counts(scores: Sequence[Score]) -> Html:
    """How many kinds there are, where judged pairs or a calibration say it of every corpus."""
    profiles = profiles_of(scores) or {}
    counted = {name: answer.one_count(profile) for name, profile in profiles.items()}
    found = {name: count for name, count in counted.items() if count is not None}
    if not found or len(found) < len(scores):
        return Html("")
    drawn = interval_plot(
        [(name, values) for name, (values, _) in found.items()], "kinds, 95% interval"
    )
    sources = {source for _, source in found.values()}
    by = join(
        sorted(sources)
        if len(sources) == 1
        else (markup("{} by {}", name, source) for name, (_, source) in found.items()),
        ", ",
    )
    caption = markup("How many kinds there are, counted {}{}.", "by " * (len(sources) == 1), by)
    return markup("<h2>Kinds</h2>{}", figure(drawn, caption))


def _headline(scores: Sequence[Score]) -> Html:
    """Effective clusters with their intervals, and how they were made."""
    ceiling = min(sampled(score) for score in scores)
    rows = list(answer.comparable_intervals(scores).items())
    of_each = answer.comparable(scores)[1]
    label = f"effective clusters{of_each}, 95% interval over documents"
    drawn = interval_plot(rows, label, float(ceiling))
    made = (
        "From draws: the clusters of the judge, and the share of pairs of a draw in one of them."
        if profiles_of(scores) is None
        else "From all pairs of the sampled documents, two being of one kind by their distance: the"
        " geometric mean over granularities from copies (distance 0.05) to broad topics (0.8). No"
        " draws, no K."
    )
    caption = markup(
        "{} {} At most {}, the documents sampled (dashed, where the axis reaches it).",
        AGENTS[scores[0]["agent"]["kind"]].explanation,
        made,
        number(ceiling),
    )
    return markup("<h2>Effective clusters</h2>{}", figure(drawn, caption))


def _curve(scores: Sequence[Score]) -> Html:
    """Effective clusters at every granularity."""
    profiles = profiles_of(scores)
    if profiles is None:
        return Html("")
    lines = [
        (name, [(point["distance"], point["value"]) for point in profile["curve"]])
        for name, profile in profiles.items()
    ]
    marks = {
        name: point["distance"]
        for name, point in next(iter(profiles.values()))["granularities"].items()
    }
    drawn = line_chart(
        lines,
        "effective clusters",
        "cosine distance up to which two documents are one kind",
        marks,
        ticks=(0.05, 0.2, 0.4, 0.6, 0.8),
    )
    caption = markup(
        "Left only copies are of one kind; to the right ever less alike documents are. Corpora"
        " whose lines cross change places with the granularity. Intervals are in score.json."
    )
    return figure(drawn, caption)


def _enough(scores: Sequence[Score]) -> Html:
    """Whether more documents would help, a note for each corpus."""
    said = enough(scores)
    if not said:
        return Html("")
    items = bullets(sentence.html() for sentence in said)
    return markup("<div><h3>Enough documents, or would more help?</h3>{}</div>", items)


def _published(scores: Sequence[Score]) -> Html:
    """C/S over draws, as published."""
    rows = [(score["corpus"]["name"], measurement(score, "cluster_score")) for score in scores]
    size = scores[0]["cluster_score"]["sample_size"]
    label = "C/S, 95% interval over documents and draws"
    caption = markup(
        "Clusters over mean cluster size, mean over draws of {} documents (Chen et al. 2024), whose"
        " most is {} (dashed).",
        str(size),
        str(size),
    )
    drawn = interval_plot(rows, label, float(size))
    return markup("<h2>C/S, as published</h2>{}", figure(drawn, caption))
