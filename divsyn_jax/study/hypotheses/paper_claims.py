"""What a study is asked: named hypotheses, each with a verdict in words and what it rests on.

First the study's own: does diversity predict performance, and does the null control show nothing.
Then every claim of Chen et al. 2024, tested where the study has the levels, sizes and stages it
needs, by the names of configs/diversity.py.

Verdicts: 'supported', 'not supported' (the data show the opposite), 'cannot tell' (an interval that
holds zero, levels that are not there, or so few corpora that what they show is descriptive only). A
claim of several parts is supported when every
part is (intersection-union: each part at 5%)."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from divsyn_jax import statistics
from divsyn_jax.statistics import ItemScores

SUPPORTED, NOT_SUPPORTED, CANNOT_TELL = "supported", "not supported", "cannot tell"


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What hypotheses are judged on:

    the records of study.json and the per-item results by outcome and level.
    """

    recipe: Mapping[str, Any]
    levels: Sequence[Mapping[str, Any]]
    outcomes: Sequence[Any]
    items: Mapping[str, Any]
    correlations: Sequence[Mapping[str, Any]]
    primary_metric: str

    def level(self, name: str) -> Mapping[str, Any]:
        """The record of a level. Raises `Lacking` where the study has none of that name."""
        for level in self.levels:
            if level["name"] == name:
                return level
        raise Lacking(f"the study has no level {name}")

    def outcomes_of(self, stage: str) -> list[Any]:
        """The first outcome of a stage at each size.

        Raises `Lacking` where the study has no such stage.
        """
        found = {}
        for outcome in self.outcomes:
            if outcome.stage == stage:
                found.setdefault(outcome.size, outcome)
        if not found:
            raise Lacking(f"the study has no {stage} stage")
        return list(found.values())

    def row(self, outcome: str, metric: str | None = None) -> Mapping[str, Any]:
        """The correlation of a metric (the primary one) with an outcome."""
        wanted = (metric or self.primary_metric, outcome)
        return next(
            row for row in self.correlations if (row["metric"], row["performance"]) == wanted
        )


class Lacking(Exception):
    """The study lacks what a hypothesis is about; the message says what."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One comparison of a claim: `value` is positive where it goes as claimed."""

    value: float
    ci_low: float
    ci_high: float
    text: str


def shared_corpora(levels: Sequence[Mapping[str, Any]]) -> str | None:
    """Why no correlation can be taken over these levels, None where each has a corpus of its own.

    Levels of one corpus (mixed otherwise, say) are one point of diversity, whatever else sets them
    apart."""
    corpora = len({level["fingerprint"] for level in levels})
    if corpora == len(levels):
        return None
    return (
        f"the study has {corpora} corpora in {len(levels)} levels, and the unit of a correlation is"
        " the corpus"
    )


def verdicts(evidence: Evidence) -> list[dict[str, str]]:
    """Every hypothesis with its verdict: {id, of, hypothesis, verdict, because}."""
    found = [_predicts(evidence, outcome) for outcome in evidence.outcomes]
    if evidence.recipe["null_control"]:
        found.append(_null_control(evidence))
    for name, statement, test in PAPER_CLAIMS:
        try:
            verdict, because = test(evidence)
        except Lacking as lacking:
            verdict, because = CANNOT_TELL, str(lacking)
        found.append(
            {
                "id": name,
                "of": "paper",
                "hypothesis": statement,
                "verdict": verdict,
                "because": because,
            }
        )
    return found


# ---------------------------------------------------------------------------------------------- the
# study's own


def _predicts(evidence: Evidence, outcome) -> dict[str, str]:
    verdict, because = _correlates(evidence, outcome)
    what = (
        "score higher on the tasks"
        if outcome.higher_is_better
        else f"predict held-out {outcome.test.split('/')[0]} text better"
    )
    where = ", ".join(
        filter(None, (outcome.size, "after fine-tuning" if outcome.stage == "sft" else ""))
    )
    return {
        "id": f"predicts:{outcome.name}",
        "of": "study",
        "hypothesis": (
            f"More diverse corpora train models that {what}{f' ({where})' if where else ''}"
        ),
        "verdict": verdict,
        "because": because,
    }


