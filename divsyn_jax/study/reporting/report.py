"""The page that a study writes, and its main figure, from the content of study.json.

One self-contained HTML page without scripts: the answer and the main figure first, then what they
rest on.
"""

import pathlib
from collections.abc import Sequence

from divsyn_jax.base import files
from divsyn_jax.base.html import Html, Part, as_html, bullets, details, figure, join, markup, page
from divsyn_jax.study.hypotheses.verdict import JudgedHypothesis, Kind
from divsyn_jax.study.reporting import exchange, factor_effects, signals, tables
from divsyn_jax.study.reporting import figures as study_figures
from divsyn_jax.study.reporting.figures import LABELS
from divsyn_jax.study.study_file import StudyResults

_TONES = {Kind.SUPPORTED: "good", Kind.NOT_SUPPORTED: "bad", Kind.OPPOSITE: "bad"}


def write_report(study: StudyResults, folder: pathlib.Path) -> None:
    """Write `report.html`, `report.png` and `report.svg` into `folder`."""
    import matplotlib
    import matplotlib.pyplot

    matplotlib.use("Agg")
    with study_figures.plain_text():
        outcomes = study_figures.outcomes_figure(study)
        main = factor_effects.effects_figure(study) if "factorial" in study else outcomes
        main.savefig(
            folder / ".report.png", dpi=150, bbox_inches="tight", facecolor="white", format="png"
        )
        (folder / ".report.png").replace(folder / "report.png")
        drawn = {
            "main": study_figures.svg(main),
            "outcomes": study_figures.svg(outcomes),
            "metrics": study_figures.svg(study_figures.metrics_figure(study)),
            "curves": study_figures.svg(study_figures.curves_figure(study)),
            "mixtures": study_figures.svg(study_figures.mixtures_figure(study)),
        }
    files.write_text(folder / "report.svg", drawn["main"])
    pictures = {name: markup('<div class="drawn">{}</div>', svg) for name, svg in drawn.items()}
    files.write_text(
        folder / "report.html", page(f"Diversity study {study['name']}", _parts(study, pictures))
    )
    matplotlib.pyplot.close("all")


def _parts(study: StudyResults, pictures: dict[str, Html]) -> list[Part]:
    seeds = len(study["recipe"]["seeds"])
    first = study_figures.outcome_label(study["primary_outcome"])
    primary_id = f"predicts:{study['primary_outcome']}"
    asked = [judged for judged in study["verdicts"] if judged.source != "paper"]
    answer = [judged for judged in asked if judged.id == primary_id]
    claims = [judged for judged in study["verdicts"] if judged.source == "paper"]
    untested = [judged for judged in claims if not judged.verdict.testable]
    return [
        markup(
            '<p class="soft">divsyn_jax diversity study</p>'
            "<h1>{}: corpus diversity against model performance</h1>",
            study["name"],
        ),
        _setting(study),
        _verdict_list(answer) if answer else "",
        *_effects(study, pictures),
        figure(
            pictures["outcomes"],
            markup(
                "A point is a corpus. Horizontal bars: 95% interval of the score, over draws and"
                " over the documents that the same process might have written. Vertical bars: 95% t"
                " interval over {} training seeds. Grey band: as far as two corpora must lie apart"
                " to be told apart by these seeds (Fisher's least significant difference, about the"
                " mean). Hollow squares: the null twin, left out of the correlation.{}",
                seeds,
                _UNNAMED,
            ),
            wide=True,
        ),
        _kind_note(study),
        *factor_effects.factorial_parts(study),
        *exchange.exchange_parts(study),
        Html("<h2>Verdicts</h2>"),
        _verdicts(asked, answer),
        tables.limits_table(study),
        _advice(study),
        tables.choices(study),
        Html("<h2>Corpora</h2>"),
        tables.level_tables(study),
        _held(study),
        Html("<h2>The noise floor</h2>"),
        tables.noise_floor_table(study),
        *signals.signal_parts(study),
        Html("<h2>Correlations</h2>"),
        tables.correlations_table(study),
        Html("<h2>What else could explain it</h2>"),
        tables.explanations(study),
        markup("<h2>Every metric, on {}</h2>", first),
        figure(
            pictures["metrics"],
            markup(
                "The same performance against {} (log scale; the primary metric) and the others,"
                " whose p values are corrected for their number (Holm) in the table above.{}",
                LABELS[study["primary_metric"]],
                _UNNAMED,
            ),
            wide=True,
        ),
        *_claims([judged for judged in claims if judged not in untested], untested, study),
        Html("<h2>Learning curves</h2>"),
        figure(
            pictures["curves"],
            markup(
                "Training loss by corpus, mean over seeds{}. A narrow corpus is easier to fit; that"
                " is not better performance.",
                ", a panel a model size" * (len(study["recipe"]["sizes"]) > 1),
            ),
            wide=True,
        ),
        Html("<h2>Realised mixtures</h2>"),
        _mixtures(study, pictures),
        Html("<h2>Held-out text</h2>"),
        tables.heldout(study),
        Html("<h2>Where the numbers come from</h2>"),
        _provenance(study),
        Html("<h2>How to get each number again</h2>"),
        _reproduce(),
    ]


