"""Verdicts on made-up studies whose answer is known."""

import numpy as np
import pytest

from divsyn_jax.statistics import ItemScores
from divsyn_jax.study.hypotheses import paper_claims as hypotheses
from divsyn_jax.study.hypotheses.paper_claims import CANNOT_TELL, NOT_SUPPORTED, SUPPORTED
from divsyn_jax.study.results import Outcome, _correlations

OUTCOMES = [Outcome("text/bits_per_byte", "", "pretrain", "text/bits_per_byte", False)]
SIZES = [
    Outcome(f"{size}/text", size, "pretrain", "text/bits_per_byte", False)
    for size in ("small", "large")
]


def evidence(
    levels: dict[str, tuple[float, ...]],
    /,
    seeds: int = 3,
    outcomes=OUTCOMES,
    corpus_of=str,
    **recipe,
) -> hypotheses.Evidence:
    """Levels as {name: (effective clusters, bits per byte of each outcome)}, with little noise;
    `recipe`: keys of it.
    """
    generator = np.random.default_rng(0)
    items, records = {outcome.name: {} for outcome in outcomes}, []
    for name, (clusters, *of_outcomes) in levels.items():
        performance = {}
        for outcome, bits in zip(outcomes, of_outcomes, strict=True):
            noise = 0.01 * generator.standard_normal(
                (1, seeds, 1)
            ) + 0.05 * generator.standard_normal((1, seeds, 80))
            test = ItemScores(bits + noise, np.ones(80))
            items[outcome.name][name] = [test]
            performance[outcome.name] = {"value": float(test.performance_CM.mean()), "ci_low": None}
        of = {"value": clusters, "ci_low": clusters * 0.95, "ci_high": clusters * 1.05}
        metrics = {"effective_clusters": of, "cluster_score": of}
        metrics |= {
            f"baselines.{m}": {"value": None} for m in ("context_length", "compression_ratio")
        }
        metrics |= {
            f"baselines.{m}": {"value": None} for m in ("ngram_diversity", "self_repetition")
        }
        controls = {
            "length": generator.random(),
            "unique_tokens": generator.random(),
            "repetition": 1.0,
        }
        record = {
            "name": name,
            "metrics": metrics,
            "performance": performance,
            "controls": controls,
        }
        records.append({**record, "fingerprint": corpus_of(name), "unique_tokens": 100})
    recipe = {
        "null_control": (),
        "seeds": list(range(seeds)),
        "levels": [{"name": name} for name in levels],
    } | recipe
    rows = _correlations(recipe, records, outcomes, items)
    return hypotheses.Evidence(recipe, records, outcomes, items, rows, "effective_clusters")


def verdicts(found: hypotheses.Evidence) -> dict[str, str]:
    return {verdict["id"]: verdict["verdict"] for verdict in hypotheses.verdicts(found)}


TEMPLATES = {"topic": (10, 2.0), "topic_styles": (20, 1.8), "topic_styles_persona": (40, 1.6)}


def test_an_order_that_is_there_is_supported():
    assert verdicts(evidence(TEMPLATES))["templates"] == SUPPORTED


def test_the_opposite_order_is_refuted():
    swapped = {**TEMPLATES, "topic_styles_persona": (40, 2.2)}
    assert verdicts(evidence(swapped))["templates"] == NOT_SUPPORTED


def test_no_difference_cannot_be_told():
    assert (
        verdicts(evidence({name: (clusters, 2.0) for name, (clusters, _) in TEMPLATES.items()}))[
            "templates"
        ]
        == CANNOT_TELL
    )


def test_single_runs_cannot_tell_corpora_apart():
    found = {
        verdict["id"]: verdict for verdict in hypotheses.verdicts(evidence(TEMPLATES, seeds=1))
    }
    assert found["templates"]["verdict"] == CANNOT_TELL
    assert found["templates"]["because"].startswith("one seed: ")


def test_what_the_study_lacks_is_said():
    found = {verdict["id"]: verdict for verdict in hypotheses.verdicts(evidence(TEMPLATES))}
    assert found["ratio"]["because"] == "the study has no level ratio_5b"
    assert found["score_predicts_sft"]["because"] == "the study has no sft stage"
    assert found["size"]["because"] == "the study has one model size"


@pytest.mark.parametrize(
    ("slope", "verdict"), [(-0.1, SUPPORTED), (0.1, f"{NOT_SUPPORTED}: the opposite")]
)
def test_the_direction_of_a_correlation_counts(slope, verdict):
    levels = {f"l{i}": (2.0**i, 2.0 + slope * i) for i in range(1, 7)}
    assert verdicts(evidence(levels))["predicts:text/bits_per_byte"] == verdict