def _correlates(evidence: Evidence, outcome, metric: str | None = None) -> tuple[str, str]:
    row = evidence.row(outcome.name, metric)
    low, high, n = row.get("ci_low"), row.get("ci_high"), row["n"]
    if low is None:
        return CANNOT_TELL, row.get("reason", f"{n} corpora are too few for an interval")
    better, worse = (low > 0, high < 0) if outcome.higher_is_better else (high < 0, low > 0)
    because = (
        f"r = {row['estimate']:.2f} [{low:.2f}, {high:.2f}] with {outcome.name} over {n} corpora"
    )
    if row["descriptive"]:
        return CANNOT_TELL, f"{because}: descriptive only"
    if better or worse:
        return (SUPPORTED if better else f"{NOT_SUPPORTED}: the opposite"), because
    return CANNOT_TELL, f"{because}; 80% power needs a true |r| of {row['detectable']:.2f}"


def _null_control(evidence: Evidence) -> dict[str, str]:
    """Two corpora of equal breadth: the difference on every outcome and of the score should cover
    zero.

    Intervals over documents and paired seeds; the p values of the outcomes are corrected for their
    number (Holm)."""
    one, two = evidence.recipe["null_control"]
    record = {
        "id": "null_control",
        "of": "study",
        "hypothesis": (
            f"The null control ({one} against {two}: same breadth, another seed) shows no"
            " difference"
        ),
    }
    if len(evidence.recipe["seeds"]) < 2:
        return {**record, "verdict": CANNOT_TELL, "because": "one seed has no interval"}
    parts, p_values = [], []
    for outcome in evidence.outcomes:
        items = evidence.items[outcome.name]
        if items is None:
            continue
        found = statistics.paired_difference(items[one], items[two])
        p_values.append(found["p"])
        parts.append(
            f"{outcome.name}: {found['value']:+.3f} [{found['ci_low']:+.3f},"
            f" {found['ci_high']:+.3f}]"
        )
    clean = min(statistics.holm(p_values)) >= 0.05
    first, second = (
        evidence.level(name)["metrics"][evidence.primary_metric] for name in (one, two)
    )
    overlap = first["ci_low"] <= second["ci_high"] and second["ci_low"] <= first["ci_high"]
    parts.append(
        f"effective clusters {first['value']:.1f} and {second['value']:.1f}, intervals"
        f" {'overlap' if overlap else 'do not overlap'}"
    )
    verdict = SUPPORTED if clean and overlap else NOT_SUPPORTED
    return {**record, "verdict": verdict, "because": "; ".join(parts)}


# ------------------------------------------------------------------------------------------- the
# paper's claims


def _joined(parts: Iterable[Part]) -> tuple[str, str]:
    """Intersection-union of the parts of a claim."""
    parts = list(parts)
    because = "; ".join(
        f"{part.text} {part.value:+.3g} [{part.ci_low:+.3g}, {part.ci_high:+.3g}]" for part in parts
    )
    if any(part.ci_high < 0 for part in parts):
        return NOT_SUPPORTED, because
    return (SUPPORTED if all(part.ci_low > 0 for part in parts) else CANNOT_TELL), because


def _more_diverse(evidence: Evidence, more: str, less: str) -> Part:
    """log2 effective clusters of one level less that of another."""
    estimates = [evidence.level(name)["metrics"][evidence.primary_metric] for name in (more, less)]
    errors = [statistics.standard_error(estimate, log2=True) for estimate in estimates]
    if None in errors:
        raise Lacking(f"no interval for the scores of {more} and {less}")
    value, half = (
        math.log2(estimates[0]["value"] / estimates[1]["value"]),
        1.96 * math.hypot(*errors),
    )
    return Part(value, value - half, value + half, f"log2 clusters {more} - {less}")


def _better(evidence: Evidence, more: str, less: str, stage: str = "pretrain") -> list[Part]:
    """Performance of one level less that of another at every size, positive where the first is
    better.
    """
    evidence.level(more), evidence.level(less)
    parts = []
    for outcome in evidence.outcomes_of(stage):
        sign = 1 if outcome.higher_is_better else -1
        items = evidence.items[outcome.name]
        if items is None:
            raise Lacking(f"{outcome.name} has no per-item results")
        parts.append(
            _difference(items[less], items[more], sign, f"{outcome.name} {more} over {less}")
        )
    return parts


def _difference(one: Sequence[ItemScores], two: Sequence[ItemScores], sign: int, text: str) -> Part:
    """`two` less `one`, times `sign`, with its interval over items and seeds.

    Raises `Lacking` where there is one seed: an interval over items alone is one of two runs, not
    of two corpora."""
    found = statistics.paired_difference(one, two)
    if "seeds" not in found["over"]:
        raise Lacking("one seed: a difference of two runs says nothing about their corpora")
    low, high = sorted((sign * found["ci_low"], sign * found["ci_high"]))
    return Part(sign * found["value"], low, high, text)