# Names that would lie over others or over points are hidden (label_places, and panels of many).
_UNNAMED = " Points without a name had no room for it; the table of corpora has every number."


def _mixtures(study: StudyResults, pictures: dict[str, Html]) -> Html:
    sources = study_figures.sources_read(study)
    if len(sources) == 1:
        return markup("<p>Every run read tokens of one source alone: {}.</p>", sources[0])
    caption = "Shares of training tokens actually read, from metrics.jsonl."
    return figure(pictures["mixtures"], caption, wide=True)


def _effects(study: StudyResults, pictures: dict[str, Html]) -> list[Part]:
    """The main figure of a factorial study."""
    if "factorial" not in study:
        return []
    caption = (
        "What each kind of diversity does to each held-out text: the mean at its high level less"
        " that at its low one, with 95% intervals. Filled: told from none (Holm over the main"
        " effects). Orange: the sham factor."
    )
    return [figure(pictures["main"], caption, wide=True)]


def _setting(study: StudyResults) -> Html:
    seeds, levels = len(study["recipe"]["seeds"]), len(study["levels"])
    corpora = len({level["fingerprint"] for level in study["levels"]})
    return markup(
        "<p>{} corpora{}, {} training seed{} each. Diversity is scored by the <b>{}</b> agent ({});"
        " performance is measured on text{} that no model was trained on.</p>",
        corpora,
        f" in {levels} levels" * (levels > corpora),
        seeds,
        "s" * (seeds > 1),
        study["agent"]["kind"],
        str(study["agent"]["model"]),
        " and questions" * bool(study["recipe"]["tasks"]),
    )


def _advice(study: StudyResults) -> Html:
    """What was said before training."""
    advice = study.get("advice", [])
    if not advice:
        return Html("")
    return join([Html("<h3>Said before training</h3>"), bullets(advice)])


def _verdicts(asked: Sequence[JudgedHypothesis], answer: Sequence[JudgedHypothesis]) -> Html:
    """The verdicts that do not stand at the top of the page already."""
    if not asked:
        return Html(
            '<p class="soft">This study estimates; its recipe names no hypothesis to test.</p>'
        )
    rest = [judged for judged in asked if judged not in answer]
    if not rest:
        return Html('<p class="soft">The one at the top of the page is all that was asked.</p>')
    return _verdict_list(rest)


def _verdict_list(verdicts: Sequence[JudgedHypothesis]) -> Html:
    if not verdicts:
        return Html('<p class="soft">None can be tested here.</p>')
    items = join(
        markup(
            '<li class="{}"><b>{}</b><br>{}.<br><span class="soft">{}</span>{}</li>',
            Html(_TONES.get(judged.verdict.kind, "unsure")),
            str(judged.verdict.kind),
            judged.statement,
            judged.verdict.reason,
            _beside(judged),
        )
        for judged in verdicts
    )
    return markup('<ul class="verdicts">{}</ul>', items)


def _beside(judged: JudgedHypothesis) -> Html:
    if not judged.verdict.beside:
        return Html("")
    return markup(
        '<br><span class="soft">These corpora also differ in {}.</span>',
        "; ".join(judged.verdict.beside),
    )


def _claims(
    tested: Sequence[JudgedHypothesis], untested: Sequence[JudgedHypothesis], study: StudyResults
) -> list[Part]:
    if not tested and not untested:
        return []
    rows = [[judged.statement, judged.verdict.reason] for judged in untested]
    return [
        Html("<h2>The claims of Chen et al. 2024</h2>"),
        _verdict_list(tested),
        details(
            f"{len(untested)} more claims need levels, sizes, stages, seeds or corpora that this"
            " study does not have",
            tables.table(["claim", "why it is not tested here"], rows, words=True),
        )
        if untested
        else "",
        details(
            "The published averages, for orientation",
            Html(
                '<p class="soft">Mean accuracy in percent over eight tasks, single runs, no error'
                " bars published; the binomial standard error is about 0.65 points. Other corpora"
                " and models than these here.</p>"
            ),
            tables.published(study),
        ),
    ]


