"""The tables of a study's page."""

from collections.abc import Mapping, Sequence

from divsyn_jax.base.html import (
    Html,
    Part,
    as_html,
    details,
    interval,
    join,
    markup,
    number,
    p_equals,
    p_value,
    table,
)
from divsyn_jax.study.controls.closeness import UNLIKE_DIVERGENCE
from divsyn_jax.study.reporting import paper_results
from divsyn_jax.study.reporting.figures import LABELS, outcome_label
from divsyn_jax.study.study_file import ChoiceMeasure, CorrelationRow, LevelRecord, StudyResults


def limits_table(study: StudyResults) -> Html:
    """What this number of corpora can show at all."""
    row = next(row for row in study["correlations"] if row["metric"] == study["primary_metric"])
    if row.get("critical") is None or row.get("detectable") is None:
        if "reason" in row:
            return markup('<p class="note">No correlation is taken: {}.</p>', row["reason"])
        return markup(
            '<p class="note">{} corpora: too few for any test of a correlation; everything below is'
            " descriptive only.</p>",
            row["n"],
        )
    return markup(
        '<p class="note">The unit is the corpus: n = {}. A correlation is significant here from |r|'
        " = {}, and only a true |r| of {} or more would be found in 80% of such studies."
        " &#8220;Cannot tell&#8221; is not &#8220;no effect&#8221;. Rows marked <i>descriptive"
        " only</i> have fewer than three residual degrees of freedom.</p>",
        row["n"],
        number(row["critical"], 2),
        number(row["detectable"], 2),
    )


def level_tables(study: StudyResults) -> Html:
    """A corpus a row: what its models do, and in a fold what it is and every score of it."""
    primary, others = study["primary_metric"], list(study["levels"][0]["metrics"])
    others.remove(primary)
    measured = [outcome["name"] for outcome in study["outcomes"]]
    main = table(
        ["corpus", *map(outcome_label, measured), LABELS[primary]],
        [
            [
                level["name"],
                *(interval(level["performance"][name], 3) for name in measured),
                interval(level["metrics"][primary]),
            ]
            for level in study["levels"]
        ],
        stacked=True,
    )
    axes = ("topics", "styles", "personas", "wordings", "formats", "temperature")
    knobs = [key for key in axes if any(key in level for level in study["levels"])]
    header = ["corpus", *knobs, "documents", "unique tokens", "epochs"]
    header += [
        "tokens a document",
        "bytes a token",
        "duplicates",
        "near-duplicates (of the sample)",
    ]
    rows: list[list[Part]] = [
        [
            level["name"],
            *(str(level.get(key, "")) for key in knobs),
            level["documents"],
            level["unique_tokens"],
            number(level["epochs"], 2),
            number(level["controls"].get("length"), 1),
            number(level["controls"].get("bytes_per_token"), 2),
            f"{level['duplicates']:.1%}",
            near_duplicates(level),
            *(interval(level["metrics"][metric]) for metric in others),
        ]
        for level in study["levels"]
    ]
    header += [LABELS.get(metric, metric) for metric in others]
    return join(
        [
            main,
            details(
                "What each corpus holds, and its other scores", table(header, rows, stacked=True)
            ),
            closeness_table(study),
        ]
    )


def near_duplicates(level: LevelRecord) -> Html:
    """The share of near-duplicates in words; 0.1.0 wrote it in other forms."""
    near = level.get("near_duplicates")
    if isinstance(near, Mapping):
        near = near.get("value")
    return as_html("not measured" if near is None else f"{near:.1%}")


def closeness_table(study: StudyResults) -> Html:
    """How close each corpus is to each evaluation text, each way."""
    near = [
        (level["name"], level["closeness"]) for level in study["levels"] if "closeness" in level
    ]
    if not near:
        return Html("")
    texts = list(near[0][1]["of_evaluation"])
    named = ["the questions" if text == "tasks/mean" else text for text in texts]
    header = ["corpus", *named, *(f"the corpus, in {text}" for text in named)]
    rows: list[list[Part]] = [
        [
            name,
            *(number(each["of_evaluation"][text], 2) for text in texts),
            *(number(each["of_corpus"][text], 2) for text in texts),
        ]
        for name, each in near
    ]
    apart = max(study.get("divergences", []), key=lambda pair: pair["divergence"], default=None)
    farthest = (
        ""
        if apart is None
        else markup(
            " Farthest apart are {} and {}: their token frequencies diverge by {} bits"
            " (Jensen-Shannon); corpora of one kind stay under {}.",
            apart["first"],
            apart["second"],
            number(apart["divergence"], 2),
            number(UNLIKE_DIVERGENCE, 3),
        )
    )
    note = markup(
        '<p class="soft">Bits a byte of a text under a trigram model that was counted on as many'
        " bytes of each corpus; on the right the reverse, of the corpus under a model of the text."
        " The lower, the closer. Among corpora of one kind the broader is closer because it is"
        " broad; among corpora of unlike kinds closeness competes with diversity, and a verdict"
        " says so.{}</p>",
        farthest,
    )
    return details(
        "How close each corpus is to each evaluation text",
        table(header, rows, stacked=True),
        note,
    )


