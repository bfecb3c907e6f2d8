"""Every metric against every outcome, over the corpora of a study."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax import statistics
from divsyn_jax.statistics.association import RIVAL_RANGE
from divsyn_jax.study.hypotheses.evidence import shared_corpora
from divsyn_jax.study.study_file import CorrelationRow, LevelRecord, Outcome

# Every metric that performance is set against; effective clusters, the primary one, on a log scale.
CORRELATED_METRICS = (
    "effective_clusters",
    "cluster_score",
    "baselines.context_length",
    "baselines.compression_ratio",
    "baselines.ngram_diversity",
    "baselines.self_repetition",
)
PRIMARY_METRIC = CORRELATED_METRICS[0]
# What moves together with diversity in the paper; each is held fixed in turn.
CONTROLS = ("length", "unique_tokens", "repetition")


# Properties of the corpora that may explain performance as well as a score does, in words.
RIVALS = {
    "length": "length (tokens a document)",
    "unique_tokens": "the amount of distinct text",
    "repetition": "repetition (epochs over distinct text)",
    "bytes_per_token": "the fit of the tokenizer (bytes a token)",
}


def correlations(
    recipe: Mapping[str, Any],
    levels: Sequence[LevelRecord],
    measured: Sequence[Outcome],
    unlike_kinds: bool = False,
) -> list[CorrelationRow]:
    """Every metric with every outcome, over corpora, a level each; the null twin is left out.

    `unlike_kinds`: some of the corpora are of unlike kinds (`controls.closeness.unlike`), so that
    one may do well on a text for its kind.
    p values of the primary metric are corrected for the number of outcomes (`p_holm`), those of the
    other metrics for the number of these (Holm)."""
    used = [level for level in levels if level["name"] not in recipe["null_control"][1:]]
    rows = [
        _correlation(metric, used, outcome, recipe.get("kind") == "positive_control", unlike_kinds)
        for outcome in measured
        for metric in CORRELATED_METRICS
    ]
    primary = [row for row in rows if row["metric"] == PRIMARY_METRIC]
    families = [primary]
    for outcome in measured:
        families.append(
            [row for row in rows if row["performance"] == outcome.name and row not in primary]
        )
    for family in families:
        tested = [row for row in family if row.get("p") is not None]
        for row, p in zip(tested, statistics.holm([row["p"] for row in tested]), strict=True):
            row["p_holm"], row["p_holm_over"] = p, len(tested)
    return rows


def _correlation(
    metric: str,
    used: Sequence[LevelRecord],
    outcome: Outcome,
    built_in: bool,
    unlike_kinds: bool,
) -> CorrelationRow:
    """`built_in`: the outcome follows from how the corpora were made, so that what goes with their
    diversity by construction is no rival."""
    log2 = metric == PRIMARY_METRIC
    row: CorrelationRow = {
        "metric": metric,
        "scale": "log2" if log2 else "linear",
        "performance": outcome.name,
        "method": (
            "Pearson, Fisher 95% interval, corrected for errors of the scores; the unit is the"
            " corpus"
        ),
    }
    refused = {**row, "estimate": None, "n": len(used), "spearman": None}
    if reason := shared_corpora(used):
        corpora = len({level["fingerprint"] for level in used})
        return {**refused, "reason": reason, "n": corpora}
    values = [level["metrics"][metric]["value"] for level in used]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {**refused, "reason": "metric not run"}
    x = [math.log2(value) for value in known] if log2 else known
    y = [level["performance"][outcome.name]["value"] for level in used]
    errors = [statistics.standard_error(level["metrics"][metric], log2) for level in used]
    stderr = [error for error in errors if error is not None]
    names = [level["name"] for level in used]
    facts = {
        words: [level["controls"][key] for level in used]
        for key, words in RIVALS.items()
        if all(key in level["controls"] for level in used)
    }
    nearness = _closeness(used, outcome)
    rivals = {} if built_in else facts | nearness["likeness"]
    if unlike_kinds and not built_in:
        rivals |= nearness["closeness"]
    families = [level.get("family", "") for level in used]
    found = statistics.associate(
        x, y, stderr if len(stderr) == len(x) else None, names, families, rivals
    )
    plain = statistics.pearson(x, y)
    return {
        **plain,
        **row,
        "estimate": found.estimate,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "p": found.p,
        "observed": plain["estimate"],
        "descriptive": found.descriptive,
        "degrees_of_freedom": found.degrees_of_freedom,
        "reliability": found.reliability,
        "objections": list(found.objections),
        "families": None
        if found.families is None
        else {**dataclasses.asdict(found.families), "opposite": found.families.opposite}
        | {"words": found.families.words()},
        **({} if found.reason is None else {"reason": found.reason}),
        "spearman": statistics.spearman(x, y),
        "partial": {
            control: statistics.partial(
                x, y, [_control(control, level["controls"][control]) for level in used]
            )
            for control in CONTROLS
        }
        | {
            words.partition(" (")[0]: statistics.partial(x, y, values)
            for words, values in nearness["closeness"].items()
        },
        "differences": [
            words
            for what, values in {**facts, **nearness["closeness"]}.items()
            if (words := _difference(what, values))
        ],
        "leave_one_out": statistics.leave_one_out(x, y, names),
        "curvature": statistics.curvature(x, y),
    }


def _closeness(used: Sequence[LevelRecord], outcome: Outcome) -> dict[str, dict[str, list[float]]]:
    """Each way between corpora and the outcome's text, by its name in words; empty where unknown.

    A broad corpus of one kind is closer to a text because it is broad: that is how diversity acts,
    and no rival of it, until the corpora are of unlike kinds. The other way round (is what the
    corpus holds likely in that text?) breadth has no part."""
    text = outcome.test.removesuffix("/bits_per_byte")
    name = "the questions" if outcome.test == "tasks/mean" else text
    near = [level["closeness"] for level in used if "closeness" in level]
    if len(near) < len(used) or any(text not in each["of_evaluation"] for each in near):
        return {"closeness": {}, "likeness": {}}
    closeness = f"closeness to {name} (bits a byte of it under an n-gram model of the corpus)"
    likeness = f"likeness to {name} (bits a byte of the corpus under an n-gram model of it)"
    return {
        "closeness": {closeness: [each["of_evaluation"][text] for each in near]},
        "likeness": {likeness: [each["of_corpus"][text] for each in near]},
    }


def _difference(what: str, values: Sequence[float]) -> str | None:
    """What differs by over a tenth between corpora, in words."""
    low, high = min(values), max(values)
    if high <= (1 + RIVAL_RANGE) * low:
        return None
    return (
        f"{what}: {low:.3g} to {high:.3g}" if high < 1000 else f"{what}: {low:,.0f} to {high:,.0f}"
    )


def _control(name: str, value: float) -> float:
    """A control on the scale of a partial correlation; an amount of text acts by its ratios."""
    return math.log2(value) if name == "unique_tokens" and value > 0 else value
