"""The tables of a study's page."""

from divsyn_jax.base.html import Html, Part, details, interval, join, markup, number, p_value, table
from divsyn_jax.study.reporting import paper_results
from divsyn_jax.study.reporting.figures import LABELS, outcome_label
from divsyn_jax.study.study_file import CorrelationRow, StudyResults


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
        ["corpus", LABELS[primary], *map(outcome_label, measured)],
        [
            [
                level["name"],
                interval(level["metrics"][primary]),
                *(interval(level["performance"][name], 3) for name in measured),
            ]
            for level in study["levels"]
        ],
    )
    knobs = [key for key in ("topics", "styles", "personas") if key in study["levels"][0]]
    header = ["corpus", *knobs, "documents", "unique tokens", "epochs", "duplicates"]
    rows: list[list[Part]] = [
        [
            level["name"],
            *(str(level.get(key, "")) for key in knobs),
            level["documents"],
            level["unique_tokens"],
            number(level["epochs"], 2),
            f"{level['duplicates']:.1%}",
            *(interval(level["metrics"][metric]) for metric in others),
        ]
        for level in study["levels"]
    ]
    header += [LABELS.get(metric, metric) for metric in others]
    return join(
        [main, details("What each corpus holds, and its other scores", table(header, rows))]
    )


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
    return join([table([*header, "best minus worst corpus", "ratio"], rows), note])


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
                f"{rank['estimate']:.2f} (p = {p_value(rank['p'])}, {rank['method']})",
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
    return table([*header, "corpora", "standing"], rows)


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
            text = f"{bend['estimate']:+.3g} per squared sd"
            add(name, question, text, bend["p"], _standing(bend))
    parts: list[Part] = [
        table(["performance", "question", "answer", "p", "standing"], rows, words=True),
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
    return table([*header, "fingerprint"], rows)
