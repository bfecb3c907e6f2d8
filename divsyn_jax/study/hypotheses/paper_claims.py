"""The claims of Chen et al. 2024 (arXiv 2410.15226) as hypotheses, by the names of levels in
configs/diversity.py; a study tests those that it has the levels, sizes and stages for."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from divsyn_jax import statistics
from divsyn_jax.base.html import p_equals
from divsyn_jax.diversity.reporting.tables import words_of
from divsyn_jax.study.hypotheses.evidence import (
    Evidence,
    StudyPart,
    better,
    joined,
    more_diverse,
    ordered,
    shared_corpora,
)
from divsyn_jax.study.hypotheses.study_hypotheses import correlates
from divsyn_jax.study.hypotheses.verdict import Hypothesis, Kind, NotTestable, Verdict
from divsyn_jax.study.study_file import Outcome

Test = Callable[[Evidence], Verdict]


def _score_predicts(stage: str) -> Test:
    def test(evidence: Evidence) -> Verdict:
        """Judged outcome by outcome; one kind only where all agree."""
        found = [
            correlates(evidence, outcome, "cluster_score")
            for outcome in evidence.outcomes_of(stage)
        ]
        kinds = {verdict.kind for verdict in found}
        reason = "; ".join(verdict.reason for verdict in found)
        if len(kinds) == 1:
            return Verdict(kinds.pop(), reason, any(verdict.testable for verdict in found))
        against = kinds & {Kind.NOT_SUPPORTED, Kind.OPPOSITE}
        return Verdict(min(against, default=Kind.CANNOT_TELL), reason)

    return test


def _linear(evidence: Evidence) -> Verdict:
    outcome = evidence.outcomes[0]
    row = evidence.row(outcome.name, "cluster_score")
    bend = row.get("curvature") or {"p": None, "reason": row.get("reason")}
    if bend["p"] is None:
        raise NotTestable(bend["reason"])
    because = f"quadratic term {p_equals(bend['p'])} over {bend['n']} corpora"
    if bend["descriptive"]:
        return Verdict(Kind.CANNOT_TELL, f"{because}: descriptive only")
    if bend["p"] < 0.05:
        return Verdict(Kind.NOT_SUPPORTED, because)
    return Verdict(
        Kind.CANNOT_TELL, f"{because}: no curvature found, which so few corpora do not rule out"
    )


def _baselines_weaker(evidence: Evidence) -> Verdict:
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
        raise NotTestable(reason)
    y = [level["performance"][outcome]["value"] for level in used]

    def values(metric: str) -> list[float]:
        """Of the levels that have one."""
        found = (level["metrics"][metric]["value"] for level in used)
        return [value for value in found if value is not None]

    rivals = [
        metric
        for metric in used[0]["metrics"]
        if metric.startswith("baselines.") and len(values(metric)) == len(used)
    ]
    found = [
        (metric, statistics.compare_dependent(values("cluster_score"), values(metric), y))
        for metric in rivals
    ]
    tested = [(metric, result) for metric, result in found if result["p"] is not None]
    if not tested:
        raise NotTestable("too few corpora or no baselines to compare correlations")
    adjusted = statistics.holm([result["p"] for _, result in tested])
    because = "; ".join(
        f"against {words_of(metric)} {result['difference']:+z.2f} ({p_equals(p)})"
        for (metric, result), p in zip(tested, adjusted, strict=True)
    )
    if tested[0][1]["descriptive"]:
        return Verdict(Kind.CANNOT_TELL, f"{because}; over {len(used)} corpora: descriptive only")
    if all(
        p < 0.05 and result["difference"] > 0
        for (_, result), p in zip(tested, adjusted, strict=True)
    ):
        return Verdict(Kind.SUPPORTED, because)
    worse = any(
        p < 0.05 and result["difference"] < 0
        for (_, result), p in zip(tested, adjusted, strict=True)
    )
    return Verdict(Kind.NOT_SUPPORTED if worse else Kind.CANNOT_TELL, because)


def _topics(evidence: Evidence) -> Verdict:
    pairs = [(f"topics_300k_x{g}", f"topics_100k_x{g}") for g in (10, 20, 30)]
    return joined(
        p for a, b in pairs for p in (more_diverse(evidence, a, b), *better(evidence, a, b))
    )


def _generations(evidence: Evidence) -> Verdict:
    parts = better(evidence, "topics_300k_x20", "topics_300k_x10")
    parts += better(evidence, "topics_300k_x20", "topics_300k_x30")
    return joined(parts)


def _fewer_tokens(evidence: Evidence) -> Verdict:
    """Equal within a margin cannot be read off an interval that holds zero: worse is refuted,
    equal is not proven."""
    topic, cosmopedia = evidence.level("topic"), evidence.level("cosmopedia_v01")
    parts = better(evidence, "topic", "cosmopedia_v01")
    share = topic["unique_tokens"] / cosmopedia["unique_tokens"]
    found = joined(parts)
    kind = Kind.NOT_SUPPORTED if share > 0.5 else found.kind
    return Verdict(kind, f"{share:.0%} of the tokens; {found.reason}")


def _ratio(evidence: Evidence) -> Verdict:
    parts = [
        p
        for a, b in ((5, 1), (10, 5), (20, 10))
        for p in better(evidence, f"ratio_{a}b", f"ratio_{b}b")
    ]
    return joined(parts + better(evidence, "ratio_20b", "ratio_34b"))


def _slope(x: Sequence[float], y: Sequence[float] | np.ndarray, text: str) -> StudyPart:
    """Least-squares slope of y on x with its t interval on n - 2 degrees of freedom, n at least
    3."""
    found = stats.linregress(x, y)
    half = stats.t.ppf((1 + statistics.LEVEL) / 2, len(x) - 2) * found.stderr
    return StudyPart(found.slope, found.slope - half, found.slope + half, text)


def _gains_more(evidence: Evidence, one: Outcome, other: Outcome) -> Verdict:
    """Performance `one` rises with diversity, and by more than `other`: slopes on log2 effective
    clusters over corpora.

    As in a correlation the unit is the corpus. The null twin is left out, and real text alone,
    which is no synthetic corpus."""
    left_out = [
        level["name"] for level in evidence.recipe["levels"] if level.get("synthetic_weight") == 0
    ]
    left_out += evidence.recipe["null_control"][1:]
    used = [level for level in evidence.levels if level["name"] not in left_out]
    scores = [level["metrics"][evidence.primary_metric]["value"] for level in used]
    x = [math.log2(score) for score in scores if score]
    if len(x) < len(used):
        raise NotTestable("metric not run")
    if reason := shared_corpora(used):
        raise NotTestable(reason)
    if len(set(x)) < 3:
        raise NotTestable("the study has fewer than three corpora that differ in diversity")
    sign = 1 if one.higher_is_better else -1
    y, y_other = (
        [sign * level["performance"][of.name]["value"] for level in used] for of in (one, other)
    )
    text = f"gain per doubling of effective clusters, {one.name}"
    parts = [_slope(x, y, text), _slope(x, np.subtract(y, y_other), f"{text} - {other.name}")]
    found = joined(parts)
    if statistics.is_descriptive(len(used), 2):
        return Verdict(
            Kind.CANNOT_TELL, f"{found.reason}; over {len(used)} corpora: descriptive only"
        )
    return found


def _larger_gains_more(evidence: Evidence) -> Verdict:
    found = evidence.outcomes_of("pretrain")
    if len(found) < 2:
        raise NotTestable("the study has one model size")
    return _gains_more(evidence, found[-1], found[0])


def _sft_gains_more(evidence: Evidence) -> Verdict:
    return _gains_more(
        evidence, evidence.outcomes_of("sft")[0], evidence.outcomes_of("pretrain")[0]
    )


def _order(*names: str) -> Test:
    return lambda evidence: ordered(evidence, names)


PAPER_CLAIMS: tuple[Hypothesis, ...] = tuple(
    Hypothesis(name, "paper", statement, test)
    for name, statement, test in (
        (
            "score_predicts_pt",
            "The cluster score rises with performance after pre-training, at every size",
            _score_predicts("pretrain"),
        ),
        (
            "score_predicts_sft",
            "The cluster score rises with performance after fine-tuning, at every size",
            _score_predicts("sft"),
        ),
        (
            "linear",
            "Score and performance relate roughly linearly",
            _linear,
        ),
        (
            "baselines_weaker",
            "The cluster score predicts performance better than the baseline metrics",
            _baselines_weaker,
        ),
        (
            "topics",
            "300K topics are more diverse and train better models than 100K, at equal generations",
            _topics,
        ),
        (
            "generations",
            "With 300K topics, performance peaks at 20 generations a topic and falls at 30",
            _generations,
        ),
        (
            "templates",
            "Persona over Styles over Topic, in diversity and performance",
            _order("topic_styles_persona", "topic_styles", "topic"),
        ),
        (
            "multi_topic",
            "Multi-Topic Styles Persona lies below Topic Styles Persona",
            _order("topic_styles_persona", "multi_topic_styles_persona"),
        ),
        (
            "cosmopedia",
            "Cosmopedia v0.2 is less diverse than v0.1 and trains worse models",
            _order("cosmopedia_v01", "cosmopedia_v02"),
        ),
        (
            "fewer_tokens",
            "Topic does as well as Cosmopedia v0.1 with less than half the unique tokens",
            _fewer_tokens,
        ),
        (
            "gpt4o",
            "GPT-4o writes more diverse and better text than GPT-3.5",
            _order("generator_gpt4o", "generator_gpt35"),
        ),
        (
            "llama",
            "Llama-3.1-8B writes more diverse and better text than Mistral-7B",
            _order("generator_llama31_8b", "generator_mistral_7b"),
        ),
        (
            "mixed",
            "Mixing generators is better than the best one",
            _order("generator_mixed", "generator_gpt4o"),
        ),
        (
            "ratio",
            "Performance rises up to 20B synthetic tokens beside 34B real ones and falls at 34B",
            _ratio,
        ),
        (
            "size",
            "The larger model gains more from diversity",
            _larger_gains_more,
        ),
        (
            "sft_gains_more",
            "Diversity matters more after fine-tuning than after pre-training",
            _sft_gains_more,
        ),
    )
)
