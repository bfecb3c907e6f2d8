"""The section of report.html on calibrated and judged numbers and on groups."""

import math
from collections.abc import Sequence

from divsyn_jax.base.html import Html, Part, details, interval, join, markup, number, table
from divsyn_jax.diversity.estimation.estimators import hill
from divsyn_jax.diversity.pairs import in_words
from divsyn_jax.diversity.pairs.records import JudgedRecord
from divsyn_jax.diversity.score_records import Score

BUDGETS = (100, 400, 1600, 6400)  # pairs of which the page says what they buy


def pairs_part(scores: Sequence[Score]) -> Html:
    """Empty where nothing of it was asked for."""
    parts = [_numbers(scores), *[_judged(score) for score in scores], _groups(scores)]
    return join([part for part in parts if part])


def _numbers(scores: Sequence[Score]) -> Html:
    rows: list[list[Part]] = []
    notes: list[Part] = []
    for score in scores:
        name, effective = score["corpus"]["name"], score["effective_clusters"]
        if "calibrated" in effective:
            found = effective["calibrated"]
            rows.append(
                [name, interval(found), f"calibrated on {found['kind_of_text']}", found["method"]]
            )
            notes += [
                markup('<p class="verdict"><strong>Warning.</strong> {}: {}.</p>', name, said)
                for said in found["warnings"]
            ]
        if "judged" in effective:
            judged = effective["judged"]
            who = in_words.judge_name(judged)
            if judged["value"] is None:
                rows.append([name, "none", f"judged by {who}: unusable", "none"])
                notes.append(
                    markup(
                        '<p class="verdict"><strong>Warning.</strong> {}: no number from pairs'
                        " judged by {}: {}.</p>",
                        name,
                        who,
                        judged.get("reason", ""),
                    )
                )
            else:
                source = f"{judged['pairs']:,} pairs judged by {who}"
                rows.append([name, interval(judged), source, judged["method"]])
            notes += [
                markup('<p class="verdict"><strong>Warning.</strong> {}: {}.</p>', name, said)
                for said in judged["warnings"]
            ]
    if not rows:
        return Html("")
    return markup(
        "<h2>Effective clusters, calibrated or judged</h2><p>One number each, with its 95%"
        " interval: over documents and calibration, or over documents and the choice of pairs.</p>"
        "{}{}",
        join(notes),
        table(["corpus", "effective clusters", "from", "interval"], rows, words=True),
    )


def _judged(score: Score) -> Html:
    """What was asked and answered, and what more pairs would buy."""
    judged = score["effective_clusters"].get("judged")
    if judged is None:
        return Html("")
    parts: list[Part] = [
        markup("<p>Control pairs: {}.</p>", check["rule"]) for check in judged["controls"]
    ]
    if judged["value"] is not None:
        strata = [
            [f"{each['distance']:.3f}", f"{each['pairs']:,}", each["asked"], number(each["same"])]
            for each in judged["strata"]
        ]
        head = ["nearest distance", "pairs there", "judged", "of one kind"]
        parts.append(table(head, [[str(cell) for cell in row] for row in strata]))
        bought = [
            [f"{pairs:,}", interval(ends)]
            for pairs, ends in what_pairs_buy(score["effective_clusters"]["documents"], judged)
        ]
        parts.append(
            markup(
                "<p>What other numbers of pairs would give, were the estimate the same: the part of"
                " the error that comes of their choice falls as one over the root of their number,"
                " that of the documents stays.</p>{}",
                table(["pairs judged", "95% interval"], bought),
            )
        )
    return details(
        f"{score['corpus']['name']}: pairs judged by {in_words.judge_name(judged)}", *parts
    )


def what_pairs_buy(
    documents: int, judged: JudgedRecord
) -> list[tuple[int, dict[str, float | None]]]:
    """(pairs, {value, ci_low, ci_high}) for other numbers of judged pairs."""
    found: list[tuple[int, dict[str, float | None]]] = []
    for pairs in BUDGETS:
        part = judged["pairs_log_error"] * math.sqrt(judged["pairs"] / pairs)
        error = math.hypot(part, judged["documents_log_error"])
        factor = math.exp(min(1.96 * error, 700.0))
        share = judged["share"]
        low, high = hill(min(1.0, share * factor), documents), hill(share / factor, documents)
        found.append((pairs, {"value": judged["value"], "ci_low": low, "ci_high": high}))
    return found


def _groups(scores: Sequence[Score]) -> Html:
    rows: list[list[Part]] = []
    for score in scores:
        if "groups" in score:
            found = score["groups"]
            rows.append(
                [
                    score["corpus"]["name"],
                    interval(found["distinct_kinds"]),
                    interval(found["effective_kinds"]),
                    f"{found['groups']:,}",
                    "-" if found["sizes"] is None else " to ".join(map(str, found["sizes"])),
                    f"{found['single']:,}",
                    f"{found['left_out']:,}",
                    found["measured_by"],
                ]
            )
    if not rows:
        return Html("")
    field = next(score["groups"]["field"] for score in scores if "groups" in score)
    head = [
        *("corpus", "distinct kinds", "effective kinds", "groups", "documents in a group"),
        *("groups of one, left out", "documents not read", "measured by"),
    ]
    return markup(
        "<h2>Within groups of {}</h2><p>Mean over groups, with the 95% interval over groups; every"
        " group counts alike. Each group is a line of groups.jsonl.</p>{}",
        field,
        table(head, rows),
    )