def choices(study: StudyResults) -> Html:
    """The continuous measures of the questions, beside those of wrong answers."""
    measures = study.get("choice_measures", [])
    if not measures:
        return Html("")
    rows: list[list[Part]] = [
        [
            f"{row['measure']}{_after(row)}",
            interval(row["right"], 3),
            interval(row["wrong"], 3),
            interval(row["beyond"], 3),
            "yes" if row["knowledge"] else "no",
        ]
        for row in measures
    ]
    header = [
        "measure",
        "gain of the right answer",
        "gain of a wrong answer",
        "beyond a wrong answer",
    ]
    return join(
        [
            Html("<h2>Knowledge, or wording?</h2>"),
            markup('<p class="note">{}</p>', choices_in_words(measures)),
            table([*header, "counts"], rows, stacked=True),
            Html(
                '<p class="soft">Gain per doubling of effective clusters, over the corpora of this'
                " study, with a 95% interval over questions and seeds; a wrong answer is the mean"
                " over the wrong answers to the same question, each in the right one's place.</p>"
            ),
        ]
    )


def choices_in_words(measures: Sequence[ChoiceMeasure]) -> str:
    """Whether any measure of the questions counts as knowledge."""
    counted = [row for row in measures if row["knowledge"]]
    if counted:
        names = "; ".join(dict.fromkeys(f"{row['measure']}{_after(row)}" for row in counted))
        return (
            f"{len(counted)} of {len(measures)} measures of the questions rise with diversity by"
            f" more than a wrong answer's do: {names}. Those not named show the fit to the wording"
            " of answers, not a choice between them."
        )
    return (
        f"None of {len(measures)} measures of the questions is shown to rise with diversity by more"
        " than a wrong answer's does: at this size the questions show no knowledge that diversity"
        " brings, and what rises is the fit to the wording of answers."
    )


def _after(row: ChoiceMeasure) -> str:
    where = ", ".join(filter(None, (row["size"], "after fine-tuning" * (row["stage"] == "sft"))))
    return f" ({where})" if where else ""


def noise_floor_table(study: StudyResults) -> Html:
    """What runs of one corpus differ by, beside what the corpora do."""
    rows: list[list[Part]] = []
    for outcome in study["outcomes"]:
        floor = outcome["noise_floor"]
        if floor is None:
            return Html(
                '<p class="soft">One seed: what training alone makes of one corpus twice is not'
                " known, and with it the smallest difference that means anything.</p>"
            )
        values = [level["performance"][outcome["name"]]["value"] for level in study["levels"]]
        spread, least = max(values) - min(values), floor["least_difference"]
        rows.append(
            [
                outcome_label(outcome["name"]),
                f"{floor['sd']:.4f} ({floor['degrees_of_freedom']})",
                number(least, 4),
                number(spread, 4),
                number(spread / least, 1) if least else "",
            ]
        )
    header = ["performance", "sd of seeds (degrees of freedom)", "least difference told at 5%"]
    note = Html(
        '<p class="soft">Seeds of one corpus scatter by the first figure, pooled over corpora. Two'
        " corpora whose means differ by less than the second (Fisher's least significant"
        " difference, for one comparison chosen beforehand) cannot be told apart by this study.</p>"
    )
    head = [*header, "best minus worst corpus", "ratio"]
    return join([table(head, rows, stacked=True), note])


def _metric_label(row: CorrelationRow) -> str:
    metric: str = row["metric"]
    return LABELS.get(metric, metric) + (" (log2)" if row["scale"] == "log2" else "")