def _ordered(*names: str) -> Callable[[Evidence], tuple[str, str]]:
    """Each level more diverse and better than the next."""

    def test(evidence: Evidence) -> tuple[str, str]:
        pairs = itertools.pairwise(names)
        return _joined(
            part
            for more, less in pairs
            for part in (_more_diverse(evidence, more, less), *_better(evidence, more, less))
        )

    return test


def _score_predicts(stage: str) -> Callable[[Evidence], tuple[str, str]]:
    def test(evidence: Evidence) -> tuple[str, str]:
        found = [
            _correlates(evidence, outcome, "cluster_score")
            for outcome in evidence.outcomes_of(stage)
        ]
        kinds = {verdict for verdict, _ in found}
        because = "; ".join(text for _, text in found)
        if len(kinds) == 1:
            return kinds.pop(), because
        opposite = next((kind for kind in kinds if kind.startswith(NOT_SUPPORTED)), CANNOT_TELL)
        return opposite, because

    return test


def _linear(evidence: Evidence) -> tuple[str, str]:
    outcome = evidence.outcomes[0]
    row = evidence.row(outcome.name, "cluster_score")
    bend = row.get("curvature") or {"p": None, "reason": row.get("reason")}
    if bend["p"] is None:
        return CANNOT_TELL, bend["reason"]
    because = f"quadratic term p = {bend['p']:.3f} over {bend['n']} corpora"
    if bend["descriptive"]:
        return CANNOT_TELL, f"{because}: descriptive only"
    if bend["p"] < 0.05:
        return NOT_SUPPORTED, because
    return CANNOT_TELL, f"{because}: no curvature found, which so few corpora do not rule out"


def _baselines_weaker(evidence: Evidence) -> tuple[str, str]:
    """The cluster score correlates with performance more strongly than every baseline (Williams's
    test, Holm).
    """
    outcome = evidence.outcomes[0].name
    used = [
        level
        for level in evidence.levels
        if level["name"] not in evidence.recipe["null_control"][1:]
    ]
    if reason := shared_corpora(used):
        raise Lacking(reason)
    y = [level["performance"][outcome]["value"] for level in used]

    def values(metric: str) -> list[float | None]:
        return [level["metrics"][metric]["value"] for level in used]

    rivals = [
        metric
        for metric in used[0]["metrics"]
        if metric.startswith("baselines.") and None not in values(metric)
    ]
    found = [
        (metric, statistics.compare_dependent(values("cluster_score"), values(metric), y))
        for metric in rivals
    ]
    tested = [(metric, result) for metric, result in found if result["p"] is not None]
    if not tested:
        raise Lacking("too few corpora or no baselines to compare correlations")
    adjusted = statistics.holm([result["p"] for _, result in tested])
    because = "; ".join(
        f"against {metric.removeprefix('baselines.')} {result['difference']:+.2f} (p = {p:.2f})"
        for (metric, result), p in zip(tested, adjusted, strict=True)
    )
    if tested[0][1]["descriptive"]:
        return CANNOT_TELL, f"{because}; over {len(used)} corpora: descriptive only"
    if all(
        p < 0.05 and result["difference"] > 0
        for (_, result), p in zip(tested, adjusted, strict=True)
    ):
        return SUPPORTED, because
    worse = any(
        p < 0.05 and result["difference"] < 0
        for (_, result), p in zip(tested, adjusted, strict=True)
    )
    return (NOT_SUPPORTED if worse else CANNOT_TELL), because


def _topics(evidence: Evidence) -> tuple[str, str]:
    pairs = [(f"topics_300k_x{g}", f"topics_100k_x{g}") for g in (10, 20, 30)]
    return _joined(
        p for a, b in pairs for p in (_more_diverse(evidence, a, b), *_better(evidence, a, b))
    )


def _generations(evidence: Evidence) -> tuple[str, str]:
    parts = _better(evidence, "topics_300k_x20", "topics_300k_x10")
    parts += _better(evidence, "topics_300k_x20", "topics_300k_x30")
    return _joined(parts)


def _fewer_tokens(evidence: Evidence) -> tuple[str, str]:
    """Equal within a margin cannot be read off an interval that holds zero:

    worse is refuted, equal is not proven.
    """
    topic, cosmopedia = evidence.level("topic"), evidence.level("cosmopedia_v01")
    parts = _better(evidence, "topic", "cosmopedia_v01")
    share = topic["unique_tokens"] / cosmopedia["unique_tokens"]
    verdict, because = _joined(parts)
    verdict = NOT_SUPPORTED if verdict == NOT_SUPPORTED or share > 0.5 else verdict
    return verdict, f"{share:.0%} of the tokens; {because}"