@pytest.mark.parametrize(("corpora", "verdict"), [(4, CANNOT_TELL), (5, SUPPORTED)])
def test_what_is_descriptive_supports_nothing(corpora, verdict):
    found = evidence(
        {f"l{i}": (2.0**i, 3 - 0.2 * i, 3 - 0.4 * i) for i in range(corpora)}, outcomes=SIZES
    )
    assert all(
        row["ci_high"] < 0 for row in found.correlations if row["metric"] == "effective_clusters"
    )
    judged = verdicts(found)
    for claim in ("predicts:small/text", "predicts:large/text", "size"):
        assert judged[claim] == verdict, claim


def test_five_corpora_are_too_few_to_refute_linearity():
    found = evidence({f"l{i}": (float(i), 2.0 - 0.1 * (i - 3) ** 2) for i in range(1, 6)})
    verdict = next(verdict for verdict in hypotheses.verdicts(found) if verdict["id"] == "linear")
    assert found.correlations[1]["curvature"]["p"] < 0.05
    assert (
        verdict["verdict"],
        verdict["because"].endswith("over 5 corpora: descriptive only"),
    ) == (CANNOT_TELL, True)


@pytest.mark.parametrize(("corpora", "verdict"), [(5, CANNOT_TELL), (6, SUPPORTED)])
def test_so_few_corpora_do_not_rank_metrics(corpora, verdict):
    found = evidence({f"l{i}": (1.0 + i, 3 - 0.5 * i) for i in range(corpora)})
    for level, value in zip(found.levels, (0, 0, 1, 2, 2, 2), strict=False):
        level["metrics"]["baselines.context_length"]["value"] = value
    assert verdicts(found)["baselines_weaker"] == verdict


def test_a_bent_relation_is_not_linear():
    levels = {f"l{i}": (float(i), 2.0 - 0.1 * (i - 4) ** 2) for i in range(1, 8)}
    assert verdicts(evidence(levels))["linear"] == NOT_SUPPORTED


def test_the_null_control_finds_a_difference_that_is_there():
    for other, verdict in ((2.0, SUPPORTED), (2.3, NOT_SUPPORTED)):
        levels = {"one": (10, 2.0), "two": (10, other), "three": (20, 1.0)}
        assert verdicts(evidence(levels, null_control=("one", "two")))["null_control"] == verdict


@pytest.mark.parametrize(
    ("small", "large", "verdict"),
    [
        (-0.1, -0.3, SUPPORTED),
        (-0.3, -0.1, NOT_SUPPORTED),
        (0.1, 0.3, NOT_SUPPORTED),  # the wider spread, with the most diverse corpora the worst
        (0.3, 0.1, NOT_SUPPORTED),  # to lose less is no gain
        (-0.2, -0.2, CANNOT_TELL),
    ],
)
def test_a_gain_from_diversity_has_a_direction(small, large, verdict):
    levels = {f"l{i}": (2.0**i, 3 + small * i, 3 + large * i) for i in range(1, 7)}
    assert verdicts(evidence(levels, outcomes=SIZES))["size"] == verdict


def test_levels_of_one_corpus_are_no_sample_of_corpora():
    levels = {"real_only": (60, 2.0)} | {
        f"ratio_{weight}b": (40, 2 - weight / 40) for weight in (1, 5, 10, 20)
    }
    levels["ratio_34b"] = (40, 2.0)
    found = evidence(levels, corpus_of=lambda name: name.partition("_")[0])
    because = "the study has 2 corpora in 6 levels, and the unit of a correlation is the corpus"
    for row in found.correlations:
        assert (row["estimate"], row["n"], row["reason"]) == (None, 2, because)
    judged = {verdict["id"]: verdict for verdict in hypotheses.verdicts(found)}
    for claim in ("predicts:text/bits_per_byte", "score_predicts_pt", "linear", "baselines_weaker"):
        assert (judged[claim]["verdict"], judged[claim]["because"]) == (CANNOT_TELL, because)
    assert judged["ratio"]["verdict"] == SUPPORTED


def test_the_null_twin_does_not_stand_in_for_a_corpus():
    levels = {"one": (10, 2.0), "one_twin": (11, 2.0), "two": (20, 1.8), "two_more": (20, 1.6)}
    for corpus_of, corpora in ((str, 3), (lambda name: name.removesuffix("_more"), 2)):
        found = evidence(levels, corpus_of=corpus_of, null_control=("one", "one_twin"))
        assert {(row["n"], row["estimate"] is None) for row in found.correlations[:2]} == {
            (corpora, corpora == 2)
        }


def test_real_text_alone_and_the_null_twin_have_no_part_in_a_gain():
    levels = {f"l{i}": (2.0**i, 3 - 0.1 * i, 3 - 0.3 * i) for i in range(1, 7)}
    levels |= {"l1_twin": (2.1, 3, 9), "real_only": (99, 3, 9)}
    listed = [{"name": name, "synthetic_weight": float(name != "real_only")} for name in levels]
    found = evidence(levels, outcomes=SIZES, levels=listed, null_control=("l1", "l1_twin"))
    assert verdicts(found)["size"] == SUPPORTED