def _kind_note(study: StudyResults) -> Html:
    if study["kind"] == "positive_control":
        guards = []
        if study["recipe"]["null_control"]:
            guards.append(
                " The null control (two corpora of equal breadth, other seeds) must show no"
                " difference."
            )
        if "pydoc" in study["heldout"]:
            guards.append(" The held-out domain <i>pydoc</i> is text nobody generated.")
        return Html(
            '<p class="note"><b>This is a positive control.</b> The corpora come from a built-in'
            " grammar whose breadth (topics, styles, personas) is a knob, and part of the held-out"
            " text is written by the same grammar at full breadth, so a wider corpus covers more of"
            " the test: the outcome is largely built in. It shows that scorer, trainer and report"
            f" can see a difference that is there.{''.join(guards)} It says nothing about your"
            " corpora: study those with <code>make study CORPORA='...' EVAL='name=path'</code>.</p>"
        )
    return Html(
        '<p class="note"><b>This is an observation, not an experiment.</b> Nobody assigned the'
        " diversity of these corpora: whatever else sets them apart (the kind of text, its length,"
        " its closeness to the held-out text, the fit of the tokenizer, repetition) moves with it,"
        " and what was not measured cannot be ruled out. A correlation over corpora of unlike kinds"
        " says which of them suits the held-out text, not what diversity does; corpora of one kind"
        " that differ in diversity alone say more. The training tokens are equal, the text they"
        " hold need not be: <code>--config.equal_text=True</code> cuts every corpus to the same"
        " number of bytes.</p>"
    )


def _held(study: StudyResults) -> Html:
    parts = [markup("Held equal: {}.", "; ".join(study["held_equal"]))]
    if study["not_held_equal"]:
        parts.append(markup("<b>Not held equal:</b> {}.", "; ".join(study["not_held_equal"])))
    near = [
        markup("{} {}", level["name"], tables.near_duplicates(level)) for level in study["levels"]
    ]
    parts.append(markup("Near-duplicates of the documents scored: {}.", join(near, ", ")))
    return markup("<p>{}</p>", join(parts, "<br>"))


def _code(text: str) -> Html:
    return markup("<code>{}</code>", text)


def _provenance(study: StudyResults) -> Html:
    environment, settings = study["environment"], study["score_settings"]
    hours = sum(run["seconds"] for run in study["runs"]) * environment["devices"] / 3600
    corpora = (
        markup("{} <code>{}</code>", level["name"], level["fingerprint"][:12])
        for level in study["levels"]
    )
    return bullets(
        [
            markup(
                "study {}, code {}; seeds {}",
                _code(study["fingerprint"][:16]),
                _code(environment["commit"] or "not a repository"),
                ", ".join(map(str, study["recipe"]["seeds"])),
            ),
            markup("corpora: {}", join(corpora, ", ")),
            markup(
                "score: {} draws of {} documents, at most {} documents a corpus; agent settings {}",
                settings["draws"],
                settings["sample_size"],
                settings["max_documents"],
                as_html(study["agent"]["settings"]),
            ),
            markup("training: {}", as_html(study["recipe"]["train"])),
            markup(
                "{} x {}, {} cores, Python {}, jax {}",
                environment["devices"],
                environment["device_kind"],
                environment["cores"],
                environment["python"],
                environment["jax"],
            ),
            f"cost: {hours:.2f} device-hours in training steps over {len(study['runs'])} runs",
        ]
    )


def _reproduce() -> Html:
    return bullets(
        [
            Html(
                "everything: the same <code>python -m divsyn_jax.study</code> command in an empty"
                " folder; seeds, corpora and settings are in <code>recipe.json</code> beside this"
                " file"
            ),
            Html(
                "a score: <code>scores/&lt;corpus&gt;/score.json</code>, from"
                " <code>score_corpus</code> with the settings above"
            ),
            Html(
                "a performance: the mean over seeds of <code>runs/&lt;run&gt;/eval.json</code> (per"
                " document: <code>eval/&lt;domain&gt;.jsonl</code>), from <code>python -m"
                " divsyn_jax.evaluate</code>"
            ),
            Html(
                "a learning curve and a realised mixture:"
                " <code>runs/&lt;run&gt;/metrics.jsonl</code>; the run's whole recipe:"
                " <code>config.json</code> beside it"
            ),
            Html(
                "correlations, intervals and verdicts: <code>study.json</code>, recomputed from the"
                " files above by <code>python -m divsyn_jax.study ... --part=report</code>; every"
                " resampling is seeded"
            ),
        ]
    )