def correlations_table(study: StudyResults) -> Html:
    """Every metric with every outcome."""
    rows: list[list[Part]] = []
    for row in study["correlations"]:
        label = [_metric_label(row), outcome_label(row["performance"])]
        if row["estimate"] is None:
            rows.append([*label, row["reason"], "", "", "", str(row["n"]), ""])
            continue
        rank, primary = row["spearman"], row["metric"] == study["primary_metric"]
        role = "primary, corrected for outcomes" if primary else "corrected for metrics"
        rows.append(
            [
                *label,
                interval(row, 2, of="estimate"),
                p_value(row.get("p_holm", row["p"])),
                number(row["critical"], 2) if row["critical"] else "",
                f"{rank['estimate']:.2f} ({p_equals(rank['p'])}, {rank['method']})",
                str(row["n"]),
                "descriptive only" if row["descriptive"] else role,
            ]
        )
    header = [
        "metric",
        "performance",
        "Pearson r [95%]",
        "p (Holm)",
        "|r| needed at 5%",
        "Spearman",
    ]
    return table([*header, "corpora", "standing"], rows, stacked=True)


def explanations(study: StudyResults) -> Html:
    """The primary metric given one control at a time, without each corpus, and with a bend.

    What could not be computed stands in a fold."""
    rows: list[list[Part]] = []
    refused: list[list[Part]] = []

    def add(name: str, question: str, answer: Part, p: float | None, standing: str) -> None:
        rows.append([name, question, answer, "" if p is None else p_value(p), standing])

    for row in study["correlations"]:
        if row["metric"] != study["primary_metric"] or row["estimate"] is None:
            continue
        name = outcome_label(row["performance"])
        for control, found in row["partial"].items():
            question = f"r given {control.replace('_', ' ')}"
            if found["estimate"] is None:
                refused.append([name, question, found["reason"]])
            else:
                answer = interval(found, 2, of="estimate")
                add(name, question, answer, found["p"], _standing(found))
        if (reliability := row.get("reliability")) is not None:
            text = f"{reliability:.3f}" if reliability > 0 else "none: they differ by their errors"
            add(name, "reliability of the scores", text, None, "descriptive only")
        if row.get("families"):
            add(name, "effects by family", row["families"]["words"], None, "descriptive only")
        for objection in row.get("objections", ()):
            add(name, "what overturns it", objection, None, "tested")
        without = row["leave_one_out"]
        if without:
            text = (
                f"{without['low']:.2f} (without {without['low_without']}) to {without['high']:.2f}"
                f" (without {without['high_without']})"
            )
            add(name, "r without each corpus in turn", text, None, "descriptive only")
        bend = row["curvature"]
        question = "curvature (quadratic term)"
        if bend["estimate"] is None:
            refused.append([name, question, bend["reason"]])
        else:
            text = f"{bend['estimate']:+z.3g} per squared sd"
            add(name, question, text, bend["p"], _standing(bend))
    parts: list[Part] = [
        table(
            ["performance", "question", "answer", "p", "standing"],
            rows,
            words=True,
            stacked=True,
        ),
        Html(
            '<p class="soft">The primary metric. Given a control: the correlation left when it is'
            " held fixed.</p>"
        ),
    ]
    if refused:
        found_no_answer = table(["performance", "question", "why"], refused, words=True)
        parts.append(
            details(f"{len(refused)} more questions this study cannot answer", found_no_answer)
        )
    return join(parts)


def _standing(found: CorrelationRow) -> str:
    return "descriptive only" if found["descriptive"] else "tested"


def published(study: StudyResults) -> Html:
    """The paper's averages beside this study's levels of the same names."""
    first = study["primary_outcome"]
    ours = {level["name"]: interval(level["performance"][first], 3) for level in study["levels"]}
    rows: list[list[Part]] = [
        [name, *("" if value is None else number(value, 2) for value in values), ours.get(name, "")]
        for name, values in paper_results.AVERAGES.items()
    ]
    return table(["level", *paper_results.COLUMNS, f"here: {outcome_label(first)}"], rows)


def heldout(study: StudyResults) -> Html:
    """How each held-out text was chosen."""
    header = ["domain", "documents used", "candidates", "dropped: in a training corpus"]
    rows: list[list[Part]] = [
        [
            name,
            domain["documents"],
            domain["candidates"],
            domain["in_training"],
            domain["fingerprint"][:16],
        ]
        for name, domain in study["heldout"].items()
    ]
    return table([*header, "fingerprint"], rows, stacked=True)
