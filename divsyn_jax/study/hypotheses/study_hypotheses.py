"""The hypotheses of every study: diversity predicts performance, and a null control is null."""

import functools
from collections.abc import Sequence

from divsyn_jax import statistics
from divsyn_jax.base.html import p_equals
from divsyn_jax.study.controls.answers import OUTCOME_MEASURES
from divsyn_jax.study.hypotheses.evidence import Evidence
from divsyn_jax.study.hypotheses.verdict import Hypothesis, Kind, NotTestable, Verdict
from divsyn_jax.study.reporting.figures import outcome_label
from divsyn_jax.study.study_file import MeasuredValue, Outcome


def predictions(outcomes: Sequence[Outcome]) -> list[Hypothesis]:
    """'predicts': more diverse corpora train better models, a hypothesis an outcome."""
    return [
        Hypothesis(
            f"predicts:{outcome.name}",
            "study",
            f"More diverse corpora train models that {_what(outcome)}",
            functools.partial(correlates, outcome=outcome),
        )
        for outcome in outcomes
    ]


def _what(outcome: Outcome) -> str:
    what = f"predict held-out {outcome.test.split('/')[0]} text better"
    if outcome.higher_is_better:
        measure = OUTCOME_MEASURES.get(outcome.test.removeprefix("tasks/"))
        of = f" ({measure.name})" if measure else ""
        what = f"score higher on the tasks{of}"
    stage = "after fine-tuning" if outcome.stage == "sft" else ""
    where = ", ".join(filter(None, (outcome.size, stage)))
    return f"{what} ({where})" if where else what


def correlates(evidence: Evidence, outcome: Outcome, metric: str | None = None) -> Verdict:
    """Does a metric (the primary one) correlate with an outcome, better with more, and does the
    relation survive what could overturn it?

    Supported, or the opposite, only where p, corrected for the number of outcomes, is under 5% and
    `statistics.associate` has no objection; each objection stands in the reason. Raises
    `NotTestable` where there is no interval."""
    row = evidence.row(outcome.name, metric)
    low, high, n = row.get("ci_low"), row.get("ci_high"), row["n"]
    families = row.get("families")
    if low is None or high is None:
        raise NotTestable(row.get("reason", f"{n} corpora are too few for an interval"))
    judged = functools.partial(Verdict, beside=tuple(row.get("differences", ())))
    reason = (
        f"r = {row['estimate']:.2f} [{low:.2f}, {high:.2f}] with"
        f" {outcome_label(outcome.name)} over {n} corpora"
    )
    if not outcome.higher_is_better:
        reason += " (below 0 is better)"
    if families is not None:
        reason += f", within families ({families['words']})"
    if row["descriptive"]:
        return judged(Kind.CANNOT_TELL, f"{reason}: descriptive only")
    if families is not None and families["opposite"]:
        return judged(Kind.DEPENDS, reason)
    p, over = row["p_holm"], row["p_holm_over"]
    if p >= statistics.ALPHA:
        corrected = p_equals(p) + (f" corrected for {over} tests" if over > 1 else "")
        needed = row["detectable"]
        power = "" if needed is None else f"; 80% power needs a true |r| of {needed:.2f}"
        return judged(Kind.CANNOT_TELL, f"{reason}, {corrected}{power}")
    if row["objections"]:
        return judged(Kind.CANNOT_TELL, f"{reason}, but {'; '.join(row['objections'])}")
    better = (row["estimate"] > 0) == outcome.higher_is_better
    return judged(Kind.SUPPORTED if better else Kind.OPPOSITE, reason)


def null_control(one: str, two: str) -> Hypothesis:
    """'null_control': two corpora of equal breadth show no difference, on any outcome or in score.

    Intervals are over documents and paired seeds; the p values of the outcomes are corrected for
    their number (Holm)."""
    statement = (
        f"The null control ({one} against {two}: same breadth, another seed) shows no difference"
    )

    def test(evidence: Evidence) -> Verdict:
        if len(evidence.recipe["seeds"]) < 2:
            raise NotTestable("one seed has no interval")
        parts, p_values = [], []
        for outcome in evidence.outcomes:
            items = evidence.items[outcome.name]
            if items is None:
                continue
            found = statistics.paired_difference(items[one], items[two])
            p_values.append(found["p"])
            parts.append(
                f"{outcome_label(outcome.name)}: {found['value']:+z.3f} [{found['ci_low']:+z.3f},"
                f" {found['ci_high']:+z.3f}]"
            )
        clean = min(statistics.holm(p_values), default=1.0) >= 0.05
        first, second = (
            evidence.level(name)["metrics"][evidence.primary_metric] for name in (one, two)
        )
        overlap = _overlap(first, second)
        parts.append(
            f"effective clusters {first['value']:.1f} and {second['value']:.1f}, intervals"
            f" {'overlap' if overlap else 'do not overlap'}"
        )
        return Verdict(
            Kind.SUPPORTED if clean and overlap else Kind.NOT_SUPPORTED, "; ".join(parts)
        )

    return Hypothesis("null_control", "study", statement, test)


def _overlap(one: MeasuredValue, two: MeasuredValue) -> bool:
    """Raises `NotTestable` where a score has no interval."""
    low, high = one.get("ci_low"), one.get("ci_high")
    low_two, high_two = two.get("ci_low"), two.get("ci_high")
    if low is None or high is None or low_two is None or high_two is None:
        raise NotTestable("the scores of the null control have no interval")
    return low <= high_two and low_two <= high