def _ratio(evidence: Evidence) -> tuple[str, str]:
    parts = [
        p
        for a, b in ((5, 1), (10, 5), (20, 10))
        for p in _better(evidence, f"ratio_{a}b", f"ratio_{b}b")
    ]
    return _joined(parts + _better(evidence, "ratio_20b", "ratio_34b"))


def _slope(x: Sequence[float], y: Sequence[float], text: str) -> Part:
    """Least-squares slope of y on x with its t interval on n - 2 degrees of freedom, n at least 3."""
    found = stats.linregress(x, y)
    half = stats.t.ppf((1 + statistics.LEVEL) / 2, len(x) - 2) * found.stderr
    return Part(found.slope, found.slope - half, found.slope + half, text)


def _gains_more(evidence: Evidence, one, other) -> tuple[str, str]:
    """Performance `one` rises with diversity, and by more than `other`: slopes on log2 effective
    clusters over corpora.

    As in a correlation the unit is the corpus. The null twin is left out, and real text alone,
    which is no synthetic corpus."""
    left_out = [
        level["name"] for level in evidence.recipe["levels"] if level.get("synthetic_weight") == 0
    ]
    left_out += evidence.recipe["null_control"][1:]
    used = [level for level in evidence.levels if level["name"] not in left_out]
    x = [math.log2(level["metrics"][evidence.primary_metric]["value"]) for level in used]
    if reason := shared_corpora(used):
        raise Lacking(reason)
    if len(set(x)) < 3:
        raise Lacking("the study has fewer than three corpora that differ in diversity")
    sign = 1 if one.higher_is_better else -1
    y, y_other = (
        [sign * level["performance"][of.name]["value"] for level in used] for of in (one, other)
    )
    text = f"gain per doubling of effective clusters, {one.name}"
    parts = [_slope(x, y, text), _slope(x, np.subtract(y, y_other), f"{text} - {other.name}")]
    verdict, because = _joined(parts)
    if statistics.is_descriptive(len(used), 2):
        return CANNOT_TELL, f"{because}; over {len(used)} corpora: descriptive only"
    return verdict, because


def _larger_gains_more(evidence: Evidence) -> tuple[str, str]:
    found = evidence.outcomes_of("pretrain")
    if len(found) < 2:
        raise Lacking("the study has one model size")
    return _gains_more(evidence, found[-1], found[0])


def _sft_gains_more(evidence: Evidence) -> tuple[str, str]:
    return _gains_more(
        evidence, evidence.outcomes_of("sft")[0], evidence.outcomes_of("pretrain")[0]
    )


PAPER_CLAIMS: tuple[tuple[str, str, Callable[[Evidence], tuple[str, str]]], ...] = (
    ("score_predicts_pt", "The cluster score rises with performance after pre-training, at every size", _score_predicts("pretrain")),
    ("score_predicts_sft", "The cluster score rises with performance after fine-tuning, at every size", _score_predicts("sft")),
    ("linear", "Score and performance relate roughly linearly", _linear),
    ("baselines_weaker", "The cluster score predicts performance better than the baseline metrics", _baselines_weaker),
    ("topics", "300K topics are more diverse and train better models than 100K, at equal generations", _topics),
    ("generations", "With 300K topics, performance peaks at 20 generations a topic and falls at 30", _generations),
    ("templates", "Persona over Styles over Topic, in diversity and performance", _ordered("topic_styles_persona", "topic_styles", "topic")),
    ("multi_topic", "Multi-Topic Styles Persona lies below Topic Styles Persona", _ordered("topic_styles_persona", "multi_topic_styles_persona")),
    ("cosmopedia", "Cosmopedia v0.2 is less diverse than v0.1 and trains worse models", _ordered("cosmopedia_v01", "cosmopedia_v02")),
    ("fewer_tokens", "Topic does as well as Cosmopedia v0.1 with less than half the unique tokens", _fewer_tokens),
    ("gpt4o", "GPT-4o writes more diverse and better text than GPT-3.5", _ordered("generator_gpt4o", "generator_gpt35")),
    ("llama", "Llama-3.1-8B writes more diverse and better text than Mistral-7B", _ordered("generator_llama31_8b", "generator_mistral_7b")),
    ("mixed", "Mixing generators is better than the best one", _ordered("generator_mixed", "generator_gpt4o")),
    ("ratio", "Performance rises up to 20B synthetic tokens beside 34B real ones and falls at 34B", _ratio),
    ("size", "The larger model gains more from diversity", _larger_gains_more),
    ("sft_gains_more", "Diversity matters more after fine-tuning than after pre-training", _sft_gains_more),
)  # fmt: skip
